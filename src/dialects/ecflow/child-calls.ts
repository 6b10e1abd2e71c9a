// Jobs that report: PUT status and PUT attributes with ECF_NAME in the body. The job's own pass is its credential.

import type { FastifyRequest } from 'fastify'
import type { Clock } from '../../core/clock.ts'
import { isObject } from '../../core/json.ts'
import { refuse } from '../../core/refusal.ts'
import { isName, nameRule, readInteger } from '../../domains/suite/language/name.ts'
import {
  type ChildAnswer,
  type ChildRequest,
  childCommand,
} from '../../domains/suite/planner/child-commands.ts'
import type { ChildIdentity } from '../../domains/suite/planner/zombies.ts'
import type { Variable } from '../../domains/suite/tree/attribute.ts'
import { mayScalar, mayText, needScalar, needText } from './call.ts'
import { AnswerError } from './errors.ts'
import { failRun } from './jobs.ts'
import type { Keeper } from './keeper.ts'

export interface ChildParts {
  readonly keeper: Keeper
  readonly clock: Clock
  /** The longest that a request is kept open. */
  readonly blockMs: number
  readonly count: (name: string) => void
}

type Body = Record<string, unknown>

function readIdentity(body: Body): ChildIdentity {
  const path = needText(body, 'ECF_NAME')
  const password = needText(body, 'ECF_PASS')
  const remoteId = needScalar(body, 'ECF_RID')
  const tries = needScalar(body, 'ECF_TRYNO')
  const tryNumber = readInteger(tries)
  if (tryNumber === undefined) {
    refuse('bad-field', `The member 'ECF_TRYNO' must be an integer, not '${tries.slice(0, 40)}'`, {
      field: 'ECF_TRYNO',
    })
  }
  return {
    path: path.startsWith('/') ? path : `/${path}`,
    password,
    remoteId: remoteId.slice(0, 1000),
    tryNumber,
  }
}

/** What PUT status may say for a job. */
export function readStatusRequest(body: Body): ChildRequest {
  const action = needText(body, 'action')
  switch (action) {
    case 'init':
      return { command: action, ...mayAdd(body) }
    case 'complete':
      return { command: action, ...mayRemove(body) }
    case 'abort':
      return {
        command: 'abort',
        why: (mayText(body, 'abort_why') ?? 'Trap raised in job file').slice(0, 10_000),
      }
    case 'wait':
      return { command: 'wait', expression: needText(body, 'wait_expression') }
    case 'event':
    case 'meter':
    case 'label':
    case 'queue':
      throw new AnswerError(501, `Child action ${action} not supported here; send it to attributes`)
    default:
      return refuse('bad-field', `Invalid action for child command: ${action.slice(0, 40)}`, {
        field: 'action',
      })
  }
}

const variablesMax = 1000

/** Ours, for the client's `--init --add`: `{"add":{"NAME":"VALUE"}}`. */
function mayAdd(body: Body): { add?: Variable[] } {
  const given = body['add']
  if (given === undefined) return {}
  if (!isObject(given)) refuse('bad-field', "The member 'add' must be an object of texts", { field: 'add' })
  const names = Object.keys(given)
  if (names.length > variablesMax)
    refuse('bad-field', `add: more than ${variablesMax} variables`, { field: 'add' })
  return { add: names.map(name => ({ name: needName(name, 'add'), value: needScalar(given, name) })) }
}

/** Ours, for the client's `--complete --remove`: `{"remove":["NAME"]}`. */
function mayRemove(body: Body): { remove?: string[] } {
  const given = body['remove']
  if (given === undefined) return {}
  if (!Array.isArray(given) || given.length > variablesMax)
    refuse('bad-field', `The member 'remove' must be a list of at most ${variablesMax} names`, {
      field: 'remove',
    })
  return { remove: given.map(name => needName(name, 'remove')) }
}

function needName(name: unknown, field: string): string {
  return typeof name === 'string' && isName(name)
    ? name
    : refuse('bad-field', `${field}: expected ${nameRule}, not '${String(name).slice(0, 40)}'`, { field })
}

/** What PUT attributes may say for a job. */
export function readAttributeRequest(body: Body): ChildRequest {
  const type = needText(body, 'type')
  switch (type) {
    case 'event': {
      const name = needText(body, 'name')
      const value = needText(body, 'value')
      const on = value === 'set' || value === 'true'
      if (!on && value !== 'clear' && value !== 'false') {
        refuse('bad-field', "'value' for event must be one of: set/true, clear/false", { field: 'value' })
      }
      return { command: 'event', name, on }
    }
    case 'meter': {
      const name = needText(body, 'name')
      const text = needText(body, 'value')
      const value = readInteger(text)
      if (value === undefined)
        refuse('bad-field', `'value' for meter must be an integer, not '${text.slice(0, 40)}'`, {
          field: 'value',
        })
      return { command: 'meter', name, value }
    }
    case 'label':
      return {
        command: 'label',
        name: needText(body, 'name'),
        value: needText(body, 'value').slice(0, 1_000_000),
      }
    case 'queue': {
      const step = mayText(body, 'queue_step')
      const path = mayText(body, 'queue_path')
      return {
        command: 'queue',
        name: needText(body, 'name'),
        action: needText(body, 'queue_action'),
        ...(step === undefined ? {} : { step }),
        ...(path === undefined ? {} : { path }),
      }
    }
    default:
      return refuse('bad-field', `Invalid type for child command: ${type.slice(0, 40)}`, { field: 'type' })
  }
}

/** Not a word of the job's own, but of who ran its command: it ended badly. ECF_PASS holds the mark of the run. */
export async function answerCommandEnd(keeper: Keeper, body: Body): Promise<{ path: string }> {
  const { path, password: mark, tryNumber } = readIdentity(body)
  const status = needText(body, 'status').slice(0, 10)
  const why = `The job command ended with exit code ${status}`
  await keeper.change(living => failRun(living, { path, tryNumber, mark }, { flag: 'ecfcmd_failed', why }))
  return { path }
}

/** Carries the command out; a job that has to wait is kept on the line, without holding anything else up. */
export async function answerChild(
  parts: ChildParts,
  body: Body,
  at: { request: FastifyRequest; read: (body: Body) => ChildRequest },
): Promise<Extract<ChildAnswer, { type: 'done' }> & { path: string }> {
  const identity = readIdentity(body)
  const request = at.read(body)
  const { keeper, clock } = parts
  const timeoutMs = readSeconds(body, 'ECF_TIMEOUT', 86_400)
  const zombieMs = readSeconds(body, 'ECF_ZOMBIE_TIMEOUT', 43_200)
  parts.count(`task_${request.command}`)
  const startedAt = clock.now()
  for (;;) {
    const changed = nextChange(parts, at.request)
    let answer: ChildAnswer
    try {
      answer = await keeper.change(living => childCommand(living, identity, request))
    } catch (error) {
      changed.cancel()
      throw error
    }
    if (answer.type === 'done' || answer.type === 'fail') changed.cancel()
    if (answer.type === 'done') return { ...answer, path: identity.path }
    if (answer.type === 'fail') throw new AnswerError(401, answer.why)
    const own = answer.type === 'waiting' ? timeoutMs : Math.min(timeoutMs, zombieMs)
    const until = startedAt + (answer.type === 'waiting' ? own : Math.min(own, parts.blockMs))
    const why = await changed.wait(until)
    if (why === 'gone') throw new AnswerError(499, 'The client went away')
    if (why !== 'late') continue
    if (clock.now() - startedAt >= own) throw new AnswerError(400, `Timed out: ${sentence(answer)}`)
    throw new AnswerError(409, `Blocked: ${sentence(answer)}`)
  }
}

function sentence(answer: ChildAnswer): string {
  return answer.type === 'waiting'
    ? 'the expression does not hold'
    : answer.type === 'block'
      ? answer.why
      : ''
}

function readSeconds(body: Body, field: string, usual: number): number {
  const text = mayScalar(body, field)
  if (text === undefined) return usual * 1000
  const value = readInteger(text)
  if (value === undefined || value < 0)
    refuse('bad-field', `The member '${field}' must be a number of seconds`, { field })
  return value * 1000
}

/**
 * Listens from before an attempt, so that nothing that happens while the attempt is being made durable is missed. An
 * attempt that changed nothing causes no news, so nobody wakes himself for ever.
 */
function nextChange(parts: ChildParts, request: FastifyRequest) {
  let hasChanged = false
  let wake: (why: 'changed' | 'late' | 'gone') => void = () => {
    hasChanged = true
  }
  const stops: (() => void)[] = [parts.keeper.listen(() => wake('changed'))]
  const cancel = () => {
    for (const stop of stops.splice(0)) stop()
  }
  return {
    cancel,
    async wait(until: number): Promise<'changed' | 'late' | 'gone'> {
      const woken = new Promise<'changed' | 'late' | 'gone'>(resolve => {
        wake = resolve
      })
      if (hasChanged) wake('changed')
      const gone = () => wake('gone')
      // The connection, not the request: a request is closed as soon as its body was read.
      request.socket.once('close', gone)
      stops.push(() => request.socket.off('close', gone))
      stops.push(parts.clock.alarm(until, () => wake('late')))
      const why = await woken
      cancel()
      return why
    },
  }
}
