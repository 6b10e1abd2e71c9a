// Filters and orders of the job and recipe lists, in terms of the ledgers' classes and columns.

import { pythonText } from '../../../domains/recipe/python-text.ts'
import { answerError } from '../web/answer-error.ts'
import { sourceFilter } from '../web/filter.ts'
import type { PageWish } from '../web/page.ts'
import type { Params } from '../web/params.ts'
import { statuses } from '../words.ts'
import type { World } from '../world.ts'
import type { Ledger, LedgerQuery } from './ledger.ts'
import { type JobClass, jobInts, jobTimes, type Ledgers, recipeInts, recipeTimes } from './ledgers.ts'
import { idsThatFit, listPage, type Order, type OrderKey, type Window } from './list.ts'
import type { JobRow, RecipeRow } from './rows.ts'

/** Recipes that fit a request. */
export function findRecipes(world: World, params: Params, wish: PageWish): Promise<Window<RecipeRow>> {
  const { ledgers } = world.instances
  const ids = params.integers('recipe_id')
  const list = {
    ledger: ledgers.recipes,
    query: recipeQuery(world, params),
    ...(ids && { ids }),
    ...readOrders(params, recipeKeys(ledgers)),
    read: (wanted: readonly number[]) => world.archive.recipes(wanted),
    atHand: (id: number) => world.instances.recipes.get(id),
    restKeys: world.archive.recipeKeys,
  }
  return listPage(list, wish)
}

/** Jobs that fit a request. */
export function findJobs(world: World, params: Params, wish: PageWish): Promise<Window<JobRow>> {
  const words = {
    status: params.texts('status'),
    ids: params.integers('job_id'),
    typeIds: params.integers('job_type_id'),
    typeNames: params.texts('job_type_name'),
    batches: params.integers('batch_id'),
    recipes: params.integers('recipe_id'),
    categories: params.texts('error_category'),
    errors: params.integers('error_id'),
  }
  const list = {
    ledger: world.instances.ledgers.jobs,
    query: jobQuery(world, params, words),
    ...(words.ids && { ids: words.ids }),
    ...readOrders(params, jobKeys(world)),
    read: (wanted: readonly number[]) => world.archive.jobs(wanted),
    atHand: (id: number) => world.instances.jobs.get(id),
    restKeys: world.archive.jobKeys,
  }
  return listPage(list, wish)
}

/** The filter of cancel and requeue, whose members are lists. What is at rest cannot be moved any more. */
export function jobsToMove(world: World, params: Params): JobRow[] {
  const types = readJobTypes(world, params)
  const { instances } = world
  const words = {
    status: params.texts('status'),
    ids: params.integers('job_ids'),
    typeIds: params.integers('job_type_ids'),
    typeNames: params.texts('job_type_names'),
    batches: params.integers('batch_ids'),
    recipes: params.integers('recipe_ids'),
    categories: params.texts('error_categories'),
    errors: params.integers('error_ids'),
  }
  const query = jobQuery(world, params, words)
  const ids = words.ids ?? [...instances.jobs.keys()]
  return idsThatFit({ ledger: instances.ledgers.jobs, query, ids })
    .map(id => instances.jobs.get(id))
    .filter(row => row !== undefined && (!types || types.has(row.typeId))) as JobRow[]
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

function jobQuery(world: World, params: Params, words: JobWords): LedgerQuery {
  const { catalog, instances } = world
  const { ledgers } = instances
  const isSuperseded = params.flag('is_superseded')
  const names = words.typeNames && new Set(words.typeNames)
  for (const status of words.status ?? [])
    if (!(statuses as readonly string[]).includes(status))
      throw answerError(
        400,
        `Parameter "status" values must be one of: [${statuses.map(word => `'${word}'`).join(', ')}]`,
      )
  const fits = ({ typeId, status, errorId, ...facts }: JobClass): boolean => {
    if (!facts.isVisible || (isSuperseded !== undefined && facts.isSuperseded !== isSuperseded)) return false
    if (words.status && !words.status.includes(status)) return false
    if (words.typeIds && !words.typeIds.includes(typeId)) return false
    if (names && !names.has(catalog.jobTypes.get(typeId)?.name ?? '')) return false
    if (words.errors && !(errorId !== 0 && words.errors.includes(errorId))) return false
    const category = errorId === 0 ? undefined : catalog.errors.get(errorId)?.category
    return !words.categories || (category !== undefined && words.categories.includes(category))
  }
  return {
    fits: ledgers.jobClasses.all.map(fits),
    ...params.span('started', 'ended'),
    ...alsoOf(
      isOneOf(ledgers.jobs, jobInts.batch, words.batches),
      isOneOf(ledgers.jobs, jobInts.recipe, words.recipes),
      isSensed(params, ledgers, ledgers.jobs, jobInts.source, jobTimes),
    ),
  }
}

function recipeQuery(world: World, params: Params): LedgerQuery {
  const { catalog, instances } = world
  const { ledgers } = instances
  const typeIds = params.integers('recipe_type_id')
  const typeNames = params.texts('recipe_type_name')
  const [isSuperseded, isCompleted] = [params.flag('is_superseded'), params.flag('is_completed')]
  const names = typeNames && new Set(typeNames)
  return {
    fits: ledgers.recipeClasses.all.map(
      facts =>
        facts.isVisible &&
        (isSuperseded === undefined || facts.isSuperseded === isSuperseded) &&
        (isCompleted === undefined || facts.isCompleted === isCompleted) &&
        (!typeIds || typeIds.includes(facts.typeId)) &&
        (!names || names.has(catalog.recipeTypes.get(facts.typeId)?.name ?? '')),
    ),
    ...params.span('started', 'ended'),
    ...alsoOf(
      isOneOf(ledgers.recipes, recipeInts.batch, params.integers('batch_id')),
      isOneOf(ledgers.recipes, recipeInts.root, params.integers('root_recipe_id')),
      isSensed(params, ledgers, ledgers.recipes, recipeInts.source, recipeTimes),
    ),
  }
}

type Test = (place: number) => boolean

function alsoOf(...tests: readonly (Test | undefined)[]): { also?: Test } {
  const asked = tests.filter(test => test !== undefined)
  return asked.length === 0 ? {} : { also: place => asked.every(test => test(place)) }
}

function isOneOf(ledger: Ledger, column: number, wanted: readonly number[] | undefined): Test | undefined {
  if (!wanted) return undefined
  // No column has a row for nothing.
  const set = new Set(wanted.filter(value => value !== 0))
  return place => set.has(ledger.intAt(column, place))
}

function isSensed(
  params: Params,
  ledgers: Ledgers,
  ledger: Ledger,
  column: number,
  times: { readonly sourceFrom: number; readonly sourceTo: number },
): Test | undefined {
  const fits = sourceFilter(params)
  return (
    fits &&
    (place => {
      const [from, to] = [ledger.timeAt(times.sourceFrom, place), ledger.timeAt(times.sourceTo, place)]
      return fits({
        ...ledgers.sources.all[ledger.intAt(column, place)],
        ...(from !== null && { sourceStartedAt: from }),
        ...(to !== null && { sourceEndedAt: to }),
      })
    })
  )
}

type Keys<T> = Readonly<Record<string, OrderKey<T>>>

function readOrders<T>(
  params: Params,
  keys: Keys<T>,
): { readonly orders: readonly Order<T>[]; readonly isNewestFirst: boolean } {
  const said = new Set<string>()
  // A field that is said again decides nothing.
  const first = params.orders().filter(({ field }) => !said.has(field) && said.add(field))
  const orders = first.map(({ field, isDown }) => {
    const key = Object.hasOwn(keys, field) ? keys[field] : undefined
    if (!key)
      throw answerError(400, `Cannot order by "${field}". Fields are: ${Object.keys(keys).join(', ')}`)
    return { key, isDown, field }
  })
  // What comes after the order of change decides nothing: no two rows have changed at one place.
  const last = orders.findIndex(order => order.field === 'last_modified')
  if (last < 0) return { orders, isNewestFirst: false }
  return { orders: orders.slice(0, last), isNewestFirst: orders[last]!.isDown }
}

function recipeKeys({ recipes, recipeClasses }: Ledgers): Keys<RecipeRow> {
  const ofClass = (key: (facts: (typeof recipeClasses.all)[number]) => number): OrderKey<RecipeRow> => ({
    ofPlace: place => key(recipeClasses.all[recipes.classAt(place)]!),
  })
  const ofTime = (column: number): OrderKey<RecipeRow> => ({
    ofPlace: place => recipes.timeAt(column, place),
  })
  // Ids are given in the order of creation.
  const ofId: OrderKey<RecipeRow> = { ofPlace: place => recipes.idAt(place), isById: true }
  return {
    id: ofId,
    created: ofId,
    completed: ofTime(recipeTimes.completed),
    superseded: {
      ofRow: row => row.supersededAt,
      ofRest: place => (recipeClasses.all[recipes.classAt(place)]!.isSuperseded ? undefined : null),
    },
    last_modified: { ofPlace: place => place },
    is_completed: ofClass(facts => Number(facts.isCompleted)),
    is_superseded: ofClass(facts => Number(facts.isSuperseded)),
    recipe_type: ofClass(facts => facts.typeId),
    batch: { ofPlace: place => recipes.intAt(recipeInts.batch, place) || null },
    input_file_size: { ofRow: row => row.inputBytes },
    source_started: ofTime(recipeTimes.sourceFrom),
    source_ended: ofTime(recipeTimes.sourceTo),
  }
}

function jobKeys({ catalog, instances }: World): Keys<JobRow> {
  const { jobs, jobClasses } = instances.ledgers
  const ofClass = (key: (facts: JobClass) => number): OrderKey<JobRow> => ({
    ofPlace: place => key(jobClasses.all[jobs.classAt(place)]!),
  })
  const ofTime = (column: number): OrderKey<JobRow> => ({ ofPlace: place => jobs.timeAt(column, place) })
  const ofInt = (column: number): OrderKey<JobRow> => ({
    ofPlace: place => jobs.intAt(column, place) || null,
  })
  const ofId: OrderKey<JobRow> = { ofPlace: place => jobs.idAt(place), isById: true }
  const byName = [...catalog.jobTypes.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const names = [...new Set(byName.map(type => type.name))]
  const nameRanks = new Map(byName.map(type => [type.id, names.indexOf(type.name)]))
  const words = [...statuses].toSorted()
  return {
    id: ofId,
    status: ofClass(facts => words.indexOf(facts.status)),
    priority: { ofRow: row => row.priority },
    created: ofId,
    queued: { ofRow: row => row.queuedAt },
    started: ofTime(jobTimes.started),
    ended: ofTime(jobTimes.ended),
    superseded: {
      ofRow: row => row.supersededAt,
      ofRest: place => (jobClasses.all[jobs.classAt(place)]!.isSuperseded ? undefined : null),
    },
    last_modified: { ofPlace: place => place },
    last_status_change: {
      ofRow: row => row.changedAt,
      ofRest: place => jobs.timeAt(jobTimes.ended, place) ?? undefined,
    },
    num_exes: { ofRow: row => row.exesBefore + row.attempts },
    job_type: ofClass(facts => facts.typeId),
    job_type__name: ofClass(facts => nameRanks.get(facts.typeId) ?? names.length),
    recipe: ofInt(jobInts.recipe),
    batch: ofInt(jobInts.batch),
    // There is one node.
    node: ofClass(() => 1),
    source_started: ofTime(jobTimes.sourceFrom),
    source_ended: ofTime(jobTimes.sourceTo),
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
