// Sends instances to a modality by C-STORE over one association, which is opened anew when an instance needs a
// presentation context that was not asked for yet (contracts/orthanc.md §3.10).

import type { Association, OpenContext } from '../../../domains/dicom/network/association.ts'
import { type Command, commands } from '../../../domains/dicom/network/command.ts'
import { syntaxes } from '../../../domains/dicom/reading/syntax.ts'
import { isSource, isTarget } from '../../../domains/dicom/transcoding/transcode.ts'
import { Unpacker } from '../../../domains/dicom/transcoding/unpack-aside.ts'
import { codes, OrthancError } from '../errors.ts'
import type { House } from '../house.ts'
import { type Caller, callModality, networkError, type Proposal } from './dial.ts'
import { converted, type InstanceFile, readInstanceData, readSmallData } from './instance-data.ts'
import { answerFrom, failedWith } from './service-client.ts'

/** The original's groups: what needs no decoding. */
const uncompressed: readonly string[] = [
  syntaxes.explicitLittle,
  syntaxes.implicitLittle,
  syntaxes.explicitBig,
]

/** Stored, or stored with a remark: coercion, elements discarded, class mismatch; and what the peer has already. */
const accepted: ReadonlySet<number | undefined> = new Set([0x0000, 0xb000, 0xb006, 0xb007, 0x0111])

const contextsMax = 128

/** Sends one instance over an association that is open already, as C-GET does. */
export async function sendWithin(
  house: House,
  association: Association,
  file: InstanceFile,
  { messageId, unpacker }: { messageId: number; unpacker: Unpacker },
): Promise<void> {
  const context =
    association.contextFor(file.sopClass, file.transferSyntax) ??
    (canConvert(file) ? association.contextFor(file.sopClass) : undefined)
  if (
    !context ||
    (context.transferSyntax !== file.transferSyntax && !uncompressed.includes(context.transferSyntax))
  )
    throw new OrthancError(codes.network, `the peer takes no instance of class ${file.sopClass}`)
  const status = await exchange(house, { association, context, file, unpacker }, messageId)
  if (!accepted.has(status))
    throw new OrthancError(codes.network, `the peer refused an instance with status ${status}`)
}

/** Whether its pixels can be had without compression. */
function canConvert({ transferSyntax }: InstanceFile): boolean {
  return isSource(transferSyntax)
}

interface Exchange {
  readonly association: Association
  readonly context: OpenContext
  readonly file: InstanceFile
  readonly unpacker: Unpacker
}

function storeCommand(file: InstanceFile, messageId: number, originator?: MoveOriginator): Command {
  return {
    field: commands.storeRq,
    messageId,
    affectedClass: file.sopClass,
    affectedInstance: file.sopInstance,
    priority: 0,
    ...(originator && { originatorAet: originator.aet, originatorMessageId: originator.id }),
  }
}

/** The command, the data set in the context's syntax, and the peer's status. */
async function exchange(
  house: House,
  { association, context, file, unpacker }: Exchange,
  messageId: number,
  originator?: MoveOriginator,
): Promise<number | undefined> {
  const data =
    context.transferSyntax === file.transferSyntax
      ? await readInstanceData(house, file)
      : await converted(house, file, { transferSyntax: context.transferSyntax, unpacker })
  await association.send(context, storeCommand(file, messageId, originator), data)
  return (await answerFrom(association, messageId)).command.status
}

export interface MoveOriginator {
  readonly aet: string
  readonly id: number
}

/** An instance, with its message where that could be made ahead. */
export interface ReadyFile {
  readonly file: InstanceFile
  readonly message?: { readonly association: Association; readonly id: number; readonly bytes: Buffer }
}

export class StoreClient {
  readonly #house: House
  readonly #caller: Caller
  readonly #originator: MoveOriginator | undefined
  /** What was asked for so far: syntaxes by class, in order. */
  readonly #needs = new Map<string, Set<string>>()
  readonly #unpacker = new Unpacker()
  #association: Association | undefined
  #messageId = 0

  constructor(house: House, caller: Caller, originator?: MoveOriginator) {
    this.#house = house
    this.#caller = caller
    this.#originator = originator
  }

  /** Makes the message of a small instance while the peer is busy with the one before it. */
  async prepare(file: InstanceFile): Promise<ReadyFile> {
    const association = this.#association
    if (!association?.isOpen || !this.#needs.get(file.sopClass)?.has(file.transferSyntax)) return { file }
    const context = association.contextFor(file.sopClass, file.transferSyntax)
    const data = context && (await readSmallData(this.#house, file))
    if (!context || !data) return { file }
    const id = this.#nextId()
    const bytes = association.frame(context, storeCommand(file, id, this.#originator), data)
    return { file, message: { association, id, bytes } }
  }

  /** Sends one instance and waits until the peer has it. Error 9 says why it has not. */
  async send({ file, message }: ReadyFile): Promise<void> {
    if (message && message.association === this.#association && message.association.isOpen)
      return this.#watched(message.association, () => this.#sendMade(message))
    const { aet } = this.#caller.modality
    const association = await this.#ready(file)
    const context = this.#contextFor(association, file)
    if (!context) {
      throw new OrthancError(
        codes.network,
        `DicomAssociation - C-STORE to AET "${aet}": the peer takes class ${file.sopClass} in no transfer syntax that is to be had of ${file.transferSyntax}`,
      )
    }
    await this.#watched(association, () => this.#sendOver(association, context, file))
  }

  async #watched(association: Association, send: () => Promise<void>): Promise<void> {
    try {
      await send()
    } catch (error) {
      if (!(error instanceof OrthancError)) {
        // Whatever is left of the association cannot be relied on.
        association.abort()
        this.#association = undefined
      }
      throw networkError('C-STORE to', this.#caller.modality.aet, error)
    }
  }

  async close(): Promise<void> {
    await this.#unpacker.close()
    await this.#release()
  }

  async #release(): Promise<void> {
    const association = this.#association
    this.#association = undefined
    await association?.release()
  }

  abort(): void {
    this.#association?.abort()
  }

  async #sendOver(association: Association, context: OpenContext, file: InstanceFile): Promise<void> {
    const status = await exchange(
      this.#house,
      { association, context, file, unpacker: this.#unpacker },
      this.#nextId(),
      this.#originator,
    )
    if (!accepted.has(status)) throw failedWith('C-STORE', this.#caller, status)
  }

  /** The first thing that is done is writing, so that the peer begins before anything else is. */
  async #sendMade({ association, id, bytes }: NonNullable<ReadyFile['message']>): Promise<void> {
    await association.write(bytes)
    const { status } = (await answerFrom(association, id)).command
    if (!accepted.has(status)) throw failedWith('C-STORE', this.#caller, status)
  }

  #nextId(): number {
    this.#messageId = (this.#messageId % 0xffff) + 1
    return this.#messageId
  }

  /** An association that was asked for what this instance needs. */
  async #ready(file: InstanceFile): Promise<Association> {
    const asked = this.#needs.get(file.sopClass)
    if (this.#association?.isOpen && asked?.has(file.transferSyntax)) return this.#association
    if (asked) asked.add(file.transferSyntax)
    else this.#needs.set(file.sopClass, new Set([file.transferSyntax]))
    this.#forgetSome(file.sopClass)
    await this.#release()
    this.#association = await callModality(this.#caller, this.#house.settings.network, {
      proposals: [...this.#needs].flatMap(([sopClass, stored]) => this.#proposals(sopClass, stored)),
    })
    return this.#association
  }

  /** An association has room for so many contexts; the classes that came first make room. */
  #forgetSome(keep: string): void {
    let count = 0
    for (const stored of this.#needs.values()) count += stored.size + 3
    for (const [sopClass, stored] of this.#needs) {
      if (count <= contextsMax) return
      if (sopClass === keep) continue
      this.#needs.delete(sopClass)
      count -= stored.size + 3
    }
  }

  /** Each stored syntax alone, the preferred one and explicit little endian alone, and the group of those that need no decoding. */
  #proposals(abstractSyntax: string, stored: ReadonlySet<string>): Proposal[] {
    const alone = [...new Set([...stored, ...this.#preferred()])]
    return [
      ...alone.map(uid => ({ abstractSyntax, transferSyntaxes: [uid] })),
      { abstractSyntax, transferSyntaxes: uncompressed },
    ]
  }

  /** Explicit little endian is understood by nearly everybody, also where another syntax is preferred. */
  #preferred(): string[] {
    const { preferredSyntax } = this.#house.settings.network
    return isTarget(preferredSyntax) ? [preferredSyntax, syntaxes.explicitLittle] : [syntaxes.explicitLittle]
  }

  #contextFor(association: Association, file: InstanceFile): OpenContext | undefined {
    const asStored = association.contextFor(file.sopClass, file.transferSyntax)
    if (asStored) return asStored
    const { allows } = this.#caller.modality
    if (!allows.has('AllowTranscoding') || !this.#house.settings.network.transcodes) return undefined
    if (!canConvert(file)) return undefined
    for (const uid of [...this.#preferred(), ...uncompressed]) {
      const context = association.contextFor(file.sopClass, uid)
      if (context) return context
    }
    return undefined
  }
}
