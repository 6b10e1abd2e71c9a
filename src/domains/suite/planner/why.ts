// Why a node is not running: one holder for each thing that keeps it, from the server down to the node and what is
// below it. A holder says what would have to change, and whose change that is, so that others can tell since when.

import { explain } from '../expression/explain.ts'
import { eachMention } from '../expression/mentions.ts'
import { showCondition, showCron, showDate, showDay, showSeries } from '../language/print-attribute.ts'
import type { Condition } from '../tree/attribute.ts'
import { findReference } from '../tree/find.ts'
import { holderOf } from '../tree/lookup.ts'
import { ancestors, type Node } from '../tree/node.ts'
import { findUserVariable } from '../tree/user-variable.ts'
import { findLimit } from './limits.ts'
import type { Living } from './living.ts'
import { conditionHolds, finalFlags, triesOf } from './pass.ts'
import { minutesToNext, timeOfSuite, timesAreFree } from './times.ts'

/** The kinds of things that hold a node. */
export type HolderKind =
  | 'server'
  | 'failed'
  | 'suspended'
  | 'archived'
  | 'not-begun'
  | 'state'
  | 'dummy'
  | 'tries'
  | 'final'
  | 'mirror'
  | 'aviso'
  | 'time'
  | 'trigger'
  | 'limit'

/** One thing that keeps a node from running. */
export interface Holder {
  readonly kind: HolderKind
  /** The node that it is on: the asked one, one above it or, for containers, one below. */
  readonly node: Node
  readonly text: string
  /** Nodes whose last change made it so: those that a trigger names, the one of a limit. */
  readonly about: readonly Node[]
  /** Only for `limit`: its name. */
  readonly limit?: string
  /** Only for `time`: suite minutes until the next slot, when that is today. */
  readonly minutesLeft?: number
}

export interface Why {
  /** From the root to the node. */
  readonly bottomUp: string[]
  /** The node and what is below it. */
  readonly topDown: string[]
}

/** At most so many holders below a node are named. */
const holdersMax = 200

/** The holders as sentences, in the two lists of the original. */
export function explainNode(living: Living, node: Node): Why {
  const bottomUp = holdersAbove(living, node).map(holder => holder.text)
  const topDown: Holder[] = []
  collect(node, topDown)
  return { bottomUp, topDown: topDown.map(holder => holder.text) }
}

/** What keeps a node from running, the server first; empty when it runs, or is about to. */
export function holdersAbove(living: Living, node: Node): Holder[] {
  const holders: Holder[] = []
  if (living.serverState !== 'RUNNING') {
    holders.push({
      kind: 'server',
      node: living.root,
      text: `The server is *not* RUNNING, but ${living.serverState}.`,
      about: [],
    })
  }
  const suite = node.suiteNode
  const failure = suite && living.failed.get(suite.name)
  if (suite && failure !== undefined) {
    const text = `SUITE:${suite.path} is left alone after an error inside of the server, until that is restarted: ${failure}`
    holders.push({ kind: 'failed', node: suite, text, about: [] })
  }
  for (const above of ancestors(node).reverse()) holders.push(...holdersOf(above, { isAbove: true }))
  holders.push(...holdersOf(node, { isAbove: false }))
  return holders
}

/** What holds things below a container, each with the first reason that is met from the top. */
export function holdersBelow(node: Node): Holder[] {
  const holders: Holder[] = []
  for (const child of node.isContainer ? (node.children ?? []) : []) collect(child, holders)
  return holders
}

function collect(node: Node, holders: Holder[]): void {
  if (holders.length >= holdersMax) return
  const own = holdersOf(node, { isAbove: false })
  // A container that is on its way does not hold what is below it.
  const isOnItsWay =
    node.isContainer && own.every(holder => holder.kind === 'state') && node.state !== 'complete'
  if (!isOnItsWay) holders.push(...own)
  // What holds a container holds everything below it: there is no more to say.
  if ((own.length > 0 && !isOnItsWay) || !node.isContainer) return
  for (const child of node.children ?? []) collect(child, holders)
}

/** What on this very node keeps it, or what is below it, from running. */
export function holdersOf(node: Node, options: { isAbove: boolean }): Holder[] {
  const name = `${node.kind.toUpperCase()}:${node.path}`
  const holders: Holder[] = []
  const add = (kind: HolderKind, text: string, more: Partial<Holder> = {}) =>
    holders.push({ kind, node, text: `${name}${text}`, about: [node], ...more })
  if (node.suspended) add('suspended', ' is suspended')
  if (node.has('archived')) add('archived', ' is archived')
  for (const { name: mirror, reason } of node.attributes?.rare?.mirrors ?? [])
    add('mirror', ` is a mirror (${mirror}) and never run here${because(reason)}`)
  if (holders.length > 0) return holders
  // Containers above may be in any state but complete: then nothing below them is looked at.
  const isHolding = options.isAbove
    ? node.state === 'complete'
    : node.state !== 'queued' && node.state !== 'aborted'
  if (node.kind === 'suite' && !node.suite?.begun) add('not-begun', ' has not begun')
  else if (isHolding) add('state', ` (${node.state}) is not queued or aborted`)
  if (holders.length > 0) return holders
  if (node.kind === 'task') addTaskHolders(node, add)
  const own = node.attributes
  if (!own) return holders
  for (const { name: aviso, free, reason } of own.rare?.avisos ?? [])
    if (!free) add('aviso', ` waits for a notification (aviso ${aviso})${because(reason)}`)
  if (!timesAreFree(own)) addTimeHolders(node, add)
  if (own.trigger && !conditionHolds(own.trigger, node)) addTriggerHolders(node, own.trigger, add)
  addLimitHolders(node, add)
  return holders
}

/** Why the partner of an aviso or mirror cannot be asked. */
function because(reason: string): string {
  return reason === '' ? '' : `: ${reason}`
}

type Add = (kind: HolderKind, text: string, more?: Partial<Holder>) => void

function addTaskHolders(node: Node, add: Add): void {
  if (findUserVariable(node, 'ECF_DUMMY_TASK') !== undefined)
    add('dummy', ' is a dummy task (ECF_DUMMY_TASK)')
  if (node.state !== 'aborted') return
  const reason = node.run?.abortReason ? `: ${node.run.abortReason}` : ''
  const flag = finalFlags.find(it => node.has(it))
  const tries = node.run?.tryNumber ?? 0
  if (tries >= triesOf(node))
    add('tries', ` is aborted and has used ${tries} of ${triesOf(node)} tries${reason}`)
  else if (flag) add('final', ` is aborted and not tried again (${flag})${reason}`)
}

function addTimeHolders(node: Node, add: Add): void {
  const own = node.attributes!
  const suite = node.suiteNode
  const now = suite?.suite?.begun ? timeOfSuite(suite) : undefined
  const minutes = now && minutesToNext(own, now)
  // Beyond midnight it would have to be known which day comes: that is not said.
  const isToday = minutes !== undefined && now !== undefined && minutes < 1440 - now.minute
  const addKind = <T extends { free: boolean }>(
    list: T[] | undefined,
    keyword: string,
    show: (item: T) => string,
  ) => {
    if (!list || list.some(item => item.free)) return
    const isDay = keyword === 'day' || keyword === 'date'
    const more = isToday && !isDay ? { minutesLeft: minutes } : {}
    add('time', ` is time dependent: ${list.map(item => `${keyword} ${show(item)}`).join(' or ')}`, more)
  }
  addKind(own.days, 'day', showDay)
  addKind(own.dates, 'date', showDate)
  addKind(own.times, 'time', item => showSeries(item.series))
  addKind(own.todays, 'today', item => showSeries(item.series))
  addKind(own.crons, 'cron', showCron)
}

function addTriggerHolders(node: Node, trigger: Condition, add: Add): void {
  const whole = `trigger ${showCondition(trigger)}`
  for (const part of trigger.parts.flatMap(it => explain(it.tree, node))) {
    const about: Node[] = []
    eachMention(part.tree, ({ of, attribute }) => {
      const named = of
        ? findReference(node, of.path)
        : attribute === undefined
          ? undefined
          : holderOf(node, attribute)
      if (named) about.push(named)
    })
    add('trigger', ` (${node.state}): ${part.shown} is false, in ${whole}`, { about })
  }
}

function addLimitHolders(node: Node, add: Add): void {
  for (const inlimit of node.attributes?.inlimits ?? []) {
    const found = findLimit(node, inlimit)
    if (!found || (inlimit.per === 'node' && inlimit.taken)) continue
    const { limit } = found
    if (limit.value + inlimit.tokens <= limit.max) continue
    const holders = [...(limit.holders?.keys() ?? [])]
    const shown =
      holders.length > 5
        ? `${holders.slice(0, 5).join(', ')} and ${holders.length - 5} more`
        : holders.join(', ')
    const text = `: limit ${found.node.path}:${limit.name} is full (${limit.value} of ${limit.max})${shown === '' ? '' : `; holders: ${shown}`}`
    add('limit', text, { about: [found.node], limit: limit.name })
  }
}
