// Scripts that come from commands (ECF_FETCH): slow ones hold up their own suite at most, and none goes on for ever.

import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type EcflowServer, startEcflow, token } from '../contract/ecflow-server.ts'

let server: EcflowServer
beforeAll(async () => {
  server = await startEcflow({ dialect: { script_seconds: 20 } })
})
afterAll(() => server.close())

const begin = (suite: string) => server.ask('PUT', `/v1/suites/${suite}/status`, { action: 'begin' }, token)

async function load(...lines: string[]): Promise<void> {
  const answer = await server.ask('POST', '/v1/suites', { definition: lines.join('\n') }, token)
  expect(answer.status, answer.text).toBe(201)
}

async function until(what: () => boolean | Promise<boolean>): Promise<boolean> {
  for (let left = 600; left > 0; left--) {
    if (await what()) return true
    await new Promise(resolve => setTimeout(resolve, 25))
  }
  return false
}

const at = (name: string) => join(server.home, name)

/** A suite whose scripts come from commands that wait for `gate`; each says that it runs. */
function slowSuite(name: string, count: number, gate: string): string[] {
  const fetch = `echo x >> ${at(`${name}.asked`)}; while [ ! -e ${at(gate)} ]; do sleep 0.05; done; echo true; :`
  const tasks = Array.from({ length: count }, (_, index) => ` task t${index}`)
  return [`suite ${name}`, ` edit ECF_FETCH '${fetch}'`, ...tasks, 'endsuite']
}

const asked = (name: string) =>
  existsSync(at(`${name}.asked`)) ? readFileSync(at(`${name}.asked`), 'utf8').length / 2 : 0

test('a suite whose scripts are slow to fetch holds no other one up, and asks for a few at a time', async () => {
  await load(...slowSuite('slow', 40, 'slow.gate'))
  await begin('slow')
  expect(await until(() => asked('slow') >= 4)).toBe(true)
  await writeFile(at('quick.ecf'), 'echo\n')
  await load('suite quick', ` edit ECF_JOB_CMD 'touch ${at('quick.done')}'`, ' task quick', 'endsuite')
  await begin('quick')
  await load(...slowSuite('fetched', 1, 'fetched.gate'))
  await writeFile(at('fetched.gate'), '')
  await begin('fetched')
  expect(await until(() => existsSync(at('quick.done')) && existsSync(at('fetched/t0.job1')))).toBe(true)
  expect(asked('slow')).toBe(4)
  await writeFile(at('slow.gate'), '')
  expect(await until(() => asked('slow') === 40)).toBe(true)
})

test('a task whose script is slow to fetch holds up no task beside it that became ready with it', async () => {
  await writeFile(at('near.ecf'), 'echo\n')
  await load(
    'suite beside',
    ` edit ECF_JOB_CMD 'touch ${at('near.done')}'`,
    ' task far',
    `  edit ECF_FETCH 'while [ ! -e ${at('far.gate')} ]; do sleep 0.05; done; echo true; :'`,
    ' task near',
    'endsuite',
  )
  await begin('beside')
  expect(await until(() => existsSync(at('near.done')))).toBe(true)
  await writeFile(at('far.gate'), '')
})

test('a command that never ends is ended: its task says so, and readers hear it', async () => {
  const patient = await startEcflow({ dialect: { script_seconds: 1 } })
  try {
    const pid = join(patient.home, 'pid')
    const definition = `suite s\n task t\n  edit ECF_FETCH 'echo $$ > ${pid}; sleep 600;'`
    await patient.ask('POST', '/v1/suites', { definition }, token)
    await patient.ask('PUT', '/v1/suites/s/status', { action: 'begin' }, token)
    const look = async () =>
      (await patient.ask('GET', '/v1/suites/s/t/tree?content=full&with_meta=true')).json.t
    expect(await until(async () => (await look()).state.node === 'aborted')).toBe(true)
    const task = await look()
    expect(task.abort_reason).toContain('no end after 1 s')
    expect(task.attributes.at(-1)).toMatchObject({
      type: 'flag',
      value: expect.stringContaining('no_script'),
    })
    const process = `/proc/${readFileSync(pid, 'utf8').trim()}`
    expect(await until(() => !existsSync(process))).toBe(true)
    const script = await patient.ask('GET', '/v1/suites/s/t/script')
    expect([script.status, script.json.message]).toEqual([404, expect.stringContaining('no end after 1 s')])
  } finally {
    await patient.close()
  }
})
