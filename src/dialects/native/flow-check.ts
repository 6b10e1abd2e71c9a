// What makes a submitted flow one that can run, found before any of it is done: plans, specs, and how much it comes to
// once every instance is filled in. A small document must not become more than a server can hold.

import type { Json } from '../../core/json.ts'
import { refuse } from '../../core/refusal.ts'
import type { Engine } from '../../engine/engine.ts'
import { filled, instanceCount, planOf, valuesOf } from './flow-drafter.ts'
import { checkPlace, type Places } from './job-check.ts'
import { type FlowIn, nodesMax, type StepIn } from './shapes.ts'

/** All specs of a flow together, once filled in. */
const filledCharsMax = 128 * 1024 * 1024

/** What this server thinks of a plan, and of a job's spec. */
export type Judge = Pick<Engine, 'planTrouble'> &
  Places & {
    specTrouble(executor: string, spec: Json): string | undefined
  }

/** What this server's engine thinks of plans and specs. */
export function judgeOf(engine: Engine): Judge {
  return {
    planTrouble: plan => engine.planTrouble(plan),
    executors: engine.executors,
    pools: engine.pools,
    specTrouble: (executor, spec) => engine.executors.get(executor)!.check(spec, 'native'),
  }
}

/** Refuses a flow that could never run, or comes to too much; names the step. */
export function checkFlow(flow: FlowIn, judge: Judge): void {
  measure(flow, { judge, path: 'steps', lengths: new Map(), values: new Map() })
}

interface Place {
  readonly judge: Judge
  readonly path: string
  /** The longest value of each placeholder that the flows around this one fill in. */
  readonly lengths: ReadonlyMap<string, number>
  /** What they fill in for the first instance. */
  readonly values: ReadonlyMap<string, string>
}

interface Size {
  readonly nodes: number
  readonly chars: number
}

function measure(flow: FlowIn, { judge, path, ...around }: Place): Size {
  const trouble = judge.planTrouble(planOf(flow))
  if (trouble !== undefined) refuse(trouble.kind, trouble.text, { field: fieldIn(path, trouble.field) })
  const total = { nodes: 0, chars: 0 }
  for (const step of flow.steps) {
    const field = `${path}.${step.key}`
    if (!/^[^/\s]{1,200}$/.test(step.key))
      refuse('bad-field', `${field}: this cannot be a step's key`, { field })
    // The flows around fill in first, so their names win.
    const lengths = new Map([...lengthsOf(step, field), ...around.lengths])
    const values = new Map([...valuesOf(step, 0), ...around.values])
    const count = instanceCount(step)
    const size = { nodes: 1, chars: filledLength(step.job ?? step.flow, lengths) }
    if (step.flow !== undefined) {
      const child = measure(step.flow, { judge, path: `${field}.flow.steps`, lengths, values })
      size.nodes += child.nodes
      size.chars += child.chars
    }
    total.nodes += count * size.nodes
    total.chars += count * size.chars
    if (total.nodes > nodesMax)
      refuse('too-large', `${field}: with it the flow comes to more than ${nodesMax} nodes`, { field })
    if (total.chars > filledCharsMax) {
      const most = `${filledCharsMax / 2 ** 20} Mi characters`
      refuse('too-large', `${field}: with its instances filled in, the flow is longer than ${most}`, {
        field,
      })
    }
    // Only now: it is known that filling in does not make it grow beyond measure.
    if (step.job !== undefined) {
      checkPlace(judge, step.job, `${field}.job.`)
      const spec = filled(step.job.spec, values) as Json
      const problem = judge.specTrouble(step.job.executor, spec)
      if (problem !== undefined) refuse('bad-field', `${field}: ${problem}`, { field })
    }
  }
  return total
}

/** The engine names the steps of the flow it looked at; callers want the way there. */
function fieldIn(path: string, field: string | undefined): string {
  return field === undefined ? path : field.replace(/^steps/, () => path)
}

function lengthsOf({ fanOut, flow }: StepIn, field: string): Map<string, number> {
  const lengths = new Map<string, number>()
  if (fanOut === undefined) return lengths
  lengths.set('index', String(nodesMax).length)
  if (!('over' in fanOut)) return lengths
  for (const [at, values] of fanOut.over.entries()) {
    for (const [name, value] of Object.entries(values)) {
      const text = String(value)
      // What is filled in is not filled in again, or the sum here would be wrong.
      if (flow !== undefined && /[{}]/.test(text)) {
        const whole = `${field}.fanOut.over.${at}.${name}`
        refuse('bad-field', `${whole}: a value for a flow may have no braces`, { field: whole })
      }
      lengths.set(name, Math.max(lengths.get(name) ?? 0, text.length))
    }
  }
  return lengths
}

/** At most how long a document is with every placeholder filled in. */
function filledLength(value: unknown, lengths: ReadonlyMap<string, number>): number {
  const text = JSON.stringify(value)
  let length = text.length
  if (lengths.size === 0) return length
  for (const [, name] of text.matchAll(/\{\{([^{}]+)\}\}/g)) length += lengths.get(name!.trim()) ?? 0
  return length
}
