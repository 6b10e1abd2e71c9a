// What running jobs say about themselves: init, complete, abort, event, meter, label, queue, wait.

import { refuse } from '../../../core/refusal.ts'
import { ValueError } from '../language/definition-error.ts'
import { conditionOf } from '../language/read-attribute.ts'
import type { ChildCommand, Condition, Queue, Variable, ZombieKind } from '../tree/attribute.ts'
import { findNode } from '../tree/find.ts'
import type { Node } from '../tree/node.ts'
import { checkCondition, MissingReference } from '../tree/references.ts'
import { isBusy } from '../tree/state.ts'
import { userVariable } from '../tree/user-variable.ts'
import type { Living } from './living.ts'
import { conditionHolds } from './pass.ts'
import { moveNode } from './state-change.ts'
import { type ChildIdentity, forgetZombie, judgeZombie } from './zombies.ts'

export type ChildRequest =
  /** With variables that the task gets, or has no longer. */
  | { readonly command: 'init'; readonly add?: readonly Variable[] }
  | { readonly command: 'complete'; readonly remove?: readonly string[] }
  | { readonly command: 'abort'; readonly why: string }
  | { readonly command: 'event'; readonly name: string; readonly on: boolean }
  | { readonly command: 'meter'; readonly name: string; readonly value: number }
  | { readonly command: 'label'; readonly name: string; readonly value: string }
  | { readonly command: 'wait'; readonly expression: string }
  | {
      readonly command: 'queue'
      readonly name: string
      readonly action: string
      readonly step?: string
      readonly path?: string
    }

/** What the job is told. `block`: keep it waiting and ask again; `fail`: its request was refused by a setting. */
export type ChildAnswer =
  | { readonly type: 'done'; readonly step?: string; readonly abortedCount?: string }
  | { readonly type: 'block'; readonly why: string }
  | { readonly type: 'fail'; readonly why: string }
  /** wait: the expression does not hold yet. */
  | { readonly type: 'waiting' }

/** Carries out one command of a job, or decides what becomes of a job that has no right to it. */
export function childCommand(living: Living, identity: ChildIdentity, request: ChildRequest): ChildAnswer {
  if (living.serverState === 'HALTED') return { type: 'block', why: 'The server is halted' }
  const task = findNode(living.root, identity.path)
  if (!task || task.kind === 'root' || task.isContainer) {
    return answerZombie(living, identity, request, 'path')
  }
  if (isForgiven(task, identity, request.command)) return { type: 'done' }
  const mismatch = mismatchOf(task, identity)
  if (mismatch) return answerZombie(living, identity, request, mismatch)
  return carryOut(living, task, identity, request)
}

/** Repeated words of a job that was not heard the first time are no offence. */
function isForgiven(task: Node, identity: ChildIdentity, command: ChildCommand): boolean {
  if (command === 'complete') return task.state === 'complete'
  if (command === 'init') return task.state === 'active' && isItsJob(task, identity)
  return command === 'abort' && task.state === 'aborted' && isItsJob(task, identity)
}

function isItsJob(task: Node, { password, remoteId }: ChildIdentity): boolean {
  return passwordFits(task, password) && remoteIdFits(task, remoteId)
}

function passwordFits(task: Node, password: string): boolean {
  // FREE on the task itself switches the check off: contract ecflow §3.12.
  if (userVariable(task, 'ECF_PASS') === 'FREE') return true
  return task.run !== undefined && task.run.password !== '' && task.run.password === password
}

function remoteIdFits(task: Node, remoteId: string): boolean {
  const known = task.run?.remoteId ?? ''
  return known === '' || known === remoteId
}

function mismatchOf(task: Node, identity: ChildIdentity): ZombieKind | undefined {
  if (!isBusy(task.state)) return 'ecf'
  const password = passwordFits(task, identity.password)
  const remoteId = remoteIdFits(task, identity.remoteId)
  if (password && remoteId) return undefined
  return password ? 'ecf_pid' : remoteId ? 'ecf_passwd' : 'ecf_pid_passwd'
}

function answerZombie(
  living: Living,
  identity: ChildIdentity,
  request: ChildRequest,
  kind: ZombieKind,
): ChildAnswer {
  const action = judgeZombie(living, identity, { kind, command: request.command })
  const who = `zombie of type ${kind} for ${identity.path}`
  switch (action) {
    case 'fob':
      return { type: 'done' }
    case 'fail':
      return { type: 'fail', why: `[ authentication failed ] ${who}: request set to FAIL via zombie setting` }
    case 'remove':
      forgetZombie(living, identity.path, identity.password)
      return { type: 'block', why: who }
    case 'kill':
      living.asks.push({ type: 'kill', path: identity.path, remoteId: identity.remoteId })
      return { type: 'block', why: `${who}: it is being killed` }
    case 'adopt': {
      const task = findNode(living.root, identity.path)
      if (!task || task.isContainer || !isBusy(task.state)) return { type: 'block', why: who }
      task.run = {
        tryNumber: task.run?.tryNumber ?? identity.tryNumber,
        password: identity.password,
        remoteId: identity.remoteId,
        abortReason: '',
      }
      forgetZombie(living, identity.path)
      return carryOut(living, task, identity, request)
    }
    default:
      return { type: 'block', why: who }
  }
}

function carryOut(living: Living, task: Node, identity: ChildIdentity, request: ChildRequest): ChildAnswer {
  if (request.command === 'wait') {
    return waitHolds(living, task, request.expression) ? { type: 'done' } : { type: 'waiting' }
  }
  living.touch(task)
  task.run ??= { tryNumber: identity.tryNumber, password: '', remoteId: '', abortReason: '' }
  switch (request.command) {
    case 'init':
      task.run.remoteId = identity.remoteId
      forgetZombie(living, task.path)
      for (const { name, value } of request.add ?? []) setVariable(living, task, name, value)
      moveNode(living, task, 'active')
      return { type: 'done' }
    case 'complete':
      task.run.password = ''
      task.run.remoteId = ''
      task.run.abortReason = ''
      forgetZombie(living, task.path)
      for (const name of request.remove ?? []) dropVariable(living, task, name)
      moveNode(living, task, 'complete')
      return { type: 'done' }
    case 'abort':
      task.run.abortReason = request.why
      living.setFlag(task, 'task_aborted', true)
      moveNode(living, task, 'aborted')
      return { type: 'done' }
    case 'event':
      setEvent(living, task, request.name, request.on)
      return { type: 'done' }
    case 'meter':
      setMeter(living, task, request.name, request.value)
      return { type: 'done' }
    case 'label':
      setLabel(living, task, request.name, request.value)
      return { type: 'done' }
    case 'queue':
      return useQueue(living, task, request)
  }
}

/** Gives a node a variable, or one that it has another value. */
export function setVariable(living: Living, node: Node, name: string, value: string): void {
  const list = (node.own.variables ??= [])
  const known = list.find(it => it.name === name)
  if (known) known.value = value
  else list.push({ name, value })
  living.wakeReaders(node, name)
}

/** One that is not there is no error: a job must not die of it. */
function dropVariable(living: Living, task: Node, name: string): void {
  const list = task.attributes?.variables
  if (!list?.some(it => it.name === name)) return
  const left = list.filter(it => it.name !== name)
  task.own.variables = left.length > 0 ? left : undefined
  living.wakeReaders(task, name)
}

/** Sets an event by name or number. False when there is none: a job must not die of it. */
export function setEvent(living: Living, node: Node, name: string, on: boolean): boolean {
  const number = /^\d+$/.test(name) ? Number(name) : -2
  const event = node.attributes?.events?.find(
    it => (it.name !== '' && it.name === name) || it.number === number,
  )
  if (!event) return false
  if (event.value === on) return true
  event.value = on
  living.touch(node)
  if (event.name !== '') living.wakeReaders(node, event.name)
  if (event.number >= 0) living.wakeReaders(node, String(event.number))
  return true
}

/** False when there is no such meter or the value is out of its range. */
export function setMeter(living: Living, node: Node, name: string, value: number): boolean {
  const meter = node.attributes?.meters?.find(it => it.name === name)
  if (!meter || value < meter.min || value > meter.max) return false
  if (meter.value === value) return true
  meter.value = value
  living.touch(node)
  living.wakeReaders(node, name)
  return true
}

/** Gives a label a new text; false when the node has none of that name. */
export function setLabel(living: Living, node: Node, name: string, value: string): boolean {
  const label = node.attributes?.labels?.find(it => it.name === name)
  if (!label) return false
  label.value = value
  living.touch(node)
  return true
}

/** Whether an expression holds on a task. A broken one is refused, and so is one that names what is not there. */
export function waitHolds(living: Living, task: Node, expression: string): boolean {
  let condition: Condition
  try {
    condition = conditionOf(expression)
    checkCondition(task, condition, { keyword: 'wait', externs: { declared: living.externs, all: false } })
  } catch (error) {
    if (error instanceof ValueError)
      refuse('bad-field', `wait_expression: ${error.message}`, { field: 'wait_expression' })
    if (error instanceof MissingReference) refuse('not-found', error.message, { field: 'wait_expression' })
    throw error
  }
  return conditionHolds(condition, task)
}

function findQueue(
  living: Living,
  task: Node,
  name: string,
  path: string | undefined,
): { node: Node; queue: Queue } {
  if (path !== undefined && path !== '') {
    const node = findNode(living.root, path)
    if (!node || node.kind === 'root') refuse('not-found', `Could not find node at path ${path}`)
    const queue = node.attributes?.rare?.queues?.find(it => it.name === name)
    if (!queue) refuse('not-found', `Could not find queue ${name} on node ${path}`)
    return { node, queue }
  }
  for (let at: Node | undefined = task; at; at = at.parent) {
    const queue = at.attributes?.rare?.queues?.find(it => it.name === name)
    if (queue) return { node: at, queue }
  }
  return refuse('not-found', `Could not find queue ${name} on ${task.path} or above it`)
}

function useQueue(
  living: Living,
  task: Node,
  request: Extract<ChildRequest, { command: 'queue' }>,
): ChildAnswer {
  const { node, queue } = findQueue(living, task, request.name, request.path)
  const changed = () => {
    living.touch(node)
    living.wakeReaders(node, queue.name)
  }
  switch (request.action) {
    case 'active': {
      const item = queue.items[queue.index]
      if (item === undefined) return { type: 'done', step: '<NULL>' }
      queue.states[queue.index] = 'active'
      queue.index++
      changed()
      return { type: 'done', step: item }
    }
    case 'complete':
    case 'aborted': {
      const at = request.step === undefined ? -1 : queue.items.indexOf(request.step)
      if (at < 0) refuse('not-found', `Could not find step ${request.step ?? ''} in queue ${queue.name}`)
      queue.states[at] = request.action
      changed()
      return { type: 'done' }
    }
    case 'no_of_aborted': {
      const count = queue.states.filter(state => state === 'aborted').length
      return { type: 'done', abortedCount: count === 0 ? '' : String(count) }
    }
    case 'reset': {
      const first = queue.states.findIndex(state => state === 'queued' || state === 'aborted')
      if (first >= 0) queue.index = first
      changed()
      return { type: 'done' }
    }
    default:
      return refuse(
        'bad-field',
        `queue_action must be one of active, complete, aborted, no_of_aborted, reset, not '${request.action.slice(0, 40)}'`,
        { field: 'queue_action' },
      )
  }
}
