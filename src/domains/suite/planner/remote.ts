// What other servers tell about nodes of ours: notifications that an aviso waits for, and what a mirror shows. Asking
// them is the caller's; here is what follows from their answers.

import { substitute } from '../jobs/substitute.ts'
import type { Aviso, Event, Label, Meter, Mirror, Variable } from '../tree/attribute.ts'
import { findNode } from '../tree/find.ts'
import type { Node } from '../tree/node.ts'
import { isNodeState, type NodeState } from '../tree/state.ts'
import type { Living } from './living.ts'
import { assignState, recomputeFrom } from './state-change.ts'

/** One message of a notification service. */
export interface Notification {
  readonly event: string
  readonly request: Readonly<Record<string, unknown>>
  readonly revision: number
}

/** What a mirrored node is at the other server. */
export interface MirrorImage {
  readonly state: NodeState
  readonly variables: readonly Variable[]
  readonly labels: readonly { readonly name: string; readonly value: string }[]
  readonly meters: readonly {
    readonly name: string
    readonly min: number
    readonly max: number
    readonly value: number
  }[]
  readonly events: readonly { readonly name: string; readonly value: boolean }[]
}

/** Nodes whose partners are to be asked now: begun, and waiting (aviso) or showing (mirror). */
export function watchedNodes(living: Living): Node[] {
  const nodes: Node[] = []
  for (const node of living.watching) {
    if (node.order < 0 || !node.suiteNode?.suite?.begun) continue
    const rare = node.attributes?.rare
    if (rare?.mirrors || (node.state === 'queued' && rare?.avisos?.some(aviso => !aviso.free)))
      nodes.push(node)
  }
  return nodes
}

/** The value of an option of an aviso or mirror with its variables replaced; undefined where one is missing. */
export function optionOf(node: Node, text: string): string | undefined {
  try {
    const value = substitute(node, text)
    return value === '' ? undefined : value
  } catch {
    return undefined // A variable that is nowhere: the option was not given.
  }
}

/** What an aviso listens for; undefined when its listener is no JSON object with an event. */
export function readListener(
  node: Node,
  aviso: Aviso,
): { event: string; request: Record<string, unknown> } | undefined {
  let listener: unknown
  try {
    listener = JSON.parse(substitute(node, aviso.listener.slice(1, -1)))
  } catch {
    return undefined
  }
  if (!isRecord(listener) || typeof listener['event'] !== 'string') return undefined
  const request = listener['request'] ?? {}
  return isRecord(request) ? { event: listener['event'], request } : undefined
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether a notification is what a listener asks for: its event, and each key of its request with one of its values. */
export function answersListener(
  listener: { event: string; request: Record<string, unknown> },
  notification: Notification,
): boolean {
  if (notification.event !== listener.event) return false
  return Object.entries(listener.request).every(([key, wanted]) => {
    if (!Object.hasOwn(notification.request, key)) return false
    const given = String(notification.request[key])
    return Array.isArray(wanted) ? wanted.some(one => String(one) === given) : String(wanted) === given
  })
}

/**
 * Takes what a notification service said to one aviso of a node: the newest revision that was looked at, and whether
 * a message was the awaited one. Then the aviso is free until the next requeue.
 */
export function tellAviso(
  living: Living,
  at: { path: string; name: string },
  told: { revision: number; isAnswered: boolean },
): void {
  const node = findNode(living.root, at.path)
  const aviso = node?.attributes?.rare?.avisos?.find(it => it.name === at.name)
  if (!node || !aviso || aviso.free) return
  living.setFlag(node, 'remote_error', false)
  if (aviso.revision === String(told.revision) && aviso.reason === '' && !told.isAnswered) return
  aviso.revision = String(told.revision)
  aviso.reason = ''
  aviso.free = told.isAnswered
  living.touch(node)
  if (told.isAnswered) living.mark(node)
}

/** The partner of an aviso or mirror could not be asked: its reason says why, and a mirror knows nothing any more. */
export function failRemote(living: Living, at: { path: string; name: string }, why: string): void {
  const node = findNode(living.root, at.path)
  const rare = node?.attributes?.rare
  const attribute: Aviso | Mirror | undefined =
    rare?.avisos?.find(it => it.name === at.name) ?? rare?.mirrors?.find(it => it.name === at.name)
  if (!node || !attribute) return
  living.setFlag(node, 'remote_error', true)
  if (rare?.mirrors) setMirroredState(living, node, 'unknown')
  // Quotes would end the option when it is printed.
  const reason = why.replace(/['"\s\0-\x1f]+/g, ' ').slice(0, 200)
  if (attribute.reason === reason) return
  attribute.reason = reason
  living.touch(node)
}

/** Shows what a mirrored node is. Attributes of the same names are replaced, others stay. */
export function showMirrored(living: Living, at: { path: string; name: string }, image: MirrorImage): void {
  const node = findNode(living.root, at.path)
  const mirror = node?.attributes?.rare?.mirrors?.find(it => it.name === at.name)
  if (!node || !mirror) return
  living.setFlag(node, 'remote_error', false)
  if (mirror.reason !== '') {
    mirror.reason = ''
    living.touch(node)
  }
  setMirroredState(living, node, image.state)
  const { own } = node
  own.variables = merge<Variable>(
    living,
    node,
    own.variables,
    image.variables.map(it => ({ ...it })),
  )
  const labels: Label[] = image.labels.map(({ name, value }) => ({ name, text: '', value }))
  own.labels = merge(living, node, own.labels, labels)
  const meters: Meter[] = image.meters.map(it => ({ ...it, threshold: it.max }))
  own.meters = merge(living, node, own.meters, meters)
  const events: Event[] = image.events.map(({ name, value }) => ({ number: -1, name, initial: false, value }))
  own.events = merge(living, node, own.events, events)
}

function setMirroredState(living: Living, node: Node, state: NodeState): void {
  if (node.state === state || !isNodeState(state)) return
  assignState(living, node, state)
  recomputeFrom(living, node.parent)
}

function merge<T extends { readonly name: string; value: unknown }>(
  living: Living,
  node: Node,
  list: T[] | undefined,
  news: readonly T[],
): T[] | undefined {
  if (news.length === 0) return list
  const merged = [...(list ?? [])]
  const places = new Map(merged.map((it, index) => [it.name, index]))
  for (const item of news) {
    const at = places.get(item.name)
    if (at === undefined) {
      places.set(item.name, merged.length)
      merged.push(item)
    } else if (merged[at]!.value === item.value) continue
    else merged[at] = item
    living.touch(node)
    living.wakeReaders(node, item.name)
  }
  return merged
}
