import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sharedPath } from '../support/shared.ts'
import { type Ours, Replay, readRecording } from './scale-replay.ts'
import { ask, type ScaleServer, startScale } from './scale-server.ts'

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
  '023-batches',
  '024-metrics-and-status',
] as const

/** Where contracts/scale.md lets us answer otherwise, with its reason. */
const ours: Record<string, Ours> = {
  'empty-server/1': { why: 'we tell our own version', ignore: ['version'] },
  'errors-catalog/1': {
    why: 'the test error is not in the contract; descriptions are ours',
    ignore: ['count', 'results'],
  },
  'errors-catalog/2': { why: 'descriptions are ours', ignore: ['description'] },
  'request-faults/10': { why: 'the rest of the text is free', ignore: ['detail'] },
  'request-faults/13': { why: 'unknown paths answer JSON', body: { detail: 'Not found.' } },
  'request-faults/14': { why: 'only the status and Allow matter', body: {} },
  'scan-ingest/15': { why: 'ours counts the files that were looked at', ignore: ['file_count'] },
  'job-types/15': {
    why: 'the recorded server repeats a type for each keyword',
    ignore: ['count', 'results'],
  },
  'queue-recipe/2': {
    why: 'the moment before its nodes were made; ours makes them with the recipe (§5.4), so its progress is not compared',
    ignore: [
      'details.nodes',
      'is_completed',
      'input_file_size',
      ...['total', 'pending', 'queued', 'running', 'completed'].map(word => `jobs_${word}`),
    ],
  },
  'queue-recipe/5': { why: 'the path holds the id of the execution', ignore: ['file_path', 'url'] },
  'failure-block-requeue-cancel/9': { why: 'system types are not listed', ignore: ['count', 'results'] },
  'metrics-and-status/1': { why: '§4.8 LATER: metrics', skip: true },
  'metrics-and-status/2': { why: '§4.8 LATER: metrics', skip: true },
  'metrics-and-status/3': { why: '§4.8 LATER: metrics', skip: true },
  'metrics-and-status/6': {
    why: '§4.8 LATER: there is no scheduler to pause; job types are paused instead',
    skip: true,
  },
  'metrics-and-status/7': { why: '§4.8 LATER: the recorded server lacked its scheduler', skip: true },
  'metrics-and-status/10': { why: '§4.8 LATER: timelines', skip: true },
  'running-and-canceling/5': { why: 'a time', ignore: ['results[*].longest_running'] },
  'running-and-canceling/10': { why: 'a time', ignore: ['results[*].longest_queued'] },
  'running-and-canceling/11': {
    why: 'a time, where the recorded server had none',
    ignore: ['results[*].longest_pending'],
  },
}

/** What the recorded server names and phrases for itself, in every answer that has it. */
const everywhere = /hostname|_duration|\.tasks: \d+ items|job_type\.description: "Scans a workspace/

/** The recording leaves out how the second version of echo-value was made. */
const missingStep: Record<string, { path: string; body: unknown }> = {
  'revision-diff-reprocess/5': {
    path: '/v6/job-types/',
    body: {
      docker_image: 'local/shell:1.0',
      manifest: {
        seedVersion: '1.0.0',
        job: {
          name: 'echo-value',
          jobVersion: '2.0.0',
          packageVersion: '1.0.0',
          title: 'echo-value',
          description: 'Recorded example',
          maintainer: { name: 'Jane Doe', email: 'jane.doe (at) example.org', organization: 'E-corp' },
          timeout: 60,
          interface: {
            command: `printf '%s' '{"OUT":"new-'\${VALUE}'"}' > \${OUTPUT_DIR}/seed.outputs.json`,
            inputs: { json: [{ name: 'VALUE', type: 'string' }] },
            outputs: { json: [{ name: 'OUT', type: 'string' }] },
          },
          resources: {
            scalar: [
              { name: 'cpus', value: 1.0 },
              { name: 'mem', value: 256.0 },
              { name: 'disk', value: 10.0, inputMultiplier: 2.0 },
            ],
          },
        },
      },
      configuration: {},
    },
  },
}

const isHere = existsSync(sharedPath('recordings', 'scale'))

describe.skipIf(!isHere)('recordings of a Scale server (they lie in ../shared/recordings/scale)', () => {
  let server: ScaleServer
  let replay: Replay

  beforeAll(async () => {
    server = await startScale()
    replay = new Replay(server, { isFree: difference => everywhere.test(difference) })
  })
  afterAll(() => server?.close())

  for (const recording of isHere ? recordings : [])
    describe(recording, () => {
      for (const entry of readRecording(recording)) {
        if (entry.request === null || entry.from !== 'observed' || ours[entry.name]?.skip) continue
        test(`${entry.name}: ${entry.request.method} ${entry.request.path}`, async () => {
          const given = missingStep[entry.name]
          if (given) expect((await ask(server, 'POST', given.path, given.body)).status).toBe(201)
          expect(await replay.play(entry, ours[entry.name])).toEqual([])
        })
      }
    })
})
