// The living tree: what the planner's parts share. Everything that changes a node goes through here, so that it
// is written down (`changed`), told (`log`), and wakes the nodes whose expressions look at it.

import { eachMention } from '../expression/mentions.ts'
import type { Condition, Limit, ZombieAction, ZombieKind } from '../tree/attribute.ts'
import { findReference } from '../tree/find.ts'
import type { FlagName } from '../tree/flag.ts'
import { flagBit } from '../tree/flag.ts'
import { clockNames } from '../tree/generated.ts'
import { Node, visitAll } from '../tree/node.ts'
import { Deadlines } from './deadlines.ts'
import { DueHeap } from './due-heap.ts'
import { OrderHeap } from './order-heap.ts'

export type ServerState = 'RUNNING' | 'SHUTDOWN' | 'HALTED'

/** What happened, in the order in which it happened: for feeds, histories and tests. */
export type LogEntry =
  | { readonly path: string; readonly state: Node['state'] }
  | { readonly path: string; readonly limit: string; readonly value: number }
  | { readonly path: string; readonly repeat: string; readonly value: string }
  | { readonly path: string; readonly deleted: 'autocancel' | 'command' }

/** What the world has to do once everything is durable. */
export type Ask =
  | { readonly type: 'start'; readonly path: string; readonly tryNumber: number; readonly password: string }
  /** Run the command that ends the job, or the one that says what it does. */
  | { readonly type: 'kill' | 'status'; readonly path: string; readonly remoteId: string }

/** A job that is not, or no longer, the one its task waits for. */
export interface ZombieRecord {
  /** What somebody decided about this very job; without it, the zombie attributes decide. */
  action?: ZombieAction
  kind: ZombieKind
  readonly password: string
  readonly remoteId: string
  expiresAt: number
}

/** A structural change since changes were last taken. */
export type Structure =
  | { readonly type: 'put'; readonly node: Node }
  | { readonly type: 'drop'; readonly path: string }

export interface LivingParts {
  /** A new secret for a job. */
  readonly password: () => string
  /** The server's own variables. */
  readonly serverVariables?: readonly { name: string; value: string }[]
}

/** Suite variables that change with the clock: who mentions them is looked at each minute, or each day. */
const minuteNames = clockNames('each minute')
const dayNames = clockNames('daily')

export class Living {
  readonly root = new Node('root', '')
  readonly parts: LivingParts
  serverState: ServerState = 'RUNNING'
  /** Wall-clock time of what is being done, in epoch ms; set by whoever calls, before each call. */
  nowMs = 0
  /** Jobs that report although their task is not theirs any more, by path. */
  readonly zombies = new Map<string, ZombieRecord[]>()
  /** Paths whose zombies changed since changes were last taken. */
  readonly changedZombies = new Set<string>()
  /**
   * Suites that an error of ours came up in, with what it said: they are left alone, so that it stops them and not the
   * others. Until the server is restarted, or the suite deleted.
   */
  failed = new Map<string, string>()
  /** Whose turn it is in a pass or minute: who is to blame when it fails. */
  working: Node | undefined = undefined
  /** Nodes whose own facts changed. */
  readonly changed = new Set<Node>()
  /** Suites whose clocks went on; whatever else changed of them is in `changed`. */
  readonly ticked = new Set<Node>()
  readonly structure: Structure[] = []
  log: LogEntry[] = []
  asks: Ask[] = []
  /** Nodes with time, today, cron, date or day. */
  readonly timed = new Set<Node>()
  /** The same by their suites, made when it is asked for. */
  timedBySuite: Map<Node, Node[]> | undefined = undefined
  /** When the times of which nodes have to be looked at next, for each suite. */
  readonly dueBySuite = new Map<Node, DueHeap>()
  /** Nodes with aviso or mirror. */
  readonly watching = new Set<Node>()
  /** What is late, or has had its time, at a minute that is known. */
  readonly deadlines = new Deadlines()
  readonly minuteReaders = new Set<Node>()
  readonly dayReaders = new Set<Node>()
  /** Nodes whose expressions mention something that is not there. */
  readonly unresolved = new Set<Node>()
  /** Nodes whose expressions found something below them by a path that begins beside them. */
  readonly shadowable = new Set<Node>()
  readonly namedReaders = new Map<string, Set<Node>>()
  readonly waiters = new Map<Limit, OrderHeap>()
  readonly hungry = new Set<Limit>()
  /** Paths that may be missing. */
  readonly externs = new Set<string>()
  marked = new OrderHeap()
  /** Marked since the last pass, in no order. */
  fresh: Node[] = []
  /** Marked behind the pass that is going on: they have their turn in the next one. */
  later: Node[] = []
  /** The order of the node that the pass is at; -1 between passes. */
  position = -1
  ordersStale = false

  constructor(parts: LivingParts) {
    this.parts = parts
    this.root.serverVariables = (parts.serverVariables ?? []).map(variable => ({ ...variable }))
  }

  /** Notes an error that came up in somebody's turn; false when it was nobody's. What is in memory is lost with it. */
  blame(error: unknown): boolean {
    const suite = this.working?.suiteNode
    if (!suite) return false
    this.failed.set(suite.name, error instanceof Error ? error.message : String(error))
    return true
  }

  /** The node's own facts changed and have to be written down. */
  touch(node: Node): void {
    this.changed.add(node)
  }

  /** Has the node looked at in this pass or, when the pass is past it, in the next. */
  mark(node: Node): void {
    if (node.isMarked || node.order < 0) return
    node.isMarked = true
    // A pass goes on below a container as it found it: only the next one looks at the container again (observed).
    if (node.order <= this.position) {
      this.later.push(node)
      return
    }
    if (node.isContainer) node.isOpen = false
    // Between passes nobody asks who is first: a command may mark a hundred thousand nodes.
    if (this.position < 0) this.fresh.push(node)
    else this.marked.push(node)
  }

  /** Between passes: those that were marked behind the last one have their turn in the next. */
  takeLater(): void {
    for (const node of this.later.splice(0)) {
      if (node.order < 0) continue
      if (node.isContainer) node.isOpen = false
      this.marked.push(node)
    }
  }

  /** Puts the nodes that were marked between passes in order. Those that are complete by now need no look. */
  takeFresh(): void {
    const { fresh, marked } = this
    if (fresh.length === 0) return
    this.fresh = []
    const isWaitedFor = this.waiters.size > 0
    const nodes = fresh.filter(node => {
      const needsLook = node.order >= 0 && (isWaitedFor || node.isContainer || node.state !== 'complete')
      if (!needsLook) node.isMarked = false
      return needsLook
    })
    if (marked.size === 0) marked.fill(nodes.sort((one, other) => one.order - other.order))
    else for (const node of nodes) marked.push(node)
  }

  /** Marks the nodes whose expressions name this one. */
  wakeDependents(node: Node): void {
    const { dependents } = node
    if (!dependents) return
    let gone = 0
    for (const dependent of dependents) {
      if (dependent.order < 0) gone++
      else this.mark(dependent)
    }
    if (gone > 8 && gone > dependents.length / 2) node.dependents = dependents.filter(it => it.order >= 0)
  }

  /** An attribute or variable of the node changed: who names the node, and who looks its name up from below. */
  wakeReaders(node: Node, name: string): void {
    this.wakeDependents(node)
    const readers = this.namedReaders.get(name)
    if (!readers) return
    for (const reader of readers) {
      if (reader.order < 0) readers.delete(reader)
      else if (isWithin(reader, node)) this.mark(reader)
    }
  }

  /** Who names a variable of the clock is looked at: all of them, or those of the time of day alone. */
  wakeClockReaders(what: 'day' | 'minute'): void {
    for (const readers of what === 'day' ? [this.minuteReaders, this.dayReaders] : [this.minuteReaders]) {
      for (const reader of readers) {
        if (reader.order < 0) readers.delete(reader)
        else this.mark(reader)
      }
    }
  }

  setFlag(node: Node, flag: FlagName, on: boolean): void {
    const flags = on ? node.flags | flagBit(flag) : node.flags & ~flagBit(flag)
    if (flags === node.flags) return
    node.flags = flags
    this.touch(node)
    this.wakeDependents(node)
    if (!on) this.deadlines.note(node)
  }

  /** Makes a subtree known to the planner: its expressions, its time attributes, its place in the order. */
  enrol(top: Node): void {
    this.ordersStale = true
    visitAll(top, node => {
      node.order = 0
      this.enrolNode(node)
    })
    this.retryUnresolved()
  }

  /** Notes what one node's attributes ask of the planner; again after they were changed. */
  enrolNode(node: Node): void {
    const own = node.attributes
    if (own?.trigger) this.enrolCondition(node, own.trigger)
    if (own?.complete) this.enrolCondition(node, own.complete)
    keep(this.timed, node, Boolean(own && (own.times || own.todays || own.crons || own.dates || own.days)))
    this.timedBySuite = undefined
    this.lookSoon(node)
    this.deadlines.enrol(node)
    keep(this.watching, node, Boolean(own?.rare?.avisos || own?.rare?.mirrors))
  }

  private enrolCondition(node: Node, condition: Condition): void {
    for (const part of condition.parts) {
      eachMention(part.tree, ({ of, attribute }) => {
        if (attribute !== undefined && minuteNames.has(attribute)) this.minuteReaders.add(node)
        if (attribute !== undefined && dayNames.has(attribute)) this.dayReaders.add(node)
        if (of) {
          const target = findReference(node, of.path)
          if (target) addDependent(target, node)
          else this.unresolved.add(node)
          // Found below the node itself: what is added beside the node would come first.
          if (target && target !== node && isWithin(target, node)) this.shadowable.add(node)
        } else if (attribute === undefined) addDependent(this.root, node)
        else {
          let readers = this.namedReaders.get(attribute)
          if (!readers) this.namedReaders.set(attribute, (readers = new Set()))
          readers.add(node)
        }
      })
    }
  }

  /** Something was added: expressions that named it before it was there, or something else by that path, find it now. */
  private retryUnresolved(): void {
    if (this.unresolved.size === 0 && this.shadowable.size === 0) return
    const nodes = new Set([...this.unresolved, ...this.shadowable])
    this.unresolved.clear()
    this.shadowable.clear()
    for (const node of nodes) {
      if (node.order < 0) continue
      this.enrolNode(node)
      this.mark(node)
    }
  }

  /** Makes a subtree unknown again, before it is taken out. */
  dismiss(top: Node): void {
    const dependents = new Set<Node>()
    const hasChanged = this.changed.size > 0
    visitAll(top, node => {
      node.order = -1
      if (hasChanged) this.changed.delete(node)
      if (node.kind === 'suite') this.dueBySuite.delete(node)
      this.deadlines.dismiss(node)
      const own = node.attributes
      if (!own) return
      if (this.timed.delete(node)) this.timedBySuite = undefined
      if (own.rare) this.watching.delete(node)
      if (own.trigger || own.complete) {
        this.minuteReaders.delete(node)
        this.dayReaders.delete(node)
        this.unresolved.delete(node)
        this.shadowable.delete(node)
      }
      for (const limit of own.limits ?? []) {
        for (const waiter of this.waiters.get(limit)?.drain() ?? []) dependents.add(waiter)
        this.waiters.delete(limit)
        this.hungry.delete(limit)
      }
    })
    // Only now it is known which dependents stay: those inside go with it, and of a large suite that is nearly all.
    visitAll(top, node => {
      if (!node.dependents) return
      for (const dependent of node.dependents) if (dependent.order >= 0) dependents.add(dependent)
    })
    for (const dependent of dependents) {
      if (dependent.order < 0) continue
      this.unresolved.add(dependent)
      this.mark(dependent)
    }
  }

  /** Has the times of a node looked at in the next minute. */
  lookSoon(node: Node): void {
    const suite = this.timed.has(node) ? node.suiteNode : undefined
    if (!suite) return
    node.due = 0
    let heap = this.dueBySuite.get(suite)
    if (!heap) this.dueBySuite.set(suite, (heap = new DueHeap()))
    heap.push(node)
  }

  /** Nodes whose times the clock of a suite moves. */
  timedOf(suite: Node): readonly Node[] {
    if (!this.timedBySuite) {
      this.timedBySuite = new Map()
      for (const node of this.timed) {
        const of = node.suiteNode
        const list = of && this.timedBySuite.get(of)
        if (list) list.push(node)
        else if (of) this.timedBySuite.set(of, [node])
      }
    }
    return this.timedBySuite.get(suite) ?? []
  }

  /** Numbers all nodes in definition order, when the order changed. */
  refreshOrders(): void {
    if (!this.ordersStale) return
    this.ordersStale = false
    let order = 0
    visitAll(this.root, node => {
      node.order = order++
    })
    for (const node of this.marked.drain()) if (node.order >= 0) this.marked.push(node)
    for (const [limit, heap] of this.waiters) {
      const again = new OrderHeap()
      for (const node of heap.drain()) if (node.order >= 0) again.push(node)
      this.waiters.set(limit, again)
    }
  }
}

function keep(set: Set<Node>, node: Node, isMember: boolean): void {
  if (isMember) set.add(node)
  else set.delete(node)
}

function addDependent(target: Node, dependent: Node): void {
  const list = target.dependents
  if (!list) {
    // One item exactly: most nodes have no more, and an empty list that is pushed to takes far more room.
    target.dependents = [dependent]
    return
  }
  if (list[list.length - 1] === dependent) return
  if (list.length < 16 && list.includes(dependent)) return
  list.push(dependent)
}

/** Whether a node is `top` or below it. */
export function isWithin(node: Node, top: Node): boolean {
  for (let at: Node | undefined = node; at; at = at.parent) if (at === top) return true
  return false
}

/** Whether a node still hangs in the tree. */
export function isAttached(living: Living, node: Node): boolean {
  return isWithin(node, living.root)
}
