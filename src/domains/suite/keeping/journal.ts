// What has to be written down after a turn, and how it is read back: per suite either a whole image of it, or a list
// of small changes. Changes are images of what is now, never commands to be carried out again.

import { parseDefinition } from '../language/parse-definition.ts'
import { printAlone, printPersisted, printPersistedPieces } from '../language/print-definition.ts'
import { isAttached, type Living, type ServerState } from '../planner/living.ts'
import { findNode } from '../tree/find.ts'
import type { Edit, Node } from '../tree/node.ts'

/** One small change within a suite. */
export type Change =
  /** The node's own attributes and state; what is below it stays. */
  | readonly ['node', path: string, text: string]
  /** A whole subtree, before a sibling or, without one, at the end. Replaces what has its name. */
  | readonly ['put', parent: string, before: string | null, text: string]
  | readonly ['drop', path: string]
  /** The suite's clock went on. */
  | readonly ['clock', suite: string, minute: number, wall: number, elapsed: number]

/** What became of one suite in a turn. */
export type SuiteChange =
  | { readonly type: 'image'; readonly suite: string; readonly pieces: readonly string[] }
  | { readonly type: 'changes'; readonly suite: string; readonly changes: readonly Change[] }
  | { readonly type: 'gone'; readonly suite: string }

/** What is kept of the server itself. */
export interface ServerImage {
  readonly state: ServerState
  readonly variables: readonly { readonly name: string; readonly value: string }[]
  readonly externs: readonly string[]
  /** What people did to the server itself. */
  readonly edits?: readonly Edit[]
}

/** More changed nodes than this in one suite are written as an image of the whole. */
const imageFrom = 3000

/** Takes what changed since the last time. `server` is present when the server's own facts changed. */
export function takeChanges(living: Living): { suites: SuiteChange[]; server: ServerImage | undefined } {
  const structure = living.structure.splice(0)
  const suites = new Map<string, Change[] | 'image' | 'gone'>()
  const put = new Set<Node>()
  for (const step of structure) {
    if (step.type === 'put') {
      if (!isAttached(living, step.node)) continue
      // An alias cannot be read without its task.
      const node = step.node.kind === 'alias' ? step.node.parent! : step.node
      const suite = node.suiteNode!
      if (node === suite) suites.set(suite.name, 'image')
      else addChange(suites, suite.name, showPut(node))
      put.add(node)
      continue
    }
    const name = step.path.split('/')[1]!
    if (step.path === `/${name}`) suites.set(name, living.root.child(name) ? 'image' : 'gone')
    else addChange(suites, name, ['drop', step.path])
  }
  const counts = new Map<string, number>()
  let isServerChanged = false
  for (const node of living.changed) {
    if (node === living.root) {
      isServerChanged = true
      continue
    }
    const suite = node.suiteNode
    if (!suite || !isAttached(living, node)) continue
    const known = suites.get(suite.name)
    if (known === 'image' || known === 'gone' || isBelow(node, put)) continue
    const count = (counts.get(suite.name) ?? 0) + 1
    counts.set(suite.name, count)
    if (count > imageFrom) suites.set(suite.name, 'image')
    else addChange(suites, suite.name, ['node', node.path, printAlone(node)])
  }
  for (const suite of living.ticked) {
    if (!suite.suite || living.changed.has(suite) || !isAttached(living, suite)) continue
    const known = suites.get(suite.name)
    if (known === 'image' || known === 'gone') continue
    const { minute, wall, elapsed } = suite.suite
    addChange(suites, suite.name, ['clock', suite.name, minute, wall, elapsed])
  }
  living.ticked.clear()
  living.changed.clear()
  return {
    suites: [...suites].map(([suite, changes]) => showSuite(living, suite, changes)),
    server: isServerChanged ? imageOfServer(living) : undefined,
  }
}

function addChange(suites: Map<string, Change[] | 'image' | 'gone'>, suite: string, change: Change): void {
  const list = suites.get(suite)
  if (list === 'image' || list === 'gone') return
  if (list) list.push(change)
  else suites.set(suite, [change])
}

function showPut(node: Node): Change {
  const siblings = node.parent!.children!
  const next = siblings[siblings.indexOf(node) + 1]
  return ['put', node.parent!.path, next?.name ?? null, printPersisted([node])]
}

function isBelow(node: Node, tops: ReadonlySet<Node>): boolean {
  if (tops.size === 0) return false
  for (let at: Node | undefined = node; at; at = at.parent) if (tops.has(at)) return true
  return false
}

function showSuite(living: Living, suite: string, changes: Change[] | 'image' | 'gone'): SuiteChange {
  if (changes === 'gone') return { type: 'gone', suite }
  if (changes === 'image') return { type: 'image', suite, pieces: imageOfSuite(living, suite) }
  return { type: 'changes', suite, changes }
}

/** A whole suite with all states, in pieces that follow each other. */
export function imageOfSuite(living: Living, suite: string): string[] {
  return printPersistedPieces([living.root.child(suite)!])
}

/** What of the server itself is kept beside its suites. */
export function imageOfServer(living: Living): ServerImage {
  return {
    state: living.serverState,
    variables: (living.root.attributes?.variables ?? []).map(({ name, value }) => ({ name, value })),
    externs: [...living.externs],
    ...(living.root.edits ? { edits: [...living.root.edits] } : {}),
  }
}

/** Puts a suite back from its image. Nothing is checked: it was when it came. */
export function readImage(root: Node, text: string): void {
  for (const suite of parseDefinition(text).nodes) root.add(suite)
}

/** Applies the changes of one turn to what was read back so far. */
export function readChanges(root: Node, changes: readonly Change[]): void {
  for (const change of changes) {
    switch (change[0]) {
      case 'node': {
        const node = findNode(root, change[1])
        if (node) adopt(node, parseDefinition(change[2]).nodes[0]!)
        break
      }
      case 'put': {
        const [, parentPath, before, text] = change
        const parent = findNode(root, parentPath)
        const child = parseDefinition(text).nodes[0]
        if (!parent || !child) break
        const old = parent.child(child.name)
        if (old) parent.remove(old)
        const next = before === null ? undefined : parent.child(before)
        if (next) parent.insert(child, parent.children!.indexOf(next))
        else parent.add(child)
        break
      }
      case 'clock': {
        const [, suite, minute, wall, elapsed] = change
        const node = root.child(suite)
        if (node?.suite) Object.assign(node.suite, { minute, wall, elapsed })
        break
      }
      case 'drop': {
        const node = findNode(root, change[1])
        node?.parent?.remove(node)
        break
      }
    }
  }
}

/** Gives a node the facts of its image; its place and what is below it stay. */
function adopt(node: Node, image: Node): void {
  node.state = image.state
  node.suspended = image.suspended
  node.defaultState = image.defaultState
  node.flags = image.flags
  node.since = image.since
  node.attributes = image.attributes
  node.run = image.run
  node.suite = image.suite
  node.archive = image.archive
  node.edits = image.edits
  if (node.parent) node.parent.counts = undefined
}

/** Takes the server's own facts back, and makes everything that was read known to the planner. */
export function resume(living: Living, server: ServerImage | undefined): void {
  if (server) {
    living.serverState = server.state
    for (const extern of server.externs) living.externs.add(extern)
    if (server.edits) living.root.edits = [...server.edits]
    if (server.variables.length > 0) living.root.own.variables = server.variables.map(it => ({ ...it }))
  }
  for (const suite of living.root.children ?? []) {
    living.enrol(suite)
    living.mark(suite)
  }
}
