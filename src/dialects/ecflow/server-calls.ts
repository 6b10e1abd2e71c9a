// What people ask of the server itself: ping, status, its variables, statistics.

import { refuse } from '../../core/refusal.ts'
import { isName, nameRule } from '../../domains/suite/language/name.ts'
import { setServerVariable } from '../../domains/suite/planner/edit-tree.ts'
import type { ServerState } from '../../domains/suite/planner/living.ts'
import { significantChild } from '../../domains/suite/planner/state-change.ts'
import { monthNames, pad2 } from '../../domains/suite/tree/calendar-date.ts'
import type { Answer } from './answer.ts'
import { bodyObject, type Call, needScalar, needText } from './call.ts'
import { changeBy } from './history.ts'
import type { Parts } from './parts.ts'

/** Requests since the start, as statistics and status show them. */
export interface Counters {
  readonly startedAt: number
  requests: number
  errors: number
  /** Reads that the original answers from its copy. */
  reads: number
  readonly byName: Map<string, number>
}

/** There is no second server to ask: the time is what this answer took so far. */
export function showPing(parts: Parts, at: { elapsedMs: number }): Answer {
  const spent = Math.min(59_999_999, Math.max(1, Math.round(at.elapsedMs * 1000)))
  const text = `00:00:${pad2(Math.floor(spent / 1_000_000))}.${String(spent % 1_000_000).padStart(6, '0')}`
  parts.count('ping')
  const host = `${parts.settings.host}:${parts.settings.port}`
  return { status: 200, value: { host, round_trip_time: text, 'round-trip-time': text } }
}

const counterNames = [
  'checkpt',
  'restore_defs_from_checkpt',
  'restart_server',
  'shutdown_server',
  'halt_server',
  'ping',
  'debug_server_on',
  'debug_server_off',
  'get_defs',
  'server_version',
  'sync',
  'sync_full',
  'sync_clock',
  'news',
  'task_init',
  'task_complete',
  'task_wait',
  'task_abort',
  'task_event',
  'task_meter',
  'task_label',
  'task_queue',
  'zombie_fob',
  'zombie_fail',
  'zombie_adopt',
  'zombie_remove',
  'zombie_get',
  'zombie_block',
  'zombie_kill',
  'load_defs',
  'begin_cmd',
  'requeue_node',
  'node_job_gen',
  'node_check_job_gen_only',
  'node_delete',
  'node_suspend',
  'node_resume',
  'node_kill',
  'node_status',
  'node_edit_history',
  'node_archive',
  'node_restore',
  'log_cmd',
  'log_msg_cmd',
  'order_node',
  'run_node',
  'replace',
  'force',
  'free_dep',
  'suites',
  'edit_script',
  'alter_cmd',
  'ch_cmd',
  'plug',
  'move',
  'group_cmd',
  'server_load_cmd',
  'stats',
  'check',
  'query',
  'reload_white_list_file',
  'reload_passwd_file',
  'file_ecf',
  'file_job',
  'file_jobout',
  'file_cmdout',
  'file_manual',
]

/** How the server is, and what was asked of it. */
export function showServerStatus(parts: Parts): Answer {
  const { settings, keeper, counters } = parts
  parts.count('stats')
  const statistics = Object.fromEntries(counterNames.map(name => [name, counters.byName.get(name) ?? 0]))
  const base = `${settings.home}/${settings.machine}.${settings.port}.ecf`
  const seconds = Math.max(1, (parts.clock.now() - counters.startedAt) / 1000)
  return {
    status: 200,
    value: {
      version: 'Ecflow version(5.17.0) as spoken by Switchyard',
      status: keeper.living.serverState,
      host: settings.machine,
      port: settings.port,
      up_since: showDate(counters.startedAt),
      job_sub_interval: settings.interval,
      ECF_HOME: settings.home,
      ECF_LOG: `${base}.log`,
      ECF_CHECK: `${base}.check`,
      ECF_SSL: settings.noSsl ? 'disabled' : 'enabled',
      checkpt_interval: 120,
      checkpt_mode: 1,
      checkpt_save_time_alarm: 20,
      no_of_suites: keeper.living.root.children?.length ?? 0,
      request_stats: (counters.requests / seconds).toFixed(2),
      locked_by_user: '',
      // Ours: what all suites come to.
      state: significantChild(keeper.living.root),
      ...statistics,
      statistics,
    },
  }
}

/** `2026-Nov-22 01:14:51`, UTC. */
function showDate(ms: number): string {
  const at = new Date(ms)
  const month = monthNames[at.getUTCMonth()]!
  const day = `${at.getUTCFullYear()}-${month[0]!.toUpperCase()}${month.slice(1, 3)}-${pad2(at.getUTCDate())}`
  return `${day} ${pad2(at.getUTCHours())}:${pad2(at.getUTCMinutes())}:${pad2(at.getUTCSeconds())}`
}

const states: Record<string, ServerState> = { halt: 'HALTED', shutdown: 'SHUTDOWN', restart: 'RUNNING' }

/** A message is a line among what people did, and as long as they read. */
const messageMax = 10_000

/** Halts, shuts down or restarts the server, reads one of its files of names and passwords again, or keeps a message. */
export async function updateServerStatus(parts: Parts, call: Call): Promise<Answer> {
  const body = bodyObject(call)
  const action = needText(body, 'action')
  const { gate } = parts
  const done: Answer = { status: 200, value: { message: 'Server updated successfully' } }
  const state = Object.hasOwn(states, action) ? states[action] : undefined
  if (state) {
    await changeBy(parts, call, { path: '/', text: action }, living => {
      living.serverState = state
      // Whoever restarts gives suites that failed another chance.
      if (state === 'RUNNING') living.failed.clear()
      living.touch(living.root)
    })
    parts.count(`${action}_server`)
    return done
  }
  switch (action) {
    // Ours, for the client's --msg.
    case 'message': {
      const text = needText(body, 'message')
      if (text.length > messageMax)
        refuse('bad-field', `message: longer than ${messageMax} characters`, { field: 'message' })
      await changeBy(parts, call, { path: '/', text: `msg=${text}` }, () => {})
      parts.count('log_msg_cmd')
      return done
    }
    case 'reload_whitelist_file':
      await reload('ECF_LISTS', gate.whiteList)
      parts.count('reload_white_list_file')
      return done
    case 'reload_custom_passwd_file':
      await reload('ECF_CUSTOM_PASSWD', gate.passwords)
      parts.count('reload_passwd_file')
      return done
    case 'reload_passwd_file':
      await reload('ECF_PASSWD', parts.loginPasswords)
      parts.count('reload_passwd_file')
      return done
    default:
      return refuse('bad-field', `Invalid action: ${action.slice(0, 40)}`, { field: 'action' })
  }
}

async function reload(
  name: string,
  file: { readonly path: string; reload(): Promise<boolean> },
): Promise<void> {
  let isThere: boolean
  try {
    isThere = await file.reload()
  } catch (error) {
    return refuse('bad-request', `The ${name} file ${file.path} cannot be read: ${(error as Error).message}`)
  }
  if (!isThere) refuse('bad-request', `The ${name} file ${file.path} does not exist`)
}

// ---- variables ----

/** The server's variables. */
export function showServerAttributes(parts: Parts): Answer {
  const { root } = parts.keeper.living
  const show = (isConst: boolean) => (it: { name: string; value: string }) => ({
    name: it.name,
    value: it.value,
    const: isConst,
  })
  const user = (root.attributes?.variables ?? []).map(show(false))
  const own = (root.serverVariables ?? []).map(show(true))
  return { status: 200, value: { variables: [...user, ...own] } }
}

function demandVariable(body: Record<string, unknown>, verb: string): void {
  const type = needText(body, 'type')
  if (type !== 'variable')
    refuse('bad-field', `Only variables can be ${verb} server attributes`, { field: 'type' })
}

/** Adds a variable to the server. */
export async function addServerAttribute(parts: Parts, call: Call): Promise<Answer> {
  const body = bodyObject(call)
  demandVariable(body, 'added to')
  const name = needText(body, 'name')
  const value = needScalar(body, 'value')
  if (!isName(name)) refuse('bad-field', `name: expected ${nameRule}`, { field: 'name' })
  const edit = { path: '/', text: `alter add variable ${name} ${value} /` }
  await changeBy(parts, call, edit, living => setServerVariable(living, name, value))
  parts.count('alter_cmd')
  return {
    status: 201,
    value: { path: '/', message: 'Attribute added successfully' },
    location: '/v1/server/attributes',
  }
}

/** Changes a variable of the server. */
export async function updateServerAttribute(parts: Parts, call: Call): Promise<Answer> {
  const body = bodyObject(call)
  demandVariable(body, 'updated in')
  const name = needText(body, 'name')
  const value = needText(body, 'value')
  const edit = { path: '/', text: `alter change variable ${name} ${value} /` }
  await changeBy(parts, call, edit, living => {
    // Server variables are const: to the writer they are not there.
    if (!living.root.attributes?.variables?.some(it => it.name === name))
      refuse('not-found', 'User variable not found')
    setServerVariable(living, name, value)
  })
  parts.count('alter_cmd')
  return { status: 200, value: { path: '/', message: 'Attribute changed successfully' } }
}

/** Drops a variable of the server. */
export async function removeServerAttribute(parts: Parts, call: Call): Promise<Answer> {
  const body = bodyObject(call)
  demandVariable(body, 'removed from')
  const name = needText(body, 'name')
  const edit = { path: '/', text: `alter delete variable ${name} /` }
  await changeBy(parts, call, edit, living => {
    const { root } = living
    const list = root.attributes?.variables
    if (!list?.some(it => it.name === name)) refuse('not-found', 'User variable not found')
    root.own.variables = list.filter(it => it.name !== name)
    living.touch(root)
    living.wakeReaders(root, name)
  })
  parts.count('alter_cmd')
  return { status: 204 }
}

/** How many requests there were, and since when. */
export function showStatistics(parts: Parts): Answer {
  const { requests, errors, reads, startedAt } = parts.counters
  const since = new Date(startedAt).toISOString().replace(/\.\d+Z$/, 'Z')
  return {
    status: 200,
    value: { num_requests: requests, num_errors: errors, num_cached_requests: reads, since },
  }
}
