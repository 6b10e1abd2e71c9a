// What people do from a shell with scripts, places and messages: our ecflow_client beside the real one, each with its server.

import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type EcflowServer, startEcflow } from '../contract/ecflow-server.ts'
import { repository } from '../support/server.ts'
import { missingRealEcflow, type RealEcflow, startRealEcflow } from './ecflow-server.ts'

const run = promisify(execFile)
const program = join(repository, 'bin/ecflow_client')
const missing = missingRealEcflow()

let server: EcflowServer
beforeAll(async () => {
  server = await startEcflow()
})
afterAll(() => server.close())

const environment = (more: Record<string, string> = {}) => ({
  ...process.env,
  SWITCHYARD_ECFLOW_URL: server.server.url,
  SWITCHYARD_ECFLOW_TOKEN: 'tok-sha',
  ...more,
})
const client = async (...args: string[]): Promise<string> =>
  (await run(program, args, { env: environment() })).stdout
const refusal = async (...args: string[]): Promise<string> => {
  const { stderr } = await run(program, args, { env: environment() }).catch(error => error)
  return stderr
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let left = 400; left > 0; left--) {
    if (await what()) return
    await new Promise(resolve => setTimeout(resolve, 25))
  }
  throw new Error('it never came')
}

const suite = (name: string) => `suite ${name}
 edit ECF_INCLUDE '%ECF_HOME%'
 edit ECF_JOB_CMD 'true'
 edit COLOUR blue
 edit TWICE 'a %COLOUR% b'
 edit WAIT '' # nobody
 repeat date YMD 20240101 20240105
 family f
  task t
   trigger 1 == 0
   edit OWN 5
  task other
   trigger 1 == 0
 endfamily
 family g
  task x
 endfamily
endsuite
`

const script = `#!/bin/sh
%manual
what it is %UNSEEN%
%end
%include <head.h>
echo %TASK% %COLOUR% %TWICE% %OWN% %YMD% %YMD_YYYY% %SIZE:large% 100%%
%nopp
%KEPT%
%end
%comment
no %MORE%
%end
`

function writeScripts(home: string, name: string): void {
  mkdirSync(join(home, name, 'f'), { recursive: true })
  writeFileSync(join(home, name, 'f/t.ecf'), script)
  writeFileSync(join(home, 'head.h'), 'echo %INSIDE:in% %ECF_TRYNO%\n')
}

async function load(text: string, name: string): Promise<void> {
  const file = join(server.home, `${name}.def`)
  writeFileSync(file, text)
  await client(`--load=${file}`)
  writeScripts(server.home, name)
}

describe('editing scripts', () => {
  test('a script comes with the variables it uses, runs once as it was edited, and then as before', async () => {
    await load(suite('e'), 'e')
    const file = join(server.home, 'edited')
    const text = await client('--edit_script=/e/f/t', 'edit')
    expect(text).toContain('\nOWN = 5\nSIZE:large = large\n')
    // Nothing is lost on the way: the last end of line, tabs, quotes, control characters and other letters.
    const tail = 'echo "it\'s \\ \t\u001b[1m äß \u0001" > %ECF_HOME%/said\n\n'
    writeFileSync(
      file,
      text.replace('OWN = 5', 'OWN = 6').replace('SIZE:large = large', 'SIZE = small') + tail,
    )
    expect(await refusal('--edit_script=/e/f/t', 'submit_file', file)).toContain('must be begun first')
    await client('--begin=e')
    await client('--edit_script=/e/f/t', 'submit_file', file)
    const job = join(server.home, 'e/f/t.job1')
    await until(() => existsSync(job) && readFileSync(job, 'utf8') !== '')
    const wanted = `#!/bin/sh\necho in 1\necho t blue a blue b 6 20240101 2024 small 100%\n%KEPT%\n${tail}`
    expect(readFileSync(job, 'utf8')).toBe(wanted.replace('%ECF_HOME%', server.home).replace(/\n$/, ''))
    expect(await client('--get_state=/e/f/t')).toMatch(/^task t # .*flag:user_edit,message/m)
    expect(await refusal('--edit_script=/e/f/t', 'submit', file)).toContain('already submitted')
    expect(await client('--edit_history=/e/f/t')).toContain('--edit_script /e/f/t submit_file :everyday')
    await client('--force=complete', '/e/f/t')
    await client('--edit_script=/e/f/t', 'submit', file)
    const second = join(server.home, 'e/f/t.job2')
    await until(() => existsSync(second) && readFileSync(second, 'utf8') !== '')
    expect(readFileSync(second, 'utf8')).toBe(
      '#!/bin/sh\necho in 2\necho t blue a blue b 6 20240101 2024 small 100%\n%KEPT%',
    )
    await client('--force=complete', '/e/f/t')
    await client('--run=/e/f/t')
    const third = join(server.home, 'e/f/t.job3')
    await until(() => existsSync(third) && readFileSync(third, 'utf8') !== '')
    expect(readFileSync(third, 'utf8')).toContain('a blue b 5 20240101 2024 large')
  })

  test('an alias has the edited script and variables of its own, and leaves its task alone', async () => {
    await load(suite('al'), 'al')
    await client('--begin=al')
    const file = join(server.home, 'for-alias')
    writeFileSync(file, (await client('--edit_script=/al/f/t', 'edit')).replace('OWN = 5', 'OWN = 7'))
    await client('--edit_script=/al/f/t', 'submit_file', file, 'create_alias')
    await client('--edit_script=/al/f/t', 'submit_file', file, 'create_alias', 'no_run')
    const job = join(server.home, 'al/f/t/alias0.job1')
    await until(() => existsSync(job) && readFileSync(job, 'utf8') !== '')
    expect(readFileSync(job, 'utf8')).toContain('a blue b 7 20240101 2024 large')
    const states = await client('--get_state=/al/f/t')
    expect(states).toMatch(/alias alias0 # state:submitted flag:user_edit/)
    expect(states).toMatch(/alias alias1 # state:queued/)
    expect(states).toMatch(/^task t # state:queued/m)
    expect(await refusal('--edit_script=/al/f/t/alias0', 'submit_file', file, 'create_alias')).toContain(
      'only tasks have aliases',
    )
  })

  test.each([
    [['edit'], '/e/f', 'only valid for tasks'],
    [['edit'], '/e/f/other', 'cannot be found'],
    [['edit'], '/e/nobody', 'not found'],
    [['dance'], '/e/f/t', 'takes edit, pre_process'],
    [['submit_file', '/nowhere'], '/e/f/t', 'cannot be read'],
    [['submit_file', 'bad', 'no_run'], '/e/f/t', 'no_run with create_alias'],
    [['submit_file', 'bad', 'fast'], '/e/f/t', 'not'],
    [['pre_process_file', 'bad'], '/e/f/t', "Variable 'NOBODY' is not defined in 'echo %NOBODY%'"],
    [['submit_file', 'bad'], '/e/f/t', 'is not defined'],
    [['submit_file', 'open'], '/e/f/t', "without '%end - ecf user variables'"],
    [['submit_file', 'odd'], '/e/f/t', "line 2: expected NAME = VALUE, found 'what is this'"],
  ])('%j of %s is refused: %s', async (words, path, text) => {
    const file = (name: string) => join(server.home, name)
    writeFileSync(file('bad'), 'echo %NOBODY%\n')
    writeFileSync(file('open'), '%comment - ecf user variables\nA = 1\n')
    writeFileSync(file('odd'), '%comment - ecf user variables\nwhat is this\n%end - ecf user variables\n')
    const given = words.map(word => (['bad', 'open', 'odd'].includes(word) ? file(word) : word))
    expect(await refusal(`--edit_script=${path}`, ...given)).toContain(text)
  })
})

describe.skipIf(missing !== undefined)(
  `beside the real client${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    let real: RealEcflow
    beforeAll(async () => {
      real = await startRealEcflow()
      real.load(suite('r'))
      writeScripts(real.home, 'r')
      await load(suite('r'), 'r')
    })
    afterAll(() => real.stop())

    test('scripts to be edited and made jobs read the same', async () => {
      for (const how of ['edit', 'pre_process']) {
        const theirs = real.run('--edit_script=/r/f/t', how).text
        expect(await client('--edit_script=/r/f/t', how)).toBe(theirs.replace(/\n$/, ''))
      }
      const file = join(tmpdir(), `switchyard-edit-${process.pid}`)
      writeFileSync(file, '%include <head.h>\n%manual\n%end\necho %COLOUR% %TWICE% %NEW:new%\n')
      const theirs = real.run('--edit_script=/r/f/t', 'pre_process_file', file).text
      // Of a task that never ran, the real one knows no try.
      const wanted = theirs.trimEnd().replace('echo in ', 'echo in 0')
      expect(await client('--edit_script=/r/f/t', 'pre_process_file', file)).toBe(wanted)
    })

    test('nodes move, and what may not move stays', async () => {
      const moves = [
        ['/r/g', '/r/f'],
        ['/r/g', '/r/f'],
        ['/r/g/x', '/r/f/t'],
        ['/r/f/x', '/r/f/t'],
        ['/r/f/t', '/r/f/other'],
        ['/r/f/t', '/r'],
        ['/r/t', '/r/g'],
        ['/r/f/x', '/r/f'],
        ['/r/f/x', '/r/nobody'],
        ['/r/nobody', '/r/f'],
        ['/r/f/other', '/r/t'],
      ]
      real.run('--begin=r')
      await client('--begin=r')
      real.run('--force=aborted', 'recursive', '/r')
      await client('--force=aborted', 'recursive', '/r')
      for (const [from, to] of moves) {
        const { ok } = real.run(`--plug=${from}`, to!)
        const said = (await refusal(`--plug=${from}`, to!)) ?? ''
        expect([from, to, said === ''], said).toEqual([from, to, ok])
        const { text } = real.run('--get=/r')
        const wanted = text.slice(text.indexOf('suite r'), text.indexOf('endsuite') + 8)
        expect((await client('--get=/r')).trimEnd()).toBe(wanted)
      }
    })

    test('messages are in the log, after what was said before them', async () => {
      for (const say of [client, async (...words: string[]) => real.run(...words).text]) {
        await say('--msg=first "one"')
        await say('--msg=second')
        const lines = (await say('--log=get', '50')).split('\n').filter(line => line.includes('--msg='))
        expect(lines.map(line => /--msg=(.*) :/.exec(line)?.[1])).toEqual(['first "one"', 'second'])
        for (const line of lines) expect(line).toMatch(/^MSG:\[\d\d:\d\d:\d\d \d+\.\d+\.\d{4}\] --msg=/)
      }
    })
  },
)

test('a moved node keeps its state, and is nowhere else', async () => {
  await load(suite('m'), 'm')
  await client('--begin=m')
  await client('--force=complete', '/m/g/x')
  await client('--alter=add', 'limit', 'L', '3', '/m/g')
  await client('--plug=/m/g', '/m/f/t')
  expect(await client('--query', 'state', '/m/f/g/x')).toBe('complete\n')
  expect(await refusal('--query', 'state', '/m/g')).not.toBe('')
  // The real server never comes back from this one.
  expect(await refusal('--plug=/m/f', '/m/f/g')).toContain('/m/f/g is within /m/f')
  expect(await refusal('--plug=/m/f', 'elsewhere:3141')).toContain('nothing moves between servers')
  expect(await client('--get=/m')).toMatch(/task other\n.*\n {2,}family g\n {4,}limit L 3\n/)
})

test('jobs bring variables with their init and take them away with their complete', async () => {
  await load(suite('v'), 'v')
  await client('--begin=v')
  await client('--run=/v/f/t')
  const job = environment({
    ECF_NAME: '/v/f/t',
    ECF_PASS: await server.password('/v/f/t'),
    ECF_TRYNO: '1',
    ECF_RID: '7',
  })
  await run(program, ['--init=7', '--add', 'WHERE=node 7', 'OWN=9'], { env: job })
  expect(await client('--query', 'variable', '/v/f/t:WHERE')).toBe('node 7\n')
  expect(await client('--query', 'variable', '/v/f/t:OWN')).toBe('9\n')
  await run(program, ['--complete', '--remove', 'WHERE', 'NOBODY'], { env: job })
  expect(await refusal('--query', 'variable', '/v/f/t:WHERE')).toContain('no variable WHERE')
  expect(await client('--query', 'state', '/v/f/t')).toBe('complete\n')
})

test('jobs are made for trial, and what is free is submitted', async () => {
  await load(suite('j'), 'j')
  expect(await refusal('--checkJobGenOnly=/j')).toContain('/j/f/other cannot be found')
  await client('--checkJobGenOnly=/j/f/t')
  expect(existsSync(join(server.home, 'j/f/t.job0'))).toBe(false)
  await client('--begin=j')
  await client('--job_gen=/j')
  await client('--job_gen')
  expect(await refusal('--job_gen=/nobody')).toContain('Could not find node')
  await client('--check=_all_')
  await client('--check=/j')
  await client('--delete=force', 'yes', '/j/g')
})

test.each([
  ['--sync=1', 'GET /v1/events'],
  ['--news', 'GET /v1/events'],
  ['--ch_register=true', '--get_state=/SUITE'],
  ['--ch_suites', 'handles'],
  ['--terminate=yes', 'not offered over HTTP'],
  ['--restore_from_checkpt', 'switchyard restore'],
  ['--debug_server_on', 'log.level'],
  ['--stats_reset', 'counters'],
  ['--server_load', '/metrics'],
])('%s says why it is not offered', async (word, why) => {
  expect(await refusal(word)).toContain(why)
})
