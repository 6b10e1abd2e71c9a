// The server is killed between the commit that promised a job and the job's start, and again right after the start: the
// job runs once.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { freshDataDir, type RealServer, startServer } from '../support/server.ts'

let server: RealServer | undefined
let dataDir = ''
afterEach(async () => {
  await server?.stop()
  rmSync(dataDir, { recursive: true, force: true })
  rmSync(`${dataDir}.toml`, { force: true })
})

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let left = 600; left > 0; left--) {
    if (await what()) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error('it never came')
}

const state = async (path: string) =>
  (await server!.ask(`/v1/suites${path}/status?filter=status`)).json as string

test('killed while the script is being fetched, and after the start: each task runs once', async () => {
  dataDir = freshDataDir('ecflow-handover')
  const home = join(dataDir, 'ecf')
  mkdirSync(home, { recursive: true })
  const [asked, gate, runs, release] = ['asked', 'gate', 'runs', 'release'].map(name => join(home, name))
  writeFileSync(runs!, '')
  // Longer than the server lives: what it reported to its caller is lost with the caller.
  const fetch = `echo x >> ${asked}; while [ ! -e ${gate} ]; do sleep 0.05; done; cat ${home}/text`
  writeFileSync(
    join(home, 'text'),
    [
      '#!/bin/sh',
      `echo "%ECF_NAME% %ECF_TRYNO%" >> ${runs}`,
      `while [ ! -e ${release} ]; do sleep 0.05; done`,
      'export ECF_NAME=%ECF_NAME% ECF_PASS=%ECF_PASS% ECF_TRYNO=%ECF_TRYNO% ECF_RID=$$',
      'ecflow_client --init=$$ && ecflow_client --complete',
    ].join('\n'),
  )
  const start = (): Promise<RealServer> =>
    startServer({
      dataDir,
      config: `[executors.process]\nallow = true\n[dialects.ecflow]\nhome = "${home}"\nno_ssl = true\n`,
      ...(server ? { port: Number(new URL(server.url).port) } : {}),
    })
  server = await start()
  const definition = [
    'suite k',
    ` edit ECF_SCRIPT_CMD '${fetch}'`,
    ' task first',
    ' task one',
    '  trigger first == complete',
    ' task two',
    '  trigger first == complete',
  ].join('\n')
  expect((await server.ask('/v1/suites', { body: { definition } })).status).toBe(201)
  const put = (path: string, body: unknown) =>
    server!.ask(`/v1/suites${path}/status`, { method: 'PUT', body })
  expect((await put('/k', { action: 'begin' })).status).toBe(200)

  // Promised and durable; nothing was started, because its script is not there yet.
  expect(await state('/k/first')).toBe('submitted')
  await until(() => existsSync(asked!))
  await server.kill()
  server = await start()
  expect(await state('/k/first')).toBe('submitted')
  expect(readFileSync(runs!, 'utf8')).toBe('')
  writeFileSync(gate!, '')
  await until(() => readFileSync(runs!, 'utf8') !== '')

  // Started, and has not said anything yet.
  await server.kill()
  server = await start()
  expect(await state('/k/first')).toBe('submitted')
  rmSync(gate!)
  rmSync(asked!)
  writeFileSync(release!, '')
  await until(async () => (await state('/k/first')) === 'complete')

  // Two that start together, as one job of the engine's.
  await until(() => existsSync(asked!))
  await server.kill()
  server = await start()
  writeFileSync(gate!, '')
  await until(async () => (await state('/k')) === 'complete')
  expect(readFileSync(runs!, 'utf8').trim().split('\n').sort()).toEqual([
    '/k/first 1',
    '/k/one 1',
    '/k/two 1',
  ])
})
