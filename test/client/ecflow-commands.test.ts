// Whatever people and jobs say to a suite, the real server and ours show the same of every node.

import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseDefinition } from '../../src/domains/suite/language/parse-definition.ts'
import { findNode } from '../../src/domains/suite/tree/find.ts'
import { Node } from '../../src/domains/suite/tree/node.ts'
import { type Command, Draw, drawCommand, drawLiving, OurServer, showTree } from './ecflow-commands.ts'
import { missingRealEcflow, type RealEcflow, startRealEcflow } from './ecflow-server.ts'

const missing = missingRealEcflow()
/** In the last two tasks once tried again that were aborted for good, and a limit's last token went to another family. */
const seeds = [...Array.from({ length: 25 }, (_, at) => at + 1), 177, 242]
const commandCount = 30

function readTree(real: RealEcflow, name: string): Node {
  const { text } = real.run('--get_state', `/${name}`)
  const root = new Node('root', '')
  for (const suite of parseDefinition(text.slice(text.indexOf('defs_state'))).nodes) root.add(suite)
  return root
}

/** Has the real server look at all its suites again: it does so at once when a person changes something. */
function nudge(real: RealEcflow): void {
  real.run('--force=set', '/nudge/t:e')
  real.run('--force=clear', '/nudge/t:e')
}

function tell(real: RealEcflow, name: string, command: Command): void {
  const [word, path = '', ...words] = command
  if (word !== 'child') {
    real.run(...command)
    return
  }
  const run = findNode(readTree(real, name), path)?.run
  const env = {
    ...process.env,
    ECF_HOST: 'localhost',
    ECF_PORT: real.port,
    ECF_NAME: path,
    ECF_PASS: run?.password ?? '',
    ECF_RID: '77',
    ECF_TRYNO: String(run?.tryNumber ?? 1),
    ECF_TIMEOUT: '5',
    ECF_ZOMBIE_TIMEOUT: '5',
  }
  spawnSync('ecflow_client', words, { env })
}

describe.skipIf(missing !== undefined)(
  `the same commands on both servers${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    test('states, tries, repeats, limits, events and meters are the same after each', async () => {
      const real = await startRealEcflow()
      try {
        real.load('suite nudge\n task t\n  event e\n  trigger 1 == 2\n')
        real.run('--begin=nudge')
        for (const seed of seeds) await compare(real, seed)
      } finally {
        real.stop()
      }
    })
  },
)

async function compare(real: RealEcflow, seed: number): Promise<void> {
  const name = `s${seed}`
  const [dice] = fc.sample(fc.gen(), { numRuns: 1, seed })
  const draw = new Draw(dice!)
  const text = drawLiving(draw, name)
  const ours = new OurServer()
  ours.load(text, name)
  const loaded = real.load(text)
  expect(loaded.ok, `${text}\n${loaded.text}`).toBe(true)
  real.run(`--begin=${name}`)
  const told: string[] = [text]
  for (let step = 0; step < commandCount; step++) {
    await same(real, name, { wanted: showTree(ours.living.root), told })
    const command = drawCommand(draw, ours.living.root)
    told.push(command.join(' '))
    ours.tell(command)
    tell(real, name, command)
  }
  real.run('--delete=force', 'yes', `/${name}`)
}

/** The real server gets there in its own time: at most a look each second follows from what jobs say. */
async function same(
  real: RealEcflow,
  name: string,
  at: { wanted: readonly string[]; told: readonly string[] },
): Promise<void> {
  let shown: string[] = []
  for (let left = 60; left > 0; left--) {
    shown = showTree(readTree(real, name))
    if (shown.join('\n') === at.wanted.join('\n')) return
    nudge(real)
    if (left < 50) await new Promise(resolve => setTimeout(resolve, 100))
  }
  expect(at.wanted, at.told.join('\n')).toEqual(shown)
}
