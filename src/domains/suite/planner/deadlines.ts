// When a task will be late, and when what is complete has had its time: said when the state changes, looked at when that
// minute comes. Contract ecflow §3.11.

import type { Expiry, Late } from '../tree/attribute.ts'
import { type Node, visitAll } from '../tree/node.ts'
import { Timers } from './due-heap.ts'
import { type SuiteTime, timeOfSuite } from './times.ts'

/** What waits for its minute, for each suite. */
export class Deadlines {
  /** Nodes with late, and with autocancel or autoarchive. */
  readonly lateNodes = new Set<Node>()
  readonly expiring = new Set<Node>()
  readonly #late = new Map<Node, Timers>()
  readonly #expiry = new Map<Node, Timers>()

  /** A node's attributes came, or changed. */
  enrol(node: Node): void {
    const rare = node.attributes?.rare
    const wasLate = this.lateNodes.has(node)
    keep(this.lateNodes, node, rare?.late !== undefined)
    // It counts for the tasks below.
    if (wasLate || rare?.late) visitAll(node, at => this.#noteLate(at))
    else if (this.lateNodes.size > 0) this.#noteLate(node)
    keep(this.expiring, node, Boolean(rare?.autocancel || rare?.autoarchive))
    if (this.expiring.has(node)) this.#noteExpiry(node)
  }

  /** A node is taken out of the tree. */
  dismiss(node: Node): void {
    if (node.kind === 'suite') {
      this.#late.delete(node)
      this.#expiry.delete(node)
    }
    this.lateNodes.delete(node)
    this.expiring.delete(node)
    if (this.#late.size === 0 && this.#expiry.size === 0) return
    const suite = node.suiteNode
    if (!suite) return
    this.#late.get(suite)?.forget(node)
    this.#expiry.get(suite)?.forget(node)
  }

  /** The node's state changed, or a flag that says that it was late or restored already. */
  note(node: Node): void {
    if (this.lateNodes.size > 0) this.#noteLate(node)
    if (this.expiring.size > 0 && this.expiring.has(node)) this.#noteExpiry(node)
  }

  #noteLate(task: Node): void {
    if (task.kind !== 'task' || task.has('late')) return
    const suite = begunSuiteOf(task)
    if (!suite) return
    const due = lateAt(task, timeOfSuite(suite))
    if (due !== undefined) timersOf(this.#late, suite).note(task, due)
  }

  #noteExpiry(node: Node): void {
    const suite = begunSuiteOf(node)
    if (!suite) return
    const now = timeOfSuite(suite)
    for (const { expiry } of expiriesOf(node)) {
      timersOf(this.#expiry, suite).note(node, expiresAt(node, expiry, now))
    }
  }

  /** Looks at the node again in the next minute: what was due could not be done in this one. */
  retryExpiry(node: Node): void {
    const suite = begunSuiteOf(node)
    if (suite) timersOf(this.#expiry, suite).note(node, timeOfSuite(suite).elapsed + 1)
  }

  takeLate(suite: Node, now: SuiteTime): Node[] {
    return this.#late.get(suite)?.take(now.elapsed) ?? []
  }

  /** In definition order: what goes with its parent is not asked for itself. */
  takeExpired(suite: Node, now: SuiteTime): Node[] {
    const nodes = this.#expiry.get(suite)?.take(now.elapsed) ?? []
    return nodes.sort((one, other) => one.order - other.order)
  }

  /** The suite's clock jumped. */
  hurry(suite: Node): void {
    this.#late.get(suite)?.hurry()
    this.#expiry.get(suite)?.hurry()
  }
}

/** The minute (elapsed) from which a task in its state is late; each option counts from the nearest level that gives it. */
export function lateAt(task: Node, now: SuiteTime): number | undefined {
  const at: number[] = []
  const { state } = task
  if (state === 'submitted') {
    const submitted = lateOption(task, 'submitted')
    if (submitted) at.push(task.since + submitted.submitted)
  }
  if (state === 'queued' || state === 'submitted') {
    const active = lateOption(task, 'active')
    if (active) at.push(timeOfDayAt(active.active, now))
  }
  if (state === 'active') {
    const complete = lateOption(task, 'complete')
    if (complete?.completeRelative) at.push(task.since + complete.complete)
    else if (complete) at.push(timeOfDayAt(complete.complete, now))
  }
  return at.length === 0 ? undefined : Math.min(...at)
}

function lateOption(task: Node, option: 'submitted' | 'active' | 'complete'): Late | undefined {
  for (let at: Node | undefined = task; at; at = at.parent) {
    const late = at.attributes?.rare?.late
    if (late && late[option] >= 0) return late
  }
  return undefined
}

/** What a node in its state is up for, the one that takes it away first. */
export function expiriesOf(node: Node): { kind: 'autocancel' | 'autoarchive'; expiry: Expiry }[] {
  const rare = node.attributes?.rare
  const { state } = node
  const list: { kind: 'autocancel' | 'autoarchive'; expiry: Expiry }[] = []
  if (rare?.autocancel && state === 'complete') list.push({ kind: 'autocancel', expiry: rare.autocancel })
  const archive = rare?.autoarchive
  const isAtRest = state === 'complete' || (archive?.idle && (state === 'queued' || state === 'aborted'))
  if (archive && isAtRest && !node.has('archived') && !node.has('restored')) {
    list.push({ kind: 'autoarchive', expiry: archive })
  }
  return list
}

/** The minute (elapsed) from which a node that stays as it is has had its time. */
export function expiresAt(node: Node, expiry: Expiry, now: SuiteTime): number {
  return expiry.relative ? node.since + expiry.minutes : timeOfDayAt(expiry.minutes, now)
}

/** The minute (elapsed) from which the time of day is at or past a time: now, or later today. */
function timeOfDayAt(minutes: number, now: SuiteTime): number {
  return now.elapsed + Math.max(0, minutes - now.minute)
}

function begunSuiteOf(node: Node): Node | undefined {
  const suite = node.suiteNode
  return suite?.suite?.begun ? suite : undefined
}

function timersOf(timers: Map<Node, Timers>, suite: Node): Timers {
  let own = timers.get(suite)
  if (!own) timers.set(suite, (own = new Timers()))
  return own
}

function keep(set: Set<Node>, node: Node, isMember: boolean): void {
  if (isMember) set.add(node)
  else set.delete(node)
}
