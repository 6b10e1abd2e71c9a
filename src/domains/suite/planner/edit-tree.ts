// Changing the tree while it lives: loading suites, adding and replacing children, deleting. All or nothing.

import { refuse } from '../../../core/refusal.ts'
import type { Definition } from '../language/parse-definition.ts'
import { findNode } from '../tree/find.ts'
import { type Node, visitAll } from '../tree/node.ts'
import { checkReferences, MissingReference } from '../tree/references.ts'
import { giveAllTokens } from './limits.ts'
import type { Living } from './living.ts'
import { requeueSubtree } from './reset.ts'
import { recomputeFrom, showAnew } from './state-change.ts'
import { demandNode, refuseWhileBusy } from './user-commands.ts'
import { noteUserZombiesBelow } from './zombies.ts'

/** Loads the suites of a definition. One conflict or missing reference, and nothing is loaded. */
export function loadSuites(
  living: Living,
  definition: Definition,
  options: { allowMissing: boolean; localMinute: number; dryRun?: boolean; force?: boolean },
): Node[] {
  const { root } = living
  const first = definition.nodes[0]
  if (first && first.kind !== 'suite') {
    refuse('bad-field', `definition: found ${first.kind} ${first.name}, expected a suite`, {
      field: 'definition',
    })
  }
  const known = definition.nodes.map(suite => root.child(suite.name)).filter(it => it !== undefined)
  if (known[0] && !options.force) refuse('conflict', `A suite of name '${known[0].name}' already exists`)
  checkSuites(living, definition, { known, allowMissing: options.allowMissing })
  if (options.dryRun) return [...definition.nodes]
  for (const suite of known) deleteNode(living, suite.path, { force: true })
  for (const suite of definition.nodes) root.add(suite)
  for (const extern of definition.externs) living.externs.add(extern)
  for (const { name, value } of definition.variables) setServerVariable(living, name, value)
  for (const suite of definition.nodes) {
    // A state that cannot be continued is not trusted: a clock that is missing starts now.
    if (suite.suite?.begun && suite.suite.minute === 0) suite.suite.minute = options.localMinute
    // Jobs that were started elsewhere are no jobs of this server's, whatever number they had there.
    visitAll(suite, node => {
      if (node.run) node.run.job = undefined
    })
    living.enrol(suite)
    living.mark(suite)
    living.structure.push({ type: 'put', node: suite })
  }
  return [...definition.nodes]
}

/** Refuses suites that name what is not there; what they would replace does not count. Changes nothing. */
function checkSuites(
  living: Living,
  definition: Definition,
  options: { known: readonly Node[]; allowMissing: boolean },
): void {
  const { root } = living
  const declared = new Set([...living.externs, ...definition.externs])
  const places = options.known.map(suite => ({ suite, at: root.children!.indexOf(suite) }))
  for (const { suite } of places) root.remove(suite)
  for (const suite of definition.nodes) root.add(suite)
  try {
    for (const suite of definition.nodes) checkReferences(suite, { declared, all: options.allowMissing })
  } catch (error) {
    throw showMissing(error)
  } finally {
    for (const suite of definition.nodes) root.remove(suite)
    places.sort((one, other) => one.at - other.at)
    for (const { suite, at } of places) root.insert(suite, at)
  }
}

function showMissing(error: unknown): unknown {
  if (!(error instanceof MissingReference)) return error
  try {
    refuse('not-found', error.message, { facts: { path: error.path, keyword: error.keyword } })
  } catch (refused) {
    return refused
  }
}

/** Sets a user's variable of the server. */
export function setServerVariable(living: Living, name: string, value: string): void {
  const list = (living.root.own.variables ??= [])
  const known = list.find(it => it.name === name)
  if (known) known.value = value
  else list.push({ name, value })
  living.touch(living.root)
  living.wakeReaders(living.root, name)
}

/** Adds a family or task at the end of a container; a child of that name is replaced. The rest keeps its state. */
export function putChild(
  living: Living,
  path: string,
  child: Node,
  options: { allowMissing: boolean; externs: readonly string[]; force: boolean },
): Node {
  const parent = demandNode(living, path)
  if (!parent.isContainer) refuse('bad-field', 'Cannot add children to a task', { field: 'definition' })
  if (child.kind === 'suite') refuse('bad-field', 'Cannot add a suite as a child', { field: 'definition' })
  if (parent.has('archived')) refuse('illegal-move', `${parent.path} is archived; restore it first`)
  if (!options.force) refuseWhileBusy(parent, 'change')
  const old = parent.child(child.name)
  const at = old ? parent.children!.indexOf(old) : -1
  if (old) parent.remove(old)
  parent.add(child)
  try {
    const declared = new Set([...living.externs, ...options.externs])
    checkReferences(child, { declared, all: options.allowMissing })
  } catch (error) {
    parent.remove(child)
    if (old) parent.insert(old, at)
    throw showMissing(error)
  }
  for (const extern of options.externs) living.externs.add(extern)
  if (old) {
    parent.remove(child)
    parent.insert(old, at)
    noteUserZombiesBelow(living, old)
    removeNode(living, old)
    parent.add(child)
  }
  living.structure.push({ type: 'put', node: child })
  living.enrol(child)
  // Only what is new starts queued: contract ecflow §5 quirk 4.
  if (parent.suiteNode?.suite?.begun) requeueSubtree(living, child, 'begin')
  living.setFlag(parent, 'message', true)
  living.mark(parent)
  recomputeFrom(living, parent)
  return child
}

/**
 * Puts the node of a path, taken from a whole definition, in the place of the one that is there; what was suspended
 * stays so. `parents`: families (or the suite) that are missing above it are made. All or nothing.
 */
export function replaceNode(
  living: Living,
  path: string,
  definition: Definition,
  options: { parents: boolean; allowMissing: boolean; force: boolean; localMinute: number },
): void {
  const names = path.split('/').filter(name => name !== '')
  const top = definition.nodes.find(node => node.name === names[0] && node.kind === 'suite')
  let given = top
  for (const name of names.slice(1)) given = given?.child(name)
  if (!top || !given)
    refuse('not-found', `Could not find node at path ${path} in the definition`, { field: 'definition' })
  const old = findNode(living.root, path)
  if (old && old.kind !== given.kind) {
    refuse('bad-field', `replace: ${path} is a ${old.kind}, and a ${given.kind} in the definition`, {
      field: 'definition',
    })
  }
  if (!old && !options.parents) refuse('not-found', `Could not find node at path ${path}`)
  if (given === top) {
    replaceSuite(living, top, definition, options)
    return
  }
  // What is missing above the node comes with it, without its other children.
  let at = findNode(living.root, names[0]!)
  let depth = 1
  while (at && depth < names.length - 1 && at.child(names[depth]!)) at = at.child(names[depth++]!)
  const { externs } = definition
  const rest = { allowMissing: options.allowMissing, externs, force: options.force }
  if (at && depth === names.length - 1) {
    given.parent!.remove(given)
    const isSuspended = old?.suspended ?? false
    const after = old && at.children![at.children!.indexOf(old) + 1]
    putChild(living, at.path, given, rest)
    if (isSuspended) given.suspended = true
    if (after) {
      at.remove(given)
      at.insert(given, at.children!.indexOf(after))
      living.ordersStale = true
    }
    return
  }
  let kept: Node = given
  for (let level = names.length - 1; level > (at ? depth : 0); level--) {
    const parent: Node = kept.parent!
    for (const child of [...(parent.children ?? [])]) if (child !== kept) parent.remove(child)
    kept = parent
  }
  if (at) {
    kept.parent?.remove(kept)
    putChild(living, at.path, kept, rest)
  } else loadSuites(living, { ...definition, nodes: [top] }, options)
}

function replaceSuite(
  living: Living,
  suite: Node,
  definition: Definition,
  options: { allowMissing: boolean; force: boolean; localMinute: number },
): void {
  const old = living.root.child(suite.name)
  if (!old) {
    loadSuites(living, { ...definition, nodes: [suite] }, options)
    return
  }
  if (!options.force) refuseWhileBusy(old, 'replace')
  const at = living.root.children!.indexOf(old)
  living.root.remove(old)
  try {
    loadSuites(living, { ...definition, nodes: [suite] }, { ...options, dryRun: true })
  } finally {
    living.root.insert(old, at)
  }
  noteUserZombiesBelow(living, old)
  const { suspended } = old
  const clock = old.suite
  removeNode(living, old)
  loadSuites(living, { ...definition, nodes: [suite] }, options)
  suite.suspended = suspended
  if (clock?.begun) {
    suite.suite = clock
    requeueSubtree(living, suite, 'begin')
  }
}

/** Takes a node and all below it out. */
export function deleteNode(living: Living, path: string, options: { force: boolean }): void {
  const node = demandNode(living, path)
  if (!options.force) refuseWhileBusy(node, 'delete')
  living.log.push({ path: node.path, deleted: 'command' })
  noteUserZombiesBelow(living, node)
  removeNode(living, node)
}

/** The removal itself, without asking. */
export function removeNode(living: Living, node: Node): void {
  const { parent } = node
  if (!parent) return
  const path = node.path
  giveAllTokens(living, node)
  living.dismiss(node)
  parent.remove(node)
  if (node.kind === 'suite') living.failed.delete(node.name)
  living.structure.push({ type: 'drop', path })
  living.ordersStale = true
  showAnew(living, parent)
}

/** Where a node may be moved among its siblings; `alpha` and `order` sort all of them, up and down the alphabet. */
export const orders = ['top', 'bottom', 'up', 'down', 'alpha', 'order'] as const
export type Order = (typeof orders)[number]

/** Moves a node among its siblings: what comes first is looked at first. Ours: the original has it on the command line only. */
export function orderNode(living: Living, path: string, order: Order): void {
  const node = demandNode(living, path)
  const parent = node.parent!
  if (node.kind === 'suite') refuse('illegal-move', 'Suites stay in the order in which they were loaded')
  const siblings = parent.children!
  if (order === 'alpha' || order === 'order') {
    const sign = order === 'alpha' ? 1 : -1
    const sorted = [...siblings].sort((one, other) => (one.name < other.name ? -sign : sign))
    for (const child of sorted) {
      parent.remove(child)
      parent.add(child)
    }
    // The last first: each is written down as standing before the one that follows it, which has to be in place then.
    for (const child of sorted.reverse()) living.structure.push({ type: 'put', node: child })
  } else {
    const at = siblings.indexOf(node)
    const last = siblings.length - 1
    const to = { top: 0, bottom: last, up: Math.max(0, at - 1), down: Math.min(last, at + 1) }[order]
    if (to === at) return
    parent.remove(node)
    parent.insert(node, to)
    living.structure.push({ type: 'put', node })
  }
  living.ordersStale = true
  living.setFlag(node, 'message', true)
}
