// Suites that run: a chain, a crowd, and a crowd behind a limit, with the same trivial scripts on both servers.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freshDir, startYard } from '../processes.ts'
import { type Figure, round, type Suite } from '../suite.ts'
import { hasRealServer, startRealServer } from './real-server.ts'

export const runsBench: Suite = {
  name: 'ecflow-runs',
  title: 'Suites of trivial jobs that call ecflow_client, beside the real server',
  run,
}

interface Case {
  readonly name: string
  readonly what: string
  readonly tasks: number
  readonly atMost: number
  definition(): string[]
}

const chain: Case = {
  name: 'chain',
  what: '40 tasks in a chain',
  tasks: 40,
  atMost: 0.1,
  definition: () => tasksOf(40, index => (index === 0 ? [] : [`  trigger t${index - 1} == complete`])),
}
const crowd: Case = {
  name: 'crowd',
  what: '200 tasks at once',
  tasks: 200,
  atMost: 0.5,
  definition: () => tasksOf(200, () => []),
}
const limited: Case = {
  name: 'limited',
  what: '200 tasks behind a limit of 8',
  tasks: 200,
  atMost: 0.15,
  definition: () => [' limit lim 8', ' inlimit lim', ...tasksOf(200, () => [])],
}

function tasksOf(count: number, linesOf: (index: number) => string[]): string[] {
  return Array.from({ length: count }, (_, index) => [` task t${index}`, ...linesOf(index)]).flat()
}

const script = [
  '#!/bin/sh',
  'export ECF_PORT=%ECF_PORT% ECF_HOST=%ECF_HOST% ECF_NAME=%ECF_NAME% ECF_PASS=%ECF_PASS% ECF_TRYNO=%ECF_TRYNO% ECF_RID=$$',
  'ecflow_client --init=$$',
  'ecflow_client --complete',
  '',
].join('\n')

function prepare(home: string, test: Case): string {
  mkdirSync(join(home, test.name), { recursive: true })
  for (let index = 0; index < test.tasks; index++) {
    writeFileSync(join(home, test.name, `t${index}.ecf`), script)
  }
  const edits = [` edit ECF_HOME '${home}'`, " edit ECF_JOB_CMD '%ECF_JOB% 1> %ECF_JOBOUT% 2>&1 &'"]
  return [`suite ${test.name}`, ...edits, ...test.definition(), 'endsuite', ''].join('\n')
}

async function run(): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const test of [chain, crowd, limited]) {
    const ours = await runOurs(test)
    const theirs = hasRealServer() ? await runTheirs(test) : undefined
    const ratio = theirs === undefined ? undefined : ours / theirs
    figures.push({
      what: test.what,
      ours: `${round(ours)} s`,
      beside: theirs === undefined ? 'ecflow_server is not installed' : `ecflow_server: ${round(theirs)} s`,
      ratio: ratio === undefined ? '' : ratio.toFixed(3),
      goal: `≤ ${test.atMost} of its time`,
      met: ratio !== undefined && ratio <= test.atMost,
    })
  }
  return figures
}

async function runOurs(test: Case): Promise<number> {
  const home = freshDir('ecf')
  const definition = prepare(home, test)
  const yard = await startYard({
    config: `[executors.process]\nallow = true\n[dialects.ecflow]\nhome = "${home}"\nno_ssl = true\n`,
  })
  const ask = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const answer = await fetch(yard.url + path, {
      method,
      headers: { authorization: `Bearer ${yard.token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return answer.json()
  }
  try {
    await ask('POST', '/v1/suites', { definition })
    const startedAt = performance.now()
    await ask('PUT', `/v1/suites/${test.name}/status`, { action: 'begin' })
    while ((await ask('GET', `/v1/suites/${test.name}/status?filter=status`)) !== 'complete') {
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    return (performance.now() - startedAt) / 1000
  } finally {
    await yard.stop()
  }
}

async function runTheirs(test: Case): Promise<number> {
  const server = await startRealServer()
  try {
    const definition = prepare(server.home, test)
    const file = join(server.home, `${test.name}.def`)
    writeFileSync(file, definition)
    server.client(`--load=${file}`)
    const startedAt = performance.now()
    server.client(`--begin=${test.name}`)
    for (;;) {
      if (/complete/.test(server.client('--query', 'state', `/${test.name}`))) break
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    return (performance.now() - startedAt) / 1000
  } finally {
    server.stop()
  }
}
