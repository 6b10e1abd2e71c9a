// What of a recipe is written down: the recipe with its sub-recipes at its creation, small records when it is complete
// and when something is superseded. Counts and statuses of living recipes follow from the engine's jobs instead.

import type { Json, JsonObject } from '../../../core/json.ts'
import type { SourceFacts } from '../../../domains/recipe/seed/side-car.ts'
import type { RecordChange } from '../../../store/store.ts'
import type { Status } from '../words.ts'

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
  readonly configuration: JsonObject
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

export const recipeCollection = 'scale.recipe'
export const recipeEndCollection = 'scale.recipe-end'
export const supersededCollection = 'scale.superseded'
/** Jobs whose program ran again outside of its flow, with the engine's job. */
export const againCollection = 'scale.again'

export function putRecipe(record: RecipeRecord): RecordChange {
  return put(recipeCollection, record.recipes[0]!.id, record)
}

export function putRecipeEnd(id: number, end: RecipeEnd): RecordChange {
  return put(recipeEndCollection, id, end)
}

export function putSuperseded(superseded: Superseded): RecordChange {
  return {
    put: {
      collection: supersededCollection,
      id: `${superseded.is} ${superseded.id}`,
      body: { ...superseded } as JsonObject,
    },
  }
}

function put(collection: string, id: number, body: object): RecordChange {
  return { put: { collection, id: String(id), body: body as Json } }
}
