// Why a node of a suite does not run, for the native API and its command line: what the planner says, with the times
// that the histories know.

import { type Holder, holdersAbove, holdersBelow } from '../../domains/suite/planner/why.ts'
import { findNode } from '../../domains/suite/tree/find.ts'
import type { Node } from '../../domains/suite/tree/node.ts'
import type { Engine, Explainer, HeldBy } from '../../engine/engine.ts'
import type { Parts } from './parts.ts'

/** What nodes of suites are called where things of several dialects are explained. */
export const nodeKind = 'suite'

/** Explains nodes by their paths. */
export function suiteExplainer(parts: Parts, engine: Engine): Explainer {
  return async path => {
    await parts.keeper.settled()
    const { living } = parts.keeper
    const node = findNode(living.root, path)
    if (!node || node.kind === 'root') return undefined
    const holders = await holdersFor(parts, engine, node)
    const waits = holders.length > 0 || node.state === 'queued' || node.state === 'unknown'
    return { state: node.displayState, waits, holders }
  }
}

async function holdersFor(parts: Parts, engine: Engine, node: Node): Promise<HeldBy[]> {
  if (node.state === 'complete' || (node.state === 'active' && !node.isContainer)) return []
  if (node.state === 'submitted' && !node.isContainer && node.run)
    return explainSubmitted(parts, engine, node)
  const above = holdersAbove(parts.keeper.living, node)
  // A container is in the state of its children: that is no reason of its own.
  const own = node.isContainer ? above.filter(it => it.kind !== 'state' || it.node !== node) : above
  const holders = own.length === 0 ? holdersBelow(node) : own
  return holders.map(holder => showHolder(parts, holder))
}

/** The job command may wait for room like any job of the yard; else the job itself has not reported. */
async function explainSubmitted(parts: Parts, engine: Engine, node: Node): Promise<HeldBy[]> {
  const job = node.run?.job
  const waiting = job ? await engine.why(job) : undefined
  const at = since(lastChangeAt(parts, node))
  if (waiting) {
    const { waitsFor, text, sinceAt } = waiting
    return [{ on: node.path, waitsFor, text: `${node.path} is submitted: ${text}`, sinceAt }]
  }
  const text = `${node.path} is submitted: its job was started and has not called init yet`
  return [{ on: node.path, waitsFor: 'starting', text, ...at }]
}

function showHolder(parts: Parts, holder: Holder): HeldBy {
  const { settings, clock } = parts
  return {
    on: holder.node.path,
    waitsFor: holder.kind,
    text: holder.text,
    ...since(sinceOf(parts, holder)),
    ...(holder.minutesLeft === undefined
      ? {}
      : { untilAt: untilAt(clock.now(), settings.interval * 1000, holder.minutesLeft) }),
  }
}

function since(at: number | undefined): { sinceAt?: number } {
  return at === undefined ? {} : { sinceAt: at }
}

/** Polls are aligned to the interval, and the next one is the next suite minute. */
function untilAt(now: number, intervalMs: number, minutes: number): number {
  return (Math.floor(now / intervalMs) + minutes) * intervalMs
}

/** Since when a holder holds: the edit that made it so, or the last change of what it is about. */
function sinceOf(parts: Parts, holder: Holder): number | undefined {
  switch (holder.kind) {
    case 'server':
      return lastEditAt(holder.node, /^(?:halt|shutdown)$/)
    case 'suspended':
      return lastEditAt(holder.node, /^suspend /) ?? lastChangeAt(parts, holder.node)
    case 'archived':
      return lastEditAt(holder.node, /^archive /) ?? lastChangeAt(parts, holder.node)
    case 'limit': {
      const [limit] = holder.about
      const changes = limit ? parts.keeper.log.latest(limit.path, { below: false, limit: 50 }) : []
      return changes.findLast(it => 'limit' in it && it.limit === holder.limit)?.at
    }
    default: {
      const times = holder.about.map(node => lastChangeAt(parts, node)).filter(at => at !== undefined)
      return times.length === 0 ? undefined : Math.max(...times)
    }
  }
}

function lastEditAt(node: Node, what: RegExp): number | undefined {
  return node.edits?.findLast(edit => what.test(edit.text))?.at
}

function lastChangeAt(parts: Parts, node: Node): number | undefined {
  return parts.keeper.log.latest(node.path, { below: false, limit: 1 })[0]?.at
}
