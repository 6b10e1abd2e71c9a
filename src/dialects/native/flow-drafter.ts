// Native flows: from the submitted document to the engine's plan, and from a node to its job.

import type { DagPlan, Flow, FlowDraft, Step } from '../../core/flow.ts'
import type { JobDraft } from '../../core/job.ts'
import type { Json } from '../../core/json.ts'
import type { Drafter, NodePlace } from '../../core/planner.ts'
import type { FlowIn, StepIn } from './shapes.ts'

export const flowKind = 'native.flow'

/** A flow as the engine takes it. */
export function draftFlow(flow: FlowIn, owner: string): FlowDraft {
  return {
    dialect: 'native',
    kind: flowKind,
    plan: planOf(flow),
    spec: flow as unknown as Json,
    owner,
    name: flow.name ?? '',
    ...(flow.labels !== undefined ? { labels: flow.labels } : {}),
  }
}

/** Unless a flow says otherwise: enough to keep any pool busy, few enough to keep in memory. */
const idleMaxUsual = 10_000

/** A flow's shape, for the planner. */
export function planOf(flow: FlowIn): DagPlan {
  return {
    failure: flow.failure ?? 'cut',
    idleMax: flow.idleMax ?? idleMaxUsual,
    steps: flow.steps.map(
      (step): Step => ({
        key: step.key,
        does: step.flow === undefined ? 'job' : 'flow',
        count: instanceCount(step),
        fansOut: step.fanOut !== undefined,
        needs: step.needs ?? [],
        when: step.when ?? 'succeeded',
        retries: step.retries ?? 0,
      }),
    ),
  }
}

/** How many nodes a step has. */
export function instanceCount({ fanOut }: StepIn): number {
  if (fanOut === undefined) return 1
  return 'count' in fanOut ? fanOut.count : fanOut.over.length
}

/** Turns nodes of native flows into jobs and child flows. */
export function nativeDrafter(check: (flow: FlowIn) => void): Drafter {
  // Steps of a document by key, so that a node costs no walk through all of them.
  const known = new WeakMap<object, Map<string, StepIn>>()
  const stepOf = (spec: FlowIn, key: string): StepIn => {
    let steps = known.get(spec)
    if (steps === undefined) {
      steps = new Map(spec.steps.map(step => [step.key, step]))
      known.set(spec, steps)
    }
    return steps.get(key)!
  }
  return {
    job: (flow, spec, place) => draftJob(flow, stepOf(spec as FlowIn, place.step), place),
    flow: (flow, spec, place) => {
      const step = stepOf(spec as FlowIn, place.step)
      const child = filled(step.flow!, valuesOf(step, place.index))
      // Its values may have made two keys the same, or given a spec that cannot be.
      if (step.fanOut !== undefined) check(child)
      return draftFlow(child, flow.owner)
    },
  }
}

function draftJob(flow: Flow, step: StepIn, place: NodePlace): JobDraft {
  const job = step.job!
  const { spec, kind, name, ...rest } = job
  return {
    ...definedOf(rest),
    dialect: 'native',
    executor: job.executor,
    kind: kind ?? job.executor,
    owner: flow.owner,
    name: name ?? `${flow.name}/${place.key}`,
    spec: filled(spec, valuesOf(step, place.index)) as Json,
    unfit: 'fail',
  }
}

/** A type whose members, and theirs, are there or absent, never `undefined`. */
export type Defined<T> = T extends object ? { [K in keyof T]: Defined<Exclude<T[K], undefined>> } : T

/** Members that are there. What zod gives has no `undefined` ones, which its types cannot say: it comes back as it is. */
export function definedOf<T extends object>(value: T): Defined<T> {
  for (const name in value) {
    if (value[name] === undefined) {
      return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as never
    }
  }
  return value as never
}

/** What a step's placeholders stand for in one instance. */
export function valuesOf(step: StepIn, index: number): ReadonlyMap<string, string> {
  const values = new Map<string, string>()
  if (step.fanOut === undefined) return values
  values.set('index', String(index))
  if ('over' in step.fanOut) {
    for (const [name, value] of Object.entries(step.fanOut.over[index] ?? {})) values.set(name, String(value))
  }
  return values
}

/** Replaces {{name}} in every text of a value; names that are not known stay as they are. */
export function filled<T>(value: T, values: ReadonlyMap<string, string>): T {
  if (values.size === 0) return value
  if (typeof value === 'string') {
    return value.replaceAll(
      /\{\{([^{}]+)\}\}/g,
      (whole, name: string) => values.get(name.trim()) ?? whole,
    ) as T
  }
  if (Array.isArray(value)) return value.map(item => filled(item, values)) as T
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, filled(item, values)])) as T
  }
  return value
}
