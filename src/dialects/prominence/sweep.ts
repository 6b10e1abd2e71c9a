// What belongs to jobs that history has forgotten, or is over, is let go: at the start, and then once a day when a job
// is about to run. In between it only takes room.

import type { Rec } from '../../store/store.ts'
import { everyRecord } from './every-record.ts'
import { approvals, renewals } from './issuer.ts'
import { leftOnes } from './left-in-queue.ts'
import type { Parts } from './parts.ts'
import { isOldSnapshot } from './snapshots.ts'
import { collectedOutputs, putOutputs, snapshots } from './stored.ts'

/** How many records are let go in one write. */
const batchMax = 200

const pauseMs = 86_400_000

/** Sweeps when there is an occasion and the last time was long ago. Nobody waits for it. */
export class Sweeper {
  readonly #parts: Parts
  #sweptAt: number | undefined
  #running: Promise<void> | undefined

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Answers the sweep under way, if there is one. */
  occasion(): Promise<void> | undefined {
    const { clock, log } = this.#parts.kit
    if (this.#sweptAt !== undefined && clock.now() - this.#sweptAt < pauseMs) return this.#running
    this.#sweptAt = clock.now()
    this.#running ??= sweepRecords(this.#parts)
      .then(() => undefined)
      .catch(error => log.warn({ err: error }, 'records could not be swept'))
      .finally(() => {
        this.#running = undefined
      })
    return this.#running
  }
}

interface Swept {
  readonly owner?: string
  readonly n?: number
  readonly until?: number
}

/** Lets go of records that nothing needs any more; answers how many. */
export async function sweepRecords(parts: Parts): Promise<number> {
  const { engine, clock } = parts.kit
  const isForgotten = async (n: number | undefined) =>
    n !== undefined && (await engine.job({ n })) === undefined && (await engine.flow({ n })) === undefined
  const isOver = async ({ until }: Swept) => until !== undefined && until < clock.now()
  const rules: readonly (readonly [string, (record: Rec, body: Swept) => Promise<boolean>])[] = [
    [putOutputs, async ({ parent }) => (await engine.job({ id: parent ?? '' })) === undefined],
    [collectedOutputs, (_, { n }) => isForgotten(n)],
    [snapshots, record => isOldSnapshot(parts, record)],
    [leftOnes, (_, { n }) => isForgotten(n)],
    [approvals, (_, body) => isOver(body)],
    [renewals, (_, body) => isOver(body)],
  ]
  let swept = 0
  for (const [collection, isUseless] of rules) {
    const useless: Rec[] = []
    for await (const record of everyRecord(parts.kit.records, { collection }))
      if (await isUseless(record, record.body as Swept)) useless.push(record)
    // Those that count against somebody's quota go together: what they counted is given back with them.
    for (const [owner, some] of Map.groupBy(useless, ({ body }) => (body as Swept).owner))
      for (let at = 0; at < some.length; at += batchMax)
        await parts.stored.drop(some.slice(at, at + batchMax), owner)
    swept += useless.length
  }
  return swept
}
