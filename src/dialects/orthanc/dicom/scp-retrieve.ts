// C-MOVE and C-GET: modalities ask for what is here to be sent, to a third one or to themselves.

import { Refused } from '../../../core/refusal.ts'
import type { Association, Message } from '../../../domains/dicom/network/association.ts'
import { commands, statuses } from '../../../domains/dicom/network/command.ts'
import { writeIdentifier } from '../../../domains/dicom/network/identifier.ts'
import { type Tag, tags } from '../../../domains/dicom/tag.ts'
import { Unpacker } from '../../../domains/dicom/transcoding/unpack-aside.ts'
import type { House } from '../house.ts'
import type { Service } from './dicom-server.ts'
import { findFile, type InstanceFile } from './instance-data.ts'
import type { Modality } from './modality.ts'
import { ReadAhead } from './read-ahead.ts'
import { type Question, readQuestion, search } from './scp-find.ts'
import { type MoveOriginator, type ReadyFile, StoreClient, sendWithin } from './store-client.ts'
import { showOrder, storeKind } from './store-job.ts'

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

/** What a retrieve wants, each instance once by its id; undefined when it names nothing. */
async function wanted(house: House, question: Question): Promise<string[] | undefined> {
  const keys = question.keys.filter(([tag, text]) => identifying.has(tag) && text !== '')
  if (keys.length === 0) return undefined
  const found = new Set<string>()
  for await (const resource of search(house, { level: question.level, keys })) {
    for await (const instance of house.archive.browse.descendants(resource, 'instance'))
      found.add(instance.id)
  }
  return [...found]
}

interface Tally {
  completed: number
  failed: number
  readonly failures: string[]
}

export const moveScp: Service = async (house, association, message, peer) => {
  const { command } = message
  const done = house.meters.time('orthanc_move_scp_duration_ms')
  try {
    const target = command.moveDestination ?? ''
    const known = house.network.modalities.byAet(target)[0]
    const originator = { aet: peer.aet, id: command.messageId ?? 0 }
    await retrieve(house, association, message, {
      field: commands.moveRsp,
      refuse: () => (known ? undefined : statuses.unknownDestination),
      open: () => {
        const caller = { modality: known![1], localAet: house.settings.dicomAet, timeout: undefined }
        const client = new StoreClient(house, caller, originator)
        return {
          prepare: file => client.prepare(file),
          send: ready => client.send(ready),
          close: () => client.close(),
        }
      },
      ...(house.settings.network.movesSynchronously
        ? {}
        : { handOver: instances => submitStore(house, known!, instances, originator) }),
    })
  } finally {
    done()
  }
}

/** A store job for what a modality asked to be moved: `SynchronousCMove` is false. */
async function submitStore(
  house: House,
  [name, modality]: readonly [string, Modality],
  instances: readonly string[],
  originator: MoveOriginator,
): Promise<void> {
  const caller = { modality, localAet: house.settings.dicomAet, timeout: undefined }
  const order = { caller, instances, isPermissive: true, originator }
  await house.kit.engine.write(tx =>
    tx.submit({
      dialect: 'orthanc',
      executor: 'talk',
      kind: storeKind,
      spec: { talk: storeKind, input: showOrder(order) },
      pool: 'orthanc',
      labels: { destination: name },
      detail: {
        content: {
          InstancesCount: instances.length,
          FailedInstancesCount: 0,
          LocalAet: caller.localAet,
          RemoteAet: modality.aet,
          MoveOriginatorAET: originator.aet,
          MoveOriginatorID: originator.id,
        },
        isAsynchronous: true,
      },
    }),
  )
}

export const getScp: Service = async (house, association, message, _peer) => {
  const done = house.meters.time('orthanc_get_scp_duration_ms')
  let messageId = 0
  try {
    await retrieve(house, association, message, {
      field: commands.getRsp,
      refuse: () => undefined,
      open: () => {
        const unpacker = new Unpacker()
        return {
          prepare: async file => ({ file }),
          // Back over the association on which they were asked for.
          send: ({ file }) => sendWithin(house, association, file, { messageId: ++messageId, unpacker }),
          close: () => unpacker.close(),
        }
      },
    })
  } finally {
    done()
  }
}

/** Where instances go. */
interface Channel {
  prepare(file: InstanceFile): Promise<ReadyFile>
  send(ready: ReadyFile): Promise<void>
  close(): Promise<void>
}

interface Way {
  readonly field: number
  /** The status to refuse with, if it cannot be done at all. */
  refuse(): number | undefined
  open(): Channel
  /** Hands all of them over to be sent later, if that is how it is done. */
  handOver?(instances: readonly string[]): Promise<void>
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
  let instances: string[] | undefined
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
  if (way.handOver) {
    await way.handOver(instances)
    return answer(statuses.success)
  }
  const channel = way.open()
  try {
    const ahead = new ReadAhead(instances, 0, async id => {
      const file = await findFile(house, id)
      return file && channel.prepare(file)
    })
    for (const [index, id] of instances.entries()) {
      if (association.takeCancel(messageId)) return await answer(statuses.cancelled, instances.length - index)
      let name: string | undefined
      try {
        await ahead.use(async ready => {
          if (!ready) throw new Error('it was deleted meanwhile')
          name = ready.file.sopInstance
          await channel.send(ready)
        })
        tally.completed++
      } catch (error) {
        // An association that broke cannot be answered on.
        if (!association.isOpen) throw error
        house.kit.log.warn({ err: error, instance: id }, 'an instance could not be sent')
        tally.failed++
        if (name !== undefined && tally.failures.length < namedFailuresMax) tally.failures.push(name)
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
