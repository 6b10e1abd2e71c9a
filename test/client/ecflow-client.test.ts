import { execFile, spawnSync } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type EcflowServer, startEcflow } from '../contract/ecflow-server.ts'
import { repository } from '../support/server.ts'

const run = promisify(execFile)
const program = join(repository, 'bin/ecflow_client')

describe('ecflow_client of ours', () => {
  let server: EcflowServer
  beforeAll(async () => {
    server = await startEcflow()
  })
  afterAll(() => server.close())

  const client = async (...args: string[]): Promise<string> => {
    const env = {
      ...process.env,
      SWITCHYARD_ECFLOW_URL: server.server.url,
      SWITCHYARD_ECFLOW_TOKEN: 'tok-sha',
    }
    return (await run(program, args, { env })).stdout
  }
  const state = async (path: string) =>
    (await server.ask('GET', `/v1/suites${path}/status?filter=status`)).json
  const until = async (path: string, wanted: string) => {
    for (let left = 600; left > 0 && (await state(path)) !== wanted; left--) {
      await new Promise(resolve => setTimeout(resolve, 25))
    }
    expect(await state(path)).toBe(wanted)
  }

  test('an existing script with ecflow_client calls runs unchanged', async () => {
    const folder = join(server.home, 'c')
    await mkdir(folder, { recursive: true })
    await writeFile(
      join(server.home, 'head.h'),
      [
        '#!/bin/sh',
        'set -e',
        'export ECF_PORT=%ECF_PORT% ECF_HOST=%ECF_HOST% ECF_NAME=%ECF_NAME% ECF_PASS=%ECF_PASS% ECF_TRYNO=%ECF_TRYNO%',
        'export ECF_RID=$$',
        'ecflow_client --init=$$',
        'ERROR() { set +e; ecflow_client --abort=trap; trap 0; exit 0; }',
        'trap ERROR 0 1 2 15',
      ].join('\n'),
    )
    await writeFile(join(server.home, 'tail.h'), 'ecflow_client --complete\ntrap 0\n')
    await writeFile(
      join(folder, 'good.ecf'),
      [
        '%include <head.h>',
        'ecflow_client --event=ready',
        'ecflow_client --meter=done 60',
        'ecflow_client --label=info \'it says "hello"\' and more',
        'step=$(ecflow_client --queue=q active)',
        'echo "step $step"',
        'ecflow_client --queue=q complete "$step"',
        'ecflow_client --wait="/c/other == complete"',
        '%include <tail.h>',
      ].join('\n'),
    )
    await writeFile(join(folder, 'bad.ecf'), '%include <head.h>\nfalse\n%include <tail.h>\n')
    const definition = [
      'suite c',
      ` edit ECF_INCLUDE '${server.home}'`,
      ' edit ECF_TRIES 1',
      ' task good',
      '  event ready',
      '  meter done 0 100',
      '  label info ""',
      '  queue q one two',
      ' task other',
      '  edit ECF_NO_SCRIPT 1',
      "  edit ECF_JOB_CMD 'true'",
      '  trigger good:done ge 50',
      ' task bad',
      '  trigger good == complete',
    ]
    const file = join(server.home, 'c.def')
    await writeFile(file, definition.join('\n'))
    await client(`--load=${file}`)
    await client('--begin=c')
    await until('/c/other', 'submitted')
    expect(await state('/c/good')).toBe('active')
    await client('--force=complete', '/c/other')
    await until('/c/good', 'complete')
    const { json } = await server.ask('GET', '/v1/suites/c/good/attributes')
    expect(json.events[0].value).toBe(true)
    expect(json.meters[0].value).toBe(60)
    expect(json.labels[0].value).toBe('it says "hello" and more')
    expect((await server.ask('GET', '/v1/suites/c/good/output?filter=job_output')).json).toContain('step one')
    await until('/c/bad', 'aborted')
    const meta = await server.ask('GET', '/v1/suites/c/bad/tree?content=full&with_meta=true')
    expect(meta.json.bad.abort_reason).toBe('trap')
  })

  test('the daily commands of people work', async () => {
    expect(await client('--ping')).toContain('succeeded')
    expect(await client('--get=/c/other')).toContain('trigger good:done ge 50')
    await client('--suspend=/c/bad')
    expect(await client('--query', 'dstate', '/c/bad')).toBe('suspended\n')
    expect(await client('--get_state=/c/bad')).toMatch(/^task bad # state:aborted .*suspended:1/m)
    expect(await client('--why=/c/bad')).toContain('/c/bad is suspended')
    await client('--resume=/c/bad')
    await client('--alter=add', 'variable', 'V', 'some value', '/c/bad')
    const { json } = await server.ask('GET', '/v1/suites/c/bad/attributes?filter=variables[0]')
    expect(json).toEqual({ name: 'V', value: 'some value', const: false })
    await client('--alter=delete', 'variable', 'V', '/c/bad')
    const edits = (await client('--edit_history=/c/bad')).trimEnd().split('\n').slice(-4)
    const when = /^MSG:\[\d\d:\d\d:\d\d \d\d\.\d\d\.\d{4}\] /
    for (const line of edits) expect(line).toMatch(when)
    expect(edits.map(line => line.replace(when, ''))).toEqual([
      '--suspend /c/bad :everyday',
      '--resume /c/bad :everyday',
      '--alter add variable V some value /c/bad :everyday',
      '--alter delete variable V /c/bad :everyday',
    ])
    const log = (await client('--log=get')).trimEnd().split('\n')
    for (const line of log)
      expect(line).toMatch(
        /^(LOG:\[.{19}\] .+: \/c|MSG:\[\d\d:\d\d:\d\d \d\d\.\d\d\.\d{4}\] --load c :everyday$)/,
      )
    expect(log.some(line => line.endsWith('] complete: /c/good'))).toBe(true)
    await client('--order=/c/bad', 'top')
    expect(Object.keys((await server.ask('GET', '/v1/suites/c/tree')).json.c)).toEqual([
      'bad',
      'good',
      'other',
    ])
    await client('--shutdown=yes')
    expect((await server.ask('GET', '/v1/server/status?filter=status')).json).toBe('SHUTDOWN')
    await client('--restart')
    await expect(client('--requeue=/nosuch')).rejects.toThrow('Could not find node')
    await client('--delete=force', 'yes', '/c')
    expect(await client('--suites')).toBe('\n')
  })

  test('what the original client can do to nodes, ours can', async () => {
    const definition = (extra: string) =>
      [
        'suite d',
        ' edit ECF_NO_SCRIPT 1',
        " edit ECF_JOB_CMD 'true'",
        ' edit PLACE here',
        ' limit lim 7',
        ' family f',
        '  repeat integer N 1 9 2',
        '  task a',
        '   event go',
        '   meter m 0 10',
        '   label l "some text"',
        extra,
        '  task b',
        '   trigger a:m ge 5',
        '   date 1.1.2030',
        ' endfamily',
        ' family g',
        '  task t',
        '   trigger 1 == 0',
        '  task u',
        '   trigger 1 == 0',
      ].join('\n')
    const file = join(server.home, 'd.def')
    await writeFile(file, definition('   edit OLD 1'))
    await client(`--load=${file}`)
    await client('--suspend=/d')
    await client('--begin')
    expect(await client('--query', 'state', '/d/f/b')).toBe('queued\n')
    expect(await client('--query', 'dstate', '/d')).toBe('suspended\n')
    expect(await client('--query', 'event', '/d/f/a:go')).toBe('clear\n')
    await client('--force=set', '/d/f/a:go')
    expect(await client('--query', 'event', '/d/f/a:go')).toBe('set\n')
    expect(await client('--query', 'meter', '/d/f/a:m')).toBe('0\n')
    expect(await client('--query', 'label', '/d/f/a:l')).toBe('some text\n')
    expect(await client('--query', 'limit_max', '/d:lim')).toBe('7\n')
    expect(await client('--query', 'variable', '/d/f/a:PLACE')).toBe('here\n')
    expect(await client('--query', 'repeat', '/d/f')).toBe('1\n')
    expect(await client('--query', 'trigger', '/d/f/a', 'b == queued and :N lt 3')).toBe('true\n')
    expect(await client('--query', 'trigger', '/d/f/a', '../g/t == complete')).toBe('false\n')
    await expect(client('--query', 'meter', '/d/f/a:none')).rejects.toThrow('no such one')
    await expect(client('--query', 'trigger', '/d/f/a', 'nobody == complete')).rejects.toThrow('nobody')

    // A node is replaced in its place, and what was suspended stays so.
    await client('--suspend=/d/f/a')
    await writeFile(file, definition('   edit NEW 2'))
    await client('--replace=/d/f/a', file)
    expect(await client('--get=/d/f/a')).toContain("edit NEW '2'")
    expect(Object.keys((await server.ask('GET', '/v1/suites/d/f/tree')).json.f)).toEqual(['a', 'b'])
    expect(await client('--query', 'dstate', '/d/f/a')).toBe('suspended\n')
    await writeFile(file, 'suite d\n family h\n  family i\n   task one\n   task two\n')
    await expect(client('--replace=/d/h/i/one', file, 'false')).rejects.toThrow('Could not find node')
    await client('--replace=/d/h/i/one', file, 'parent')
    expect((await server.ask('GET', '/v1/suites/d/h/tree')).json).toEqual({ h: { i: { one: {} } } })

    const flags = async (path: string) =>
      (await server.ask('GET', `/v1/suites${path}/attributes?filter=flag.value`)).json as string
    await client('--free-dep=date', '/d/f/b')
    const why = async () => client('--why=/d/f/b')
    expect(await why()).not.toContain('time dependent')
    expect(await why()).toContain('a:m')
    await client('--free-dep=/d/f/b')
    expect(await why()).not.toContain('a:m')
    await client('--alter=set_flag', 'late', '/d/f/b')
    expect((await flags('/d/f/b')).split(',')).toContain('late')
    await client('--alter=clear_flag', 'late', '/d/f/b')
    expect((await flags('/d/f/b')).split(',')).not.toContain('late')
    await expect(client('--alter=set_flag', 'archived', '/d/f')).rejects.toThrow('flag')
    await client('--alter=change', 'defstatus', 'complete', '/d/g/t')
    await client('--alter=add', 'variable', 'GLOBAL', 'v', '/')
    expect(await client('--query', 'variable', '/d/g/t:GLOBAL')).toBe('v\n')

    // Only what is aborted; and all of it, though something runs.
    await client('--force=aborted', '/d/g/t')
    await client('--force=active', '/d/g/u')
    await client('--requeue=/d/g')
    expect(await client('--query', 'dstate', '/d/g/t')).toBe('aborted\n')
    await client('--requeue=abort', '/d/g')
    expect(await client('--query', 'dstate', '/d/g/t')).toBe('complete\n')
    expect(await client('--query', 'dstate', '/d/g/u')).toBe('active\n')
    await client('--requeue=force', '/d/g')
    expect(await client('--query', 'dstate', '/d/g/u')).toBe('queued\n')
    await client('--force=complete', 'recursive', 'full', '/d/f')
    expect(await client('--query', 'repeat', '/d/f')).toBe('9\n')
    expect(await client('--query', 'dstate', '/d/f')).toBe('complete\n')
    await client('--check_pt')

    const stranger = { ECF_NAME: '/d/nobody', ECF_PASS: 'p', ECF_RID: '9', ECF_TRYNO: 1 }
    await server.ask('PUT', '/v1/suites/d/nobody/attributes', {
      ...stranger,
      type: 'meter',
      name: 'm',
      value: '1',
    })
    expect(await client('--zombie_get')).toMatch(/^\/d\/nobody path 9 - 2\S+Z$/m)
    await client('--zombie_fail=/d/nobody', '9')
    expect(await client('--zombie_get')).toMatch(/^\/d\/nobody path 9 fail 2/m)
    await client('--zombie_remove=/d/nobody')
    expect(await client('--zombie_get')).not.toContain('nobody')

    // The whole suite; its clock goes on.
    await writeFile(file, 'suite d\n task only\n  trigger 1 == 0\n')
    await client('--replace=/d', file)
    expect((await server.ask('GET', '/v1/suites/d/tree')).json).toEqual({ d: { only: {} } })
    expect(await client('--query', 'dstate', '/d')).toBe('suspended\n')
    expect(await client('--query', 'dstate', '/d/only')).toBe('queued\n')
    await client('--delete=force', 'yes', '/d')
  })

  test('clocks, sorting and what a whole server is asked work as with the original', async () => {
    const definition = [
      'suite e',
      ' edit ECF_NO_SCRIPT 1',
      " edit ECF_JOB_CMD 'true'",
      ' edit b 1',
      ' edit A 2',
      ' limit lim 7',
      ' family f',
      '  repeat date D 20240228 20240302',
      '  task t',
      '   event 2',
      '   event z',
      '   event Y',
      '   label l "x"',
      '   trigger 1 == 0',
      ' endfamily',
      ' family g',
      '  repeat enumerated E red green',
      '  task t',
      '   inlimit /e:lim',
      ' endfamily',
      'endsuite',
    ].join('\n')
    const file = join(server.home, 'e.def')
    await writeFile(file, definition)
    await client(`--check=${file}`)
    expect(await client('--suites')).toBe('\n')
    await client('--host=nowhere', '--port', '3141', `--load=${file}`)
    await expect(client(`--load=${file}`)).rejects.toThrow('already exists')
    await client('--begin=e --force')
    expect(await client('--query', 'state', '/')).toBe('submitted\n')
    const value = (name: string, path = '/e') => client('--query', 'variable', `${path}:${name}`)

    // Each change starts the clock anew, as the original's does.
    await client('--alter=change', 'clock_date', '7.3.2025', '/e')
    expect([await value('ECF_DATE'), await value('ECF_TIME')]).toEqual(['20250307\n', '00:00\n'])
    await client('--alter=change', 'clock_gain', '7200', '/e')
    expect(await value('ECF_TIME')).toBe('02:00\n')
    await client('--alter=change', 'clock_type', 'hybrid', '/e')
    expect(await client('--get=/e')).toContain('clock hybrid 7.3.2025 +7200')
    await client('--alter=change', 'clock_gain', '-3600', '/e')
    expect(await value('ECF_DATE')).toBe('20250306\n')
    await client('--alter=change', 'clock_sync', '/e')
    expect(await value('YYYY')).toBe(`${new Date().getFullYear()}\n`)
    await expect(client('--alter=change', 'clock_type', 'odd', '/e')).rejects.toThrow('real or hybrid')
    await expect(client('--alter=change', 'clock_date', '7.3', '/e')).rejects.toThrow('D.M.Y')
    await expect(client('--alter=change', 'clock_gain', '+01:30', '/e')).rejects.toThrow('seconds')
    await expect(client('--alter=change', 'clock_type', 'real', '/e/f')).rejects.toThrow('only suites')

    await client('--alter=sort', 'all', 'recursive', '/e')
    const shown = await client('--get=/e')
    expect(shown.match(/edit (\S+)/g)).toEqual(['edit A', 'edit b', 'edit ECF_JOB_CMD', 'edit ECF_NO_SCRIPT'])
    expect(shown.match(/event .*/g)).toEqual(['event 2 ', 'event Y', 'event z'])
    await expect(client('--alter=sort', 'odd', '/e')).rejects.toThrow('expected one of')

    const near = (side: string, path: string) => client('--query', 'repeat', path, side)
    expect([await near('prev', '/e/f'), await near('next', '/e/f')]).toEqual(['20240228\n', '20240229\n'])
    await client('--alter=change', 'repeat', '20240302', '/e/f')
    expect([await near('prev', '/e/f'), await near('next', '/e/f')]).toEqual(['20240301\n', '20240302\n'])
    expect([await near('prev', '/e/g'), await near('next', '/e/g')]).toEqual(['red\n', 'green\n'])

    // A value may look like a path, and so may an inlimit's name.
    await client('--alter=add', 'variable', 'DIR', '/some/where', '/e/f', '/e/g')
    expect(await value('DIR', '/e/g')).toBe('/some/where\n')
    await client('--alter=add', 'inlimit', '/e:lim', '2', '/e/f/t')
    expect(await client('--get=/e/f/t')).toContain('inlimit /e:lim 2')
    await client('--alter=delete', 'inlimit', '/e:lim', '/e/f/t')
    await client('--alter=delete', 'limit_path', 'lim', '/e/g/t', '/e')
    expect(await client('--query', 'limit', '/e:lim')).toBe('0\n')
    await client('--alter=delete', 'event', '/e/f/t')
    await client('--alter=delete', 'variable', '/e/f')
    await client('--alter=delete', 'trigger', '/e/f/t')
    expect(await client('--get=/e/f')).not.toMatch(/event|edit|trigger/)
    await expect(client('--alter=delete', 'nonsense', '/e/f')).rejects.toThrow('nonsense')

    // What is got can be loaded again, and holds no secret for those who may not have one.
    const states = await client('--migrate=/e')
    expect(states).toMatch(/^defs_state MIGRATE\nsuite e # begun:1 /)
    expect(states).not.toContain('passwd:')
    expect(await client('--group=get=/e; show state')).toContain(
      'repeat date D 20240228 20240302 1 # 20240302',
    )
    await writeFile(file, states)
    await client(`--load=${file}`, 'force')
    expect(await client('--query', 'repeat', '/e/f')).toBe('20240302\n')
    expect(await client('--log=path')).toMatch(/\.ecf\.log\n$/)
    await client('--group=suspend=/e; resume=/e')
    await client('--delete=force', 'yes', '_all_')
    expect(await client('--suites')).toBe('\n')
    expect(await client('--query', 'state', '/')).toBe('unknown\n')
  })

  test('a job goes on trying while the server is away', async () => {
    const heard: string[] = []
    const away = createServer((request, response) => {
      heard.push(`${request.method} ${request.url}`)
      response.end('{}')
    })
    // A port that nobody listens on yet.
    const { port } = await new Promise<{ port: number }>(resolve => {
      away.listen(0, '127.0.0.1', () => resolve(away.address() as { port: number }))
    })
    await new Promise(resolve => away.close(resolve))
    const env = {
      ...process.env,
      SWITCHYARD_ECFLOW_URL: `http://127.0.0.1:${port}`,
      ECF_NAME: '/s/t',
      ECF_PASS: 'p',
      ECF_RID: '1',
    }
    const saying = run(program, ['--complete'], { env })
    await new Promise(resolve => setTimeout(resolve, 300))
    await new Promise<void>(resolve => away.listen(port, '127.0.0.1', resolve))
    await saying
    expect(heard).toEqual(['PUT /v1/suites/s/t/status'])
    await expect(
      run(program, ['--complete'], {
        env: { ...env, ECF_TIMEOUT: '0', SWITCHYARD_ECFLOW_URL: 'http://127.0.0.1:9' },
      }),
    ).rejects.toThrow('no answer')
    await new Promise(resolve => away.close(resolve))
  })
})

// The same words three times over: compiled, in perl, and in plain shell where there is neither.
describe('the three halves of ecflow_client', () => {
  const heard: string[] = []
  const listener = createServer((request, response) => {
    request.setEncoding('utf8')
    let body = ''
    request.on('data', text => {
      body += text
    })
    request.on('end', () => {
      heard.push(`${request.method} ${request.url} ${shown(body)}`)
      response.statusCode = body.includes('refused') ? 400 : 200
      response.end('{"message":"as you say"}')
    })
  })
  const shown = (body: string): string => {
    try {
      const members = Object.entries(JSON.parse(body) as Record<string, string>)
      return JSON.stringify(members.sort(([one], [other]) => (one < other ? -1 : 1)))
    } catch {
      return `no JSON: ${body}`
    }
  }
  let folder: string
  let url: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'switchyard-client-'))
    await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(listener.address() as { port: number }).port}`
    const bin = join(repository, 'bin')
    for (const name of ['shell', 'perl', 'compiled']) await mkdir(join(folder, name))
    await copyFile(program, join(folder, 'shell/ecflow_client'))
    await copyFile(program, join(folder, 'perl/ecflow_client'))
    await copyFile(join(bin, 'ecflow-child.pl'), join(folder, 'perl/ecflow-child.pl'))
    await copyFile(program, join(folder, 'compiled/ecflow_client.sh'))
    // With the flags of the build itself.
    const text = await readFile(join(repository, 'scripts/build-programs.ts'), 'utf8')
    const flags = [...text.matchAll(/^ {2}'(-\S+)',$/gm)].map(match => match[1]!)
    expect(flags.length).toBeGreaterThan(5)
    const made = spawnSync(
      'cc',
      [
        ...flags,
        '-Wextra',
        '-Werror',
        '-o',
        join(folder, 'compiled/ecflow_client'),
        join(bin, 'ecflow-child.c'),
      ],
      { encoding: 'utf8' },
    )
    if (!made.error) expect(made.stderr).toBe('')
  })
  afterAll(async () => {
    listener.close()
    await rm(folder, { recursive: true, force: true })
  })

  const calls: [string, ...string[]][] = [
    ['--init=44'],
    ['--complete'],
    ['--abort'],
    ['--abort=it says "no"', 'and\nmore'],
    ['--event=e'],
    ['--event', 'e', 'clear'],
    ['--meter=m', '3'],
    ['--label=l', 'back\\slash', 'é\ttab', ''],
    ['--label=l'],
    ['--wait=a == complete'],
  ]
  const say = async (half: string, ...words: string[]) => {
    const env = {
      PATH: process.env['PATH'],
      SWITCHYARD_ECFLOW_URL: url,
      ECF_NAME: '/s/t',
      ECF_PASS: 'p"w',
      ECF_RID: '7',
      ECF_TRYNO: '2',
    }
    return run(join(folder, half, 'ecflow_client'), words, { env })
  }
  const hasCompiler = spawnSync('cc', ['--version']).status === 0

  test.each(['perl', ...(hasCompiler ? ['compiled'] : [])])('%s says what the shell says', async half => {
    for (const words of calls) {
      heard.length = 0
      await say('shell', ...words)
      await say(half, ...words)
      expect(heard).toHaveLength(2)
      expect(heard[1], words.join(' ')).toBe(heard[0])
      expect(heard[0]).not.toContain('no JSON')
    }
  })

  test.each(['shell', 'perl', ...(hasCompiler ? ['compiled'] : [])])(
    '%s ends with what the server said when it refuses, and at once when a word is missing',
    async half => {
      await expect(say(half, '--abort=refused')).rejects.toMatchObject({
        code: 1,
        stderr: 'ecflow_client: {"message":"as you say"}\n',
      })
      await expect(say(half, '--event')).rejects.toMatchObject({ code: expect.any(Number) })
      await expect(say(half, '--meter=m')).rejects.toMatchObject({ code: expect.any(Number) })
      expect((await say(half, '--help')).stdout).toContain('--queue=NAME')
    },
  )
})
