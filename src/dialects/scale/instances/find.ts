// Filters and orders of the job and recipe lists. One pass over the rows in the order they are kept; only unusual orders
// are sorted.

import { pythonText } from '../../../domains/recipe/python-text.ts'
import type { SourceFacts } from '../../../domains/recipe/seed/side-car.ts'
import { errorOfRow } from '../shapes/job-error.ts'
import { answerError } from '../web/answer-error.ts'
import type { PageWish } from '../web/page.ts'
import type { Params } from '../web/params.ts'
import { statuses } from '../words.ts'
import type { World } from '../world.ts'
import type { JobRow, RecipeRow } from './rows.ts'

/** The part of a list that a page shows, and how long the whole list is. */
export interface Window<T> {
  readonly rows: readonly T[]
  readonly count: number
}

/** Recipes that fit a request. */
export function findRecipes(world: World, params: Params, wish: PageWish): Window<RecipeRow> {
  const matches = recipeFilter(world, params)
  return inOrder(params, wish, {
    all: () => world.instances.recipes.values(),
    byChange: () => world.instances.recipesByChange,
    matches: row => row.isVisible && matches(row),
    keys: recipeKeys,
  })
}

/** Jobs that fit a request. */
export function findJobs(world: World, params: Params, wish: PageWish): Window<JobRow> {
  const matches = jobFilter(world, params)
  return inOrder(params, wish, {
    all: () => world.instances.jobs.values(),
    byChange: () => world.instances.jobsByChange,
    matches: row => row.isVisible && matches(row),
    keys: jobKeys(world),
  })
}

/** The filter of cancel and requeue, whose members are lists. */
export function jobsToMove(world: World, params: Params): JobRow[] {
  const types = readJobTypes(world, params)
  const matches = jobFilter(world, params, {
    status: params.texts('status'),
    ids: params.integers('job_ids'),
    typeIds: params.integers('job_type_ids'),
    typeNames: params.texts('job_type_names'),
    batches: params.integers('batch_ids'),
    recipes: params.integers('recipe_ids'),
    categories: params.texts('error_categories'),
    errors: params.integers('error_ids'),
  })
  return [...world.instances.jobs.values()].filter(
    row => row.isVisible && (!types || types.has(row.typeId)) && matches(row),
  )
}

/** Whether a cancel or requeue says no filter at all, which means every job. */
export function saysNothing(params: Params): boolean {
  const names = [
    'started',
    'ended',
    'status',
    'job_ids',
    'job_type_ids',
    'job_type_names',
    'job_types',
    'batch_ids',
    'recipe_ids',
    'error_categories',
    'error_ids',
    'is_superseded',
  ]
  return !names.some(name => params.has(name))
}

interface JobWords {
  readonly status: readonly string[] | undefined
  readonly ids: readonly number[] | undefined
  readonly typeIds: readonly number[] | undefined
  readonly typeNames: readonly string[] | undefined
  readonly batches: readonly number[] | undefined
  readonly recipes: readonly number[] | undefined
  readonly categories: readonly string[] | undefined
  readonly errors: readonly number[] | undefined
}

function jobFilter(world: World, params: Params, given?: JobWords): (row: JobRow) => boolean {
  const words = given ?? {
    status: params.texts('status'),
    ids: params.integers('job_id'),
    typeIds: params.integers('job_type_id'),
    typeNames: params.texts('job_type_name'),
    batches: params.integers('batch_id'),
    recipes: params.integers('recipe_id'),
    categories: params.texts('error_category'),
    errors: params.integers('error_id'),
  }
  const span = params.span('started', 'ended')
  const isSuperseded = params.flag('is_superseded')
  const { catalog } = world
  for (const status of words.status ?? [])
    if (!(statuses as readonly string[]).includes(status))
      throw answerError(
        400,
        `Parameter "status" values must be one of: [${statuses.map(word => `'${word}'`).join(', ')}]`,
      )
  const asksErrors = words.categories !== undefined || words.errors !== undefined
  return row => {
    if (words.ids && !words.ids.includes(row.id)) return false
    if (words.status && !words.status.includes(row.status)) return false
    if (words.typeIds && !words.typeIds.includes(row.typeId)) return false
    if (words.typeNames && !words.typeNames.includes(catalog.jobTypes.get(row.typeId)?.name ?? ''))
      return false
    if (words.batches && !(row.batch !== null && words.batches.includes(row.batch))) return false
    if (words.recipes && !(row.recipe !== null && words.recipes.includes(row.recipe))) return false
    if (isSuperseded !== undefined && (row.supersededAt !== null) !== isSuperseded) return false
    if (!isWithin(row.modifiedAt, span)) return false
    if (!asksErrors) return true
    const error = errorOfRow(row, catalog)
    return (
      error !== undefined &&
      (!words.categories || words.categories.includes(error.category)) &&
      (!words.errors || words.errors.includes(error.id))
    )
  }
}

function recipeFilter(world: World, params: Params): (row: RecipeRow) => boolean {
  const ids = params.integers('recipe_id')
  const typeIds = params.integers('recipe_type_id')
  const typeNames = params.texts('recipe_type_name')
  const batches = params.integers('batch_id')
  const roots = params.integers('root_recipe_id')
  const [isSuperseded, isCompleted] = [params.flag('is_superseded'), params.flag('is_completed')]
  const span = params.span('started', 'ended')
  const bySource = sourceFilter(params)
  return row =>
    (!ids || ids.includes(row.id)) &&
    (!typeIds || typeIds.includes(row.typeId)) &&
    (!typeNames || typeNames.includes(world.catalog.recipeTypes.get(row.typeId)?.name ?? '')) &&
    (!batches || (row.batch !== null && batches.includes(row.batch))) &&
    (!roots || roots.includes(row.root)) &&
    (isSuperseded === undefined || (row.supersededAt !== null) === isSuperseded) &&
    (isCompleted === undefined || (row.completedAt !== null) === isCompleted) &&
    isWithin(row.modifiedAt, span) &&
    (!bySource || bySource(row.source))
}

/** The filters on when and by what something was sensed; undefined when none is asked for. */
export function sourceFilter(params: Params): ((facts: SourceFacts) => boolean) | undefined {
  const span = params.span('source_started', 'source_ended')
  const classes = params.texts('source_sensor_class')
  const sensors = params.texts('source_sensor')
  const collections = params.texts('source_collection')
  const tasks = params.texts('source_task')
  if (span.from === undefined && span.to === undefined && !classes && !sensors && !collections && !tasks)
    return undefined
  const fits = (wanted: readonly string[] | undefined, value: string | undefined): boolean =>
    !wanted || (value !== undefined && wanted.includes(value))
  return facts =>
    (span.from === undefined || (facts.sourceStartedAt ?? -1) >= span.from) &&
    (span.to === undefined || (facts.sourceEndedAt !== undefined && facts.sourceEndedAt <= span.to)) &&
    fits(classes, facts.sourceSensorClass) &&
    fits(sensors, facts.sourceSensor) &&
    fits(collections, facts.sourceCollection) &&
    fits(tasks, facts.sourceTask)
}

/** Whether an instant lies in a span that may be open. */
export function isWithin(at: number, { from, to }: { from?: number; to?: number }): boolean {
  return (from === undefined || at >= from) && (to === undefined || at <= to)
}

type Key<T> = (row: T) => string | number | null

interface Rows<T> {
  readonly all: () => Iterable<T>
  readonly byChange: () => Iterable<T>
  readonly matches: (row: T) => boolean
  readonly keys: Readonly<Record<string, Key<T>>>
}

function inOrder<T>(params: Params, wish: PageWish, parts: Rows<T>): Window<T> {
  const orders = params.orders()
  const [first = { field: 'last_modified', isDown: false }] = orders
  if (orders.length <= 1 && first.field === 'last_modified') return windowOf(parts, wish, first.isDown)
  const found: T[] = []
  for (const row of parts.all()) if (parts.matches(row)) found.push(row)
  found.sort(
    compareBy(
      orders.map(({ field, isDown }) => {
        const key = Object.hasOwn(parts.keys, field) ? parts.keys[field] : undefined
        if (!key)
          throw answerError(
            400,
            `Cannot order by "${field}". Fields are: ${Object.keys(parts.keys).join(', ')}`,
          )
        return { key, isDown }
      }),
    ),
  )
  return { rows: found.slice(wish.offset, wish.offset + wish.size), count: found.length }
}

// The usual order is the one in which the rows are kept: nothing is sorted, and only the page is collected.
function windowOf<T>({ byChange, matches }: Rows<T>, { offset, size }: PageWish, isDown: boolean): Window<T> {
  let count = 0
  if (isDown) for (const row of byChange()) if (matches(row)) count++
  const from = isDown ? count - offset - size : offset
  const to = isDown ? count - offset : offset + size
  const rows: T[] = []
  let at = 0
  for (const row of byChange()) {
    if (!matches(row)) continue
    if (at >= from && at < to) rows.push(row)
    at++
    if (isDown && at >= to) break
  }
  return { rows: isDown ? rows.reverse() : rows, count: isDown ? count : at }
}

/** Compares by several keys; what has no value comes last. */
export function compareBy<T>(keys: readonly { key: Key<T>; isDown: boolean }[]): (a: T, b: T) => number {
  return (a, b) => {
    for (const { key, isDown } of keys) {
      const [left, right] = [key(a), key(b)]
      if (left === right) continue
      if (left === null || right === null) return left === null ? 1 : -1
      return left < right === isDown ? 1 : -1
    }
    return 0
  }
}

const recipeKeys: Readonly<Record<string, Key<RecipeRow>>> = {
  id: row => row.id,
  created: row => row.createdAt,
  completed: row => row.completedAt,
  superseded: row => row.supersededAt,
  last_modified: row => row.modifiedAt,
  is_completed: row => Number(row.completedAt !== null),
  is_superseded: row => Number(row.supersededAt !== null),
  recipe_type: row => row.typeId,
  batch: row => row.batch,
  input_file_size: row => row.inputBytes,
  source_started: row => row.source.sourceStartedAt ?? null,
  source_ended: row => row.source.sourceEndedAt ?? null,
}

function jobKeys(world: World): Readonly<Record<string, Key<JobRow>>> {
  const typeName: Key<JobRow> = row => world.catalog.jobTypes.get(row.typeId)?.name ?? null
  return {
    id: row => row.id,
    status: row => row.status,
    priority: row => row.priority,
    created: row => row.createdAt,
    queued: row => row.queuedAt,
    started: row => row.startedAt,
    ended: row => row.endedAt,
    superseded: row => row.supersededAt,
    last_modified: row => row.modifiedAt,
    last_status_change: row => row.changedAt,
    num_exes: row => row.exesBefore + row.attempts,
    job_type: row => row.typeId,
    job_type__name: typeName,
    recipe: row => row.recipe,
    batch: row => row.batch,
    node: row => row.node,
  }
}

function readJobTypes(world: World, params: Params): Set<number> | undefined {
  const list = params.value('job_types')
  if (list === undefined) return undefined
  if (!Array.isArray(list)) throw answerError(400, `Job types argument invalid: ${JSON.stringify(list)}`)
  const ids = new Set<number>()
  for (const item of list) {
    const { name, version } = (item ?? {}) as { name?: unknown; version?: unknown }
    if (typeof name !== 'string' || typeof version !== 'string')
      throw answerError(400, `Job types argument invalid: ${pythonText(list)}`)
    const type = world.catalog.jobTypeNamed(name, version)
    if (!type) throw answerError(400, `Job Type with name: ${name} and version: ${version} does not exist`)
    ids.add(type.id)
  }
  return ids
}
