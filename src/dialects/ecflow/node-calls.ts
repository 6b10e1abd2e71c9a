// What people ask of nodes and suites: trees, definitions and states.

import { refuse } from '../../core/refusal.ts'
import { parseDefinition } from '../../domains/suite/language/parse-definition.ts'
import { printDefinition, printStates } from '../../domains/suite/language/print-definition.ts'
import { waitHolds } from '../../domains/suite/planner/child-commands.ts'
import {
  deleteNode,
  loadSuites,
  orderNode,
  orders,
  putChild,
  replaceNode,
} from '../../domains/suite/planner/edit-tree.ts'
import type { Living } from '../../domains/suite/planner/living.ts'
import { plugNode } from '../../domains/suite/planner/plug.ts'
import { sortAttributes } from '../../domains/suite/planner/sort-attributes.ts'
import {
  archiveNode,
  askStatus,
  beginSuite,
  changeFlag,
  demandNode,
  executeNode,
  forcedState,
  forceNode,
  freeDependencies,
  killNode,
  lookAgain,
  requeueNode,
  restoreNode,
  resumeNode,
  setDefaultState,
  suspendNode,
} from '../../domains/suite/planner/user-commands.ts'
import { explainNode } from '../../domains/suite/planner/why.ts'
import { treeChunks } from '../../domains/suite/shapes/tree-json.ts'
import { findNode } from '../../domains/suite/tree/find.ts'
import type { Node } from '../../domains/suite/tree/node.ts'
import { neighbourText } from '../../domains/suite/tree/repeat.ts'
import type { Answer } from './answer.ts'
import { bodyObject, type Call, dropLargeBody, mayFlag, mayLooseFlag, mayText, needText } from './call.ts'
import { AnswerError } from './errors.ts'
import { demandWrite } from './gate.ts'
import { changeBy } from './history.ts'
import type { Parts } from './parts.ts'

/** The node at a path, or the refusal that there is none. */
export function nodeAt(parts: Parts, path: string): Node {
  const node = findNode(parts.keeper.living.root, path)
  if (!node || node.kind === 'root') refuse('not-found', `Path ${path} not found`)
  return node
}

// ---- suites ----

/** The names of all suites. */
export function listSuites(parts: Parts): Answer {
  return { status: 200, value: (parts.keeper.living.root.children ?? []).map(suite => suite.name) }
}

/** Loads the suites of a definition. */
export async function createSuites(parts: Parts, call: Call): Promise<Answer> {
  const body = bodyObject(call)
  dropLargeBody(call)
  const text = needText(body, 'definition')
  const allowMissing = mayLooseFlag(body, 'auto_add_externs') || mayLooseFlag(body, 'auto_add_extern')
  const definition = parseDefinition(text)
  const dryRun = call.query.get('dry_run') === 'true'
  // Ours: suites of the same names are replaced, whatever runs in them.
  const force = mayLooseFlag(body, 'force')
  const options = { allowMissing, localMinute: parts.localMinute(), dryRun, force }
  if (dryRun) {
    const suites = await parts.keeper.change(living => loadSuites(living, definition, options))
    return { status: 200, value: { message: 'Definition is valid', suites: suites.map(suite => suite.name) } }
  }
  const edit = {
    path: '/',
    text: `load ${force ? 'force ' : ''}${definition.nodes.map(node => node.name).join(' ')}`,
  }
  const suites = await changeBy(parts, call, edit, living => loadSuites(living, definition, options))
  parts.count('load_defs')
  return {
    status: 201,
    value: { message: 'Suite(s) created successfully' },
    location: `/v1/suites/${suites.at(-1)!.name}/definition`,
  }
}

// ---- trees ----

/** A node with everything below it. */
export function showTree(parts: Parts, call: Call, at: { path: string; secrets: boolean }): Answer {
  const node = findNode(parts.keeper.living.root, at.path)
  // Only here an unknown node is a 400: contract ecflow §2.2.
  if (!node) throw new AnswerError(400, `Unable to find node: ${at.path}`)
  const { query } = call
  const depth = query.get('depth')
  if (depth !== null && !/^\d{1,4}$/.test(depth))
    refuse('bad-field', 'depth: expected a number of levels', { field: 'depth' })
  const withGenerated = query.get('gen_vars') === 'true'
  const chunks = treeChunks(node, {
    content: query.get('content') === 'full' ? 'full' : 'basic',
    withId: query.get('with_id') === 'true',
    withGenerated,
    withMeta: query.get('with_meta') === 'true',
    withSecrets: at.secrets,
    ...(depth === null ? {} : { depth: Number(depth) }),
  })
  const version = parts.keeper.versionOf(node.suiteNode?.name, { withClock: withGenerated })
  return { status: 200, chunks, version: at.secrets ? `${version}.p` : version }
}

// ---- definitions ----

/** `states=true`: ours, with the states in comments; it can be loaded again. */
export function showDefinition(parts: Parts, call: Call, path: string): Answer {
  const node = nodeAt(parts, path)
  const definition = call.query.get('states') === 'true' ? printStates(node) : printDefinition(node)
  return { status: 200, value: { definition, path } }
}

/** Puts the node of a definition below a node, or with `replace` in its place. */
export async function updateDefinition(parts: Parts, call: Call, path: string): Promise<Answer> {
  const body = bodyObject(call)
  dropLargeBody(call)
  const text = needText(body, 'definition')
  const force = mayLooseFlag(body, 'force')
  const allowMissing = mayLooseFlag(body, 'auto_add_externs') || mayLooseFlag(body, 'auto_add_extern')
  if (mayLooseFlag(body, 'replace')) return replaceDefinition(parts, call, { path, body, text })
  nodeAt(parts, path)
  const definition = parseDefinition(text)
  const [child] = definition.nodes
  if (!child || definition.nodes.length > 1 || child.kind === 'suite') {
    refuse('bad-field', 'definition: expected one family or task; a suite cannot be a child', {
      field: 'definition',
    })
  }
  const { externs } = definition
  const edit = { path, text: `replace ${path === '/' ? '' : path}/${child.name}` }
  await changeBy(parts, call, edit, living => putChild(living, path, child, { allowMissing, externs, force }))
  parts.count('replace')
  return { status: 200, value: { path, message: 'Definition updated successfully' } }
}

/** Ours, for the client's --replace: a whole definition comes, and one node of it takes its place. */
async function replaceDefinition(
  parts: Parts,
  call: Call,
  of: { path: string; body: Record<string, unknown>; text: string },
): Promise<Answer> {
  const { body, path } = of
  const options = {
    parents: mayLooseFlag(body, 'parents'),
    force: mayLooseFlag(body, 'force'),
    allowMissing: mayLooseFlag(body, 'auto_add_externs') || mayLooseFlag(body, 'auto_add_extern'),
    localMinute: parts.localMinute(),
  }
  const definition = parseDefinition(of.text)
  await changeBy(parts, call, { path, text: `replace ${path}` }, living =>
    replaceNode(living, path, definition, options),
  )
  parts.count('replace')
  return { status: 200, value: { path, message: 'Definition updated successfully' } }
}

/** Deletes a node; with force also while it runs. */
export async function removeDefinition(parts: Parts, call: Call, path: string): Promise<Answer> {
  // Nobody needs a body here; one that asks for force is heard.
  const force = call.body !== '' && mayLooseFlag(bodyObject(call), 'force')
  const options = { force: force || call.query.get('force') === 'true' }
  const edit = { path, text: `delete ${options.force ? 'force ' : ''}${path}` }
  await changeBy(parts, call, edit, living => deleteNode(living, path, options))
  parts.count('node_delete')
  return { status: 204 }
}

// ---- states ----

/**
 * Ours, for the client's --query: with `expression` whether it holds, seen from the node; with `repeat` the value before or
 * after the current one.
 */
export function showStatus(parts: Parts, call: Call, path: string): Answer {
  const node = nodeAt(parts, path)
  const why = explainNode(parts.keeper.living, node)
  const expression = call.query.get('expression')
  return {
    status: 200,
    value: {
      status: node.displayState,
      path,
      default_status: node.defaultState,
      why: { bottom_up_why: why.bottomUp, top_down_why: why.topDown },
      ...(expression === null ? {} : { expression: waitHolds(parts.keeper.living, node, expression) }),
      ...neighbourOf(node, call.query.get('repeat')),
    },
  }
}

function neighbourOf(node: Node, side: string | null): { repeat?: string } {
  if (side === null) return {}
  if (side !== 'prev' && side !== 'next')
    refuse('bad-field', `repeat: expected prev or next, not '${side.slice(0, 40)}'`, { field: 'repeat' })
  const repeat = node.attributes?.repeat
  if (!repeat) refuse('not-found', `Could not find a repeat on ${node.path}`)
  return { repeat: neighbourText(repeat, side) }
}

/** Does to a node what its action says: begin, suspend, requeue, force and the like. */
export async function updateStatus(parts: Parts, call: Call, path: string): Promise<Answer> {
  const body = bodyObject(call)
  const action =
    body['action'] === undefined && typeof body['name'] === 'string' ? body['name'] : needText(body, 'action')
  const recursive = mayFlag(body, 'recursive')
  if (action === 'plug') {
    const key = call.query.get('key')
    // Whoever moves a node changes where it comes to, too.
    await demandWrite(parts.gate, call.request, { key, path: needText(body, 'destination') })
  }
  const command = readCommand(parts, { action, recursive, body, path })
  await changeBy(parts, call, { path, text: wordsOf({ action, recursive, body, path }) }, command)
  // The new state: what the pass made of it counts, not what the command alone did.
  const shown = findNode(parts.keeper.living.root, path)?.displayState
  parts.count(counterOf(action))
  return {
    status: 200,
    value: { path, message: 'Status changed successfully', ...(shown ? { status: shown } : {}) },
  }
}

function readCommand(
  parts: Parts,
  at: { action: string; recursive: boolean; body: Record<string, unknown>; path: string },
): (living: Living) => unknown {
  const { action, recursive, body, path } = at
  switch (action) {
    case 'begin':
      return living => beginSuite(living, path, parts.localMinute())
    case 'requeue':
      return living => requeueNode(living, path, readWord(body, 'option', ['abort', 'force']))
    case 'set_flag':
    case 'clear_flag': {
      const flag = needText(body, 'flag')
      return living => changeFlag(living, path, flag, action === 'set_flag')
    }
    case 'suspend':
      return living => suspendNode(living, path)
    case 'resume':
      return living => resumeNode(living, path)
    case 'execute':
    case 'run':
      return living => executeNode(living, path)
    case 'archive': {
      const force = mayLooseFlag(body, 'force')
      return living => archiveNode(living, path, { force })
    }
    case 'restore':
      return living => restoreNode(living, path)
    case 'defstatus': {
      const value = needText(body, 'defstatus_value')
      return living => setDefaultState(living, path, value)
    }
    // Ours: the original has these on the command line only.
    case 'order': {
      const value = needText(body, 'order_value')
      const order = orders.find(it => it === value)
      if (!order)
        refuse('bad-field', `order_value: expected one of ${orders.join(', ')}`, { field: 'order_value' })
      return living => orderNode(living, path, order)
    }
    case 'sort': {
      const type = mayText(body, 'attribute') ?? 'all'
      return living => sortAttributes(living, demandNode(living, path), { type, recursive })
    }
    case 'plug': {
      const destination = needText(body, 'destination')
      return living => plugNode(living, path, destination)
    }
    case 'job_gen':
      return living => lookAgain(living, path)
    case 'kill':
      return living => killNode(living, path)
    case 'status':
      return living => askStatus(living, path)
    case 'free_dep': {
      const what = readWord(body, 'dependencies', ['trigger', 'date', 'time', 'all']) ?? 'all'
      const has = (kind: string) => what === 'all' || what === kind
      return living =>
        freeDependencies(living, path, { trigger: has('trigger'), dates: has('date'), times: has('time') })
    }
  }
  const state = forcedState(action)
  if (state === undefined) {
    refuse(
      'bad-field',
      `Invalid action ${action.slice(0, 40)}: expected one of begin, requeue, suspend, resume, defstatus, execute, abort, complete, queued, rerun, submitted, submit, active, unknown, aborted, archive, restore, order, sort, plug, job_gen, kill, status, free_dep, set_flag, clear_flag`,
      { field: 'action' },
    )
  }
  const full = mayLooseFlag(body, 'full')
  return living => forceNode(living, path, state, { recursive, full })
}

/** One of some words; undefined when the member is absent. */
function readWord<T extends string>(
  body: Record<string, unknown>,
  member: string,
  words: readonly T[],
): T | undefined {
  const text = mayText(body, member)
  if (text === undefined || text === '') return undefined
  return (
    words.find(word => word === text) ??
    refuse('bad-field', `${member}: expected one of ${words.join(', ')}`, { field: member })
  )
}

/** A command as the original's client would have been given it. */
function wordsOf(at: {
  action: string
  recursive: boolean
  body: Record<string, unknown>
  path: string
}): string {
  const { action, recursive, body, path } = at
  const words: Record<string, string> = {
    execute: 'run',
    free_dep: 'free-dep',
    defstatus: `alter change defstatus ${body['defstatus_value']}`,
    order: `order ${body['order_value']}`,
    plug: `plug ${body['destination']}`,
    sort: `alter sort ${body['attribute'] ?? 'all'}`,
  }
  const isForce = forcedState(action) !== undefined
  return `${isForce ? `force ${forcedState(action)}` : (words[action] ?? action)}${recursive ? ' recursive' : ''} ${path}`
}

function counterOf(action: string): string {
  const names: Record<string, string> = {
    begin: 'begin_cmd',
    requeue: 'requeue_node',
    suspend: 'node_suspend',
    resume: 'node_resume',
    execute: 'run_node',
    run: 'run_node',
    archive: 'node_archive',
    restore: 'node_restore',
    defstatus: 'alter_cmd',
    kill: 'node_kill',
    status: 'node_status',
    free_dep: 'free_dep',
    order: 'order_node',
    sort: 'alter_cmd',
    plug: 'plug',
    job_gen: 'node_job_gen',
  }
  return names[action] ?? 'force'
}
