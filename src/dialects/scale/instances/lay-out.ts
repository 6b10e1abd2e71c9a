// Lays an unfolded recipe out as a flow of the engine: its steps, and the document from which jobs are drafted.
// Pure: ids and types are handed in.

import type { DagPlan, Step } from '../../../core/flow.ts'
import type { Resources } from '../../../core/job.ts'
import { showDataFilter } from '../../../domains/recipe/data-filter.ts'
import { mebibytes, resourcesFor } from '../../../domains/recipe/seed/resources.ts'
import { collectKey, type JobStep, type Source, type Unfolded } from '../../../domains/recipe/unfold.ts'
import type { JobType, JobTypeRevision } from '../catalog/things.ts'
import type { ImagePlan } from '../run/image.ts'
import { doesNothing } from '../run/image.ts'
import {
  type ConditionStepSpec,
  type ProgramSpec,
  planStep,
  type RecipeSpec,
  type ShortJobStep,
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
  readonly programs: readonly ProgramSpec[]
  readonly steps: RecipeSpec['steps']
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
  order: {
    /** The recipe at the top; null for a single job. */
    readonly recipe: number | null
    readonly placeOf: (step: JobStep) => JobPlace
    readonly copied: ReadonlySet<string>
    readonly inputBytes: number
    /** The plan, where this was laid out before: without copies it is the same each time. */
    readonly plan?: DagPlan | undefined
  },
): Layout {
  const specs: [string, RecipeSpec['steps'][string]][] = []
  const collected = new Set<string>()
  const feeding = feedsConditions(unfolded)
  // Many steps may run the same program.
  const programs = new Map<Program, { readonly at: number; readonly isCollected: boolean }>()
  for (const step of unfolded.steps) {
    if (step.does === 'condition') {
      const { opensOn, filter, input } = step
      const spec: ConditionStepSpec = {
        does: 'condition',
        opensOn,
        filter: showDataFilter(filter),
        input: storeSources(input),
      }
      specs.push([step.key, spec])
    } else if (step.does === 'job' && !order.copied.has(step.key)) {
      const place = order.placeOf(step)
      let program = programs.get(place.program)
      if (program === undefined) {
        program = { at: programs.size, isCollected: isCollected(place.program.revision) }
        programs.set(place.program, program)
      }
      const collectedBy = program.isCollected ? collectKey(step.key) : undefined
      const { id, recipe, supersedes } = place
      const isUsual =
        program.at === 0 &&
        (recipe === null || (recipe === order.recipe && step.node === step.key)) &&
        step.input.size === 0 &&
        collectedBy === undefined &&
        supersedes === undefined &&
        !feeding?.has(step.key)
      if (isUsual) {
        specs.push([step.key, id])
        continue
      }
      const said: Omit<ShortJobStep, 'id' | 'program'> = {
        ...(recipe !== null && recipe !== order.recipe && { recipe }),
        ...(recipe !== null && step.node !== step.key && { node: step.node }),
        ...(step.input.size > 0 && { input: storeSources(step.input) }),
        ...(collectedBy !== undefined && { collectedBy }),
        ...(feeding?.has(step.key) && { feedsCondition: true }),
        ...(supersedes !== undefined && { supersedes }),
      }
      specs.push([step.key, { id, program: program.at, ...said }])
      if (collectedBy === undefined) continue
      collected.add(step.key)
      specs.push([collectedBy, { does: 'collect', of: step.key }])
    }
  }
  return {
    plan: order.plan ?? planOf(unfolded, order.copied, collected),
    programs: [...programs.keys()].map(program => programSpec(program, order.inputBytes)),
    steps: Object.fromEntries(specs),
  }
}

/** The engine's plan of a recipe, where the programs of its steps are known, and which steps are taken over. */
export function planRecipe(
  unfolded: Unfolded,
  copied: ReadonlySet<string>,
  programs: ReadonlyMap<string, Program>,
): DagPlan {
  const collected = new Set<string>()
  for (const [key, { revision }] of programs)
    if (!copied.has(key) && isCollected(revision)) collected.add(key)
  return planOf(unfolded, copied, collected)
}

function planOf(unfolded: Unfolded, copied: ReadonlySet<string>, collected: ReadonlySet<string>): DagPlan {
  // For each job step, the step that ends it: its own, or the one that collects its outputs.
  const endOf = (key: string): string => (collected.has(key) ? collectKey(key) : key)
  const steps: Step[] = []
  for (const step of unfolded.steps) {
    const needs = step.needs.map(endOf)
    if (step.does === 'join')
      steps.push(planStep(step.key, 'gate', needs, step.soft ? 'unfailed' : 'succeeded'))
    else {
      // Taken over: the step is there for the edges, and done from the beginning.
      const isGate = step.does === 'condition' || copied.has(step.key)
      steps.push(planStep(step.key, isGate ? 'gate' : 'job', needs, 'succeeded'))
    }
    if (collected.has(step.key)) steps.push(planStep(collectKey(step.key), 'job', [step.key], 'succeeded'))
  }
  return { steps, failure: 'spread', sparse: true }
}

function programSpec({ type, revision, image, priority }: Program, inputBytes: number): ProgramSpec {
  return {
    typeId: type.id,
    revision: revision.revision,
    typeName: type.name,
    executor: image.executor,
    kind: image.kind,
    rank: priority,
    runMsMax: revision.manifest.timeoutMs,
    needs: image.executor === 'function' ? null : needsOf(revision, inputBytes),
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

function feedsConditions(unfolded: Unfolded): Set<string> | undefined {
  let feeding: Set<string> | undefined
  for (const step of unfolded.steps) {
    if (step.does !== 'condition') continue
    feeding ??= new Set()
    for (const source of step.input.values()) if (source.from === 'job') feeding.add(source.step)
  }
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
