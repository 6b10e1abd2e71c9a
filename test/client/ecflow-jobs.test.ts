// Many jobs that become ready at once share one job of the engine's: each is still told of by itself.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type EcflowServer, startEcflow, token } from '../contract/ecflow-server.ts'

let server: EcflowServer
beforeAll(async () => {
  server = await startEcflow()
})
afterAll(() => server.close())

const tree = async (suite: string) =>
  (await server.ask('GET', `/v1/suites/${suite}/tree?content=full&with_meta=true`)).json[suite].children

/** Waits until the tasks of a suite are as they should be, and shows what is not when they never are. */
async function until(suite: string, wanted: Record<string, string>): Promise<void> {
  let states: Record<string, string> = {}
  for (let left = 400; left > 0; left--) {
    states = Object.fromEntries(
      Object.entries(await tree(suite)).map(([name, node]) => [
        name,
        (node as { state: { node: string } }).state.node,
      ]),
    )
    if (JSON.stringify(states) === JSON.stringify(wanted)) return
    await new Promise(resolve => setTimeout(resolve, 25))
  }
  expect(states).toEqual(wanted)
}

async function begin(suite: string, lines: string[]): Promise<void> {
  const definition = [`suite ${suite}`, ' edit ECF_NO_SCRIPT 1', ' edit ECF_TRIES 1', ...lines].join('\n')
  expect((await server.ask('POST', '/v1/suites', { definition }, token)).status).toBe(201)
  await server.ask('PUT', `/v1/suites/${suite}/status`, { action: 'begin' }, token)
}

test('a command that ends badly aborts its own task at once, while others beside it go on', async () => {
  const names = Array.from({ length: 40 }, (_, index) => `t${index}`)
  const command = (index: number) =>
    index % 10 === 3 ? 'exit 3' : index % 10 === 7 ? 'kill -9 $$' : index === 0 ? 'exec sleep 30' : 'true'
  await begin(
    'g',
    names.flatMap((name, index) => [` task ${name}`, `  edit ECF_JOB_CMD '${command(index)}'`]),
  )
  const wanted = names.map((name, index) => [
    name,
    index % 10 === 3 || index % 10 === 7 ? 'aborted' : 'submitted',
  ])
  await until('g', Object.fromEntries(wanted))
  const nodes = await tree('g')
  expect(nodes.t3.attributes.at(-1)).toMatchObject({ type: 'flag', value: 'task_aborted,ecfcmd_failed' })
  expect(nodes.t3.abort_reason).toBe('The job command ended with exit code 3')
  expect(nodes.t17.abort_reason).toBe('The job command ended with exit code 137')
})

test('when who runs the commands is killed, only those that had not ended are given up', async () => {
  await begin('k', [
    ' task quick',
    "  edit ECF_JOB_CMD 'true'",
    ' task bad',
    "  edit ECF_JOB_CMD 'exit 1'",
    ' task slow',
    `  edit ECF_JOB_CMD 'echo $PPID > ${server.home}/runner; exec sleep 30'`,
  ])
  await until('k', { quick: 'submitted', bad: 'aborted', slow: 'submitted' })
  const runner = readFileSync(`${server.home}/runner`, 'utf8').trim()
  expect(readFileSync(`/proc/${runner}/cmdline`, 'utf8')).toContain('ecflow-jobs.pl')
  execFileSync('kill', ['-9', runner])
  await until('k', { quick: 'submitted', bad: 'aborted', slow: 'aborted' })
})
