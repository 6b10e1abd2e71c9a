import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'

const program = fileURLToPath(new URL('../../../bin/switchyard', import.meta.url))
// What the shell that runs the tests happens to have set must not decide them.
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('SWITCHYARD_')),
)

const running: ChildProcess[] = []
const folders: string[] = []
afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'cli-'))
  folders.push(made)
  return made
}

/** Runs a command to its end. */
function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise(resolve => {
    execFile(program, args, { env }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

/** Starts a server, and waits for its line. */
async function serve(
  data: string,
  ...args: string[]
): Promise<{ child: ChildProcess; url: string; err: () => string }> {
  const child = spawn(program, ['serve', '--data', data, '--port', '0', ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.push(child)
  let out = ''
  let err = ''
  child.stderr!.on('data', chunk => {
    err += chunk
  })
  return new Promise((resolve, reject) => {
    child.stdout!.on('data', chunk => {
      out += chunk
      const ready = /^ready (http:\/\/\S+)\n/.exec(out)
      if (ready !== null) resolve({ child, url: ready[1]!, err: () => err })
    })
    child.on('exit', code => reject(new Error(`serve ended with ${code}: ${err}`)))
  })
}

async function statusOf(url: string, token: string): Promise<number> {
  return (await fetch(`${url}/yard/v1/jobs`, { headers: { authorization: `Bearer ${token}` } })).status
}

test('a server starts, takes tokens made and revoked beside it, and ends well when told to', async () => {
  const data = join(await folder(), 'data')
  const { child, url, err } = await serve(data)
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
  expect(err()).toContain(`The admin token is in ${data}/admin-token\n`)
  expect(await statusOf(url, (await readFile(join(data, 'admin-token'), 'utf8')).trim())).toBe(200)

  const opaque = await run(
    'token',
    'create',
    '--user',
    'ann',
    '--group',
    'a',
    '--expires',
    '1d',
    '--quiet',
    '--data',
    data,
  )
  expect(opaque.out).toMatch(/^sy_[\w-]{43}\n$/)
  expect(opaque.err).toBe('')
  const jwt = await run(
    'token',
    'create',
    '--jwt',
    '--user',
    'ann',
    '--group',
    'a',
    '--group',
    'b',
    '--quiet',
    '--data',
    data,
  )
  const claims = JSON.parse(Buffer.from(jwt.out.split('.')[1]!, 'base64url').toString())
  expect(claims).toMatchObject({ username: 'ann', groups: 'a,b', role: 'submitter' })
  for (const { out } of [opaque, jwt]) expect(await statusOf(url, out.trim())).toBe(200)

  const listed = JSON.parse((await run('token', 'ls', '--json', '--data', data)).out) as {
    id: string
    kind: string
  }[]
  expect(listed.map(token => token.kind)).toEqual(['opaque', 'jwt'])
  for (const { id } of listed)
    expect(await run('token', 'revoke', id, '--data', data)).toMatchObject({
      code: 0,
      out: `revoked ${id}\n`,
    })
  await new Promise(resolve => setTimeout(resolve, 1_000))
  for (const { out } of [opaque, jwt]) expect(await statusOf(url, out.trim())).toBe(401)
  expect(await run('token', 'revoke', listed[0]!.id, '--data', data)).toMatchObject({ code: 3 })

  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
  await expect(stat(join(data, 'server.json'))).rejects.toThrow('ENOENT')
})

test('a data directory has one server at a time, and the second says who has it', async () => {
  const data = join(await folder(), 'data')
  const { child } = await serve(data)
  const second = await run('serve', '--data', data, '--port', '0')
  expect(second.code).toBe(1)
  expect(second.err).toMatch(/^switchyard: The data directory \S+ is in use by process \d+ /m)
  expect(JSON.parse(await readFile(join(data, 'server.json'), 'utf8'))).toMatchObject({ pid: child.pid })
})

test('a server that is told to stop while it starts ends at once', async () => {
  const data = join(await folder(), 'data')
  const child = spawn(program, ['serve', '--data', data, '--port', '0'], { env, stdio: 'ignore' })
  running.push(child)
  // The store is locked long before the server is ready, and after the signals are heard.
  for (let isThere = false; !isThere; )
    isThere = await stat(join(data, 'yard.db')).then(
      () => true,
      () => false,
    )
  child.kill('SIGTERM')
  expect((await once(child, 'exit'))[0]).toBe(0)
  await serve(data)
})

test('a backup is made of a directory whose server was killed, also when its number is another’s by now', async () => {
  const dir = await folder()
  const data = join(dir, 'data')
  const { child } = await serve(data)
  child.kill('SIGKILL')
  await once(child, 'exit')
  const note = join(data, 'server.json')
  const left = JSON.parse(await readFile(note, 'utf8'))
  await writeFile(note, JSON.stringify({ ...left, pid: process.pid }))
  expect(await run('backup', join(dir, 'copy'), '--data', data)).toMatchObject({ code: 0 })
})

test('an image is imported, listed and removed without a server', async () => {
  const dir = await folder()
  await mkdir(join(dir, 'root/bin'), { recursive: true })
  await writeFile(join(dir, 'root/bin/hello'), '#!/bin/sh\n', { mode: 0o755 })
  execFileSync('tar', ['-C', join(dir, 'root'), '-cf', join(dir, 'root.tar'), '.'])
  const data = join(dir, 'data')
  const imported = await run('image', 'import', join(dir, 'root.tar'), '--name', 'hello', '--data', data)
  expect(imported).toMatchObject({ code: 0, out: expect.stringMatching(/^imported: hello/) })
  expect((await run('image', 'ls', '--data', data)).out).toContain('hello')
  expect(await run('image', 'rm', 'hello', '--data', data)).toMatchObject({ code: 0 })
  expect(await run('image', 'rm', 'hello', '--data', data)).toMatchObject({ code: 3 })
})

test('what cannot be understood ends with exit code 2 and a sentence that names it', async () => {
  const config = join(await folder(), 'yard.json')
  await writeFile(config, '{"server":{"port":"eight"},"colour":"blue"}')
  const checked = await run('serve', '--check-config', '--config', config)
  expect(checked.code).toBe(2)
  expect(checked.err).toContain('colour is not a setting')
  expect(checked.err).toContain('server.port: ')
  expect(await run('serve', '--port', '0')).toMatchObject({ code: 2, err: expect.stringContaining('--data') })
  expect(await run('servve')).toMatchObject({ code: 2 })
  expect(await run('token', 'create', '--user', 'x', '--role', 'king', '--data', config)).toMatchObject({
    code: 2,
  })
})

test('settings from everywhere are printed as they would be used', async () => {
  const config = join(await folder(), 'yard.toml')
  await writeFile(config, '[server]\nport = 1234\n')
  const { code, out } = await run('serve', '--print-config', '--config', config, '--set', 'pools.gpu.slots=2')
  expect(code).toBe(0)
  expect(JSON.parse(out)).toMatchObject({ server: { port: 1234 }, pools: { gpu: { slots: 2 } } })
})

test('a server that strangers could use says what to do instead of starting', async () => {
  const data = join(await folder(), 'data')
  const noAuth = await run('serve', '--data', data, '--port', '0', '--host', '0.0.0.0', '--no-auth')
  expect(noAuth).toMatchObject({
    code: 1,
    err: expect.stringContaining('--no-auth works on a loopback address only'),
  })
  const open = await run('serve', '--data', data, '--port', '0', '--host', '0.0.0.0', '--insecure-http')
  expect(open).toMatchObject({ code: 1, err: expect.stringContaining('auth.required = true') })
})

test('with --no-auth a loopback server asks nobody for anything', async () => {
  const { url } = await serve(join(await folder(), 'data'), '--no-auth', '--memory')
  expect((await fetch(`${url}/yard/v1/jobs`)).status).toBe(200)
})
