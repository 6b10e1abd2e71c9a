// The commands of users against a real server: what they print, what they refuse, and how they end.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freshDataDir, program, type RealServer, startServer } from '../support/server.ts'

let server: RealServer
let folder: string
beforeAll(async () => {
  server = await startServer({ dataDir: freshDataDir('commands'), args: ['--memory'] })
  folder = mkdtempSync(join(tmpdir(), 'commands-'))
})
afterAll(async () => {
  await server.stop()
  for (const path of [server.dataDir, folder]) rmSync(path, { recursive: true, force: true })
})

// What the shell that runs the tests happens to have set must not decide them.
const bare = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('SWITCHYARD_')),
)

function begin(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  return spawn(program, args, { env: { ...bare, SWITCHYARD_DATA: server.dataDir, ...env } })
}

/** Runs a command to its end. */
async function run(
  args: readonly string[],
  { input = '', env = {} }: { input?: string; env?: Record<string, string> } = {},
) {
  const child = begin(args, env)
  let out = ''
  let err = ''
  child.stdout!.on('data', chunk => {
    out += chunk
  })
  child.stderr!.on('data', chunk => {
    err += chunk
  })
  child.stdin!.end(input)
  const [code] = await once(child, 'close')
  return { code: code as number, out, err }
}

function sh(line: string, facts: object = {}): string {
  return JSON.stringify({ executor: 'process', spec: { argv: ['sh', '-c', line] }, ...facts })
}

async function submit(document: string): Promise<string> {
  const { code, out, err } = await run(['submit', '-'], { input: document })
  expect(err).toBe('')
  expect(code).toBe(0)
  return out.trim()
}

test('submit takes a job, a list of jobs and a flow, and its exit code says what became of them', async () => {
  const file = join(folder, 'job.json')
  writeFileSync(file, sh('echo hi'))
  expect(await run(['submit', file, '--wait'])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^\S+ {2}succeeded\n$/),
  })
  const list = await run(['submit', '-', '--wait', '--json'], { input: `[${sh('exit 0')},${sh('exit 4')}]` })
  expect(list).toMatchObject({ code: 1, err: 'switchyard: not all of them succeeded\n' })
  expect(JSON.parse(list.out).map((job: { exitCode: number }) => job.exitCode)).toEqual([0, 4])
  const steps = (line: string) => `{"steps":[{"key":"a","job":${sh(line)}}]}`
  expect(await run(['submit', '-', '--wait'], { input: steps('true') })).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^\S+ {2}succeeded\n$/),
  })
  expect(await run(['submit', '-', '--wait'], { input: steps('false') })).toMatchObject({
    code: 1,
    err: 'switchyard: the flow failed\n',
  })
  const keyed = ['submit', file, '--key', 'k', '--json']
  expect((await run(keyed)).out).toBe((await run(keyed)).out)
})

test('exit codes tell a bad file, an absent thing, bad credentials and an absent server apart', async () => {
  const cases: [string[], { input?: string; env?: Record<string, string> }, number, RegExp][] = [
    [['submit', join(folder, 'absent.json')], {}, 2, /absent\.json cannot be read: ENOENT/],
    [['submit', '-'], { input: '{' }, 2, /- is not JSON/],
    [['submit', '-'], { input: '{"executor":"process","spec":{"argv":[]}}' }, 2, /argv/],
    [['submit', '-'], { input: '[]' }, 2, /jobs/],
    [['submit', '-'], { input: '{"executor":"proces","spec":{}}' }, 2, /no executor called proces/],
    [['image', 'import', join(folder, 'absent.tar')], {}, 2, /absent\.tar cannot be read: ENOENT/],
    [['backup', '/dev/null/x'], {}, 1, /ENOTDIR/],
    [['show', 'nothing'], {}, 3, /There is no job nothing/],
    [['show', '--flow', 'nothing'], {}, 3, /There is no flow nothing/],
    [['logs', '../../x'], {}, 3, /There is no job/],
    [['cancel', 'nothing'], {}, 3, /nothing: There is no job nothing/],
    [['why', 'nothing', 'a'], {}, 3, /There is no flow/],
    [['ls', '-n', 'many'], {}, 2, /--limit many/],
    [['ls', '--state', 'odd'], {}, 2, /state: odd is none of/],
    [['ls', '--url', server.url, '--token', 'sy_wrong'], {}, 4, /not valid/],
    [['ls'], { env: { SWITCHYARD_DATA: '', SWITCHYARD_URL: 'http://127.0.0.1:9' } }, 5, /does not answer/],
    [['ls', '--data', folder], {}, 5, /No server is running/],
    [['logs', '1', '--attempt', '1&offset=3'], {}, 2, /--attempt/],
  ]
  for (const [args, options, code, sentence] of cases) {
    const ended = await run(args, options)
    expect([args, ended.code, ended.err]).toEqual([args, code, expect.stringMatching(sentence)])
    expect(ended.err).not.toContain('    at ')
  }
})

test('a job says why it did not succeed, and show tells of each of its attempts', async () => {
  const absent = JSON.stringify({ executor: 'process', spec: { argv: ['/no/such/program'] } })
  const waited = await run(['submit', '-', '--wait'], { input: absent })
  expect(waited.out).toMatch(/^\S+ {2}failed \(launch\): .*\/no\/such\/program/)
  const id = await submit(sh('exit 3', { triesMax: 2, backoffMs: 1 }))
  await run(['logs', '-f', id])
  const { out } = await run(['show', id])
  expect(out).toMatch(/^ATTEMPT +RESULT +EXIT/m)
  expect(out.match(/^\d +failed \(exit\) +3 /gm)).toHaveLength(2)
})

test('a running job that is cancelled is said to have been asked', async () => {
  const id = await submit(sh('trap "" TERM; echo up; while ! test -e /no/such/file; do sleep 0.1; done'))
  for (let out = ''; out === ''; ) out = (await run(['logs', id])).out
  expect((await run(['cancel', id])).out).toBe(`${id}  running, asked to cancel\n`)
  expect((await run(['cancel', '--kill', id])).code).toBe(0)
})

test('whoever waits for a server that goes away is told what was submitted', async () => {
  const leaving = createServer((request, response) => {
    if (request.method === 'POST') response.writeHead(201).end('{"id":"kept","progress":{"total":1}}')
    else request.socket.destroy()
  })
  await once(leaving.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(leaving.address() as AddressInfo).port}`
  for (const input of [sh('true'), `{"steps":[{"key":"a","job":${sh('true')}}]}`])
    expect(await run(['submit', '-', '--wait', '--url', url], { input })).toMatchObject({
      code: 5,
      out: 'kept\n',
    })
  leaving.close()
})

test('the key of a data directory goes to its own server alone, whatever address is named', async () => {
  const seen: (string | undefined)[] = []
  const stranger = createServer((request, response) => {
    seen.push(request.headers.authorization)
    response.end('{"items":[]}')
  })
  await once(stranger.listen(0, '127.0.0.1'), 'listening')
  const { port } = stranger.address() as AddressInfo
  expect(await run(['ls', '--url', `http://127.0.0.1:${port}`])).toMatchObject({ code: 0 })
  stranger.close()
  expect(seen).toEqual([undefined])
  const own = server.url.replace('127.0.0.1', 'localhost')
  expect(await run(['ls', '--url', own])).toMatchObject({ code: 0 })
})

test('logs -f prints what a running job writes as it comes, through its retries, until it has ended', async () => {
  const flag = join(folder, 'go')
  const line = `echo try; while ! test -e ${flag}; do sleep 0.05; done; echo went; exit 1`
  const id = await submit(sh(line, { triesMax: 2, backoffMs: 1, dueAt: Date.now() + 300 }))
  const following = begin(['logs', '-f', id])
  let out = ''
  const first = Promise.withResolvers<void>()
  following.stdout!.on('data', chunk => {
    out += chunk
    if (out === 'try\n') first.resolve()
  })
  const ended = once(following, 'close')
  await first.promise
  writeFileSync(flag, '')
  expect((await ended)[0]).toBe(0)
  expect(out).toBe('try\nwent\ntry\nwent\n')
  expect((await run(['logs', id])).out).toBe('try\nwent\n')
  expect((await run(['logs', id, '--attempt', '1'])).out).toBe('try\nwent\n')
  expect(await run(['logs', id, '--attempt', '3'])).toMatchObject({ code: 3 })
  expect((await run(['logs', '--err', id])).out).toBe('')
})

test('a reader that has seen enough ends logs without a complaint', async () => {
  const id = await submit(sh('seq 1 200000'))
  await run(['logs', '-f', id])
  const told = execFileSync('bash', ['-c', `set -o pipefail; "$0" logs ${id} | head -n 1`, program], {
    env: { ...bare, SWITCHYARD_DATA: server.dataDir },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  expect(told).toBe('1\n')
})

test('ls pages on until it has as many as asked for, and show --flow shows every node', async () => {
  const many = {
    steps: [
      { key: 'g', job: { executor: 'function', spec: { function: 'noop' }, held: true } },
      {
        key: 'n',
        needs: ['g'],
        fanOut: { count: 1_200 },
        job: { executor: 'function', spec: { function: 'noop' } },
      },
    ],
  }
  const id = await submit(JSON.stringify(many))
  const shown = JSON.parse((await run(['show', '--flow', id, '--json'])).out)
  expect(shown.nodes).toHaveLength(1_201)
  expect((await run(['why', id, 'n/7'])).out).toContain('g: ')
  expect(await run(['cancel', '--flow', id])).toMatchObject({
    code: 0,
    out: expect.stringContaining('cancelled'),
  })
  const jobs = Array.from({ length: 1_100 }, () => ({
    executor: 'function',
    spec: { function: 'noop' },
    held: true,
    labels: { many: 'yes' },
  }))
  await submit(JSON.stringify(jobs))
  const listed = JSON.parse((await run(['ls', '--label', 'many=yes', '-n', '1100', '--json'])).out)
  expect(new Set(listed.map((job: { n: number }) => job.n)).size).toBe(1_100)
})

test('a name cannot make the terminal do anything', async () => {
  const name = '\u001b[2J\u001b]0;owned\u0007\u202e\nline'
  const id = await submit(
    JSON.stringify({ executor: 'function', spec: { function: 'noop' }, name, held: true }),
  )
  for (const args of [
    ['ls', '-n', '1'],
    ['show', id],
    ['top', '--once'],
  ]) {
    const { out } = await run(args)
    expect(out).not.toMatch(/[\u001b\u0007\u202e]/)
  }
  expect((await run(['ls', '-n', '1'])).out).toContain('\\u001b[2J')
  expect(JSON.parse((await run(['ls', '-n', '1', '--json'])).out)[0].name).toBe(name)
})

test('cancel, why and retry steer what is there, and tell of each that they could not', async () => {
  const held = await submit(sh('true', { held: true }))
  expect((await run(['why', held])).out).toMatch(/held/)
  const both = await run(['cancel', held, 'nothing'])
  expect(both).toMatchObject({ code: 3, out: `${held}  cancelled, held\n` })
  expect(both.err).toContain('1 of 2 refused')
  expect(await run(['cancel', held])).toMatchObject({ code: 1 })
  expect(await run(['retry', held])).toMatchObject({ code: 0, out: expect.stringContaining('ready') })
  expect(JSON.parse((await run(['top', '--json'])).out)).toMatchObject({ pools: expect.any(Array) })
})

test('the completion scripts are good shell, and complete commands, sub-commands and options', async () => {
  const script = join(folder, 'completion.bash')
  writeFileSync(script, (await run(['completion', 'bash'])).out)
  execFileSync('bash', ['-n', script])
  const complete = (...words: string[]) =>
    execFileSync(
      'bash',
      [
        '-c',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is shell
        'set -u; source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _switchyard; printf "%s\\n" "${COMPREPLY[@]}"',
        script,
        'switchyard',
        ...words,
      ],
      { encoding: 'utf8' },
    )
      .trim()
      .split('\n')
  expect(complete('sub')).toEqual(['submit'])
  expect(complete('token', 'c')).toEqual(['create'])
  expect(complete('submit', '--w')).toEqual(['--wait'])
  expect(complete('token', 'create', '--ro')).toEqual(['--role'])
  expect(complete('')).toEqual(expect.arrayContaining(['serve', 'ls', 'top', 'restore', 'completion']))
  const zsh = await run(['completion', 'zsh'])
  expect(zsh.out).toMatch(/^#compdef switchyard\n/)
  expect((await run(['completion', 'fish'])).out).toContain("-n '__fish_use_subcommand' -a submit")
  expect(await run(['completion', 'tcsh'])).toMatchObject({ code: 2 })
})
