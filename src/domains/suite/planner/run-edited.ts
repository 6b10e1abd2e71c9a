// Runs with a script that somebody edited: of the task itself, or of an alias made for it.

import { refuse } from '../../../core/refusal.ts'
import type { Variable } from '../tree/attribute.ts'
import { Node } from '../tree/node.ts'
import { isBusy } from '../tree/state.ts'
import type { Living } from './living.ts'
import { submit } from './pass.ts'
import { demandNode } from './user-commands.ts'

/** The task or alias at a path, if it may run an edited script now; changes nothing. */
export function demandEditable(living: Living, path: string): Node {
  const node = demandNode(living, path)
  if (node.kind !== 'task' && node.kind !== 'alias')
    refuse('bad-field', `Only tasks and aliases have scripts; ${node.path} is a ${node.kind}`)
  if (!node.suiteNode?.suite?.begun)
    refuse('illegal-move', `The suite ${node.suiteNode?.name} must be begun first`)
  return node
}

/** Submits now, whatever holds it back; its next try has its usual script again. */
export function submitEdited(living: Living, path: string): void {
  const node = demandEditable(living, path)
  refuseBusy(node)
  submit(living, node)
  node.run!.edited = true
  living.setFlag(node, 'user_edit', true)
  living.setFlag(node, 'message', true)
}

/** Refuses a task that has a job. */
export function refuseBusy(node: Node): void {
  if (isBusy(node.state))
    refuse(
      'illegal-move',
      `Node ${node.path} is already ${node.state}; it cannot be submitted before that has ended`,
    )
}

/** The name that the next alias of a task gets. */
export function nextAlias(task: Node): string {
  let number = 0
  for (const { name } of task.children ?? []) {
    const known = /^alias(\d{1,9})$/.exec(name)
    if (known) number = Math.max(number, Number(known[1]) + 1)
  }
  return `alias${number}`
}

/** Adds an alias with variables of its own to a task, and runs it unless it is only to be there. */
export function addAlias(
  living: Living,
  path: string,
  alias: { name: string; variables: readonly Variable[]; isRun: boolean },
): Node {
  const task = demandEditable(living, path)
  if (task.kind !== 'task') refuse('illegal-move', `${task.path} is an alias: only tasks have aliases`)
  if (task.child(alias.name)) refuse('conflict', `${task.path} has an alias '${alias.name}' already`)
  const node = new Node('alias', alias.name)
  node.state = 'queued'
  if (alias.variables.length > 0) node.own.variables = alias.variables.map(it => ({ ...it }))
  task.add(node)
  living.structure.push({ type: 'put', node })
  living.enrol(node)
  living.setFlag(task, 'user_edit', true)
  living.setFlag(task, 'message', true)
  if (!alias.isRun) return node
  submit(living, node)
  living.setFlag(node, 'user_edit', true)
  return node
}
