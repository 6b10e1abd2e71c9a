// What belongs to jobs that history has forgotten, or is over, is let go: at the start, and then once a day when a job
// is about to run. In between it only takes room.

import type { BlobCount, Rec } from '../../store/store.ts'
import { everyRecord } from './every-record.ts'
import { snapshots } from './inside.ts'
import { approvals, renewals } from './issuer.ts'
import { putOutputs } from './job-outputs.ts'
import { leftOnes } from './left-in-queue.ts'
import type { Parts } from './parts.ts'

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
  readonly hash?: string
  readonly sizeBytes?: number
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
    [snapshots, (_, { n }) => isForgotten(n)],
    [leftOnes, (_, { n }) => isForgotten(n)],
    [approvals, (_, body) => isOver(body)],
    [renewals, (_, body) => isOver(body)],
  ]
  let swept = 0
  for (const [collection, isUseless] of rules) {
    const useless: Rec[] = []
    for await (const record of everyRecord(parts.kit.records, { collection }))
      if (await isUseless(record, record.body as Swept)) useless.push(record)
    for (let at = 0; at < useless.length; at += batchMax) await drop(parts, useless.slice(at, at + batchMax))
    swept += useless.length
  }
  return swept
}

async function drop({ kit }: Parts, records: readonly Rec[]): Promise<void> {
  await kit.engine.write(tx => {
    for (const { collection, id, body } of records) {
      const { hash, sizeBytes = 0 } = body as Swept
      if (hash !== undefined) tx.blob({ hash, sizeBytes, delta: -1 } satisfies BlobCount)
      tx.record({ drop: { collection, id } })
    }
  })
}
