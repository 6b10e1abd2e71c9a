// Ended jobs and workflows that stay in the active list until they are removed (policy leaveInQueue).

import type { RecordChange } from '../../store/store.ts'
import { everyRecord } from './every-record.ts'
import type { Parts } from './parts.ts'

/** What is left in the queue, by kind and number. */
export const leftOnes = 'prominence.left'
const collection = leftOnes
const dayMs = 86_400_000

export type Left = 'job' | 'workflow'

/** What to write when such a job or workflow is submitted. */
export function leaveChange(what: Left, n: number, owner: string, now: number): RecordChange {
  return { put: { collection, id: idOf(what, n), parent: parentOf(what, owner), body: { n, at: now } } }
}

/** What to write when it is removed. */
export function removeChange(what: Left, n: number): RecordChange {
  return { drop: { collection, id: idOf(what, n) } }
}

/** The ids that a user has left in the queue, too old ones aside. */
export async function leftInQueue({ kit, settings }: Parts, owner: string, what: Left): Promise<Set<number>> {
  const oldest = kit.clock.now() - settings.leaveInQueueDaysMax * dayMs
  const left = new Set<number>()
  for await (const { body } of everyRecord(kit.records, { collection, parent: parentOf(what, owner) })) {
    const { n, at } = body as { n: number; at: number }
    if (at >= oldest) left.add(n)
  }
  return left
}

/** Whether one of them is left in the queue. */
export async function isLeftInQueue({ kit }: Parts, what: Left, n: number): Promise<boolean> {
  return (await kit.records.get(collection, idOf(what, n))) !== undefined
}

function idOf(what: Left, n: number): string {
  return `${what}/${n}`
}

function parentOf(what: Left, owner: string): string {
  return `${what}/${owner}`
}
