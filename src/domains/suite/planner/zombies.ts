// Zombies: jobs that report although their task is not, or no longer, theirs. What happens to their commands is
// decided by the nearest zombie attribute of that kind, else by a rule that never lets them change anything.

import { refuse } from '../../../core/refusal.ts'
import {
  type ChildCommand,
  type Zombie,
  type ZombieAction,
  type ZombieKind,
  zombieSeconds,
} from '../tree/attribute.ts'
import { findNode } from '../tree/find.ts'
import { type Node, visitAll } from '../tree/node.ts'
import { isBusy } from '../tree/state.ts'
import type { Living, ZombieRecord } from './living.ts'

/** Who a child command says that it is. */
export interface ChildIdentity {
  readonly path: string
  readonly password: string
  readonly remoteId: string
  readonly tryNumber: number
}

/** How many jobs of one path are remembered at most, and how many paths: anybody may say that he is a job. */
const recordsMax = 20
const pathsMax = 10_000

/** A record that lives on is written down again only when it gained so much time. */
const writeAgainMs = 30_000

/** The same for all tasks of a subtree that is taken out. */
export function noteUserZombiesBelow(living: Living, top: Node): void {
  visitAll(top, node => {
    if (!node.isContainer && isBusy(node.state)) noteUserZombie(living, node)
  })
}

/** A user took the task away from under its running job. */
export function noteUserZombie(living: Living, node: Node): void {
  const { run } = node
  if (!run || run.password === '') return
  remember(living, node.path, { kind: 'user', password: run.password, remoteId: run.remoteId })
}

function remember(
  living: Living,
  path: string,
  zombie: { kind: ZombieKind; password: string; remoteId: string },
): void {
  const attribute = nearestAttribute(deepestNode(living, path), zombie.kind)
  const seconds = Math.max(60, attribute?.lifetimeSeconds ?? zombieSeconds[zombie.kind])
  const records = living.zombies.get(path) ?? []
  const same = records.find(it => it.password === zombie.password && it.remoteId === zombie.remoteId)
  const expiresAt = living.nowMs + seconds * 1000
  if (same) {
    if (Math.abs(expiresAt - same.expiresAt) < writeAgainMs) return
    same.expiresAt = expiresAt
    living.changedZombies.add(path)
    return
  }
  if (records.length >= recordsMax) records.shift()
  records.push({ ...zombie, expiresAt })
  if (records.length === 1 && living.zombies.size >= pathsMax) {
    for (const oldest of living.zombies.keys()) {
      forgetZombie(living, oldest)
      break
    }
  }
  living.zombies.set(path, records)
  living.changedZombies.add(path)
}

/** What becomes of a command whose sender is a zombie. */
export function judgeZombie(
  living: Living,
  identity: ChildIdentity,
  at: { kind: ZombieKind; command: ChildCommand },
): ZombieAction {
  const { path, password, remoteId } = identity
  const known = living.zombies.get(path)?.find(it => it.password === password)
  // Once a user's doing, always a user's doing: that is what the operator has to be told.
  const kind = known?.kind === 'user' ? 'user' : at.kind
  const node = findNode(living.root, path)
  remember(living, path, { kind, password, remoteId })
  if (node && node.kind !== 'root') living.setFlag(node, 'zombie', true)
  if (known?.action) return known.action
  const attribute = nearestAttribute(deepestNode(living, path), kind)
  if (attribute && attribute.action !== '') {
    if (attribute.commands.length === 0 || attribute.commands.includes(at.command)) return attribute.action
  }
  return at.command === 'event' || at.command === 'meter' || at.command === 'label' ? 'fob' : 'block'
}

/** The words for what may be done about one zombie by hand. */
export const zombieOrders = ['fob', 'fail', 'adopt', 'block', 'remove', 'kill'] as const

/**
 * Somebody decides about the zombies of a path, or about the one with that process id: it holds for their next commands.
 * `remove` forgets them; `kill` asks for them to be killed.
 */
export function orderZombies(
  living: Living,
  path: string,
  order: { action: (typeof zombieOrders)[number]; remoteId?: string },
): void {
  const { action, remoteId } = order
  const records = (living.zombies.get(path) ?? []).filter(
    it => remoteId === undefined || it.remoteId === remoteId,
  )
  if (records.length === 0) refuse('not-found', `There is no zombie of ${path}`)
  for (const record of records) {
    if (action === 'remove') forgetZombie(living, path, record.password)
    else record.action = action
    if (action === 'kill') living.asks.push({ type: 'kill', path, remoteId: record.remoteId })
  }
  living.changedZombies.add(path)
}

/** The sender is the task's job from now on, or is forgotten. */
export function forgetZombie(living: Living, path: string, password?: string): void {
  const records = living.zombies.get(path)
  if (!records) return
  living.changedZombies.add(path)
  const left = password === undefined ? [] : records.filter(it => it.password !== password)
  if (left.length > 0) living.zombies.set(path, left)
  else {
    living.zombies.delete(path)
    const node = findNode(living.root, path)
    if (node && node.kind !== 'root') living.setFlag(node, 'zombie', false)
  }
}

/** Drops the records that have lived their time. */
export function expireZombies(living: Living): void {
  for (const [path, records] of living.zombies) {
    const left = records.filter((it: ZombieRecord) => it.expiresAt > living.nowMs)
    if (left.length === records.length) continue
    living.changedZombies.add(path)
    if (left.length === 0) forgetZombie(living, path)
    else living.zombies.set(path, left)
  }
}

function nearestAttribute(node: Node, kind: ZombieKind): Zombie | undefined {
  for (let at: Node | undefined = node; at; at = at.parent) {
    for (const zombie of at.attributes?.rare?.zombies ?? []) if (zombie.kind === kind) return zombie
  }
  return undefined
}

/** The node of a path, or the deepest one above it that is there. */
function deepestNode(living: Living, path: string): Node {
  let node = living.root
  for (const name of path.split('/')) {
    if (name === '') continue
    const child = node.child(name)
    if (!child) break
    node = child
  }
  return node
}
