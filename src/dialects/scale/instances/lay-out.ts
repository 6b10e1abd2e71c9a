// Lays an unfolded recipe out as a flow of the engine: its steps, and the document from which jobs are drafted.
// Pure: ids and types are handed in.

import type { DagPlan, Step } from '../../../core/flow.ts'
import type { Resources } from '../../../core/job.ts'
import { showDataFilter } from '../../../domains/recipe/data-filter.ts'
import { mebibytes, resourcesFor } from '../../../domains/recipe/seed/resources.ts'
import type { JobStep, Source, Unfolded } from '../../../domains/recipe/unfold.ts'
import type { JobType, JobTypeRevision } from '../catalog/things.ts'
import type { ImagePlan } from '../run/image.ts'
import { doesNothing } from '../run/image.ts'
import {
  type ConditionStepSpec,
  type JobStepSpec,
  planStep,
  type RecipeSpec,
  type StoredSource,
} from './recipe-spec.ts'

/** What a job step needs to know of its program. */
export interface Program {
  readonly type: JobType
  readonly revision: JobTypeRevision
  readonly image: ImagePlan
  readonly priority: number
}

/** What is known of a job step before it is laid out. */
export interface JobPlace {
  readonly id: number
  readonly recipe: number | null
  readonly program: Program
  readonly supersedes?: number
}

/** A flow, ready to be started. */
export interface Layout {
  readonly plan: DagPlan
  readonly steps: RecipeSpec['steps']
  /** For each job step, the step that ends it: its own, or the one that collects its outputs. */
  readonly endOf: ReadonlyMap<string, string>
}

/** The step that collects the outputs of a job step. */
export function collectKey(step: string): string {
  return `${step}!`
}

/** Whether a program may leave something to collect: outputs, or a description of an input of a single file. */
export function isCollected({ manifest, image }: Pick<JobTypeRevision, 'manifest' | 'image'>): boolean {
  if (manifest.fileOutputs.length > 0 || manifest.jsonOutputs.length > 0) return true
  const mayDescribe = [...manifest.input.values()].some(input => input.kind === 'file' && !input.multiple)
  return mayDescribe && !doesNothing(image)
}

/** Lays out; `placeOf` is asked for every job step that is not copied. */
export function layOut(
  unfolded: Unfolded,
  placeOf: (step: JobStep) => JobPlace,
  copied: ReadonlySet<string>,
  inputBytes: number,
): Layout {
  const endOf = new Map<string, string>()
  const steps: Step[] = []
  const specs: [string, RecipeSpec['steps'][string]][] = []
  const feeding = feedsConditions(unfolded)
  for (const step of unfolded.steps) {
    const needs = step.needs.map(need => endOf.get(need) ?? need)
    if (step.does === 'join') {
      steps.push(planStep(step.key, 'gate', needs, step.soft ? 'unfailed' : 'succeeded'))
    } else if (step.does === 'condition') {
      steps.push(planStep(step.key, 'gate', needs, 'succeeded'))
      const { opensOn, filter, input } = step
      const spec: ConditionStepSpec = {
        does: 'condition',
        opensOn,
        filter: showDataFilter(filter),
        input: storeSources(input),
      }
      specs.push([step.key, spec])
    } else if (copied.has(step.key)) {
      // Taken over: the step is there for the edges, and done from the beginning.
      steps.push(planStep(step.key, 'gate', needs, 'succeeded'))
    } else {
      const place = placeOf(step)
      steps.push(planStep(step.key, 'job', needs, 'succeeded'))
      const collects = isCollected(place.program.revision)
      const collectedBy = collects ? collectKey(step.key) : undefined
      specs.push([step.key, jobSpec(step, place, inputBytes, collectedBy, feeding.has(step.key))])
      if (collectedBy === undefined) continue
      endOf.set(step.key, collectedBy)
      steps.push(planStep(collectedBy, 'job', [step.key], 'succeeded'))
      specs.push([collectedBy, { does: 'collect', of: step.key }])
    }
  }
  return { plan: { steps, failure: 'spread', sparse: true }, steps: Object.fromEntries(specs), endOf }
}

function jobSpec(
  step: JobStep,
  { id, recipe, program, supersedes }: JobPlace,
  inputBytes: number,
  collectedBy: string | undefined,
  feedsCondition: boolean,
): JobStepSpec {
  const { type, revision, image, priority } = program
  return {
    does: 'job',
    id,
    typeId: type.id,
    revision: revision.revision,
    typeName: type.name,
    recipe,
    node: recipe === null ? null : step.node,
    executor: image.executor,
    kind: image.kind,
    rank: priority,
    runMsMax: revision.manifest.timeoutMs,
    needs: image.executor === 'function' ? null : needsOf(revision, inputBytes),
    input: storeSources(step.input),
    ...(collectedBy !== undefined && { collectedBy }),
    ...(feedsCondition && { feedsCondition }),
    ...(supersedes !== undefined && { supersedes }),
  }
}

/** What a program takes from the pool. The size of its input is taken from the recipe's, the best guess at this time. */
export function needsOf(revision: JobTypeRevision, inputBytes: number): Resources {
  const amounts = resourcesFor(revision.manifest.resources, mebibytes(inputBytes))
  // A limit on disk is only for programs that ask for some: what others write nobody has said.
  const saysDisk = revision.manifest.resources.some(({ name }) => name === 'disk')
  return {
    cpus: amounts.get('cpus')!,
    memoryBytes: amounts.get('mem')! * 1_048_576,
    ...(saysDisk && { diskBytes: amounts.get('disk')! * 1_048_576 }),
  }
}

function feedsConditions(unfolded: Unfolded): Set<string> {
  const feeding = new Set<string>()
  for (const step of unfolded.steps)
    if (step.does === 'condition')
      for (const source of step.input.values()) if (source.from === 'job') feeding.add(source.step)
  return feeding
}

function storeSources(sources: ReadonlyMap<string, Source>): Record<string, StoredSource> {
  return Object.fromEntries(
    [...sources].map(([name, source]): [string, StoredSource] => [
      name,
      source.from === 'input' ? ['input', source.input] : ['job', source.step, source.output],
    ]),
  )
}
