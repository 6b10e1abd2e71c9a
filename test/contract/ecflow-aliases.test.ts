// Aliases: they come in definitions, and with scripts that are edited for one run. What is there can be shown, edited, run, forced
// and deleted like any other node, and never changes what its task does.

import { rm } from 'node:fs/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/store/memory/disk.ts'
import { type EcflowServer, startEcflow, token } from './ecflow-server.ts'

const definition = `suite z
 edit ECF_NO_SCRIPT 1
 edit ECF_JOB_CMD true
 task a
  alias a0
   edit X '1'
   label l "q"
  endalias
  alias a1
  endalias
 task b
  trigger a == complete
`

let disk: MemoryDisk
let server: EcflowServer
beforeEach(async () => {
  disk = new MemoryDisk()
  server = await startEcflow({ disk })
  const answer = await server.ask('POST', '/v1/suites', { definition }, token)
  expect(answer.status, answer.text).toBe(201)
  await put('/z', { action: 'begin' })
})
afterEach(async () => {
  await server.close()
  await rm(server.dir, { recursive: true, force: true })
})

async function put(path: string, body: unknown): Promise<void> {
  const answer = await server.ask('PUT', `/v1/suites${path}/status`, body, token)
  expect(answer.status, answer.text).toBe(200)
}

const state = async (path: string) =>
  (await server.ask('GET', `/v1/suites${path}/status?filter=status`)).json as string

test('begin runs the task and leaves its aliases alone', async () => {
  expect(await state('/z/a')).toBe('submitted')
  expect(await state('/z/a/a0')).toBe('unknown')
})

test('an alias that is executed runs a job of its own, and its task goes on as it was', async () => {
  await put('/z/a/a0', { action: 'execute' })
  expect(await state('/z/a/a0')).toBe('submitted')
  const identity = {
    ECF_NAME: '/z/a/a0',
    ECF_PASS: await server.password('/z/a/a0'),
    ECF_RID: '5',
    ECF_TRYNO: 1,
  }
  expect(identity.ECF_PASS).not.toBe(await server.password('/z/a'))
  await put('/z/a/a0', { ...identity, action: 'init' })
  expect(await state('/z/a/a0')).toBe('active')
  await put('/z/a/a0', { ...identity, action: 'complete' })
  expect(await state('/z/a/a0')).toBe('complete')
  expect(await state('/z/a')).toBe('submitted')
  expect(await state('/z/b')).toBe('queued')
  expect(await state('/z')).toBe('submitted')
})

test('an alias that aborts is not tried again, and leaves task and suite as they were', async () => {
  await put('/z/a/a1', { action: 'abort' })
  expect([await state('/z/a/a1'), await state('/z/a'), await state('/z')]).toEqual([
    'aborted',
    'submitted',
    'submitted',
  ])
})

test('executing a suite does not run the aliases in it', async () => {
  await put('/z/a', { action: 'complete' })
  await put('/z', { action: 'execute' })
  expect([await state('/z/a'), await state('/z/a/a0')]).toEqual(['submitted', 'unknown'])
})

test('a deleted alias is gone, its task and its sister stay; a definition text shows none', async () => {
  await put('/z/a/a1', { action: 'complete' })
  expect((await server.ask('DELETE', '/v1/suites/z/a/a0/definition', undefined, token)).status).toBe(204)
  const tree = (await server.ask('GET', '/v1/suites/z/a/tree?content=full')).json
  expect(Object.keys(tree.a.aliases)).toEqual(['a1'])
  expect(await state('/z/a')).toBe('submitted')
  expect((await server.ask('GET', '/v1/suites/z/definition')).text).not.toContain('alias')
})

test('while an alias runs nothing takes its node away, unless it is forced to', async () => {
  await put('/z/a', { action: 'complete' })
  await put('/z/b', { action: 'complete' })
  await put('/z/a/a0', { action: 'execute' })
  for (const path of ['/z', '/z/a', '/z/a/a0']) {
    const refused = await server.ask('DELETE', `/v1/suites${path}/definition`, undefined, token)
    expect([refused.status, refused.json.message]).toEqual([
      400,
      expect.stringContaining('alias /z/a/a0 is submitted'),
    ])
  }
  const replaced = await server.ask('PUT', '/v1/suites/z/definition', { definition: 'task a' }, token)
  expect(replaced.status).toBe(400)
  expect((await server.ask('PUT', '/v1/suites/z/status', { action: 'archive' }, token)).status).toBe(400)
  // The task itself is at rest, so it can begin anew.
  await put('/z/a', { action: 'requeue' })
  expect([await state('/z/a'), await state('/z/a/a0')]).toEqual(['submitted', 'submitted'])
  expect((await server.ask('DELETE', '/v1/suites/z?force=true', undefined, token)).status).toBe(204)
})

test('an alias, its edits and its run are there after a restart', async () => {
  const edit = { type: 'variable', name: 'X', value: '2' }
  expect((await server.ask('PUT', '/v1/suites/z/a/a0/attributes', edit, token)).status).toBe(200)
  await put('/z/a/a0', { action: 'execute' })
  const password = await server.password('/z/a/a0')
  const { dir } = server
  await server.close()
  server = await startEcflow({ disk, dir })
  expect(await state('/z/a/a0')).toBe('submitted')
  expect(await server.password('/z/a/a0')).toBe(password)
  const variables = await server.ask('GET', '/v1/suites/z/a/a0/attributes?filter=variables[0].value')
  expect(variables.json).toBe('2')
})

test('aliases that were put in another order are there after a restart', async () => {
  await put('/z/a/a1', { action: 'order', order_value: 'top' })
  const names = async () =>
    Object.keys((await server.ask('GET', '/v1/suites/z/a/tree?content=full')).json.a.aliases)
  expect(await names()).toEqual(['a1', 'a0'])
  await server.close()
  server = await startEcflow({ disk, dir: server.dir })
  expect(await names()).toEqual(['a1', 'a0'])
})
