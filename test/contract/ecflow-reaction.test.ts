// From what a job says to the start of what waited for it: one commit and one start, counted, not timed. And a run is
// started once, whatever the store does meanwhile.

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { StoreFailed } from '../../src/store/store.ts'
import { type EcflowServer, startEcflow, token } from './ecflow-server.ts'

let server: EcflowServer
/** What the store and the executor were asked for, in order. */
let trace: string[] = []
/** What to do with the next commit that writes down a job. */
let failJobs: 'never' | 'before' | 'after' = 'never'

beforeAll(async () => {
  server = await startEcflow({
    onCommit: (apply, changes) => {
      trace.push('commit')
      const fails = changes.newJobs.length > 0 ? failJobs : 'never'
      if (fails !== 'before') apply()
      if (fails === 'never') return
      failJobs = 'never'
      throw new StoreFailed('full', 'no space in this test')
    },
    onStart: orders => {
      for (const { spec } of orders) {
        const { argv, stdin } = spec as { argv: string[]; stdin?: string }
        trace.push(
          `start ${stdin === undefined ? argv.at(-1) : `${(stdin.split('\0').length - 1) / 4} commands`}`,
        )
      }
    },
  })
})
afterAll(() => server.close())
beforeEach(() => {
  trace = []
  failJobs = 'never'
})

/** Waits for something that is on its way. */
async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let left = 1000; left > 0; left--) {
    if (await what()) return
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  throw new Error(`it never came: ${trace.join(', ')}`)
}

const state = async (path: string) => (await server.ask('GET', `/v1/suites${path}/status?filter=status`)).json

async function begin(
  suite: string,
  lines: readonly string[],
  options: { isScripted: boolean } = { isScripted: true },
): Promise<void> {
  const definition = [`suite ${suite}`, " edit ECF_JOB_CMD 'echo %ECF_NAME%'", ...lines].join('\n')
  await mkdir(join(server.home, suite), { recursive: true })
  for (const [, name] of options.isScripted ? definition.matchAll(/task (\w+)/g) : [])
    await writeFile(join(server.home, suite, `${name}.ecf`), 'job of %ECF_NAME%')
  expect((await server.ask('POST', '/v1/suites', { definition }, token)).status).toBe(201)
  expect((await server.ask('PUT', `/v1/suites/${suite}/status`, { action: 'begin' }, token)).status).toBe(200)
}

/** The engine has heard of the end of every command that was started: nothing is written any more. */
async function quiet(): Promise<void> {
  await until(async () => {
    await server.server.engine.committed()
    return [...server.server.engine.liveJobs()].length === 0
  })
  await server.server.engine.committed()
  trace = []
}

async function say(path: string, where: string, body: Record<string, unknown>): Promise<number> {
  const identity = {
    ECF_NAME: path,
    ECF_PASS: await server.password(path),
    ECF_RID: '77',
    ECF_TRYNO: '1',
  }
  return (await server.ask('PUT', `/v1/suites${path}/${where}`, { ...identity, ...body })).status
}

const started = () => trace.some(it => it.startsWith('start'))
const untilStart = () => trace.slice(0, trace.findIndex(it => it.startsWith('start')) + 1)

test('a job that completes starts what waited for it with one commit', async () => {
  await begin('chain', [' task a', ' task b', '  trigger a == complete'])
  await quiet()
  expect(await say('/chain/a', 'status', { action: 'init' })).toBe(200)
  await quiet()
  expect(await say('/chain/a', 'status', { action: 'complete' })).toBe(200)
  await until(started)
  expect(untilStart()).toEqual(['commit', 'start echo /chain/b'])
  expect(await readFile(join(server.home, 'chain/b.job1'), 'utf8')).toBe('job of /chain/b')
})

test('so do an event, a meter and a limit that has room again', async () => {
  await begin('signs', [
    ' limit one 1',
    ' task a',
    '  inlimit one',
    '  event go',
    '  meter m 0 9',
    ' task by_event',
    '  trigger a:go',
    ' task by_meter',
    '  trigger a:m ge 5',
    ' task by_limit',
    '  inlimit one',
  ])
  await quiet()
  expect(await say('/signs/a', 'attributes', { type: 'event', name: 'go', value: 'set' })).toBe(200)
  await until(started)
  expect(untilStart()).toEqual(['commit', 'start echo /signs/by_event'])
  await quiet()
  expect(await say('/signs/a', 'attributes', { type: 'meter', name: 'm', value: '7' })).toBe(200)
  await until(started)
  expect(untilStart()).toEqual(['commit', 'start echo /signs/by_meter'])
  await quiet()
  expect(await say('/signs/a', 'status', { action: 'complete' })).toBe(200)
  await until(started)
  expect(untilStart()).toEqual(['commit', 'start echo /signs/by_limit'])
})

test('forty tasks that become ready together need one commit, too', async () => {
  const many = Array.from({ length: 40 }, (_, index) => [` task t${index}`, '  trigger a == complete']).flat()
  await begin('wide', [' task a', ...many])
  await quiet()
  expect(await say('/wide/a', 'status', { action: 'complete' })).toBe(200)
  await until(() => trace.filter(it => it.startsWith('start')).length === 2)
  const first = trace.indexOf('start 32 commands')
  expect(first).toBeGreaterThan(-1)
  expect(trace.slice(0, Math.min(first, trace.indexOf('start 8 commands')))).toEqual(['commit'])
})

test('a script that cannot be made into a job aborts its task, while the others of its group start', async () => {
  await begin('odd', [' edit ECF_TRIES 2', ' task good', ' task bad', ' task also'])
  await quiet()
  await writeFile(join(server.home, 'odd/bad.ecf'), 'what is %NOBODY_KNOWS%')
  await server.ask('PUT', '/v1/suites/odd/status', { action: 'complete', recursive: true }, token)
  await server.ask('PUT', '/v1/suites/odd/status', { action: 'requeue' }, token)
  await until(async () => (await state('/odd/bad')) === 'aborted')
  await until(started)
  expect(trace.filter(it => it.startsWith('start'))).toEqual(['start 2 commands'])
  const { attributes, abort_reason } = (
    await server.ask('GET', '/v1/suites/odd/bad/tree?content=full&with_meta=true')
  ).json.bad
  expect(attributes.at(-1)).toMatchObject({ type: 'flag', value: 'task_aborted,edit_failed' })
  expect(abort_reason).toContain("Variable 'NOBODY_KNOWS' is not defined")
  expect(abort_reason).toContain('odd/bad.ecf:1')
})

test.each(['before', 'after'] as const)(
  'a store that fails %s it has kept the hand-over starts the dependent once',
  async when => {
    const suite = `fails_${when}`
    await begin(suite, [' task a', ' task b', '  trigger a == complete'])
    await quiet()
    failJobs = when
    expect(await say(`/${suite}/a`, 'status', { action: 'complete' })).toBe(503)
    await until(() => server.server.engine.up)
    // The job says it again; when it had been kept, that is forgiven.
    await until(async () => {
      if ((await state(`/${suite}/a`)) === 'complete') return true
      return (await say(`/${suite}/a`, 'status', { action: 'complete' })) === 200
    })
    await until(async () => (await state(`/${suite}/b`)) === 'submitted')
    await until(started)
    const all = [...trace]
    await quiet()
    expect(all.filter(it => it.startsWith('start'))).toEqual([`start echo /${suite}/b`])
    // And its command really ran, once, and well.
    expect(await readFile(join(server.home, `${suite}/b.job1`), 'utf8')).toBe(`job of /${suite}/b`)
    expect(await state(`/${suite}/b`)).toBe('submitted')
  },
)

test('a task that is requeued while its script is being fetched is started for the new run alone', async () => {
  const gate = join(server.home, 'gate')
  const fetch = `while [ ! -e ${gate} ]; do sleep 0.05; done; echo fetched`
  await begin('moved', [` edit ECF_SCRIPT_CMD '${fetch}'`, ' task a'], { isScripted: false })
  await until(() => trace.some(it => it.includes('sleep 0.05')))
  await server.ask('PUT', '/v1/suites/moved/a/status', { action: 'complete' }, token)
  expect(await state('/moved/a')).toBe('complete')
  await server.ask('PUT', '/v1/suites/moved/a/status', { action: 'requeue' }, token)
  await until(async () => (await state('/moved/a')) === 'submitted')
  await writeFile(gate, '')
  await until(() => trace.includes('start echo /moved/a'))
  const all = trace
  await quiet()
  expect(all.filter(it => it === 'start echo /moved/a')).toHaveLength(1)
  expect(await state('/moved/a')).toBe('submitted')
})

test('where nothing may run jobs, a task is aborted and says so', async () => {
  const idle = await startEcflow({ dialect: { executor: 'nowhere' } })
  try {
    const definition = 'suite s\n edit ECF_NO_SCRIPT 1\n task t'
    await idle.ask('POST', '/v1/suites', { definition }, token)
    await idle.ask('PUT', '/v1/suites/s/status', { action: 'begin' }, token)
    const shown = async () =>
      (await idle.ask('GET', '/v1/suites/s/t/tree?content=full&with_meta=true')).json.t
    await until(async () => (await shown()).state.node === 'aborted')
    expect((await shown()).abort_reason).toBe('there is no executor called nowhere here')
  } finally {
    await idle.close()
  }
})
