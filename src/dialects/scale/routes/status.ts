// Watching: errors, the queue, job types by status, version, nodes (contracts/scale.md §4.7).

import { hostname } from 'node:os'
import type { JsonObject } from '../../../core/json.ts'
import type { ErrorEntry, JobType } from '../catalog/things.ts'
import { isEnded } from '../instances/instances.ts'
import type { Ledger, LedgerQuery } from '../instances/ledger.ts'
import type { JobRow } from '../instances/rows.ts'
import { showError, showErrorBase, showJobTypeBase } from '../shapes/catalog.ts'
import { notFound } from '../web/answer-error.ts'
import { pageOf, readPage } from '../web/page.ts'
import { type Answer, type Call, pathNumber, type Route } from '../web/routing.ts'
import { showTime } from '../web/time-text.ts'
import { type Status, statuses } from '../words.ts'
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
  const rows = world.instances.unfinished.filter(row => row.isVisible && matches(row))
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
  const { jobs, jobClasses } = world.instances.ledgers
  const groups = new Map<string, { typeId: number; error: ErrorEntry; classes: Set<number> }>()
  for (const [cls, { typeId, errorId, isVisible }] of jobClasses.all.entries()) {
    const error = isVisible && errorId !== 0 ? world.catalog.errors.get(errorId) : undefined
    if (error?.category !== 'SYSTEM') continue
    const key = `${typeId} ${errorId}`
    const group = groups.get(key) ?? { typeId, error, classes: new Set<number>() }
    group.classes.add(cls)
    groups.set(key, group)
  }
  return [...groups.values()].flatMap(({ typeId, error, classes }) => {
    const query = { fits: jobClasses.all.map((_, cls) => classes.has(cls)) }
    const count = jobs.count(query)
    if (count === 0) return []
    const at = (isDown: boolean): string | null => showTime(newestOf(jobs, query, isDown))
    return {
      job_type: showJobTypeBase(world.catalog.jobTypes.get(typeId)!),
      error: showErrorBase(error),
      count,
      first_error: at(false),
      last_error: at(true),
    }
  })
}

/** When the first, or the last, of what fits changed. */
function newestOf(ledger: Ledger, query: LedgerQuery, isDown: boolean): number | null {
  const [id] = ledger.slice(query, { offset: 0, size: 1, isDown })
  const place = id === undefined ? undefined : ledger.placeOf(id)
  return place === undefined ? null : ledger.changedAt(place)
}

function statusOfTypes(world: World, call: Call): JsonObject[] {
  const isActive = call.params.flag('is_active')
  const { from = world.now - 3 * 3_600_000, to } = call.params.span('started', 'ended')
  const { jobs, jobClasses } = world.instances.ledgers
  // What has ended counts only if that was lately; what has not, always.
  const lately = jobs.tally({ from, ...(to !== undefined && { to }) })
  const always = jobs.tally({})
  const counts = new Map<number, StatusCount[]>()
  for (const [cls, facts] of jobClasses.all.entries()) {
    const hasEnded = isEnded(facts.status)
    const count = (hasEnded ? lately : always).get(cls) ?? 0
    if (count === 0 || !facts.isVisible || facts.isSuperseded) continue
    const fits = jobClasses.all.map((_, other) => other === cls)
    const query = hasEnded && to !== undefined ? { fits, to } : { fits }
    const ofType = counts.get(facts.typeId) ?? []
    counts.set(facts.typeId, ofType)
    ofType.push({
      status: facts.status,
      count,
      newest: newestOf(jobs, query, true) ?? 0,
      category: facts.errorId === 0 ? null : (world.catalog.errors.get(facts.errorId)?.category ?? null),
    })
  }
  return [...world.catalog.jobTypes.values()]
    .filter(type => isActive === undefined || type.isActive === isActive)
    .map(type => ({ job_type: showJobTypeBase(type), job_counts: merged(counts.get(type.id) ?? []) }))
}

interface StatusCount {
  readonly status: Status
  readonly category: string | null
  readonly count: number
  /** When the newest of them changed, in ms. */
  readonly newest: number
}

/** Errors of one category are one row, whichever they are. In the order of a job's life. */
function merged(rows: readonly StatusCount[]): JsonObject[] {
  const groups = Map.groupBy(rows, row => statuses.indexOf(row.status) * 10 + categoryRank(row.category))
  return [...groups]
    .toSorted(([a], [b]) => a - b)
    .map(([, group]) => ({
      status: group[0]!.status,
      count: group.reduce((sum, row) => sum + row.count, 0),
      most_recent: showTime(group.reduce((newest, row) => Math.max(newest, row.newest), 0)),
      category: group[0]!.category,
    }))
}

function categoryRank(category: string | null): number {
  return [null, 'SYSTEM', 'ALGORITHM', 'DATA'].indexOf(category)
}
