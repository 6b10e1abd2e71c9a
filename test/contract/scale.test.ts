import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sharedPath } from '../support/shared.ts'
import { type Ours, Replay, readRecording } from './scale-replay.ts'
import { type ScaleServer, startScale } from './scale-server.ts'

const recordings = [
  '001-empty-server',
  '002-errors-catalog',
  '003-request-faults',
  '004-workspaces',
  '005-scan-ingest',
  '006-job-types',
  '007-job-type-faults',
  '008-recipe-type-create',
  '009-definition-validation',
  '010-definition-v1',
  '011-diffs',
  '012-queue-recipe',
  '013-queue-recipe-faults',
  '014-queue-recipe-v1-data',
  '015-single-job',
  '016-failure-block-requeue-cancel',
  '017-running-and-canceling',
  '018-sub-recipes',
  '019-conditions',
  '020-revision-diff-reprocess',
  '021-forced-nodes-faults',
  '022-edits-and-deprecation',
] as const

/** Where contracts/scale.md lets us answer otherwise, with its reason. */
const ours: Record<string, Ours> = {}

const isHere = existsSync(sharedPath('recordings', 'scale'))

describe.skipIf(!isHere)('recordings of a Scale server (they lie in ../shared/recordings/scale)', () => {
  let server: ScaleServer
  let replay: Replay

  beforeAll(async () => {
    server = await startScale()
    replay = new Replay(server)
  })
  afterAll(() => server?.close())

  for (const recording of isHere ? recordings : [])
    describe(recording, () => {
      for (const entry of readRecording(recording)) {
        if (entry.request === null || entry.from !== 'observed' || ours[entry.name]?.skip) continue
        test(`${entry.name}: ${entry.request.method} ${entry.request.path}`, async () => {
          expect(await replay.play(entry, ours[entry.name])).toEqual([])
        })
      }
    })
})
