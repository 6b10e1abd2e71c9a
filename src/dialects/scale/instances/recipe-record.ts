// What of a recipe is written down: the recipe with its sub-recipes at its creation, small records when it is complete
// and when something is superseded. Counts and statuses of living recipes follow from the engine's jobs instead.

import type { Json, JsonObject } from '../../../core/json.ts'
import type { SourceFacts } from '../../../domains/recipe/seed/side-car.ts'
import type { RecordChange, Records } from '../../../store/store.ts'
import type { Status } from '../words.ts'
import { noCounts } from './rows.ts'

/** What stands at a node: a job, a sub-recipe, or a condition, by id; `copied` when it belongs to an older recipe. */
export interface NodeRef {
  readonly is: 'job' | 'recipe' | 'condition'
  readonly id: number
  readonly copied?: boolean
  /** The gates of a condition. */
  readonly yes?: string
  readonly no?: string
  /** The step of a job. */
  readonly step?: string
}

/** A recipe or sub-recipe of the record. */
export interface StoredRecipe {
  readonly id: number
  readonly typeId: number
  readonly revision: number
  readonly parent: number | null
  readonly supersedes: number | null
  readonly rootSuperseded: number | null
  readonly beginsWith?: string
  readonly endsWith?: string
  readonly guards: readonly string[]
  /** The sub-recipe's own inputs, as sources of the flow. */
  readonly input?: Readonly<Record<string, readonly string[]>>
  readonly nodes: Readonly<Record<string, NodeRef>>
  /** Jobs and complete sub-recipes taken over, for the counts. */
  readonly copiedJobs: number
  readonly copiedSubRecipes: number
}

/** The record of a whole recipe; its id is that of the recipe at the top. */
export interface RecipeRecord {
  readonly recipes: readonly StoredRecipe[]
  readonly flow: number
  readonly eventId: number
  readonly eventAt: number
  readonly user: string
  readonly batch: number | null
  readonly ingestEvent: { readonly id: number; readonly occurredAt: number } | null
  readonly createdAt: number
  readonly input: { readonly files: Readonly<Record<string, number[]>>; readonly json: JsonObject }
  readonly inputBytes: number
  readonly source: SourceFacts
  /** Absent when it says nothing. */
  readonly configuration?: JsonObject
  /** For each step below conditions, the gates that must be open for it to exist. */
  readonly guards?: Readonly<Record<string, readonly string[]>>
  /** Why each node of a reprocessed recipe was run anew or taken over. */
  readonly why?: JsonObject
}

/** Written once nothing of a recipe can move any more: it is complete, or was replaced and has been stopped. */
export interface RecipeEnd {
  readonly at: number
  readonly ends: readonly {
    readonly id: number
    readonly completedAt: number | null
    readonly modifiedAt: number
    readonly inputBytes: number | null
    /** By what and when a sub-recipe's input was sensed; absent when it says nothing. */
    readonly source?: SourceFacts
    readonly isVisible: boolean
    readonly counts: Readonly<Record<Status, number>>
    readonly subRecipes: number
    readonly subRecipesDone: number
  }[]
  /** Which gates of conditions had opened, and the jobs that no condition let exist. */
  readonly open: readonly string[]
  readonly hidden: readonly number[]
}

/** Something was replaced. */
export interface Superseded {
  readonly is: 'job' | 'recipe'
  readonly id: number
  readonly at: number
  readonly by: number | null
}

const recipeCollection = 'scale.recipe'
const recipeEndCollection = 'scale.recipe-end'
export const supersededCollection = 'scale.superseded'
/** Jobs whose program ran again outside of its flow, with the engine's job. */
export const againCollection = 'scale.again'

/** The change that writes a recipe down, under the id of its topmost one. */
export function putRecipe(record: RecipeRecord): RecordChange {
  return put(recipeCollection, record.recipes[0]!.id, shortRecord(record))
}

/** The record of the recipe at the top with this id. */
export async function readRecipe(records: Records, id: number): Promise<RecipeRecord | undefined> {
  const record = await records.get(recipeCollection, String(id))
  return record && wholeRecord(record.body as unknown as ShortRecord)
}

/** The change that writes a recipe's end down. */
export function putRecipeEnd(id: number, end: RecipeEnd): RecordChange {
  return put(recipeEndCollection, id, shortEnd(end))
}

/** How a recipe at the top ended; undefined while it has not, and when there is nothing to say that others do not. */
export async function readRecipeEnd(records: Records, id: number): Promise<RecipeEnd | undefined> {
  const record = await records.get(recipeEndCollection, String(id))
  return record && wholeEnd(record.body as unknown as ShortEnd)
}

/** The change that writes down by what a recipe was superseded. */
export function putSuperseded(superseded: Superseded): RecordChange {
  return {
    put: {
      collection: supersededCollection,
      id: `${superseded.is} ${superseded.id}`,
      body: { ...superseded } as JsonObject,
    },
  }
}

/** The changes that take out all that is written down of a recipe at the top, its own sub-recipes and their jobs. */
export function* dropRecipe(record: RecipeRecord): Generator<RecordChange> {
  const root = String(record.recipes[0]!.id)
  yield { drop: { collection: recipeCollection, id: root } }
  yield { drop: { collection: recipeEndCollection, id: root } }
  for (const { id } of record.recipes)
    yield { drop: { collection: supersededCollection, id: `recipe ${id}` } }
}

/** The changes that take out what is written down of a job besides its recipe. */
export function* dropJob(id: number): Generator<RecordChange> {
  yield { drop: { collection: supersededCollection, id: `job ${id}` } }
  yield { drop: { collection: againCollection, id: String(id) } }
}

/** The jobs that a recipe made itself, also in its sub-recipes. */
export function* ownJobs(record: RecipeRecord): Generator<number> {
  for (const { nodes } of record.recipes)
    for (const ref of Object.values(nodes)) if (ref.is === 'job' && ref.copied !== true) yield ref.id
}

function put(collection: string, id: number, body: object): RecordChange {
  return { put: { collection, id: String(id), body: body as Json } }
}

// ---- as it is stored: there are as many of these as recipes, so what is as usual is left out ----

/** A job that stands at a step of its node's name, and is its recipe's own, is just its id. */
type ShortRef = number | NodeRef

type ShortRecipe = Pick<StoredRecipe, 'id' | 'typeId' | 'revision'> &
  Partial<Omit<StoredRecipe, 'nodes'>> & { readonly nodes: Readonly<Record<string, ShortRef>> }

type ShortRecord = Pick<RecipeRecord, 'flow' | 'eventId' | 'eventAt' | 'user'> &
  Partial<Omit<RecipeRecord, 'recipes'>> & { readonly recipes: readonly ShortRecipe[] }

type ShortEnd = Pick<RecipeEnd, 'at'> &
  Partial<Omit<RecipeEnd, 'ends'>> & {
    readonly ends: readonly (Partial<Omit<RecipeEnd['ends'][number], 'counts'>> & {
      readonly id: number
      readonly counts: Readonly<Partial<Record<Status, number>>>
    })[]
  }

const usualRecipe = {
  parent: null,
  supersedes: null,
  rootSuperseded: null,
  guards: [],
  copiedJobs: 0,
  copiedSubRecipes: 0,
} as const
const usualRecord = {
  batch: null,
  ingestEvent: null,
  input: { files: {}, json: {} },
  inputBytes: 0,
  source: {},
} as const
const usualEnd = { inputBytes: 0, isVisible: true, subRecipes: 0, subRecipesDone: 0 } as const

function shortRecord(record: RecipeRecord): object {
  const { createdAt, recipes, ...rest } = record
  return {
    ...withoutUsual(rest, usualRecord),
    ...(createdAt !== record.eventAt && { createdAt }),
    recipes: recipes.map(({ nodes, ...recipe }) => ({
      ...withoutUsual(recipe, usualRecipe),
      nodes: shortRefs(nodes),
    })),
  }
}

function shortRefs(nodes: StoredRecipe['nodes']): ShortRecipe['nodes'] {
  const refs: [string, ShortRef][] = []
  for (const name in nodes) refs.push([name, shortRef(name, nodes[name]!)])
  return Object.fromEntries(refs)
}

function wholeRecord({ recipes, ...record }: ShortRecord): RecipeRecord {
  return {
    createdAt: record.eventAt,
    ...usualRecord,
    ...record,
    recipes: recipes.map(({ nodes, ...recipe }) => ({
      ...usualRecipe,
      ...recipe,
      nodes: Object.fromEntries(Object.entries(nodes).map(([name, ref]) => [name, wholeRef(name, ref)])),
    })),
  }
}

function shortRef(name: string, ref: NodeRef): ShortRef {
  return ref.is === 'job' && ref.step === name && ref.copied !== true ? ref.id : ref
}

function wholeRef(name: string, ref: ShortRef): NodeRef {
  return typeof ref === 'number' ? { is: 'job', id: ref, step: name } : ref
}

function shortEnd({ at, ends, open, hidden }: RecipeEnd): object {
  return {
    at,
    ends: ends.map(({ counts, completedAt, ...end }) => ({
      ...withoutUsual(end, usualEnd),
      ...(completedAt !== at && { completedAt }),
      counts: Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0)),
    })),
    ...(open.length > 0 && { open }),
    ...(hidden.length > 0 && { hidden }),
  }
}

function wholeEnd({ at, ends, open = [], hidden = [] }: ShortEnd): RecipeEnd {
  return {
    at,
    ends: ends.map(({ counts, ...end }) => ({
      completedAt: at,
      modifiedAt: at,
      ...usualEnd,
      ...end,
      counts: { ...noCounts(), ...counts },
    })),
    open,
    hidden,
  }
}

type Fields = Readonly<Record<string, unknown>>

/** What of an object's members is not as usual; a usual object or list is one without anything in it. */
function withoutUsual<T extends object>(value: T, usual: Readonly<Record<string, unknown>>): Partial<T> {
  const kept: Record<string, unknown> = {}
  // Over names: lists of pairs are garbage, and a record has a dozen objects.
  for (const name in value)
    if (!(name in usual && isUsual(value[name], usual[name]))) kept[name] = value[name]
  return kept as Partial<T>
}

function isUsual(member: unknown, usual: unknown): boolean {
  if (member === usual) return true
  if (typeof member !== 'object' || typeof usual !== 'object' || member === null || usual === null)
    return false
  for (const name in member)
    if (!(name in usual && isUsual((member as Fields)[name], (usual as Fields)[name]))) return false
  return true
}
