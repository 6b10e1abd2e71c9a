// The document of a flow: everything its drafter needs to make jobs and open gates, without looking anything up.
// It is stored with the flow, so it must stay readable for as long as flows live.

import type { Step } from '../../../core/flow.ts'
import type { Resources } from '../../../core/job.ts'
import type { Json, JsonObject } from '../../../core/json.ts'

/** Where an input comes from: the recipe's own input, or an output of another step's job. */
export type StoredSource = ['input', string] | ['job', string, string]

/** What runs in a job step, and how. */
export interface ProgramSpec {
  readonly typeId: number
  readonly revision: number
  readonly typeName: string
  readonly executor: string
  readonly kind: string
  readonly rank: number
  readonly runMsMax: number
  readonly needs: Resources | null
}

/** A job step: what the engine's job will say. */
export interface JobStepSpec extends ProgramSpec {
  readonly does: 'job'
  /** The id under which clients know the job. */
  readonly id: number
  readonly recipe: number | null
  readonly node: string | null
  readonly input: Readonly<Record<string, StoredSource>>
  /** The step that collects its outputs; absent when it declares none. */
  readonly collectedBy?: string
  /** A condition asks for its outputs: they have to be at hand when its gate is decided. */
  readonly feedsCondition?: boolean
  /** The job that this one replaces. */
  readonly supersedes?: number
}

/**
 * A job step as it is stored: its program by its place in the list, and what is not as usual. Absent are a recipe that is
 * the document's own, a node that is called as its step, and an input without anything. The id alone stands for a step of
 * the first program of which nothing else is to be said.
 */
export interface ShortJobStep
  extends Pick<JobStepSpec, 'id' | 'collectedBy' | 'feedsCondition' | 'supersedes'> {
  readonly program: number
  readonly recipe?: number
  readonly node?: string
  readonly input?: JobStepSpec['input']
}

/** Collects the outputs of a job step. */
export interface CollectStepSpec {
  readonly does: 'collect'
  readonly of: string
}

/** One side of a condition. */
export interface ConditionStepSpec {
  readonly does: 'condition'
  readonly opensOn: boolean
  readonly filter: JsonObject
  readonly input: Readonly<Record<string, StoredSource>>
}

/** The document of a flow. */
export interface RecipeSpec {
  readonly recipe: number | null
  readonly eventId: number
  readonly eventAt: number
  readonly batch: number | null
  /** The recipe's (or the single job's) input data. */
  readonly input: { readonly files: Readonly<Record<string, number[]>>; readonly json: JsonObject }
  /** What conditions may ask about the files of the input; absent without conditions. */
  readonly inputFiles?: JsonObject
  /** Overrides of the jobs' configurations. */
  readonly configuration?: JsonObject
  /** The programs of its job steps; absent in documents of earlier versions, whose steps say everything themselves. */
  readonly programs?: readonly ProgramSpec[]
  readonly steps: Readonly<
    Record<string, number | ShortJobStep | JobStepSpec | CollectStepSpec | ConditionStepSpec>
  >
  /** For steps taken over from an older recipe: the job that did them, and what conditions may ask of its outputs. */
  readonly copied?: Readonly<Record<string, { readonly job: number; readonly facts?: Json }>>
}

/** A step of a document, with everything that it does not say itself. */
export function stepOf(
  spec: RecipeSpec,
  key: string,
): JobStepSpec | CollectStepSpec | ConditionStepSpec | undefined {
  const stored = Object.hasOwn(spec.steps, key) ? spec.steps[key] : undefined
  return stored === undefined || isWhole(stored) ? stored : wholeStep(spec, key, stored)
}

/** The job steps of a document, in its order. */
export function* jobStepsOf(spec: RecipeSpec): Generator<[key: string, step: JobStepSpec]> {
  for (const key in spec.steps) {
    const stored = spec.steps[key]!
    if (!isWhole(stored)) yield [key, wholeStep(spec, key, stored)]
    else if (stored.does === 'job') yield [key, stored]
  }
}

/** Whether a stored step says everything itself. */
export function isWhole<T extends object>(stored: number | ShortJobStep | T): stored is T {
  return typeof stored !== 'number' && 'does' in stored
}

// Member by member: this is asked for each job, and copying what a step happens to have is slow.
function wholeStep(spec: RecipeSpec, key: string, short: number | ShortJobStep): JobStepSpec {
  const stored: ShortJobStep = typeof short === 'number' ? { id: short, program: 0 } : short
  const { typeId, revision, typeName, executor, kind, rank, runMsMax, needs } =
    spec.programs![stored.program]!
  const recipe = stored.recipe ?? spec.recipe
  const { id, input = nothing, collectedBy, feedsCondition, supersedes } = stored
  const node = recipe === null ? null : (stored.node ?? key)
  const step: JobStepSpec = {
    does: 'job',
    id,
    recipe,
    node,
    input,
    typeId,
    revision,
    typeName,
    executor,
    kind,
    rank,
    runMsMax,
    needs,
  }
  if (collectedBy === undefined && feedsCondition === undefined && supersedes === undefined) return step
  return {
    ...step,
    ...(collectedBy !== undefined && { collectedBy }),
    ...(feedsCondition !== undefined && { feedsCondition }),
    ...(supersedes !== undefined && { supersedes }),
  }
}

const nothing = {}

/** A step of the engine's plan. */
export function planStep(
  key: string,
  does: Step['does'],
  needs: readonly string[],
  when: Step['when'],
): Step {
  return { key, does, count: 1, fansOut: false, needs: [...needs], when, retries: 0 }
}
