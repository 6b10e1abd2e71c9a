// Turns the steps of a recipe into engine jobs, and decides conditions, from the flow's own document alone.

import type { Flow } from '../../../core/flow.ts'
import type { Job, JobDraft } from '../../../core/job.ts'
import type { Json, JsonObject } from '../../../core/json.ts'
import type { Drafter, NodePlace } from '../../../core/planner.ts'
import { buildDataFilter, type FilteredFile, passesDataFilter } from '../../../domains/recipe/data-filter.ts'
import { showJobFacts } from '../instances/job-facts.ts'
import {
  type ConditionStepSpec,
  isWhole,
  type JobStepSpec,
  type RecipeSpec,
  stepOf,
} from '../instances/recipe-spec.ts'

/** The kind of every flow of this dialect. */
export const recipeKind = 'scale.recipe'
/** The kind of job that collects outputs. */
export const collectKind = 'scale.collect'

/** What conditions may ask about a job's outputs, as kept in the flow's detail. */
export interface OutputFacts {
  readonly json: JsonObject
  readonly files: Readonly<Record<string, readonly FilteredFile[]>>
}

/** Whether a job of this type may start now; false makes it wait as a held job. Undefined before the types were read. */
export type MayStart = (typeId: number) => boolean | undefined

/** Marks a job that was drafted before it was known whether its type may start: it is held until that is known. */
export const undecided = 'undecided'

/** The drafter of recipes. */
export function recipeDrafter(pool: string, mayStart: MayStart): Drafter {
  return {
    job(flow, spec, place) {
      const recipe = spec as RecipeSpec
      const step = stepOf(recipe, place.step)
      if (step?.does === 'collect') return collectDraft(recipe, step.of, pool)
      if (step?.does !== 'job') throw new Error(`step ${place.step} of flow ${flow.id} runs no job`)
      return jobDraft(recipe, step, place.step, pool, mayStart)
    },
    gate(flow, spec, place) {
      const step = stepOf(spec as RecipeSpec, place.step)
      // Joins have no entry of their own: they open as soon as what they need has ended.
      return step?.does === 'condition' ? decides(flow, spec as RecipeSpec, step) : true
    },
    ended(_flow, spec, place, job) {
      return factsForConditions(spec as RecipeSpec, place, job)
    },
  }
}

function jobDraft(
  recipe: RecipeSpec,
  step: JobStepSpec,
  key: string,
  pool: string,
  mayStart: MayStart,
): JobDraft {
  const may = mayStart(step.typeId)
  const facts = showJobFacts({
    id: step.id,
    typeId: step.typeId,
    revision: step.revision,
    recipe: step.recipe,
    node: step.node,
    step: key,
    eventId: recipe.eventId,
    eventAt: recipe.eventAt,
    batch: recipe.batch,
    supersedes: step.supersedes ?? null,
    collects: step.collectedBy !== undefined,
  })
  return {
    dialect: 'scale',
    executor: step.executor,
    kind: step.kind,
    // A function is named in its own spec; everything else is completed just before it starts.
    spec: step.executor === 'function' ? { function: step.kind } : { step: key, job: step.id },
    // No ref: its index would cost more than the job, and nobody looks a job of a recipe up by it.
    name: step.typeName,
    pool,
    rank: step.rank,
    runMsMax: step.runMsMax,
    held: may !== true,
    detail: may === undefined ? { ...facts, [undecided]: true } : facts,
    unfit: 'fail',
    ...(step.needs && { needs: step.needs }),
  }
}

function collectDraft(recipe: RecipeSpec, of: string, pool: string): JobDraft {
  const step = stepOf(recipe, of) as JobStepSpec
  return {
    dialect: 'scale',
    executor: 'function',
    kind: collectKind,
    spec: { job: step.id },
    name: `${step.typeName} outputs`,
    pool,
    // What has run already is collected before anything new is begun.
    rank: 0,
    detail: { collects: step.id },
  }
}

function decides(flow: Flow, recipe: RecipeSpec, step: ConditionStepSpec): boolean {
  const json = new Map<string, Json>()
  const files = new Map<string, readonly FilteredFile[]>()
  for (const [name, [from, place, output]] of Object.entries(step.input)) {
    const facts = from === 'input' ? inputFacts(recipe) : stepFacts(flow, recipe, place)
    const key = from === 'input' ? place : output!
    if (facts && Object.hasOwn(facts.files, key)) files.set(name, facts.files[key]!)
    else if (facts && Object.hasOwn(facts.json, key)) json.set(name, facts.json[key]!)
  }
  const filter = buildDataFilter(step.filter, []).value
  return passesDataFilter(filter, { json, files }) === step.opensOn
}

function inputFacts(recipe: RecipeSpec): OutputFacts {
  return { json: recipe.input.json, files: (recipe.inputFiles ?? {}) as unknown as OutputFacts['files'] }
}

function stepFacts(flow: Flow, recipe: RecipeSpec, step: string): OutputFacts | undefined {
  const own = flow.detail?.[factsKey(step)] ?? recipe.copied?.[step]?.facts
  return own as OutputFacts | undefined
}

function factsKey(step: string): string {
  return `outputs of ${step}`
}

// Only what some condition asks for is kept with the flow: its detail is written again at each of these ends.
function factsForConditions(recipe: RecipeSpec, place: NodePlace, job: Job): JsonObject | undefined {
  if (job.state !== 'succeeded') return undefined
  const step = recipe.steps[place.step]
  const of = step !== undefined && isWhole(step) && step.does === 'collect' ? step.of : undefined
  const source = of === undefined ? undefined : (stepOf(recipe, of) as JobStepSpec)
  if (of === undefined || !source?.feedsCondition) return undefined
  const captured = job.detail?.['captured'] as JsonObject | undefined
  return captured ? { [factsKey(of)]: factsOf(captured) } : undefined
}

/** What conditions may ask, from what collecting found. */
export function factsOf(captured: JsonObject): JsonObject {
  const files = Object.entries((captured['files'] ?? {}) as Record<string, JsonObject[]>).map(
    ([name, list]) => [
      name,
      list.map(file => ({
        fileName: file['name']!,
        mediaType: file['mediaType']!,
        dataTypes: [],
        metaData: (file['metaData'] as JsonObject | undefined) ?? {},
      })),
    ],
  )
  return { json: (captured['json'] as JsonObject | undefined) ?? {}, files: Object.fromEntries(files) }
}
