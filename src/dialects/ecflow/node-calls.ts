// What people ask of nodes and suites: trees, definitions, states, attributes, scripts and outputs.

import { refuse } from '../../core/refusal.ts'
import { findScript } from '../../domains/suite/jobs/find-script.ts'
import { JobFault, jobVariable } from '../../domains/suite/jobs/substitute.ts'
import { parseDefinition } from '../../domains/suite/language/parse-definition.ts'
import { printDefinition } from '../../domains/suite/language/print-definition.ts'
import {
  type AttributeEdit,
  addAttribute,
  changeAttribute,
  deleteAttribute,
} from '../../domains/suite/planner/edit-attributes.ts'
import { deleteNode, loadSuites, orderNode, orders, putChild } from '../../domains/suite/planner/edit-tree.ts'
import type { Living } from '../../domains/suite/planner/living.ts'
import {
  archiveNode,
  beginSuite,
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
import type { Parts } from './parts.ts'

/** How many lines of a script, job or output are shown. */
const linesMax = 10_000

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
  const suites = await parts.keeper.change(living => loadSuites(living, definition, options))
  if (dryRun)
    return { status: 200, value: { message: 'Definition is valid', suites: suites.map(suite => suite.name) } }
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
  const chunks = treeChunks(node, {
    content: query.get('content') === 'full' ? 'full' : 'basic',
    withId: query.get('with_id') === 'true',
    withGenerated: query.get('gen_vars') === 'true',
    withMeta: query.get('with_meta') === 'true',
    withSecrets: at.secrets,
    ...(depth === null ? {} : { depth: Number(depth) }),
  })
  return { status: 200, chunks }
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
  nodeAt(parts, path)
  const definition = parseDefinition(text)
  const [child] = definition.nodes
  if (!child || definition.nodes.length > 1 || child.kind === 'suite') {
    refuse('bad-field', 'definition: expected one family or task; a suite cannot be a child', {
      field: 'definition',
    })
  }
  const { externs } = definition
  await parts.keeper.change(living => putChild(living, path, child, { allowMissing, externs, force }))
  parts.count('replace')
  return { status: 200, value: { path, message: 'Definition updated successfully' } }
}

export async function removeDefinition(parts: Parts, call: Call, path: string): Promise<Answer> {
  // Nobody needs a body here; one that asks for force is heard.
  const force = call.body !== '' && mayLooseFlag(bodyObject(call), 'force')
  await parts.keeper.change(living =>
    deleteNode(living, path, { force: force || call.query.get('force') === 'true' }),
  )
  parts.count('node_delete')
  return { status: 204 }
}

// ---- states ----

export function showStatus(parts: Parts, path: string): Answer {
  const node = nodeAt(parts, path)
  const why = explainNode(parts.keeper.living, node)
  return {
    status: 200,
    value: {
      status: node.displayState,
      path,
      default_status: node.defaultState,
      why: { bottom_up_why: why.bottomUp, top_down_why: why.topDown },
    },
  }
}

export async function updateStatus(parts: Parts, call: Call, path: string): Promise<Answer> {
  const body = bodyObject(call)
  const action =
    body['action'] === undefined && typeof body['name'] === 'string' ? body['name'] : needText(body, 'action')
  const recursive = mayFlag(body, 'recursive')
  const command = readCommand(parts, { action, recursive, body, path })
  await parts.keeper.change(command)
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
      return living => requeueNode(living, path)
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
    case 'free_dep':
      return living => freeDependencies(living, path, { trigger: true, times: true })
  }
  const state = forcedState(action)
  if (state === undefined) {
    refuse(
      'bad-field',
      `Invalid action ${action.slice(0, 40)}: expected one of begin, requeue, suspend, resume, defstatus, execute, abort, complete, queued, rerun, submitted, submit, active, unknown, aborted, archive, restore, order, kill, free_dep`,
      { field: 'action' },
    )
  }
  return living => forceNode(living, path, state, { recursive })
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

export async function addNodeAttribute(parts: Parts, call: Call, path: string): Promise<Answer> {
  const edit = readEdit(bodyObject(call))
  await parts.keeper.change(living => addAttribute(living, demandNode(living, path), edit))
  parts.count('alter_cmd')
  return {
    status: 201,
    value: { path, message: 'Attribute added successfully' },
    location: `/v1/suites${path}/attributes`,
  }
}

export async function updateNodeAttribute(parts: Parts, call: Call, path: string): Promise<Answer> {
  const edit = readEdit(bodyObject(call))
  await parts.keeper.change(living => changeAttribute(living, demandNode(living, path), edit))
  parts.count('alter_cmd')
  return { status: 200, value: { path, message: 'Attribute changed successfully' } }
}

export async function removeNodeAttribute(parts: Parts, call: Call, path: string): Promise<Answer> {
  const edit = readEdit(bodyObject(call))
  await parts.keeper.change(living => deleteAttribute(living, demandNode(living, path), edit))
  parts.count('alter_cmd')
  return { status: 204 }
}

// ---- files ----

function taskAt(parts: Parts, path: string, what: string): Node {
  const node = nodeAt(parts, path)
  if (node.kind !== 'task' && node.kind !== 'alias')
    refuse('bad-field', `Option ${what} is only valid for tasks`)
  return node
}

export async function showScript(parts: Parts, path: string): Promise<Answer> {
  const node = taskAt(parts, path, 'script')
  const { text } = await findTaskScript(parts, node)
  const job = (await parts.folders.readText(jobVariable(node, 'ECF_JOB') ?? '')) ?? ''
  parts.count('file_ecf')
  return { status: 200, value: { script: lastLines(text), job: lastLines(job) } }
}

async function findTaskScript(parts: Parts, node: Node): Promise<{ text: string; source: string }> {
  const files = parts.folders.forJobs(async () =>
    refuse('not-supported', 'ECF_SCRIPT_CMD is not carried out for readers'),
  )
  try {
    return await findScript(node, files)
  } catch (error) {
    if (error instanceof JobFault) throw new AnswerError(404, error.message)
    throw error
  }
}

export async function updateScript(parts: Parts, call: Call, path: string): Promise<Answer> {
  const script = needText(bodyObject(call), 'script')
  const node = taskAt(parts, path, 'script')
  const { source } = await findTaskScript(parts, node)
  if (!(await parts.folders.replace(source, script)))
    throw new AnswerError(404, `There is no script of ${path} to be replaced`)
  parts.count('edit_script')
  return { status: 200, value: { path, message: 'Script updated successfully' } }
}

export async function showOutput(parts: Parts, path: string): Promise<Answer> {
  const node = taskAt(parts, path, 'jobout')
  const { folders } = parts
  const main = jobVariable(node, 'ECF_JOBOUT') ?? ''
  const job = jobVariable(node, 'ECF_JOB') ?? ''
  const other = `${jobVariable(node, 'ECF_HOME') ?? ''}${node.path}.${node.run?.tryNumber ?? 0}`
  const output = (await folders.readText(main)) ?? (await folders.readText(other))
  if (output === undefined)
    throw new AnswerError(404, `There is no output of ${path} yet (ECF_JOBOUT=${main})`)
  const kill = (await folders.readText(`${job}.kill`)) ?? ''
  const status = (await folders.readText(`${job}.stat`)) ?? ''
  parts.count('file_jobout')
  return {
    status: 200,
    value: { job_output: lastLines(output), kill_output: lastLines(kill), status_output: lastLines(status) },
  }
}

/** The last lines of a text, found from its end. */
function lastLines(text: string): string {
  let at = text.endsWith('\n') ? text.length - 1 : text.length
  for (let lines = 0; lines < linesMax; lines++) {
    at = text.lastIndexOf('\n', at - 1)
    if (at < 0) return text
    if (at === 0) return lines + 1 < linesMax ? text : text.slice(1)
  }
  return text.slice(at + 1)
}
