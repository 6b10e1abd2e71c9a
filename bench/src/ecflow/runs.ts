// Suites that run: a chain, a crowd, and a crowd behind a limit, with the same trivial scripts on both servers.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cpuSecondsOf, freshDir, type RunningYard, startYard } from '../processes.ts'
import { boundFigure, type Figure, round, type Suite } from '../suite.ts'
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
  figures.push(...(await measureMany()))
  return figures
}

const many = 100_000
const idleSeconds = 15

/** A begun suite of many tasks that all wait for a time: what doing nothing costs, and forcing them all at once. */
async function measureMany(): Promise<Figure[]> {
  const lines = ['suite many', ' clock real 1.1.2030']
  for (let family = 0; family < many / 100; family++) {
    lines.push(` family f${family}`, '  time 23:59')
    for (let task = 0; task < 100; task++) {
      lines.push(
        `  task t${task}`,
        '   meter done 0 100',
        ...(task === 0 ? [] : [`   trigger t${task - 1} == complete`]),
      )
    }
    lines.push(' endfamily')
  }
  // One poll a second, each a minute of suite time: sixty times what it is in earnest.
  const yard = await startYard({ config: '[dialects.ecflow]\ninterval = 1\nno_ssl = true\n' })
  const ask = askOf(yard)
  try {
    await ask('POST', '/v1/suites', { definition: lines.join('\n') })
    await ask('PUT', '/v1/suites/many/status', { action: 'begin' })
    // The server collects once, in its first idle seconds, what starting and loading left behind: decisions/006.
    await new Promise(resolve => setTimeout(resolve, 10_000))
    const before = cpuSecondsOf(yard.pid)
    await new Promise(resolve => setTimeout(resolve, idleSeconds * 1000))
    const percent = ((cpuSecondsOf(yard.pid) - before) / idleSeconds) * 100
    const startedAt = performance.now()
    await ask('PUT', '/v1/suites/many/status', { action: 'complete', recursive: true })
    const seconds = (performance.now() - startedAt) / 1000
    return [
      boundFigure(`idle, ${many} tasks, a poll each second`, { value: percent, unit: '% CPU', atMost: 1 }),
      boundFigure(`force ${many} tasks to complete`, { value: seconds, unit: 's', atMost: 0.5 }),
    ]
  } finally {
    await yard.stop()
  }
}

function askOf(yard: RunningYard) {
  return async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const answer = await fetch(yard.url + path, {
      method,
      headers: { authorization: `Bearer ${yard.token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return answer.json()
  }
}

async function runOurs(test: Case): Promise<number> {
  const home = freshDir('ecf')
  const definition = prepare(home, test)
  const yard = await startYard({
    config: `[executors.process]\nallow = true\n[dialects.ecflow]\nhome = "${home}"\nno_ssl = true\n`,
  })
  const ask = askOf(yard)
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
