// Scripts edited for one run, aliases made for it, and nodes that move: ours, for the client's --edit_script and --plug. What
// was acknowledged is there after a restart, and who may change only a part of the tree moves nothing into another.

import { existsSync, readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { MemoryDisk } from '../../src/store/memory/disk.ts'
import { type EcflowServer, startEcflow, token } from './ecflow-server.ts'

const definition = `suite s
 edit ECF_JOB_CMD 'true'
 family f
  task t
   trigger 1 == 0
   edit A 1
  task u
   trigger ./t == complete
   event e
 endfamily
 family g
  limit L 2
  task x
   inlimit L
 endfamily
endsuite
suite bound
 family here
 endfamily
endsuite
`

async function until(what: () => boolean): Promise<void> {
  for (let left = 400; left > 0; left--) {
    if (what()) return
    await new Promise(resolve => setTimeout(resolve, 25))
  }
  throw new Error('it never came')
}

const put = async (server: EcflowServer, path: string, body: unknown, headers = token) => {
  const { status, text } = await server.ask('PUT', path, body, headers)
  return `${status} ${text}`
}

test('an edited run, an alias and a moved node are there after a restart, and the next run is as usual', async () => {
  const disk = new MemoryDisk()
  let server = await startEcflow({ disk, dialect: { state: 'HALTED' } })
  const { dir } = server
  try {
    await mkdir(join(server.home, 's/f'), { recursive: true })
    await writeFile(join(server.home, 's/f/t.ecf'), 'echo %A%\n')
    await writeFile(join(server.home, 'x.ecf'), 'echo x\n')
    expect((await server.ask('POST', '/v1/suites', { definition }, token)).status).toBe(201)
    await put(server, '/v1/suites/s/status', { action: 'begin' })
    const script = '%comment - ecf user variables\nA = 2\n%end - ecf user variables\necho edited %A%\n'
    const edit = { action: 'submit_file', script }
    expect(await put(server, '/v1/suites/s/f/t/script', edit)).toMatch(/^200 .*"path":"\/s\/f\/t"/)
    const alias = { ...edit, create_alias: true, no_run: true }
    expect(await put(server, '/v1/suites/s/f/t/script', alias)).toMatch(/^200 .*"path":"\/s\/f\/t\/alias0"/)
    const event = { type: 'event', name: 'e', value: 'set' }
    await put(server, '/v1/suites/s/f/u/attributes', event)
    const move = { action: 'plug', destination: '/bound/here' }
    expect(await put(server, '/v1/suites/s/f/u/status', move)).toMatch(/^200/)
    const shown = async () => (await server.ask('GET', '/v1/suites/tree?content=full&with_meta=true')).json
    const before = await shown()
    expect(before.bound.children.here.children.u.attributes[0]).toMatchObject({ name: 'e', value: true })
    expect(before.s.children.f.children.u).toBeUndefined()
    await server.close()
    server = await startEcflow({ disk, dir })
    expect(await shown()).toEqual(before)
    await until(() => existsSync(join(server.home, 's/f/t.job1')))
    expect(readFileSync(join(server.home, 's/f/t.job1'), 'utf8')).toBe('echo edited 2')
    await put(server, '/v1/server/status', { action: 'restart' })
    await put(server, '/v1/suites/s/f/t/status', { action: 'complete' })
    await put(server, '/v1/suites/s/f/t/status', { action: 'execute' })
    await until(() => existsSync(join(server.home, 's/f/t.job2')))
    await until(() => readFileSync(join(server.home, 's/f/t.job2'), 'utf8') === 'echo 1')
  } finally {
    await server.close()
    await rm(dir, { recursive: true, force: true })
  }
})

test('a node moves only between places that its mover may change, and never into itself or while it runs', async () => {
  const server = await startEcflow({ dialect: { state: 'SHUTDOWN' } })
  try {
    expect((await server.ask('POST', '/v1/suites', { definition }, token)).status).toBe(201)
    const move = (from: string, destination: unknown, headers = token) =>
      put(server, `/v1/suites${from}/status`, { action: 'plug', destination }, headers)
    const bound = { authorization: 'Bearer tok-bound' }
    expect(await move('/bound/here', '/s/f', bound)).toMatch(/^403 .*may not change \/s\/f/)
    expect(await move('/s/f', '/bound', bound)).toMatch(/^403/)
    expect(await move('/s', '/bound')).toMatch(/^400 .*is a suite/)
    expect(await move('/s/f', '/s/f/t')).toMatch(/^400 .*\/s\/f is within \/s\/f/)
    expect(await move('/s/f', '/nobody')).toMatch(/^404/)
    expect(await move('/s/f', undefined)).toMatch(/^400 .*destination/)
    await put(server, '/v1/suites/s/status', { action: 'begin' })
    await put(server, '/v1/suites/s/g/x/status', { action: 'active' })
    expect(await move('/s/g', '/bound/here')).toMatch(/^400 .*\/s\/g\/x is active/)
    const { json } = await server.ask('GET', '/v1/suites/tree')
    expect(json).toEqual({ s: { f: { t: {}, u: {} }, g: { x: {} } }, bound: { here: {} } })
  } finally {
    await server.close()
  }
})

test('the password in a job is for those who could change the job', async () => {
  const server = await startEcflow()
  try {
    await writeFile(join(server.home, 't.ecf'), 'export ECF_PASS=%ECF_PASS%\n')
    await server.ask('POST', '/v1/suites', { definition }, token)
    await put(server, '/v1/suites/s/status', { action: 'begin' })
    await put(server, '/v1/suites/s/f/t/status', { action: 'execute' })
    const job = join(server.home, 's/f/t.job1')
    await until(() => existsSync(job) && readFileSync(job, 'utf8') !== '')
    const text = `export ECF_PASS=${await server.password('/s/f/t')}`
    expect(readFileSync(job, 'utf8')).toBe(text)
    for (const query of ['', '?content=job']) {
      const url = `/v1/suites/s/f/t/script${query}`
      expect((await server.ask('GET', url)).json.job).toBe('export ECF_PASS=***')
      const viewer = { authorization: 'Bearer tok-viewer' }
      expect((await server.ask('GET', url, undefined, viewer)).json.job).toBe('export ECF_PASS=***')
      expect((await server.ask('GET', url, undefined, token)).json.job).toBe(text)
    }
    const edit = (await server.ask('GET', '/v1/suites/s/f/t/script?content=edit')).text
    expect(edit).not.toContain(await server.password('/s/f/t'))
  } finally {
    await server.close()
  }
})

test.each([
  [{ action: 'dance', script: '' }, 'expected pre_process_file, submit or submit_file'],
  [{ action: 'submit' }, "'script' is missing"],
  [{ action: 'submit_file', script: 1 }, "'script' must be a string"],
  [{ action: 'submit_file', script: 'x', create_alias: 'yes' }, "'create_alias' must be a boolean"],
  [{ action: 'submit', script: 'x', create_alias: true }, 'create_alias goes with submit_file'],
  [{ action: 'pre_process_file', script: '%include </etc/passwd>' }, 'cannot be read'],
  [{ action: 'pre_process_file', script: '%A%B%' }, 'odd number'],
  [{ action: 'pre_process_file', script: '%manual' }, 'manual without an end'],
  [
    { action: 'pre_process_file', script: `%comment - ecf user variables\n${'A\n'.repeat(9)}` },
    'expected NAME',
  ],
])('%j is refused: %s', async (body, why) => {
  const server = await startEcflow()
  try {
    await server.ask('POST', '/v1/suites', { definition }, token)
    expect(await put(server, '/v1/suites/s/f/t/script', body)).toMatch(new RegExp(`^400 .*${why}`))
  } finally {
    await server.close()
  }
})
