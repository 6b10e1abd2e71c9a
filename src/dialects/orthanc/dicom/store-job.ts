// The job DicomModalityStore: instances one after another over one association. How many the peer has is noted as it goes,
// so that a restart, a pause or another try goes on with those still to send.

import type { Job } from '../../../core/job.ts'
import { isObject, type Json, type JsonObject } from '../../../core/json.ts'
import { type Talk, TalkFailed, type TalkTools } from '../../../core/talk.ts'
import { codes, OrthancError } from '../errors.ts'
import type { House } from '../house.ts'
import { after } from './after.ts'
import { askCommitment } from './commitment.ts'
import { type Caller, readCaller, showCaller } from './dial.ts'
import { findFile } from './instance-data.ts'
import { ReadAhead } from './read-ahead.ts'
import { stopMs } from './service-client.ts'
import { type MoveOriginator, StoreClient } from './store-client.ts'

export const storeKind = 'dicom.modality-store'

export interface StoreOrder {
  readonly caller: Caller
  readonly instances: readonly string[]
  readonly isPermissive: boolean
  readonly originator?: MoveOriginator
  /** The transaction under which the peer is asked to vouch for what it got. */
  readonly commitment?: string
}

/** Instances that could not be sent are named in the job, but not without end. */
const namedFailuresMax = 100
/** How often progress is made durable at most: what was sent since the last time is sent again after a kill. */
const noteMs = 250

/** The form in which an order stays in the job. */
export function showOrder({ caller, ...rest }: StoreOrder): Json {
  return { ...rest, caller: showCaller(caller) } as unknown as Json
}

function readOrder(input: Json): StoreOrder {
  const { caller, ...rest } = input as unknown as StoreOrder
  return { ...rest, caller: readCaller(caller) }
}

/** How far a job came: instances that are done, and what was wrong with those that failed. */
export class Passage {
  at: number
  failedCount: number
  readonly failures: JsonObject[]

  constructor(job: Job | undefined) {
    const kept = job?.detail?.['passage']
    const passage = isObject(kept) ? (kept as JsonObject) : {}
    this.at = Number(passage['at'] ?? 0)
    this.failedCount = Number(passage['failedCount'] ?? 0)
    this.failures = Array.isArray(passage['failures']) ? [...(passage['failures'] as JsonObject[])] : []
  }

  fail(id: string, why: string): void {
    this.failedCount++
    if (this.failures.length < namedFailuresMax) this.failures.push({ ID: id, Reason: why })
  }

  show(total: number): JsonObject {
    return {
      passage: { at: this.at, failedCount: this.failedCount, failures: this.failures },
      progress: total === 0 ? 100 : Math.round((100 * this.at) / total),
    }
  }
}

/** Makes progress durable while a talk goes on, now and then. */
export function makeNotes(house: House, job: Job | undefined): { put(detail: () => JsonObject): void } {
  let notedAt = performance.now()
  let isWriting = false
  return {
    put(detail) {
      if (!job || isWriting || performance.now() - notedAt < noteMs) return
      isWriting = true
      house.kit.engine
        .write(tx => tx.note(job.n, detail()))
        // The store is away: the engine says so to everybody, and the next note tries again.
        .catch(error => house.kit.log.debug({ err: error }, 'the progress of a job could not be kept'))
        .finally(() => {
          isWriting = false
          notedAt = performance.now()
        })
    },
  }
}

/** The talk behind the job. */
export function storeTalk(house: House): Talk {
  return async (input, tools) => {
    const order = readOrder(input)
    const job = await house.kit.engine.job({ id: tools.job })
    const passage = new Passage(job)
    const client = new StoreClient(house, order.caller, order.originator)
    let callOff = (): void => {}
    // It stops between two instances, so that none is left half sent, unless that takes too long.
    const stop = (): void => {
      if (tools.stopReason() === 'kill') client.abort()
      else callOff = after(stopMs, () => client.abort())
    }
    tools.signal.addEventListener('abort', stop, { once: true })
    try {
      await sendAll(house, { order, client, passage, tools, notes: makeNotes(house, job) })
      if (order.commitment !== undefined)
        await askCommitment(house, order.caller, order.commitment, order.instances)
      return { detail: { ...passage.show(order.instances.length) } }
    } catch (error) {
      throw leftOff(error, passage, { total: order.instances.length, tools })
    } finally {
      callOff()
      await client.close()
    }
  }
}

/** What a talk leaves behind when it does not end well: how far it came, and what kept it from going on. */
export function leftOff(
  error: unknown,
  passage: Passage,
  { total, tools }: { total: number; tools: TalkTools },
): TalkFailed {
  const detail = passage.show(total)
  if (error instanceof OrthancError) {
    const { dimseStatus } = error as { dimseStatus?: number }
    return new TalkFailed(error.details ?? error.message, {
      ...detail,
      errorCode: error.code,
      dimseStatus: dimseStatus ?? null,
    })
  }
  const message = error instanceof Error ? error.message : String(error)
  return new TalkFailed(message, tools.signal.aborted ? detail : { ...detail, errorCode: codes.internal })
}

async function sendAll(
  house: House,
  parts: {
    order: StoreOrder
    client: StoreClient
    passage: Passage
    tools: TalkTools
    notes: ReturnType<typeof makeNotes>
  },
): Promise<void> {
  const { order, client, passage, tools, notes } = parts
  const { instances, isPermissive } = order
  const ahead = new ReadAhead(instances, passage.at, async id => {
    const file = await findFile(house, id)
    return file && client.prepare(file)
  })
  while (passage.at < instances.length) {
    tools.signal.throwIfAborted()
    const id = instances[passage.at]!
    try {
      await ahead.use(async ready => {
        if (!ready) throw new OrthancError(codes.unknownResource, `The instance ${id} was deleted meanwhile`)
        await client.send(ready)
      })
    } catch (error) {
      if (!isPermissive || tools.signal.aborted) throw error
      const why = error instanceof Error ? error.message : String(error)
      passage.fail(id, why)
      if (/connecting to AET/.test(why)) {
        // Nobody is there: to knock again for each instance would take its time-out each time.
        for (const other of instances.slice(passage.at + 1)) passage.fail(other, why)
        passage.at = instances.length
        return
      }
    }
    passage.at++
    tools.progress(passage.at / instances.length)
    notes.put(() => passage.show(instances.length))
  }
}
