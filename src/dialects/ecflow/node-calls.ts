// What people ask of nodes and suites: trees, definitions, states, attributes, scripts and outputs.

import { refuse } from '../../core/refusal.ts'
import { parseDefinition } from '../../domains/suite/language/parse-definition.ts'
import { printDefinition } from '../../domains/suite/language/print-definition.ts'
import { waitHolds } from '../../domains/suite/planner/child-commands.ts'
import {
  type AttributeEdit,
  addAttribute,
  changeAttribute,
  deleteAttribute,
} from '../../domains/suite/planner/edit-attributes.ts'
import {
  deleteNode,
  loadSuites,
  orderNode,
  orders,
  putChild,
  replaceNode,
} from '../../domains/suite/planner/edit-tree.ts'
import type { Living } from '../../domains/suite/planner/living.ts'
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
  requeueNode,
  restoreNode,
  resumeNode,
  setDefaultState,
  suspendNode,
} from '../../domains/suite/planner/user-commands.ts'
import { explainNode } from '../../domains/suite/planner/why.ts'
import { showAttributes } from '../../domains/suite/shapes/attributes-json.ts'
import { treeChunks } from '../../domains/suite/shapes/tree-json.ts'
import { findNode } from '../../domains/suite/tree/find.ts'
import type { Node } from '../../domains/suite/tree/node.ts'
import type { Answer } from './answer.ts'
import {
  bodyObject,
  type Call,
  dropLargeBody,
  kindOf,
  mayFlag,
  mayLooseFlag,
  mayScalar,
  mayText,
  needText,
} from './call.ts'
import { AnswerError } from './errors.ts'
import { changeBy } from './history.ts'
import type { Parts } from './parts.ts'

function nodeAt(parts: Parts, path: string): Node {
  const node = findNode(parts.keeper.living.root, path)
  if (!node || node.kind === 'root') refuse('not-found', `Path ${path} not found`)
  return node
}

// ---- suites ----

export function listSuites(parts: Parts): Answer {
  return { status: 200, value: (parts.keeper.living.root.children ?? []).map(suite => suite.name) }
}

export async function createSuites(parts: Parts, call: Call): Promise<Answer> {
  const body = bodyObject(call)
  dropLargeBody(call)
  const text = needText(body, 'definition')
  const allowMissing = mayLooseFlag(body, 'auto_add_externs') || mayLooseFlag(body, 'auto_add_extern')
  const definition = parseDefinition(text)
  const dryRun = call.query.get('dry_run') === 'true'
  const options = { allowMissing, localMinute: parts.localMinute(), dryRun }
  if (dryRun) {
    const suites = await parts.keeper.change(living => loadSuites(living, definition, options))
    return { status: 200, value: { message: 'Definition is valid', suites: suites.map(suite => suite.name) } }
  }
  const edit = { path: '/', text: `load ${definition.nodes.map(node => node.name).join(' ')}` }
  const suites = await changeBy(parts, call, edit, living => loadSuites(living, definition, options))
  parts.count('load_defs')
  return {
    status: 201,
    value: { message: 'Suite(s) created successfully' },
    location: `/v1/suites/${suites.at(-1)!.name}/definition`,
  }
}

// ---- trees ----

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

export function showDefinition(parts: Parts, path: string): Answer {
  return { status: 200, value: { definition: printDefinition(nodeAt(parts, path)), path } }
}

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

/** `expression`: ours, for the client's --query trigger: whether it holds, seen from the node. */
export function showStatus(parts: Parts, path: string, expression: string | null = null): Answer {
  const node = nodeAt(parts, path)
  const why = explainNode(parts.keeper.living, node)
  return {
    status: 200,
    value: {
      status: node.displayState,
      path,
      default_status: node.defaultState,
      why: { bottom_up_why: why.bottomUp, top_down_why: why.topDown },
      ...(expression === null ? {} : { expression: waitHolds(parts.keeper.living, node, expression) }),
    },
  }
}

export async function updateStatus(parts: Parts, call: Call, path: string): Promise<Answer> {
  const body = bodyObject(call)
  const action =
    body['action'] === undefined && typeof body['name'] === 'string' ? body['name'] : needText(body, 'action')
  const recursive = mayFlag(body, 'recursive')
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
): (living: Living) => void {
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
      `Invalid action ${action.slice(0, 40)}: expected one of begin, requeue, suspend, resume, defstatus, execute, abort, complete, queued, rerun, submitted, submit, active, unknown, aborted, archive, restore, order, kill, status, free_dep, set_flag, clear_flag`,
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
  }
  return names[action] ?? 'force'
}

// ---- attributes ----

export function showNodeAttributes(parts: Parts, at: { path: string; secrets: boolean }): Answer {
  return { status: 200, value: showAttributes(nodeAt(parts, at.path), { secrets: at.secrets }) }
}

function readEdit(body: Record<string, unknown>): AttributeEdit {
  const type = needText(body, 'type')
  const name = mayText(body, 'name')
  const value = readValue(body, type)
  const oldValue = mayScalar(body, 'old_value')
  const min = mayScalar(body, 'min')
  const max = mayScalar(body, 'max')
  return {
    type,
    ...(name === undefined ? {} : { name }),
    ...(value === undefined ? {} : { value }),
    ...(oldValue === undefined ? {} : { oldValue }),
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
  }
}

function readValue(body: Record<string, unknown>, type: string): string | undefined {
  const { value } = body
  if (typeof value !== 'boolean') return mayScalar(body, 'value')
  if (type !== 'event')
    refuse('bad-field', `The member 'value' must be a string or a number, not ${kindOf(value)}`, {
      field: 'value',
    })
  return String(value)
}

async function alter(
  parts: Parts,
  call: Call,
  at: { verb: string; path: string; edit: AttributeEdit },
  fn: (living: Living, node: Node, edit: AttributeEdit) => void,
): Promise<void> {
  const { path, edit } = at
  const facts = [edit.type, edit.name, edit.oldValue, edit.value].filter(it => it)
  const text = `alter ${at.verb} ${facts.join(' ')} ${path}`
  await changeBy(parts, call, { path, text }, living => fn(living, demandNode(living, path), edit))
}

export async function addNodeAttribute(parts: Parts, call: Call, path: string): Promise<Answer> {
  const edit = readEdit(bodyObject(call))
  await alter(parts, call, { verb: 'add', path, edit }, addAttribute)
  parts.count('alter_cmd')
  return {
    status: 201,
    value: { path, message: 'Attribute added successfully' },
    location: `/v1/suites${path}/attributes`,
  }
}

export async function updateNodeAttribute(parts: Parts, call: Call, path: string): Promise<Answer> {
  const edit = readEdit(bodyObject(call))
  await alter(parts, call, { verb: 'change', path, edit }, changeAttribute)
  parts.count('alter_cmd')
  return { status: 200, value: { path, message: 'Attribute changed successfully' } }
}

export async function removeNodeAttribute(parts: Parts, call: Call, path: string): Promise<Answer> {
  const edit = readEdit(bodyObject(call))
  await alter(parts, call, { verb: 'delete', path, edit }, deleteAttribute)
  parts.count('alter_cmd')
  return { status: 204 }
}
