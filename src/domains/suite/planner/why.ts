// Why a node is not running: one line for each holder, from the server down to the node and what is below it.

import { explain } from '../expression/explain.ts'
import { showCondition, showCron, showDate, showDay, showSeries } from '../language/print-attribute.ts'
import type { Condition } from '../tree/attribute.ts'
import { ancestors, type Node } from '../tree/node.ts'
import { findUserVariable } from '../tree/user-variable.ts'
import { findLimit } from './limits.ts'
import type { Living } from './living.ts'
import { conditionHolds, triesOf } from './pass.ts'
import { timesAreFree } from './times.ts'

export interface Why {
  /** From the root to the node. */
  readonly bottomUp: string[]
  /** The node and what is below it. */
  readonly topDown: string[]
}

/** At most so many lines about what is below a node. */
const linesMax = 200

export function explainNode(living: Living, node: Node): Why {
  const bottomUp: string[] = []
  if (living.serverState !== 'RUNNING') bottomUp.push('The server is *not* RUNNING.')
  for (const above of ancestors(node).reverse()) bottomUp.push(...holdersOf(above))
  bottomUp.push(...holdersOf(node))
  const topDown: string[] = []
  collect(node, topDown)
  return { bottomUp, topDown }
}

function collect(node: Node, lines: string[]): void {
  if (lines.length >= linesMax) return
  const own = holdersOf(node)
  lines.push(...own)
  // What holds a container holds everything below it: there is no more to say.
  if (own.length > 0 || !node.isContainer) return
  for (const child of node.children ?? []) collect(child, lines)
}

/** What on this very node keeps it from running. */
export function holdersOf(node: Node): string[] {
  const name = `${node.kind.toUpperCase()}:${node.path}`
  if (node.suspended) return [`${name} is suspended`]
  if (node.has('archived')) return [`${name} is archived`]
  if (node.state !== 'queued' && node.state !== 'aborted')
    return [`${name} (${node.state}) is not queued or aborted`]
  const lines: string[] = []
  if (node.kind === 'suite' && !node.suite?.begun) lines.push(`${name} has not begun`)
  const own = node.attributes
  if (node.kind === 'task') {
    if (findUserVariable(node, 'ECF_DUMMY_TASK') !== undefined)
      lines.push(`${name} is a dummy task (ECF_DUMMY_TASK)`)
    if (node.state === 'aborted' && (node.run?.tryNumber ?? 0) >= triesOf(node)) {
      const reason = node.run?.abortReason ? `: ${node.run.abortReason}` : ''
      lines.push(`${name} is aborted and has used ${node.run?.tryNumber} of ${triesOf(node)} tries${reason}`)
    }
  }
  if (own) {
    if (own.rare?.mirrors) lines.push(`${name} is a mirror (${own.rare.mirrors[0]!.name}) and never run here`)
    if (own.rare?.avisos) lines.push(`${name} waits for a notification (aviso ${own.rare.avisos[0]!.name})`)
    if (!timesAreFree(own)) lines.push(...timeLines(node, name))
    if (own.trigger && !conditionHolds(own.trigger, node))
      lines.push(...triggerLines(node, own.trigger, name))
  }
  lines.push(...limitLines(node, name))
  return lines
}

function timeLines(node: Node, name: string): string[] {
  const own = node.attributes!
  const lines: string[] = []
  const add = <T extends { free: boolean }>(
    list: T[] | undefined,
    keyword: string,
    show: (item: T) => string,
  ) => {
    if (!list || list.some(item => item.free)) return
    lines.push(`${name} is time dependent: ${list.map(item => `${keyword} ${show(item)}`).join(' or ')}`)
  }
  add(own.days, 'day', showDay)
  add(own.dates, 'date', showDate)
  add(own.times, 'time', item => showSeries(item.series))
  add(own.todays, 'today', item => showSeries(item.series))
  add(own.crons, 'cron', showCron)
  return lines
}

function triggerLines(node: Node, trigger: Condition, name: string): string[] {
  const parts = trigger.parts.flatMap(part => explain(part.tree, node))
  const whole = `trigger ${showCondition(trigger)}`
  return parts.map(part => `${name} (${node.state}): ${part.shown} is false, in ${whole}`)
}

function limitLines(node: Node, name: string): string[] {
  const lines: string[] = []
  for (const inlimit of node.attributes?.inlimits ?? []) {
    const found = findLimit(node, inlimit)
    if (!found || found.limit.value + inlimit.tokens <= found.limit.max) continue
    const { limit } = found
    const holders = [...(limit.holders?.keys() ?? [])]
    const shown =
      holders.length > 5
        ? `${holders.slice(0, 5).join(', ')} and ${holders.length - 5} more`
        : holders.join(', ')
    lines.push(
      `${name}: limit ${found.node.path}:${limit.name} is full (${limit.value} of ${limit.max})${shown === '' ? '' : `; holders: ${shown}`}`,
    )
  }
  return lines
}
