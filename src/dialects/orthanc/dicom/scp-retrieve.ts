// C-MOVE and C-GET: modalities ask for what is here to be sent, to a third one or to themselves.

import { Refused } from '../../../core/refusal.ts'
import type { Association, Message } from '../../../domains/dicom/network/association.ts'
import { commands, statuses } from '../../../domains/dicom/network/command.ts'
import { writeIdentifier } from '../../../domains/dicom/network/identifier.ts'
import type { Resource } from '../../../domains/dicom/store/bodies.ts'
import { type Tag, tags } from '../../../domains/dicom/tag.ts'
import type { House } from '../house.ts'
import type { Peer } from './dicom-server.ts'
import { type InstanceFile, instanceFile } from './instance-data.ts'
import { type Question, readQuestion, search } from './scp-find.ts'
import { StoreClient, sendWithin } from './store-client.ts'

const failedListTag: Tag = 0x00080058
/** Names of instances that failed, at most. */
const namedFailuresMax = 1000

/** A lone level tells nothing: the keys that name what is wanted must be there. */
const identifying: ReadonlySet<Tag> = new Set([
  tags.PatientID,
  tags.StudyInstanceUID,
  tags.SeriesInstanceUID,
  tags.SOPInstanceUID,
  tags.AccessionNumber,
])

/** What a retrieve wants, each instance once; undefined when it names nothing. */
async function wanted(house: House, question: Question): Promise<Resource[] | undefined> {
  const keys = question.keys.filter(([tag, text]) => identifying.has(tag) && text !== '')
  if (keys.length === 0) return undefined
  const found = new Map<string, Resource>()
  for await (const resource of search(house, { level: question.level, keys })) {
    for await (const instance of house.archive.browse.descendants(resource, 'instance'))
      found.set(instance.id, instance)
  }
  return [...found.values()]
}

interface Tally {
  completed: number
  failed: number
  readonly failures: string[]
}

export async function moveScp(
  house: House,
  association: Association,
  message: Message,
  peer: Peer,
): Promise<void> {
  const { command } = message
  const done = house.meters.time('orthanc_move_scp_duration_ms')
  try {
    const target = command.moveDestination ?? ''
    const known = house.network.modalities.byAet(target)[0]
    await retrieve(house, association, message, {
      field: commands.moveRsp,
      refuse: () => (known ? undefined : statuses.unknownDestination),
      open: () => {
        const caller = { modality: known![1], localAet: house.settings.dicomAet, timeout: undefined }
        const client = new StoreClient(house, caller, { aet: peer.aet, id: command.messageId ?? 0 })
        return { send: file => client.send(file), close: () => client.close() }
      },
    })
  } finally {
    done()
  }
}

export async function getScp(
  house: House,
  association: Association,
  message: Message,
  _peer: Peer,
): Promise<void> {
  const done = house.meters.time('orthanc_get_scp_duration_ms')
  let messageId = 0
  try {
    await retrieve(house, association, message, {
      field: commands.getRsp,
      refuse: () => undefined,
      open: () => ({
        // Back over the association on which they were asked for.
        send: file => sendWithin(house, association, file, ++messageId),
        close: async () => {},
      }),
    })
  } finally {
    done()
  }
}

interface Way {
  readonly field: number
  /** The status to refuse with, if it cannot be done at all. */
  refuse(): number | undefined
  open(): { send(file: InstanceFile): Promise<void>; close(): Promise<void> }
}

async function retrieve(house: House, association: Association, message: Message, way: Way): Promise<void> {
  const { command, context } = message
  const messageId = command.messageId ?? 0
  const tally: Tally = { completed: 0, failed: 0, failures: [] }
  const answer = (status: number, remaining?: number): Promise<void> => {
    const list = tally.failures.join('\\')
    const isFinal = status !== statuses.pending
    return association.send(
      context,
      {
        field: way.field,
        respondsTo: messageId,
        ...(command.affectedClass === undefined ? {} : { affectedClass: command.affectedClass }),
        status,
        ...(remaining === undefined ? {} : { remainingCount: Math.min(remaining, 0xffff) }),
        completedCount: Math.min(tally.completed, 0xffff),
        failedCount: Math.min(tally.failed, 0xffff),
        warningCount: 0,
      },
      isFinal && list !== ''
        ? writeIdentifier([[failedListTag, list]], {
            dictionary: house.dictionary,
            transferSyntax: context.transferSyntax,
            terms: ['ISO_IR 100'],
          })
        : undefined,
    )
  }
  let instances: Resource[] | undefined
  try {
    const question = await readQuestion(house, message)
    const refusal = question ? way.refuse() : statuses.mismatch
    if (refusal !== undefined) return await answer(refusal)
    instances = await wanted(house, question!)
  } catch (error) {
    if (!(error instanceof Refused)) throw error
  }
  // The original says so, too, when nothing is found: contracts/orthanc.md §3.10.
  if (!instances || instances.length === 0) return answer(statuses.unprocessable)
  const channel = way.open()
  try {
    for (const [index, instance] of instances.entries()) {
      if (association.takeCancel(messageId)) return await answer(statuses.cancelled, instances.length - index)
      const file = instanceFile(instance)
      try {
        await channel.send(file)
        tally.completed++
      } catch (error) {
        // An association that broke cannot be answered on.
        if (!association.isOpen) throw error
        house.kit.log.warn({ err: error, instance: instance.id }, 'an instance could not be sent')
        tally.failed++
        if (tally.failures.length < namedFailuresMax) tally.failures.push(file.sopInstance)
        if (error instanceof Error && /connecting to AET/.test(error.message)) {
          tally.failed += instances.length - index - 1
          break
        }
      }
      if (index < instances.length - 1) await answer(statuses.pending, instances.length - index - 1)
    }
  } finally {
    await channel.close()
  }
  if (tally.failed === 0) return answer(statuses.success)
  return answer(tally.completed === 0 ? statuses.cannotPerform : statuses.someFailed)
}
