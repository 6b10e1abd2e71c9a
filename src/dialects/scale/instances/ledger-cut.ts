// Records of the ledgers without some of their rows: what retention leaves of them.

import { RowWriter } from './ledger-rows.ts'
import {
  jobWidth,
  readStoredRows,
  recipeWidth,
  type StoredBefore,
  type StoredLedger,
  type StoredPack,
} from './ledger-stored.ts'
import { jobInts, recipeInts } from './ledgers.ts'

/** What has left history. */
export interface Gone {
  readonly jobs: ReadonlySet<number>
  readonly recipes: ReadonlySet<number>
  readonly batches: ReadonlySet<number>
}

// Ids come by the hundreds: which ones a record holds is told by these numbers.
function blockOf(id: number): number {
  return Math.floor(id / 256)
}

/** The blocks of ids that a record has rows of, and the batches that it counts. */
export interface Blocks {
  readonly jobs: Set<number>
  readonly recipes: Set<number>
  readonly batches: Set<number>
}

/** Which ids the rows of a record are about, roughly. */
export function blocksOf(stored: StoredPack | StoredLedger | StoredBefore): Blocks {
  const blocks: Blocks = { jobs: new Set(), recipes: new Set(), batches: new Set() }
  for (const part of partsOf(stored)) {
    for (const { id } of readStoredRows(part, 'jobs')) blocks.jobs.add(blockOf(id))
    for (const { id } of readStoredRows(part, 'recipes')) blocks.recipes.add(blockOf(id))
    for (const [batch] of part.batches) blocks.batches.add(batch!)
  }
  return blocks
}

/** Those of some records of which something may be gone. */
export function touchedBy(gone: Gone, records: ReadonlyMap<string, Blocks>): string[] {
  const jobs = new Set([...gone.jobs].map(blockOf))
  const recipes = new Set([...gone.recipes].map(blockOf))
  return [...records]
    .filter(([, of]) => meet(of.jobs, jobs) || meet(of.recipes, recipes) || meet(of.batches, gone.batches))
    .map(([id]) => id)
}

function meet(some: ReadonlySet<number>, others: ReadonlySet<number>): boolean {
  for (const one of others) if (some.has(one)) return true
  return false
}

/** A packed record without what is gone; null when nothing is left of it, undefined when nothing of it is gone. */
export function cutPack(stored: StoredPack | StoredBefore, gone: Gone): StoredPack | null | undefined {
  const cuts = partsOf(stored).map(part => ({ part, cut: cutRecord(part, gone) }))
  if (cuts.every(({ cut }) => cut === undefined)) return undefined
  const parts = cuts.flatMap(({ part, cut }) => (cut === undefined ? [part] : cut === null ? [] : [cut]))
  return parts.length === 0 ? null : { parts }
}

/** A record without what is gone; null when nothing is left of it, undefined when nothing of it is gone. */
export function cutRecord(stored: StoredLedger | StoredBefore, gone: Gone): StoredLedger | null | undefined {
  const writer = new RowWriter()
  const [jobs, recipes] = [cutRows(writer, stored, 'jobs', gone), cutRows(writer, stored, 'recipes', gone)]
  const batches = stored.batches.filter(([batch]) => !gone.batches.has(batch!))
  if (!jobs.isCut && !recipes.isCut && batches.length === stored.batches.length) return undefined
  if (jobs.count + recipes.count + batches.length === 0) return null
  return { ...stored, v: 2, jobs: jobs.text, recipes: recipes.text, batches }
}

function cutRows(
  writer: RowWriter,
  stored: StoredLedger | StoredBefore,
  which: 'jobs' | 'recipes',
  gone: Gone,
): { text: string; count: number; isCut: boolean } {
  const rows = [...readStoredRows(stored, which)]
  const left = rows.filter(row => !gone[which].has(row.id))
  const written = writer.write(left, which === 'jobs' ? jobWidth : recipeWidth, {
    sourceAt: which === 'jobs' ? jobInts.source : recipeInts.source,
    classNumber: cls => cls,
    sourceNumber: source => source,
  })
  return { ...written, isCut: left.length < rows.length }
}

function partsOf(stored: StoredPack | StoredLedger | StoredBefore): readonly (StoredLedger | StoredBefore)[] {
  return 'parts' in stored ? stored.parts : [stored]
}
