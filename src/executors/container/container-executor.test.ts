// The container executor does what every executor must, over real sandboxes.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { executorConformance } from '../conformance.ts'
import { missingForRootfs } from './testing/yard.ts'

const box = mkdtempSync(join(tmpdir(), 'switchyard-box-'))
process.env['SWITCHYARD_TEST_BOX'] = box
afterAll(() => {
  delete process.env['SWITCHYARD_TEST_BOX']
  rmSync(box, { recursive: true, force: true })
})

const missing = missingForRootfs()
const sh = (script: string, more = {}) => ({
  tasks: [{ image: 'box', argv: ['/bin/sh', '-c', script] }],
  ...more,
})

executorConformance({
  name: 'container',
  moduleUrl: new URL('./testing/sample-executor.ts', import.meta.url).href,
  crowdCount: 120,
  ...(missing === undefined ? {} : { skip: missing }),
  samples: folder => ({
    succeeds: { tasks: [{ image: 'box' }] },
    fails: { spec: sh('exit 7'), exitCode: 7 },
    runsLong: sh('exec sleep 300'),
    ignoresAsking: sh('trap "" TERM; while :; do sleep 0.1; done', { graceMs: 200 }),
    prints: {
      spec: sh(`printf 'first line\\nsecond: %s\\n' żółw; until [ -e ${folder}/go ]; do sleep 0.02; done`),
      stream: 'out',
      text: 'first line\nsecond: żółw\n',
      until: 'go',
    },
    marks: path => sh(`echo ran >>'${path}'`),
    impossible: { tasks: [] },
    leavesProcess: path => sh(`setsid sh -c 'while :; do echo tick >>${path}; sleep 0.05; done' & sleep 300`),
  }),
})
