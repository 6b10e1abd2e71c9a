// The document of a flow: everything its drafter needs to make jobs and open gates, without looking anything up.
// It is stored with the flow, so it must stay readable for as long as flows live.

import type { Step } from '../../../core/flow.ts'
import type { Resources } from '../../../core/job.ts'
import type { Json, JsonObject } from '../../../core/json.ts'

/** Where an input comes from: the recipe's own input, or an output of another step's job. */
export type StoredSource = ['input', string] | ['job', string, string]

/** A job step: what the engine's job will say. */
export interface JobStepSpec {
  readonly does: 'job'
  /** The id under which clients know the job. */
  readonly id: number
  readonly typeId: number
  readonly revision: number
  readonly typeName: string
  readonly recipe: number | null
  readonly node: string | null
  readonly executor: string
  readonly kind: string
  readonly rank: number
  readonly runMsMax: number
  readonly needs: Resources | null
  readonly input: Readonly<Record<string, StoredSource>>
  /** The step that collects its outputs; absent when it declares none. */
  readonly collectedBy?: string
  /** A condition asks for its outputs: they have to be at hand when its gate is decided. */
  readonly feedsCondition?: boolean
  /** The job that this one replaces. */
  readonly supersedes?: number
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
  readonly steps: Readonly<Record<string, JobStepSpec | CollectStepSpec | ConditionStepSpec>>
  /** For steps taken over from an older recipe: the job that did them, and what conditions may ask of its outputs. */
  readonly copied?: Readonly<Record<string, { readonly job: number; readonly facts?: Json }>>
}

/** A step of the engine's plan. */
export function planStep(
  key: string,
  does: Step['does'],
  needs: readonly string[],
  when: Step['when'],
): Step {
  return { key, does, count: 1, fansOut: false, needs: [...needs], when, retries: 0 }
}
