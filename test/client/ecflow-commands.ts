// Random suites and random commands, on the real server and on our planner alike. Time stands still in them: what is
// compared is how states, tries, repeats, limits, events and meters follow from what people and jobs say.

import fc from 'fast-check'
import { parseDefinition } from '../../src/domains/suite/language/parse-definition.ts'
import { addAttribute } from '../../src/domains/suite/planner/add-attribute.ts'
import { changeAttribute } from '../../src/domains/suite/planner/change-attribute.ts'
import { childCommand } from '../../src/domains/suite/planner/child-commands.ts'
import { deleteAttribute } from '../../src/domains/suite/planner/delete-attributes.ts'
import { deleteNode, loadSuites } from '../../src/domains/suite/planner/edit-tree.ts'
import { Living } from '../../src/domains/suite/planner/living.ts'
import { runPass } from '../../src/domains/suite/planner/pass.ts'
import {
  beginSuite,
  demandNode,
  executeNode,
  forcedState,
  forceNode,
  freeDependencies,
  requeueNode,
  resumeNode,
  setDefaultState,
  suspendNode,
} from '../../src/domains/suite/planner/user-commands.ts'
import { findNode } from '../../src/domains/suite/tree/find.ts'
import { flagNames } from '../../src/domains/suite/tree/flag.ts'
import { type Node, visitAll } from '../../src/domains/suite/tree/node.ts'
import { repeatText } from '../../src/domains/suite/tree/repeat.ts'
import { isBusy } from '../../src/domains/suite/tree/state.ts'

type Dice = fc.GeneratorValue

/** What both servers are told. */
export type Command = readonly string[]

export class Draw {
  readonly #dice: Dice

  constructor(dice: Dice) {
    this.#dice = dice
  }

  below(count: number): number {
    return this.#dice(fc.nat, count - 1)
  }

  chance(percent: number): boolean {
    return this.below(100) < percent
  }

  one<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }
}

const repeats = [
  'repeat integer R 1 3',
  'repeat integer R 4 0 -2',
  'repeat enumerated R red green',
  'repeat string R a b c',
  'repeat date R 20240228 20240301',
  'repeat datelist R 20240105 20240103',
]
const states = ['complete', 'aborted', 'queued', 'active', 'submitted']

/** A suite in which nothing depends on the time. */
export function drawLiving(draw: Draw, name: string): string {
  const lines = [
    `suite ${name}`,
    ' edit ECF_NO_SCRIPT 1',
    " edit ECF_JOB_CMD 'true'",
    ` edit ECF_TRIES ${1 + draw.below(3)}`,
    ` limit L ${1 + draw.below(3)}`,
    ` limit M ${1 + draw.below(4)}`,
    ' edit V 1',
  ]
  const attributes = (indent: string, known: readonly string[], isTask: boolean) => {
    const doesRepeat = draw.chance(isTask ? 12 : 35)
    if (doesRepeat) lines.push(indent + draw.one(repeats))
    // A repeat on what is complete from the beginning stands still on the real server, but for some commands.
    const isPlain = isTask && !doesRepeat
    const usual = ['suspended', 'aborted', 'queued', ...(isPlain ? ['complete'] : [])]
    if (draw.chance(12)) lines.push(`${indent}defstatus ${draw.one(usual)}`)
    if (known.length > 0 && draw.chance(isTask ? 55 : 30))
      lines.push(`${indent}trigger ${expression(draw, known)}`)
    // The real server completes it again only a second later.
    if (known.length > 0 && !doesRepeat && draw.chance(15))
      lines.push(`${indent}complete ${expression(draw, known)}`)
    if (draw.chance(30)) {
      const option = draw.one(isTask ? ['', '-s '] : ['', '-n ', '-s '])
      lines.push(`${indent}inlimit ${option}${draw.one(['L', 'M'])}${draw.one(['', ' 1', ' 2'])}`)
    }
    if (isTask) {
      if (draw.chance(50)) lines.push(`${indent}event e${draw.one(['', ' set'])}`)
      if (draw.chance(50)) lines.push(`${indent}meter m 0 9`)
    }
  }
  const container = (indent: string, depth: number) => {
    const known: string[] = []
    for (const child of ['a', 'b', 'c', 'd', 'e'].slice(0, 2 + draw.below(3))) {
      if (depth < 3 && draw.chance(35)) {
        lines.push(`${indent}family ${child}`)
        attributes(`${indent} `, known, false)
        container(`${indent} `, depth + 1)
        lines.push(`${indent}endfamily`)
      } else {
        lines.push(`${indent}task ${child}`)
        attributes(`${indent} `, known, true)
      }
      known.push(child)
    }
  }
  container(' ', 1)
  lines.push('endsuite', '')
  return lines.join('\n')
}

function expression(draw: Draw, known: readonly string[]): string {
  const one = () => {
    const path = draw.one(known)
    switch (draw.below(4)) {
      case 0:
        return `${path} ${draw.one(['==', '!='])} ${draw.one(states)}`
      case 1:
        return `:V ${draw.one(['==', 'gt'])} ${draw.below(3)}`
      default:
        return `${path} == complete`
    }
  }
  const parts = Array.from({ length: 1 + draw.below(2) }, one)
  return parts.join(draw.one([' and ', ' or ']))
}

/** One more command, drawn with an eye on what the tree is now. */
export function drawCommand(draw: Draw, root: Node): Command {
  const nodes: Node[] = []
  visitAll(root, node => {
    if (node.kind !== 'root') nodes.push(node)
  })
  const node = draw.one(nodes)
  const { path } = node
  const busy = nodes.filter(it => it.kind === 'task' && isBusy(it.state) && it.run?.password)
  if (busy.length > 0 && draw.chance(55)) {
    const task = draw.one(busy)
    const own = task.attributes
    const words: Command[] = [['--complete'], ['--complete'], ['--abort=why']]
    if (task.state === 'submitted') words.push(['--init=77'], ['--init=77'], ['--init=77'])
    if (own?.events) words.push([`--event=${own.events[0]!.name}`])
    if (own?.meters) words.push(['--meter=m', String(draw.below(10))])
    return ['child', task.path, ...draw.one(words)]
  }
  const own = node.attributes
  const choices: Command[] = [
    [`--force=${draw.one(['complete', 'complete', 'aborted', 'queued'])}`, path],
    [`--force=${draw.one(['complete', 'aborted', 'queued'])}`, 'recursive', path],
    [`--requeue=${path}`],
    [`--suspend=${path}`],
    [`--resume=${path}`],
    [`--resume=${path}`],
    [`--free-dep=${path}`],
    ['--alter=change', 'variable', 'V', String(draw.below(3)), `/${path.split('/')[1]}`],
    ['--alter=change', 'limit_max', draw.one(['L', 'M']), String(draw.below(4)), `/${path.split('/')[1]}`],
    ['--alter=change', 'limit_value', draw.one(['L', 'M']), String(draw.below(3)), `/${path.split('/')[1]}`],
    ['--alter=change', 'defstatus', draw.one(['queued', 'suspended']), path],
  ]
  if (node.kind === 'task' && !isBusy(node.state)) choices.push([`--run=${path}`])
  if (own?.events) choices.push([`--force=${draw.one(['set', 'clear'])}`, `${path}:${own.events[0]!.name}`])
  if (own?.meters) choices.push(['--alter=change', 'meter', 'm', String(draw.below(10)), path])
  if (own?.repeat) {
    const value = {
      integer: own.repeat.name === 'R' ? String('start' in own.repeat ? own.repeat.start : 0) : '',
    }
    if (own.repeat.kind === 'integer') choices.push(['--alter=change', 'repeat', value.integer, path])
  }
  if (own?.trigger) choices.push(['--alter=delete', 'trigger', path])
  // Tokens of a task that is deleted while it runs are lost on the real server; here they are given back.
  if (node.kind !== 'suite' && !hasBusy(node) && draw.chance(30))
    choices.push(['--delete=force', 'yes', path])
  return draw.one(choices)
}

function hasBusy(top: Node): boolean {
  return isBusy(top.state) || (top.children?.some(hasBusy) ?? false)
}

/** Our planner under the same words. */
export class OurServer {
  readonly living = new Living({ password: () => 'p' })

  load(text: string, name: string): void {
    loadSuites(this.living, parseDefinition(text), { allowMissing: false, localMinute: 0 })
    beginSuite(this.living, `/${name}`, 0)
    runPass(this.living)
  }

  tell(command: Command): void {
    this.#carryOut(command)
    runPass(this.living)
    this.living.asks.length = 0
  }

  #carryOut(command: Command): unknown {
    const { living } = this
    const [word = '', ...rest] = command
    const [name, value = ''] = word.split('=')
    switch (name) {
      case 'child':
        return this.#child(rest)
      case '--force': {
        const path = rest.at(-1)!
        if (value === 'set' || value === 'clear') {
          const [of, event] = path.split(':')
          return changeAttribute(living, demandNode(living, of!), { type: 'event', name: event!, value })
        }
        return forceNode(living, path, forcedState(value)!, { recursive: rest[0] === 'recursive' })
      }
      case '--requeue':
        return requeueNode(living, value)
      case '--suspend':
        return suspendNode(living, value)
      case '--resume':
        return resumeNode(living, value)
      case '--run':
        return executeNode(living, value)
      case '--free-dep':
        return freeDependencies(living, value, { trigger: true, dates: false, times: false })
      case '--delete':
        return deleteNode(living, rest.at(-1)!, { force: true })
      case '--alter':
        return this.#alter(value, rest)
      default:
        throw new Error(`nobody knows ${word}`)
    }
  }

  #alter(how: string, [type = '', name = '', ...rest]: readonly string[]): void {
    const { living } = this
    const node = demandNode(living, rest.at(-1) ?? name)
    if (how === 'delete') deleteAttribute(living, node, { type })
    else if (type === 'defstatus') setDefaultState(living, node.path, name)
    else if (type === 'repeat') changeAttribute(living, node, { type, value: name })
    else if (type === 'limit_max') changeAttribute(living, node, { type: 'limit', name, max: rest[0]! })
    else if (type === 'limit_value') changeAttribute(living, node, { type: 'limit', name, value: rest[0]! })
    else if (how === 'add') addAttribute(living, node, { type, name, value: rest[0]! })
    else changeAttribute(living, node, { type, name, value: rest[0]! })
  }

  #child([path = '', word = '', second = '']: readonly string[]): void {
    const node = findNode(this.living.root, path)
    const tryNumber = node?.run?.tryNumber ?? 1
    const identity = { path, password: node?.run?.password ?? '', remoteId: '77', tryNumber }
    const [name, value = ''] = word.split('=')
    const say = (request: Parameters<typeof childCommand>[2]) => {
      childCommand(this.living, identity, request)
    }
    if (name === '--init') say({ command: 'init' })
    else if (name === '--complete') say({ command: 'complete' })
    else if (name === '--abort') say({ command: 'abort', why: value })
    else if (name === '--event') say({ command: 'event', name: value, on: true })
    else say({ command: 'meter', name: value, value: Number(second) })
  }
}

/** Zombies come and go with what the real server is told late; and a newer one than this says no_reque of whatever is run. */
const untoldFlags = new Set<string>(['zombie', 'late', 'no_reque'])

/** What is compared of a tree: a line for each node. */
export function showTree(root: Node): string[] {
  const lines: string[] = []
  visitAll(root, node => {
    if (node.kind === 'root') return
    const own = node.attributes
    const facts = [
      node.state,
      node.suspended ? 'suspended' : '',
      flagNames.filter(name => !untoldFlags.has(name) && node.has(name)).join(','),
      node.run && node.run.tryNumber > 0 && node.state !== 'complete' ? `try ${node.run.tryNumber}` : '',
      own?.repeat ? `${own.repeat.name}=${repeatText(own.repeat)}` : '',
      ...(own?.limits ?? []).map(it => `${it.name}=${it.value}/${it.max}`),
      ...(own?.events ?? []).map(it => `${it.name}=${it.value}`),
      ...(own?.meters ?? []).map(it => `${it.name}=${it.value}`),
    ]
    lines.push(`${node.path} ${facts.filter(it => it !== '').join(' ')}`)
  })
  return lines
}
