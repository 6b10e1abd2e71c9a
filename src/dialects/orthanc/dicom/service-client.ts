// What we ask of a modality beside storing: echo, find, move. One association for one question.

import type { Association, Message, OpenContext } from '../../../domains/dicom/network/association.ts'
import { type Command, commands, isResponse, statuses } from '../../../domains/dicom/network/command.ts'
import { asFile, identifierBytesMax, writeIdentifier } from '../../../domains/dicom/network/identifier.ts'
import { sopClasses } from '../../../domains/dicom/network/sop-classes.ts'
import { layoutOf, syntaxes } from '../../../domains/dicom/reading/syntax.ts'
import { type Tag, tags } from '../../../domains/dicom/tag.ts'
import { makeEncoder } from '../../../domains/dicom/text/encode.ts'
import { type Piece, putPiece } from '../../../domains/dicom/writing/piece.ts'
import { readPiece } from '../../../domains/dicom/writing/value-piece.ts'
import { codes, OrthancError } from '../errors.ts'
import { defaultTerm, type House } from '../house.ts'
import { after } from './after.ts'
import { type Caller, callModality, networkError, type Proposal } from './dial.ts'

const plain = [syntaxes.explicitLittle, syntaxes.implicitLittle]

/** Proposed together, as the original does: some devices refuse an association with a single service. */
const proposals: readonly Proposal[] = [
  { abstractSyntax: sopClasses.verification, transferSyntaxes: plain },
  { abstractSyntax: sopClasses.patientFind, transferSyntaxes: plain },
  { abstractSyntax: sopClasses.studyFind, transferSyntaxes: plain },
  { abstractSyntax: sopClasses.studyMove, transferSyntaxes: plain },
  { abstractSyntax: sopClasses.worklistFind, transferSyntaxes: plain },
]

/** Answers are kept in memory: no more of them than this. */
const answersMax = 100_000
const answersBytesMax = 128 * 1024 * 1024

/** Opens an association, uses it, and releases it whatever comes. */
async function withAssociation<T>(
  house: House,
  caller: Caller,
  doing: string,
  use: (association: Association) => Promise<T>,
): Promise<T> {
  const association = await callModality(caller, house.settings.network, { proposals })
  try {
    const result = await use(association)
    await association.release()
    return result
  } catch (error) {
    association.abort()
    throw networkError(doing, caller.modality.aet, error)
  }
}

/** Asks a modality whether it is there (C-ECHO); with `checksFind` whether it answers queries, too. */
export function echo(house: House, caller: Caller, { checksFind = false } = {}): Promise<void> {
  return withAssociation(house, caller, 'C-ECHO to', async association => {
    const context = association.contextFor(sopClasses.verification)
    if (!context) throw refused('C-ECHO', caller)
    await association.send(context, {
      field: commands.echoRq,
      messageId: 1,
      affectedClass: sopClasses.verification,
    })
    const { status } = (await answerFrom(association, 1)).command
    if (status !== statuses.success) throw failedWith('C-ECHO', caller, status)
    // Asks for a study that nobody has: whether finding works, without anybody's data.
    if (checksFind) {
      await findOver(house, caller, association, {
        level: 'STUDY',
        query: [[0x0020000d, '1.2.3.4.5.6.7.8.9.10']],
      })
    }
  })
}

export interface FindRequest {
  /** `PATIENT`, `STUDY`, `SERIES`, `IMAGE` */
  readonly level: string
  readonly query: readonly (readonly [Tag, string])[]
}

/** The answers as DICOM files without pixels, which the reader understands. */
export function find(house: House, caller: Caller, request: FindRequest): Promise<Buffer[]> {
  return withAssociation(house, caller, 'C-FIND to', association =>
    findOver(house, caller, association, request),
  )
}

async function findOver(
  house: House,
  caller: Caller,
  association: Association,
  { level, query }: FindRequest,
): Promise<Buffer[]> {
  const affectedClass = level === 'PATIENT' ? sopClasses.patientFind : sopClasses.studyFind
  const context = association.contextFor(affectedClass)
  if (!context) throw refused('C-FIND', caller)
  const identifier = writeQuestion(house, context, [...query, [levelTag, level]])
  return collect(caller, association, { context, affectedClass, identifier })
}

/** Asks a modality for its worklist; `question` is tags with texts, or lists of such objects, by name. */
export function findWorklist(
  house: House,
  caller: Caller,
  question: Readonly<Record<string, unknown>>,
): Promise<Buffer[]> {
  return withAssociation(house, caller, 'C-FIND to', association => {
    const affectedClass = sopClasses.worklistFind
    const context = association.contextFor(affectedClass)
    if (!context) throw refused('C-FIND for worklists', caller)
    const layout = layoutOf(context.transferSyntax)
    const term = defaultTerm(house)
    const pieces: Piece[] = []
    for (const [name, value] of Object.entries(question)) {
      const tag = house.dictionary.readTag(name)
      putPiece(
        pieces,
        readPiece(tag, value, {
          dictionary: house.dictionary,
          encoder: makeEncoder([term]),
          isLittleEndian: layout.isLittleEndian,
          readsBinary: false,
        }),
      )
    }
    const identifier = writeIdentifier(
      [[tags.SpecificCharacterSet, term]],
      { dictionary: house.dictionary, transferSyntax: context.transferSyntax, terms: [term] },
      pieces,
    )
    return collect(caller, association, { context, affectedClass, identifier })
  })
}

/** Sends a question and gathers its answers. */
async function collect(
  caller: Caller,
  association: Association,
  { context, affectedClass, identifier }: { context: OpenContext; affectedClass: string; identifier: Buffer },
): Promise<Buffer[]> {
  await association.send(
    context,
    { field: commands.findRq, messageId: 1, affectedClass, priority: 0 },
    identifier,
  )
  const answers: Buffer[] = []
  let bytes = 0
  let isCancelled = false
  for (;;) {
    const { command, data } = await answerFrom(association, 1)
    const { status } = command
    if (status !== statuses.pending && status !== statuses.pendingWarning) {
      if (status === statuses.success || (isCancelled && status === statuses.cancelled)) return answers
      throw failedWith('C-FIND', caller, status)
    }
    const body = await data?.whole(identifierBytesMax)
    if (body && !isCancelled) {
      answers.push(asFile(body, context.transferSyntax))
      bytes += body.length
    }
    if (!isCancelled && (answers.length >= answersMax || bytes > answersBytesMax)) {
      isCancelled = true
      await association.send(context, { field: commands.cancelRq, respondsTo: 1 })
    }
  }
}

/** The identifier of a question. Text beyond ASCII says in which character set it is written. */
function writeQuestion(house: House, context: OpenContext, query: FindRequest['query']): Buffer {
  const term = defaultTerm(house)
  const isPlain = query.every(([, text]) => /^[\0-\x7f]*$/.test(text))
  const named: FindRequest['query'] =
    isPlain || query.some(([tag]) => tag === tags.SpecificCharacterSet)
      ? query
      : [...query, [tags.SpecificCharacterSet, term]]
  return writeIdentifier(named, {
    dictionary: house.dictionary,
    transferSyntax: context.transferSyntax,
    terms: [term],
  })
}

/** How long a peer may take to leave off, below what the talk executor waits for a talk. */
export const stopMs = 8000

export const levelTag: Tag = 0x00080052

export interface MoveCounts {
  readonly remaining: number | undefined
  readonly completed: number | undefined
  readonly failed: number | undefined
}

/** Asks a modality to send to `target`; `told` hears of its progress. */
export function move(
  house: House,
  caller: Caller,
  request: FindRequest & { target: string; told?: (counts: MoveCounts) => void; signal?: AbortSignal },
): Promise<MoveCounts> {
  return withAssociation(house, caller, 'C-MOVE to', async association => {
    const affectedClass = sopClasses.studyMove
    const context = association.contextFor(affectedClass)
    if (!context) throw refused('C-MOVE', caller)
    const identifier = writeQuestion(house, context, [...request.query, [levelTag, request.level]])
    const command: Command = {
      field: commands.moveRq,
      messageId: 1,
      affectedClass,
      priority: 0,
      moveDestination: request.target,
    }
    await association.send(context, command, identifier)
    let callOff = (): void => {}
    const cancel = (): void => {
      association.send(context, { field: commands.cancelRq, respondsTo: 1 }).catch(() => {}) // It has ended by itself.
      // Some go on all the same: then they are left.
      callOff = after(stopMs, () => association.abort())
    }
    request.signal?.addEventListener('abort', cancel, { once: true })
    try {
      for (;;) {
        const { command: answer } = await answerFrom(association, 1)
        const counts = {
          remaining: answer.remainingCount,
          completed: answer.completedCount,
          failed: answer.failedCount,
        }
        request.told?.(counts)
        if (answer.status === statuses.pending) continue
        if (answer.status === statuses.success) return counts
        throw failedWith('C-MOVE', caller, answer.status)
      }
    } finally {
      request.signal?.removeEventListener('abort', cancel)
      callOff()
    }
  })
}

/** The next answer to a message; anything else breaks the rules. */
export async function answerFrom(association: Association, messageId: number): Promise<Message> {
  const message = await association.receive()
  if (!message) throw new Error('the peer released the association without an answer')
  const { command } = message
  if (!isResponse(command) || command.respondsTo !== messageId)
    throw new Error('the peer answered something else')
  return message
}

/** The error of a modality that does not offer a service. */
export function refused(service: string, { modality }: Caller): OrthancError {
  return new OrthancError(
    codes.network,
    `DicomAssociation - ${service} to AET "${modality.aet}": the peer has not accepted the presentation context`,
  )
}

/** What a DIMSE status means, in the original's words where it has some. */
export function failedWith(service: string, { modality }: Caller, status: number | undefined): OrthancError {
  const shown = (status ?? 0).toString(16).toUpperCase().padStart(4, '0')
  const meaning = status === undefined ? 'no status' : meaningOf(status)
  const error = new OrthancError(
    codes.network,
    `${service} SCU to AET "${modality.aet}" has failed with DIMSE status 0x${shown}${meaning ? ` (${meaning})` : ''}`,
  )
  return Object.assign(error, { dimseStatus: status })
}

function meaningOf(status: number): string {
  if (status >= 0xc000 && status <= 0xcfff) return 'unable to process - resource not found ?'
  if (status === 0xa801) return 'move destination unknown'
  if (status === 0x0122) return 'SOP class not supported'
  if (status === 0x0124) return 'not authorized'
  if (status === statuses.cancelled) return 'cancelled'
  if (status >= 0xa900 && status <= 0xa9ff) return 'data set does not match SOP class'
  if (status >= 0xa700 && status <= 0xa7ff) return 'out of resources'
  return ''
}
