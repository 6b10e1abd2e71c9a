// Jobs with several nodes: copies of a task that run at once, each with streams, /tmp and a share of its own.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, test } from 'vitest'
import type { Json } from '../../core/json.ts'
import type { TaskRecord } from './task-records.ts'
import { addBox, missingForRootfs, openYard, type Yard } from './testing/yard.ts'

const missing = missingForRootfs()
const isRoot = process.getuid?.() === 0

describe.skipIf(missing !== undefined)('jobs with several nodes', () => {
  let yard: Yard
  let count = 0
  const nextId = () => `nodes${++count}.1`
  beforeAll(async () => {
    yard = await openYard({ diskBeatMs: 50 })
    await addBox(yard)
  })
  afterAll(() => yard.close())

  const each = (script: string, more = {}) => ({
    ...{ image: 'box', argv: ['/bin/sh', '-c', script], onNodes: 'each' },
    ...more,
  })
  const job = (tasks: Json, more = {}) => ({ nodes: 3, nodeVariable: 'NODE', tasks, ...more })

  async function run(spec: Json, needs = {}) {
    const id = nextId()
    yard.start(id, spec, needs)
    return { id, outcome: await yard.end(id) }
  }
  const tasksOf = ({ detail }: { detail?: Record<string, unknown> }) =>
    (detail?.['tasks'] ?? []) as unknown as TaskRecord[]
  const outs = (id: string) => Promise.all(['out', 'out.1', 'out.2'].map(name => yard.text(id, name)))

  test('the copies of a task run at the same time, each prints to streams of its own, and one task comes after the other', async () => {
    // Nobody goes on before all three are there.
    const meet =
      'echo $NODE; echo err $NODE >&2; touch here.$NODE; until [ -e here.0 -a -e here.1 -a -e here.2 ]; do sleep 0.02; done'
    const { id, outcome } = await run(
      job([
        each(meet),
        each('ls here.* | grep -c .; echo second', {}),
        each('echo alone', { onNodes: 'first' }),
      ]),
    )
    assert.equal(outcome.result, 'succeeded', outcome.message)
    assert.deepEqual(await outs(id), ['0\n3\nsecond\nalone\n', '1\n3\nsecond\n', '2\n3\nsecond\n'])
    assert.deepEqual(
      [await yard.text(id, 'err'), await yard.text(id, 'err.1'), await yard.text(id, 'err.2')],
      ['err 0\n', 'err 1\n', 'err 2\n'],
    )
    assert.deepEqual(
      tasksOf(outcome).map(({ exitCode, exitCodes, retries }) => [exitCode, exitCodes, retries]),
      [
        [0, [0, 0, 0], 0],
        [0, [0, 0, 0], 0],
        [0, undefined, 0],
      ],
    )
  })

  test('a stream of a further node is read while it runs, and goes when the job is forgotten', async () => {
    const id = nextId()
    yard.start(id, job([each('echo up $NODE; until [ -e go ]; do sleep 0.02; done; echo on')]))
    await yard.until(id, 'up 2', 'out.2')
    await writeFile(join(yard.dir, 'container/attempts', id, 'scratch/go'), '')
    await yard.end(id)
    assert.equal(await yard.text(id, 'out.2'), 'up 2\non\n')
    yard.executor.forget([id], { streams: false })
    while ((await readdir(join(yard.dir, 'container/attempts'))).includes(id)) await sleep(10)
    assert.equal(await yard.text(id, 'out.1'), 'up 1\non\n')
    yard.executor.forget([id], { streams: true })
    while ((await readdir(join(yard.dir, 'container/nodes'))).includes(id)) await sleep(10)
    assert.equal(await yard.executor.read(id, 'out.1', 0, 10), undefined)
  })

  test('each node has a /tmp of its own, and they share the home directory', async () => {
    const script =
      'echo $NODE >/tmp/mine; echo $NODE >of.$NODE; until [ -e of.0 -a -e of.1 -a -e of.2 ]; do sleep 0.02; done; cat /tmp/mine'
    const { id } = await run(job([each(script)]))
    assert.deepEqual(await outs(id), ['0\n', '1\n', '2\n'])
  })

  test('when one copy fails the others are ended, gently at first, and its exit code is the task’s', async () => {
    const script =
      '[ $NODE = 1 ] && { until [ -e up.0 -a -e up.2 ]; do sleep 0.02; done; exit 7; }; ' +
      '[ $NODE = 0 ] && trap "echo bye; exit 0" TERM; [ $NODE = 2 ] && trap "" TERM; ' +
      'touch up.$NODE; while :; do sleep 0.05; done'
    const { id, outcome } = await run(job([each(script), each('echo never')], { graceMs: 300 }))
    assert.deepEqual([outcome.result, outcome.reason, outcome.exitCode], ['failed', 'exit', 7])
    const [first, ...more] = tasksOf(outcome)
    assert.deepEqual([first?.exitCode, first?.exitCodes, more.length], [7, [0, 7, -9], 0])
    assert.deepEqual(await outs(id), ['bye\n', '', ''])
  })

  test('failures that are to be ignored end nobody, and the job still says that there was one', async () => {
    const script =
      '[ $NODE = 1 ] && { touch failed; exit 3; }; until [ -e failed ]; do sleep 0.02; done; sleep 0.2; echo whole'
    const { id, outcome } = await run(job([each(script), each('echo after')], { ignoreTaskFailures: true }))
    assert.deepEqual([outcome.result, outcome.exitCode], ['failed', 3])
    assert.deepEqual(await outs(id), ['whole\nafter\n', 'after\n', 'whole\nafter\n'])
    assert.deepEqual(tasksOf(outcome)[0]?.exitCodes, [0, 3, 0])
  })

  test('a copy that fails is tried again on its node only', async () => {
    const script =
      'echo try; [ $NODE = 2 ] || exit 0; n=$(cat n 2>/dev/null || echo 0); echo $((n + 1)) >n; [ $n = 2 ]'
    const { id, outcome } = await run(job([each(script)], { taskRetries: 3 }))
    assert.equal(outcome.result, 'succeeded')
    assert.deepEqual(await outs(id), ['try\n', 'try\n', 'try\ntry\ntry\n'])
    assert.equal(tasksOf(outcome)[0]?.retries, 2)
  })

  test('a gentle stop reaches every copy', async () => {
    const id = nextId()
    yard.start(
      id,
      job([
        each('trap "echo bye $NODE; exit 5" TERM; echo up; while :; do sleep 0.05; done'),
        each('echo never'),
      ]),
    )
    for (const name of ['out', 'out.1', 'out.2']) await yard.until(id, 'up', name)
    yard.executor.stop(id, 'ask', 'expire')
    const outcome = await yard.end(id)
    assert.deepEqual([outcome.result, outcome.reason], ['stopped', 'timeout'])
    assert.deepEqual(await outs(id), ['up\nbye 0\n', 'up\nbye 1\n', 'up\nbye 2\n'])
    assert.deepEqual(tasksOf(outcome)[0]?.exitCodes, [5, 5, 5])
  })

  test('a kill ends every copy and all that it started', async () => {
    const id = nextId()
    const mark = `3788${process.pid}`
    yard.start(id, job([each(`trap "" TERM; setsid sleep ${mark} & echo up; sleep ${mark}`)]))
    for (const name of ['out', 'out.1', 'out.2']) await yard.until(id, 'up', name)
    yard.executor.stop(id, 'kill', 'cancel')
    assert.equal((await yard.end(id)).result, 'stopped')
    const left = execFileSync('ps', ['axww', '-o', 'args'], { encoding: 'utf8' }).split('\n')
    assert.deepEqual(
      left.filter(line => line.includes(`sleep ${mark}`)),
      [],
    )
  })

  test('copies go on during a restart of the server and are found again, with their streams and figures', async () => {
    const id = nextId()
    yard.start(
      id,
      job([
        each(
          'echo up; until [ -e go ]; do sleep 0.05; done; echo on; touch on.$NODE; until [ -e on.0 -a -e on.1 -a -e on.2 ]; do sleep 0.05; done; exit $NODE',
        ),
      ]),
    )
    for (const name of ['out', 'out.1', 'out.2']) await yard.until(id, 'up', name)
    await yard.restart()
    assert.equal((await yard.executor.look([id]))[0]?.type, 'began')
    await writeFile(join(yard.dir, 'container/attempts', id, 'scratch/go'), '')
    const outcome = await yard.end(id)
    assert.equal(outcome.result, 'failed')
    assert.ok([1, 2].includes(tasksOf(outcome)[0]?.exitCode ?? 0), JSON.stringify(tasksOf(outcome)))
    assert.deepEqual(await outs(id), ['up\non\n', 'up\non\n', 'up\non\n'])
  })

  test('streams that are merged into a file hold what all nodes said', async () => {
    const task = each('echo out $NODE; echo err $NODE >&2', { mergeInto: 'log' })
    const { id } = await run(job([task, each('sort log', { onNodes: 'first' })]))
    const [first, second] = await outs(id)
    assert.equal(first, 'out 0\nerr 0\nerr 0\nerr 1\nerr 2\nout 0\nout 1\nout 2\n')
    assert.equal(second, 'out 1\nerr 1\n')
  })

  test('further nodes that print without end are stopped', async () => {
    const small = await openYard({ diskBeatMs: 50, streamBytesMax: 1_000_000 })
    try {
      await addBox(small)
      small.start(
        'loud.1',
        job([each('[ $NODE = 0 ] || while :; do head -c 100000 /dev/zero; sleep 0.01; done; sleep 100')]),
      )
      const outcome = await small.end('loud.1')
      assert.deepEqual([outcome.result, outcome.reason], ['failed', 'exit'])
      assert.equal(outcome.message, 'the streams of its nodes grew over the limit')
    } finally {
      await small.close()
    }
  })

  test.skipIf(!isRoot)('each node has its share of the memory (skipped when not root)', async () => {
    const needs = { cpus: 3, memoryBytes: 3 * 64 * 1024 ** 2 }
    const script = '[ $NODE = 1 ] || exec sleep 20; exec dd if=/dev/zero of=/dev/null bs=120M count=1'
    const { outcome } = await run(job([each(script)], { graceMs: 200 }), needs)
    assert.deepEqual(
      [outcome.result, outcome.reason, tasksOf(outcome)[0]?.exitCode],
      ['failed', 'memory', -9],
    )
    const all = await run(
      job([each('dd if=/dev/zero of=/dev/null bs=120M count=1 2>/dev/null', { onNodes: 'together' })]),
      needs,
    )
    assert.equal(all.outcome.result, 'succeeded', all.outcome.message)
  })
})
