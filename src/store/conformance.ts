// What every store must do, whatever it is made of. An adapter's test calls this with a way to make a world:
// `storeConformance('sqlite', makeWorld)`. What is asserted is meaning; speed is the business of bench/.

import { describe } from 'vitest'
import { blobTests } from './testing/blob-tests.ts'
import { commitTests } from './testing/commit-tests.ts'
import { historyTests } from './testing/history-tests.ts'
import { lifeTests } from './testing/life-tests.ts'
import { listTests } from './testing/list-tests.ts'
import { recordQueryTests } from './testing/record-query-tests.ts'
import { recordTests } from './testing/record-tests.ts'
import type { MakeWorld } from './testing/store-world.ts'

export type { StoreWorld } from './testing/store-world.ts'

/** Runs the suite against one adapter. */
export function storeConformance(adapter: string, makeWorld: MakeWorld): void {
  describe(`the ${adapter} store: opening and closing`, () => lifeTests(makeWorld))
  describe(`the ${adapter} store: commits`, () => commitTests(makeWorld))
  describe(`the ${adapter} store: blobs in batches`, () => blobTests(makeWorld))
  describe(`the ${adapter} store: history`, () => historyTests(makeWorld))
  describe(`the ${adapter} store: lists`, () => listTests(makeWorld))
  describe(`the ${adapter} store: records`, () => recordTests(makeWorld))
  describe(`the ${adapter} store: finding records`, () => recordQueryTests(makeWorld))
}
