// `why` for nodes of suites through the native API: each thing that can hold a node, by itself.

import { execFile } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type EcflowServer, startEcflow, token } from './ecflow-server.ts'

const definition = `suite w
 edit ECF_NO_SCRIPT 1
 edit ECF_JOB_CMD true
 edit ECF_TRIES 1
 clock real 5.2.2024 +09:58
 limit lim 1
 family f
  task runs
   event go
   inlimit /w:lim
  task waits
   trigger runs == complete and runs:go
  task full
   inlimit /w:lim
  task at
   time 23:30
  task day
   day tuesday
   time 10:00
  task dummy
   edit ECF_DUMMY_TASK 1
  task mirrored
   mirror --name m --remote_path /x --remote_host h
 endfamily
 family held
  defstatus suspended
  task below
 endfamily
 family done
  defstatus complete
  task never
   defstatus aborted
 endfamily
`

let server: EcflowServer
let admin: Record<string, string>
beforeAll(async () => {
  server = await startEcflow()
  const key = (await readFile(join(server.dir, 'data/admin-token'), 'utf8')).trim()
  admin = { authorization: `Bearer ${key}` }
  const loaded = await server.ask('POST', '/v1/suites', { definition }, token)
  expect(loaded.status, loaded.text).toBe(201)
})
afterAll(async () => {
  await server.close()
  await rm(server.dir, { recursive: true, force: true })
})

const why = async (path: string) =>
  (await server.ask('GET', `/yard/v1/nodes/suite${path}/why`, undefined, admin)).json
const put = (path: string, body: unknown) => server.ask('PUT', path, body, token)

test('before begin everything waits for it', async () => {
  expect(await why('/w/f/runs')).toMatchObject({ waiting: true, waitsFor: 'not-begun', state: 'unknown' })
})

test('each thing that holds a node is named, with what it is on and since when', async () => {
  const startedAt = Date.now()
  await put('/v1/suites/w/status', { action: 'begin' })
  const kinds = async (path: string) =>
    (await why(path)).holders.map((it: { waitsFor: string; on: string }) => `${it.waitsFor} ${it.on}`)
  expect(await kinds('/w/f/runs')).toEqual(['starting /w/f/runs'])
  // Both parts of the condition are unmet.
  expect(await kinds('/w/f/waits')).toEqual(['trigger /w/f/waits', 'trigger /w/f/waits'])
  expect(await kinds('/w/f/full')).toEqual(['limit /w/f/full'])
  expect(await kinds('/w/f/at')).toEqual(['time /w/f/at'])
  expect(await kinds('/w/f/day')).toEqual(['time /w/f/day', 'time /w/f/day'])
  expect(await kinds('/w/f/dummy')).toEqual(['dummy /w/f/dummy'])
  expect(await kinds('/w/f/mirrored')).toEqual(['mirror /w/f/mirrored'])
  expect(await kinds('/w/held/below')).toEqual(['suspended /w/held'])

  const waits = await why('/w/f/waits')
  expect(waits.text).toContain('runs(submitted) == complete is false')
  expect(waits.sinceAt).toBeGreaterThanOrEqual(startedAt)
  const full = await why('/w/f/full')
  expect(full.text).toContain('/w:lim is full (1 of 1); holders: /w/f/runs')
  expect(full.sinceAt).toBeGreaterThanOrEqual(startedAt)
  const at = await why('/w/f/at')
  expect(at.text).toContain('time 23:30')
  // 09:58 to 23:30 of suite time, and the next poll is the next minute.
  const minutes = (at.untilAt - Date.now()) / 60_000
  expect(minutes).toBeGreaterThan(810)
  expect(minutes).toBeLessThan(813)
  expect((await why('/w/f/day')).untilAt).toBeUndefined()
})

test('what runs or has ended waits for nothing, and a container tells what is below it', async () => {
  const identity = {
    ECF_NAME: '/w/f/runs',
    ECF_PASS: await server.password('/w/f/runs'),
    ECF_RID: '7',
    ECF_TRYNO: 1,
  }
  await put('/v1/suites/w/f/runs/status', { ...identity, action: 'init' })
  expect(await why('/w/f/runs')).toEqual({
    waiting: false,
    state: 'active',
    text: 'it waits for nothing: it is active',
    holders: [],
  })
  expect((await why('/w/done')).waiting).toBe(false)
  const below = (await why('/w/f')).holders.map((it: { on: string }) => it.on)
  expect(below).toEqual(expect.arrayContaining(['/w/f/waits', '/w/f/full', '/w/f/at']))
  await put('/v1/suites/w/f/runs/status', { ...identity, action: 'abort', abort_why: 'no disk' })
  const aborted = await why('/w/f/runs')
  expect(aborted).toMatchObject({ waiting: true, waitsFor: 'tries' })
  expect(aborted.text).toContain('1 of 1 tries: no disk')
  expect((await why('/w/f/waits')).text).toContain('runs(aborted) == complete is false')
})

test('a halted server and suspended ancestors are named first, since the command that did it', async () => {
  const before = Date.now()
  await put('/v1/suites/w/f/status', { action: 'suspend' })
  await put('/v1/server/status', { action: 'halt' })
  const { holders } = await why('/w/f/at')
  expect(holders.map((it: { waitsFor: string; on: string }) => `${it.waitsFor} ${it.on}`)).toEqual([
    'server /',
    'suspended /w/f',
    'time /w/f/at',
  ])
  for (const holder of holders.slice(0, 2)) expect(holder.sinceAt).toBeGreaterThanOrEqual(before)
  await put('/v1/server/status', { action: 'restart' })
  await put('/v1/suites/w/f/status', { action: 'resume' })
})

test('the command line says it too, for a path as for a job', async () => {
  const run = (...args: string[]) =>
    new Promise<{ out: string; err: string; code: unknown }>(resolve => {
      const program = fileURLToPath(new URL('../../bin/switchyard', import.meta.url))
      const key = admin['authorization']!.slice(7)
      execFile(program, ['why', ...args, '--url', server.server.url, '--token', key], (error, out, err) =>
        resolve({ out, err, code: error?.code ?? 0 }),
      )
    })
  const { out, err, code } = await run('/w/f/waits')
  expect([code, err]).toEqual([0, ''])
  expect(out).toMatch(/^TASK:\/w\/f\/waits .*is false, in trigger .*\n {2}since \d{4}-.*Z\n/)
  expect((await run('/w/f/none')).code).not.toBe(0)
})

test('what is not there, or no kind of thing, is not found; strangers are not told', async () => {
  const ask = async (path: string, headers = admin) =>
    (await server.ask('GET', `/yard/v1/nodes/${path}`, undefined, headers)).status
  expect(await ask('suite/w/none/why')).toBe(404)
  expect(await ask('nothing/w/why')).toBe(404)
  expect(await ask('suite/w')).toBe(404)
  expect(await ask('suite//why')).toBe(404)
  expect(await ask('suite/w/why', {})).toBe(401)
})
