import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Outcome } from '../../core/job.ts'
import { executorConformance } from '../conformance.ts'
import { makeExecutor } from './testing/sample-executor.ts'

executorConformance({
  name: 'talk',
  moduleUrl: new URL('./testing/sample-executor.ts', import.meta.url).href,
  samples: folder => ({
    succeeds: { talk: 'nothing' },
    fails: { spec: { talk: 'fail', input: { exitCode: 7 } }, exitCode: 7 },
    runsLong: { talk: 'wait' },
    ignoresAsking: { talk: 'ignore' },
    prints: {
      spec: { talk: 'print', input: { text: 'first line\nżółw\n', until: join(folder, 'go') } },
      stream: 'out',
      text: 'first line\nżółw\n',
      until: 'go',
    },
    marks: path => ({ talk: 'mark', input: { path } }),
    impossible: { talk: 'unheard-of' },
  }),
})

async function run(talk: string, then?: (stop: (why: 'pause' | 'cancel') => void) => void): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-talk-'))
  const executor = makeExecutor(folder)
  onTestFinished(async () => {
    await executor.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const end = Promise.withResolvers<Outcome>()
  const begin = Promise.withResolvers<void>()
  await executor.open(reports => {
    for (const report of reports) {
      if (report.type === 'began') begin.resolve()
      if (report.type === 'ended') end.resolve(report.outcome)
    }
  })
  const order = { dialect: 'test', kind: talk, owner: '', spec: { talk }, needs: null, runMsMax: null }
  executor.start([{ id: 'job.1', job: 'job', ...order }])
  await begin.promise
  then?.(why => executor.stop('job.1', 'ask', why))
  return end.promise
}

test('a talk is told its job', async () => {
  expect(await run('tell')).toMatchObject({ result: 'succeeded', detail: { job: 'job' } })
})

test('a talk that throws before it waits fails, and its facts are kept', async () => {
  expect(await run('failAtOnce')).toMatchObject({
    result: 'failed',
    message: 'the other side hung up',
    detail: { sent: 3 },
  })
})

test('a paused talk leaves behind how far it came', async () => {
  expect(await run('noteAndStop', stop => stop('pause'))).toMatchObject({
    result: 'stopped',
    message: 'left off (pause)',
    detail: { sent: 7 },
  })
})
