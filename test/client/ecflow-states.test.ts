// The same suite with the same scripts on the real server and on ours: each task goes through the same states.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { startEcflow, token } from '../contract/ecflow-server.ts'
import { missingRealEcflow, startRealEcflow } from './ecflow-server.ts'

// Not %ECF_HOST%: the real server tells its jobs the machine's name, which not every machine can look up.
const head = [
  '#!/bin/sh',
  'export ECF_PORT=%ECF_PORT% ECF_HOST=localhost ECF_NAME=%ECF_NAME% ECF_PASS=%ECF_PASS% ECF_TRYNO=%ECF_TRYNO% ECF_RID=$$',
  'ecflow_client --init=$$ || exit 0',
]

const scripts: Readonly<Record<string, readonly string[]>> = {
  'loop/a': ['ecflow_client --event=go', 'ecflow_client --meter=done 70', 'ecflow_client --complete'],
  'loop/b': ['ecflow_client --complete'],
  'loop/late': ['ecflow_client --label=said "round %N%"', 'ecflow_client --complete'],
  again: ['if [ %ECF_TRYNO% = 1 ]; then ecflow_client --abort=first; else ecflow_client --complete; fi'],
  hopeless: ['ecflow_client --abort=always'],
  rescue: ['ecflow_client --complete'],
  one: ['ecflow_client --complete'],
  two: ['ecflow_client --complete'],
  end: ['ecflow_client --complete'],
}

const definition = (home: string) =>
  [
    'suite x',
    ` edit ECF_HOME '${home}'`,
    " edit ECF_JOB_CMD '%ECF_JOB% 1> %ECF_JOBOUT% 2>&1 &'",
    ' limit lim 1',
    ' family loop',
    '  repeat integer N 1 2',
    '  task a',
    '   event go',
    '   meter done 0 100',
    '  task b',
    '   trigger a:go and a:done ge 50 and a == complete',
    '  task late',
    '   label said ""',
    '   trigger b == complete and :N >= 1',
    ' endfamily',
    ' task again',
    ' task hopeless',
    '  edit ECF_TRIES 1',
    ' task rescue',
    '  trigger hopeless == aborted',
    '  complete hopeless == complete',
    ' task never',
    '  complete again == complete',
    '  trigger again == aborted and hopeless == complete',
    ' task one',
    '  inlimit lim',
    ' task two',
    '  inlimit lim',
    ' task kept',
    '  defstatus complete',
    ' task end',
    '  trigger loop == complete and loop:N == 2 and one == complete and two == complete and again == complete',
    'endsuite',
    '',
  ].join('\n')

function writeScripts(home: string): void {
  mkdirSync(join(home, 'x/loop'), { recursive: true })
  for (const [name, lines] of Object.entries(scripts)) {
    writeFileSync(join(home, 'x', `${name}.ecf`), [...head, ...lines, ''].join('\n'))
  }
}

/** The states of each task, one after the other; containers depend on how jobs overlap. */
type Moves = Record<string, string[]>

async function runTheirs(): Promise<Moves> {
  const real = await startRealEcflow()
  try {
    writeScripts(real.home)
    const loaded = real.load(definition(real.home))
    expect(loaded.ok, loaded.text).toBe(true)
    real.run('--begin=x')
    await until(() => /complete/.test(real.run('--query', 'state', '/x/end').text))
    await until(() => /complete/.test(real.run('--query', 'state', '/x/rescue').text))
    const log = readdirSync(real.home).find(file => file.endsWith('.ecf.log'))!
    const moves: Moves = {}
    for (const line of readFileSync(join(real.home, log), 'utf8').split('\n')) {
      const match = /^LOG:\[[^\]]*\]\s+(unknown|complete|queued|submitted|active|aborted): (\/\S+)/.exec(line)
      if (match) (moves[match[2]!] ??= []).push(match[1]!)
    }
    return tasksOnly(moves)
  } finally {
    real.stop()
  }
}

async function runOurs(): Promise<Moves> {
  const server = await startEcflow()
  const reading = new AbortController()
  try {
    writeScripts(server.home)
    const put = (path: string, body: unknown) => server.ask('PUT', path, body, token)
    const loaded = await server.ask('POST', '/v1/suites', { definition: definition(server.home) }, token)
    expect(loaded.status, loaded.text).toBe(201)
    const events = await fetch(`${server.server.url}/v1/events?path=/x`, { signal: reading.signal })
    const moves: Moves = {}
    const collected = (async () => {
      let text = ''
      for await (const chunk of events.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk
        const lines = text.split('\n')
        text = lines.pop()!
        for (const line of lines) {
          if (!line.startsWith('data: ')) continue
          const entry = JSON.parse(line.slice(6)) as { path: string; state?: string }
          if (entry.state) (moves[entry.path] ??= []).push(entry.state)
        }
      }
    })().catch(() => {})
    await put('/v1/suites/x/status', { action: 'begin' })
    for (const path of ['/x/end', '/x/rescue']) {
      await until(
        async () => (await server.ask('GET', `/v1/suites${path}/status?filter=status`)).json === 'complete',
      )
    }
    reading.abort()
    await collected
    return tasksOnly(moves)
  } finally {
    reading.abort()
    await server.close()
  }
}

function tasksOnly(moves: Moves): Moves {
  return Object.fromEntries(Object.entries(moves).filter(([path]) => path !== '/x' && path !== '/x/loop'))
}

async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  for (let left = 600; left > 0; left--) {
    if (await check()) return
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error('it did not come to that')
}

const missing = missingRealEcflow()

describe.skipIf(missing !== undefined)(
  `a suite on both servers${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    test('each task goes through the same states', async () => {
      const [theirs, ours] = await Promise.all([runTheirs(), runOurs()])
      expect(Object.keys(theirs).length).toBeGreaterThan(10)
      expect(ours).toEqual(theirs)
    })
  },
)
