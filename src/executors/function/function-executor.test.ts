import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Outcome } from '../../core/job.ts'
import type { Json } from '../../core/json.ts'
import { executorConformance } from '../conformance.ts'
import type { Report } from '../executor.ts'
import type { FunctionExecutorOptions } from './function-executor.ts'
import { makeExecutor, sampleFunctions } from './testing/sample-executor.ts'

executorConformance({
  name: 'function',
  moduleUrl: new URL('./testing/sample-executor.ts', import.meta.url).href,
  samples: folder => ({
    succeeds: { function: 'noop' },
    fails: { spec: { function: 'fail', input: { message: 'no', exitCode: 7 } }, exitCode: 7 },
    runsLong: { function: 'wait', input: { ms: 300_000 } },
    ignoresAsking: { function: 'ignore' },
    prints: {
      spec: { function: 'print', input: { text: 'first line\nżółw\n', until: join(folder, 'go') } },
      stream: 'out',
      text: 'first line\nżółw\n',
      until: 'go',
    },
    marks: path => ({ function: 'mark', input: { path } }),
    impossible: { function: 'unheard-of' },
  }),
})

async function setup(options: Partial<FunctionExecutorOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-function-'))
  const executor = makeExecutor(folder, options)
  onTestFinished(async () => {
    await executor.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const reports: Report[] = []
  const ends = new Map<string, PromiseWithResolvers<Outcome>>()
  const begins = new Map<string, PromiseWithResolvers<void>>()
  await executor.open(some => {
    for (const report of some) {
      reports.push(report)
      if (report.type === 'ended') ends.get(report.id)?.resolve(report.outcome)
      if (report.type === 'began') begins.get(report.id)?.resolve()
    }
  })
  let count = 0
  const submit = (...works: [name: string, input?: Json][]): string[] => {
    const orders = works.map(([name, input = null]) => {
      const id = `job${count++}.1`
      ends.set(id, Promise.withResolvers())
      begins.set(id, Promise.withResolvers())
      return {
        id,
        job: id,
        dialect: 'test',
        kind: name,
        owner: '',
        spec: { function: name, input },
        needs: null,
        runMsMax: null,
      }
    })
    executor.start(orders)
    return orders.map(({ id }) => id)
  }
  return {
    executor,
    folder,
    reports,
    submit,
    end: (id: string) => ends.get(id)!.promise,
    begin: (id: string) => begins.get(id)!.promise,
    run: (name: string, input?: Json) =>
      ends.get(submit([name, ...(input === undefined ? [] : [input])] as [string])[0]!)!.promise,
  }
}

test('a function gives its outputs and facts back', async () => {
  const { run } = await setup()
  expect(await run('echo', { a: [1, 'żółw', null] })).toMatchObject({
    result: 'succeeded',
    outputs: [{ name: 'echo', value: { a: [1, 'żółw', null] } }],
  })
})

test('an error becomes the message of the failure', async () => {
  const { run } = await setup()
  expect(await run('fail', { message: 'the disk is blue' })).toMatchObject({
    result: 'failed',
    reason: 'exit',
    message: 'the disk is blue',
  })
  expect(await run('throwOddly')).toMatchObject({ result: 'failed', message: 'it failed without a message' })
})

test('a result that cannot be sent fails the attempt, and the thread goes on', async () => {
  const { run } = await setup({ threadsMax: 1 })
  expect(await run('unsendable')).toMatchObject({ result: 'failed', reason: 'exit' })
  expect(await run('noop')).toMatchObject({ result: 'succeeded' })
})

test.each([
  ['broken', /this module is broken/],
  ['missing', /no-such-module/],
  ['absent', /does not export absent as a function/],
  ['notAFunction', /does not export notAFunction as a function/],
])('function %s fails to launch, and says why', async (name, message) => {
  const { run } = await setup()
  expect(await run(name)).toMatchObject({
    result: 'failed',
    reason: 'launch',
    message: expect.stringMatching(message),
  })
})

test('a function that eats all memory of its thread fails for memory, and others go on', async () => {
  const { run, submit, end } = await setup({ heapMbMax: 32, threadsMax: 1 })
  const [eater, other] = submit(['eatMemory'], ['noop'])
  expect(await end(eater!)).toMatchObject({ result: 'failed', reason: 'memory' })
  expect((await end(other!)).result).toBe('succeeded')
  expect((await run('noop')).result).toBe('succeeded')
})

test('a function that ends its thread, or throws where nobody catches, fails alone', async () => {
  const { submit, end } = await setup({ threadsMax: 1 })
  const [exits, throws, fine] = submit(['exitThread'], ['throwLater'], ['noop'])
  expect(await end(exits!)).toMatchObject({
    result: 'failed',
    reason: 'exit',
    message: expect.stringContaining('exit code 3'),
  })
  expect(await end(throws!)).toMatchObject({ result: 'failed', message: 'thrown where nobody catches' })
  expect((await end(fine!)).result).toBe('succeeded')
})

test('one that hangs within a batch of quick ones gives the others back, and alone is stopped', async () => {
  const { executor, run, submit, end, begin, reports } = await setup({ threadsMax: 2 })
  // Both functions are known as quick now, and the one that hangs is in the middle of a batch.
  for (let i = 0; i < 12; i++) await run('spin', { ms: 0 })
  for (let i = 0; i < 12; i++) await run('noop')
  const quick = Array.from({ length: 40 }, () => ['noop'] as [string])
  submit(['noop']) // keeps the thread while the others gather
  const ids = submit(...quick, ['spin', { ms: 60_000 }], ...quick)
  const [hung] = ids.splice(40, 1)
  for (const id of ids) expect((await end(id)).result).toBe('succeeded')
  await begin(hung!)
  executor.stop(hung!, 'ask', 'cancel')
  expect(await end(hung!)).toMatchObject({ result: 'stopped', reason: 'user' })
  const stopped = reports.filter(report => report.type === 'ended' && report.outcome.result !== 'succeeded')
  expect(stopped.map(({ id }) => id)).toEqual([hung])
  expect((await run('noop')).result).toBe('succeeded')
})

test('a busy function can ask whether it should stop', async () => {
  const { executor, submit, end, begin } = await setup({ graceMs: 60_000 })
  const [id] = submit(['busyAsking'])
  await begin(id!)
  executor.stop(id!, 'ask', 'pause')
  expect(await end(id!)).toMatchObject({
    result: 'stopped',
    message: 'noticed pause, signal aborted: true',
  })
})

test('a function that succeeds although it was asked to stop has succeeded', async () => {
  const { executor, submit, end, begin } = await setup({ graceMs: 60_000 })
  const [id] = submit(['finishAnyway'])
  await begin(id!)
  executor.stop(id!, 'ask', 'expire')
  expect(await end(id!)).toMatchObject({ result: 'succeeded', detail: { heard: 'expire' } })
})

test('progress is told, but not each step, and never backwards', async () => {
  const { run, reports } = await setup()
  expect((await run('manySteps')).result).toBe('succeeded')
  const steps = reports.filter(report => report.type === 'progress')
  expect(steps.length).toBeGreaterThan(0)
  expect(steps.length).toBeLessThan(200)
  expect(steps[0]).toMatchObject({ fraction: expect.any(Number), detail: { step: expect.any(Number) } })
  const fractions = steps.map(({ fraction }) => fraction)
  expect(fractions).toEqual(fractions.toSorted((a, b) => a! - b!))
})

test('a scratch folder is made for who asks, and removed when the attempt is forgotten', async () => {
  const { executor, submit, end } = await setup()
  const [id] = submit(['scratch'])
  const { detail } = await end(id!)
  expect(detail).toMatchObject({ files: ['note'], blobs: expect.stringMatching(/blobs$/) })
  expect(existsSync(detail!['dir'] as string)).toBe(true)
  executor.forget([id!], { streams: false })
  while (existsSync(detail!['dir'] as string)) await new Promise(resolve => setTimeout(resolve, 5))
})

test('no thread is started before there is something to run, and idle ones are ended', async () => {
  const { executor, run } = await setup({ idleMsMax: 50 })
  expect(executor.threadCount).toBe(0)
  await run('noop')
  expect(executor.threadCount).toBe(1)
  while (executor.threadCount > 0) await new Promise(resolve => setTimeout(resolve, 20))
  expect((await run('noop')).result).toBe('succeeded')
})

test('outcomes tell when it ran and how long', async () => {
  const { run } = await setup()
  const outcome = await run('spin', { ms: 50 })
  expect(outcome.usage!.wallMs).toBeGreaterThanOrEqual(49)
  expect(outcome.endedAt! - outcome.startedAt!).toBe(outcome.usage!.wallMs)
})

test.each([
  [null, /object/],
  [{ input: 1 }, /spec.function/],
  [{ function: 'constructor' }, /no function "constructor"/],
  [{ function: 'noop', inputs: 1 }, /unknown field "inputs"/],
])('the spec %j is refused', async (spec, sentence) => {
  const { executor } = await setup()
  expect(executor.check(spec as Json, 'test')).toMatch(sentence)
})

test('what a dialect brought runs in jobs of that dialect alone, however its name came into the spec', async () => {
  const { executor, run } = await setup({
    functions: {
      ours: { ...sampleFunctions['noop']!, dialect: 'test' },
      theirs: { ...sampleFunctions['noop']!, dialect: 'other' },
    },
  })
  expect(executor.check({ function: 'ours' }, 'test')).toBeUndefined()
  expect(executor.check({ function: 'theirs' }, 'test')).toMatch(/for jobs of the dialect other alone/)
  expect((await run('ours')).result).toBe('succeeded')
  expect(await run('theirs')).toMatchObject({ result: 'failed', reason: 'launch' })
})

test('a function that asks hears the answer, or why there is none', async () => {
  const asked: unknown[] = []
  const { run } = await setup({
    answer: async (name, question, attempt) => {
      asked.push([name, question, attempt])
      if (question instanceof Uint8Array) throw new Error('no bytes please')
      return `heard ${question}`
    },
  })
  const { detail } = await run('askAround', 'a word')
  expect(detail).toEqual({ first: 'heard a word', second: 'no bytes please', left: 0 })
  expect(asked).toEqual([
    ['askAround', 'a word', 'job0.1'],
    ['askAround', new Uint8Array(8).fill(7), 'job0.1'],
  ])
})

test('a question that nobody answers fails with the name of the function', async () => {
  const { run } = await setup()
  expect(await run('askAround', 'a word')).toMatchObject({
    result: 'failed',
    message: 'nobody answers what askAround asks',
  })
})
