// Watching: errors, the queue, job types by status, version, nodes (contracts/scale.md §4.7).

import { hostname } from 'node:os'
import type { JsonObject } from '../../../core/json.ts'
import type { ErrorEntry, JobType } from '../catalog/things.ts'
import { isEnded } from '../instances/instances.ts'
import type { JobRow } from '../instances/rows.ts'
import { showError, showErrorBase, showJobTypeBase } from '../shapes/catalog.ts'
import { errorOfRow } from '../shapes/job-error.ts'
import { notFound } from '../web/answer-error.ts'
import { pageOf, readPage } from '../web/page.ts'
import { type Answer, type Call, pathNumber, type Route } from '../web/routing.ts'
import { showTime } from '../web/time-text.ts'
import type { World } from '../world.ts'

/** What does not change while the server runs. */
export interface VersionFacts {
  readonly version: string
  readonly startedAt: number
}

/** The routes of everything that is only watched. */
export function statusRoutes(world: World, facts: VersionFacts): Route[] {
  const page = (call: Call, items: readonly JsonObject[]): Promise<Answer> =>
    pageOf(readPage(call.params), call.address, items, item => item).then(body => ({ status: 200, body }))
  return [
    { method: 'GET', path: '/version', handle: () => ({ status: 200, body: { version: facts.version } }) },
    {
      method: 'GET',
      path: '/errors',
      handle: call => {
        const { params } = call
        const [isBuiltIn, names, types] = [
          params.flag('is_builtin'),
          params.texts('name'),
          params.texts('job_type_name'),
        ]
        const categories = params.texts('category')
        const errors = [...world.catalog.errors.values()].filter(
          error =>
            (isBuiltIn === undefined || error.isBuiltIn === isBuiltIn) &&
            (!names || names.includes(error.name)) &&
            (!types || types.includes(error.jobTypeName ?? '')) &&
            (!categories || categories.includes(error.category)),
        )
        return page(call, errors.map(showError))
      },
    },
    {
      method: 'GET',
      path: '/errors/:id',
      handle: call => {
        const error = world.catalog.errors.get(pathNumber(call, 'id'))
        if (!error) throw notFound()
        return { status: 200, body: showError(error) }
      },
    },
    { method: 'GET', path: '/queue/status', handle: call => page(call, queueStatus(world)) },
    {
      method: 'GET',
      path: '/job-types/pending',
      handle: call =>
        page(
          call,
          longest(world, 'PENDING', 'longest_pending', row => row.createdAt),
        ),
    },
    {
      method: 'GET',
      path: '/job-types/running',
      handle: call =>
        page(
          call,
          longest(world, 'RUNNING', 'longest_running', row => row.startedAt),
        ),
    },
    { method: 'GET', path: '/job-types/system-failures', handle: call => page(call, systemFailures(world)) },
    { method: 'GET', path: '/job-types/status', handle: call => page(call, statusOfTypes(world, call)) },
    { method: 'GET', path: '/load', handle: call => page(call, []) },
    {
      method: 'GET',
      path: '/nodes',
      handle: call => page(call, [showNode(facts.startedAt)]),
    },
    {
      method: 'GET',
      path: '/nodes/:id',
      handle: call => {
        if (pathNumber(call, 'id') !== 1) throw notFound()
        return { status: 200, body: showNode(facts.startedAt) }
      },
    },
    {
      method: 'GET',
      path: '/scheduler',
      handle: () => ({
        status: 200,
        body: { is_paused: false, num_message_handlers: 1, system_logging_level: 'INFO', queue_mode: 'FIFO' },
      }),
    },
  ]
}

// There is one node: the yard itself. Where a job really runs is the executors' affair, and the native API tells it.
function showNode(startedAt: number): JsonObject {
  return {
    id: 1,
    hostname: hostname(),
    pause_reason: null,
    is_paused: false,
    is_active: true,
    deprecated: null,
    created: showTime(startedAt),
    last_modified: showTime(startedAt),
  }
}

function rowsByType(world: World, matches: (row: JobRow) => boolean): [JobType, JobRow[]][] {
  const rows = [...world.instances.unfinished].filter(row => row.isVisible && matches(row))
  return [...Map.groupBy(rows, row => row.typeId)].map(([typeId, list]) => [
    world.catalog.jobTypes.get(typeId)!,
    list,
  ])
}

function queueStatus(world: World): JsonObject[] {
  return rowsByType(world, row => row.status === 'QUEUED')
    .map(([type, rows]) => ({
      type,
      count: rows.length,
      since: Math.min(...rows.map(row => row.queuedAt ?? row.createdAt)),
      priority: rows.reduce((best, row) => Math.min(best, row.priority), Number.MAX_SAFE_INTEGER),
    }))
    .toSorted(
      (a, b) =>
        Number(a.type.isPaused) - Number(b.type.isPaused) || a.priority - b.priority || a.since - b.since,
    )
    .map(({ type, count, since, priority }) => ({
      job_type: showJobTypeBase(type),
      count,
      longest_queued: showTime(since),
      highest_priority: priority,
    }))
}

function longest(
  world: World,
  status: string,
  name: string,
  at: (row: JobRow) => number | null,
): JsonObject[] {
  return rowsByType(world, row => row.status === status)
    .map(([type, rows]) => ({
      type,
      count: rows.length,
      since: rows.reduce((first, row) => Math.min(first, at(row) ?? first), Number.MAX_SAFE_INTEGER),
    }))
    .toSorted((a, b) => a.since - b.since)
    .map(({ type, count, since }) => ({
      job_type: showJobTypeBase(type),
      count,
      [name]: since === Number.MAX_SAFE_INTEGER ? null : showTime(since),
    }))
}

function systemFailures(world: World): JsonObject[] {
  const groups = new Map<string, { type: JobType; error: ErrorEntry; times: number[] }>()
  for (const row of world.instances.jobs.values()) {
    const error = row.isVisible ? errorOfRow(row, world.catalog) : undefined
    if (error?.category !== 'SYSTEM') continue
    const key = `${row.typeId} ${error.id}`
    const group = groups.get(key) ?? { type: world.catalog.jobTypes.get(row.typeId)!, error, times: [] }
    group.times.push(row.changedAt)
    groups.set(key, group)
  }
  return [...groups.values()].map(({ type, error, times }) => ({
    job_type: showJobTypeBase(type),
    error: showErrorBase(error),
    count: times.length,
    first_error: showTime(times.reduce((a, b) => Math.min(a, b))),
    last_error: showTime(times.reduce((a, b) => Math.max(a, b))),
  }))
}

function statusOfTypes(world: World, call: Call): JsonObject[] {
  const isActive = call.params.flag('is_active')
  const { from = world.now - 3 * 3_600_000, to } = call.params.span('started', 'ended')
  const counts = new Map<
    number,
    Map<string, { status: string; category: string | null; count: number; last: number }>
  >()
  for (const row of world.instances.jobs.values()) {
    // What has ended counts only if that was lately; what has not, always.
    if (!row.isVisible || row.supersededAt !== null) continue
    if (isEnded(row.status) && (row.changedAt < from || (to !== undefined && row.changedAt > to))) continue
    const category = errorOfRow(row, world.catalog)?.category ?? null
    const ofType = counts.get(row.typeId) ?? new Map()
    counts.set(row.typeId, ofType)
    const key = `${row.status} ${category}`
    const known = ofType.get(key) ?? { status: row.status, category, count: 0, last: 0 }
    ofType.set(key, { ...known, count: known.count + 1, last: Math.max(known.last, row.changedAt) })
  }
  return [...world.catalog.jobTypes.values()]
    .filter(type => isActive === undefined || type.isActive === isActive)
    .map(type => ({
      job_type: showJobTypeBase(type),
      job_counts: [...(counts.get(type.id)?.values() ?? [])].map(({ status, category, count, last }) => ({
        status,
        count,
        most_recent: showTime(last),
        category,
      })),
    }))
}
