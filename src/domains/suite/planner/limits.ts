// Limits: who holds tokens, whether there is room, and who is waiting for it.

import type { InLimit, Limit } from '../tree/attribute.ts'
import { findReference } from '../tree/find.ts'
import { type Node, visitAll } from '../tree/node.ts'
import { isBusy } from '../tree/state.ts'
import type { Living } from './living.ts'
import { OrderHeap } from './order-heap.ts'

/** A limit and the node that has it. */
export interface FoundLimit {
  readonly node: Node
  readonly limit: Limit
}

/** What an inlimit refers to: without a path the nearest limit of that name, from the node towards the root. */
export function findLimit(from: Node, inlimit: Pick<InLimit, 'path' | 'name'>): FoundLimit | undefined {
  if (inlimit.path !== '') {
    const node = findReference(from, inlimit.path)
    const limit = node && limitOf(node, inlimit.name)
    return node && limit ? { node, limit } : undefined
  }
  for (let at: Node | undefined = from; at; at = at.parent) {
    const limit = limitOf(at, inlimit.name)
    if (limit) return { node: at, limit }
  }
  return undefined
}

function limitOf(node: Node, name: string): Limit | undefined {
  const list = node.attributes?.limits
  if (list) for (const limit of list) if (limit.name === name) return limit
  return undefined
}

/** The first limit without room for a task: its own inlimits, then those of each level above. */
export function fullLimitFor(task: Node): FoundLimit | undefined {
  for (let at: Node | undefined = task; at; at = at.parent) {
    const full = fullLimitAt(at)
    if (full) return full
  }
  return undefined
}

/** The first limit without room among the inlimits of this very node. */
export function fullLimitAt(node: Node): FoundLimit | undefined {
  const list = node.attributes?.inlimits
  if (!list) return undefined
  for (const inlimit of list) {
    if (inlimit.per === 'node' && inlimit.taken) continue
    const found = findLimit(node, inlimit)
    if (found && found.limit.value + inlimit.tokens > found.limit.max) return found
  }
  return undefined
}

/** The node waits until the limit has room. */
export function waitFor(living: Living, limit: Limit, node: Node): void {
  let heap = living.waiters.get(limit)
  if (!heap) living.waiters.set(limit, (heap = new OrderHeap()))
  heap.push(node)
}

/**
 * A waiter turned out to be held by something else: the next one that fits may have its place. Who asks for more than there
 * is goes on waiting, and is no obstacle to those behind.
 */
export function wakeNextWaiter(living: Living, limit: Limit): void {
  const heap = living.waiters.get(limit)
  if (!heap) return
  const room = limit.max - limit.value
  const tooLarge: Node[] = []
  for (let node = heap.pop(); node; node = heap.pop()) {
    // An open container waits no more, and looking at it would close it to those below.
    if (node.order < 0 || node.isMarked || node.isOpen) continue
    if (tokensWanted(node, limit) > room) {
      tooLarge.push(node)
      continue
    }
    living.mark(node)
    break
  }
  for (const node of tooLarge) heap.push(node)
}

/** The most that one inlimit of the node, or of a level above, asks of a limit. */
function tokensWanted(node: Node, limit: Limit): number {
  let most = 0
  for (let at: Node | undefined = node; at; at = at.parent) {
    for (const inlimit of at.attributes?.inlimits ?? []) {
      if (inlimit.per === 'node' && inlimit.taken) continue
      if (inlimit.tokens > most && findLimit(at, inlimit)?.limit === limit) most = inlimit.tokens
    }
  }
  return most
}

/** Wakes as many waiters, first in order first, as there is room for. */
export function wakeHungry(living: Living): void {
  for (const limit of living.hungry) {
    for (let room = limit.max - limit.value; room > 0; room--) {
      if (!living.waiters.get(limit)?.size) break
      wakeNextWaiter(living, limit)
    }
  }
  living.hungry.clear()
}

/** Takes the tokens of a task that is submitted: each limit once, a task's own inlimit before an ancestor's. */
export function takeTokens(living: Living, task: Node): void {
  visitLimits(task, (found, inlimit, at) => {
    if (inlimit.per !== 'node') {
      take(living, found, task.path, inlimit.tokens)
    } else if (!inlimit.taken) {
      inlimit.taken = true
      living.touch(at)
      // What is below it needs no room of its own any more.
      living.mark(at)
      take(living, found, at.path, inlimit.tokens)
    }
  })
}

function take(living: Living, { node, limit }: FoundLimit, path: string, tokens: number): void {
  limit.holders ??= new Map()
  if (limit.holders.has(path)) return
  limit.holders.set(path, tokens)
  limit.value += tokens
  noteLimit(living, node, limit)
}

/** Gives back what a task holds. `active`: only what is taken for the submission (-s). */
export function giveTokens(living: Living, task: Node, when: 'active' | 'ended'): void {
  visitLimits(task, (found, inlimit, at) => {
    if (when === 'active' && inlimit.per !== 'submission') return
    if (inlimit.per !== 'node') {
      give(living, found, task.path)
    } else if (inlimit.taken && !hasRunning(at)) {
      inlimit.taken = false
      living.touch(at)
      give(living, found, at.path)
    }
  })
}

/** The limits that a task is in, each by the nearest inlimit on it, which is the one that its tokens are taken by. */
function visitLimits(task: Node, visit: (found: FoundLimit, inlimit: InLimit, at: Node) => void): void {
  let seen: Set<Limit> | undefined
  for (let at: Node | undefined = task; at; at = at.parent) {
    const list = at.attributes?.inlimits
    if (!list) continue
    for (const inlimit of list) {
      const found = findLimit(at, inlimit)
      if (!found || seen?.has(found.limit)) continue
      seen ??= new Set()
      seen.add(found.limit)
      visit(found, inlimit, at)
    }
  }
}

function give(living: Living, { node, limit }: FoundLimit, path: string): void {
  const tokens = limit.holders?.get(path)
  if (tokens === undefined) return
  limit.holders!.delete(path)
  if (limit.holders!.size === 0) limit.holders = undefined
  limit.value = Math.max(0, limit.value - tokens)
  noteLimit(living, node, limit)
}

/** Whether a task or alias of a subtree has a job: a task with aliases is looked at itself, too. */
function hasRunning(top: Node): boolean {
  if (!top.isContainer && isBusy(top.state)) return true
  return top.children?.some(hasRunning) ?? false
}

/** Empties a limit; its node is begun or requeued. */
export function emptyLimit(living: Living, node: Node, limit: Limit): void {
  if (limit.value === 0 && !limit.holders) return
  limit.value = 0
  limit.holders = undefined
  noteLimit(living, node, limit)
}

/** Takes a path off a limit by hand, with what it holds; false when it holds nothing. */
export function dropHolder(living: Living, node: Node, limit: Limit, path: string): boolean {
  const isHolder = limit.holders?.has(path) ?? false
  if (isHolder) give(living, { node, limit }, path)
  return isHolder
}

/** The limit goes: who waited for room in it waits no more. */
export function forgetLimit(living: Living, limit: Limit): void {
  for (const node of living.waiters.get(limit)?.drain() ?? []) living.mark(node)
  living.waiters.delete(limit)
  living.hungry.delete(limit)
}

/** Sets what is in use by hand. Who holds tokens gives them back when it ends, unless nothing is in use (observed). */
export function setLimitValue(living: Living, node: Node, limit: Limit, value: number): void {
  limit.value = value
  if (value === 0) limit.holders = undefined
  noteLimit(living, node, limit)
}

/** Sets how many tokens there are; who holds some keeps them. */
export function setLimitMax(living: Living, node: Node, limit: Limit, max: number): void {
  limit.max = max
  noteLimit(living, node, limit)
}

function noteLimit(living: Living, node: Node, limit: Limit): void {
  living.touch(node)
  living.log.push({ path: node.path, limit: limit.name, value: limit.value })
  if (limit.value < limit.max) living.hungry.add(limit)
  living.wakeReaders(node, limit.name)
}

/** Gives back whatever a whole subtree holds, before it is deleted. */
export function giveAllTokens(living: Living, top: Node): void {
  // What is not busy gave its tokens back when it ended.
  const busy: Node[] = []
  visitAll(top, node => {
    if (node.isContainer || !isBusy(node.state)) return
    node.state = 'unknown'
    busy.push(node)
  })
  for (const node of busy) giveTokens(living, node, 'ended')
}
