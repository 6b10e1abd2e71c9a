// What a task is: declared inputs and outputs, and a function between them. Arguments are cleaned on the way in, and
// outputs on the way out.

import { unwrapFloats } from '../values/float.ts'
import { cleanValue, type Parameter } from './parameter.ts'

/** What a running task may use. */
export interface TaskTools {
  /** Aborted when the job is cancelled: a task that takes long looks at it. */
  readonly signal: AbortSignal
  /** How far it is, from 0 to 1. */
  progress(fraction: number): void
  /** A line for the job's log. */
  log(line: string): void
  /** A folder of this run's own. */
  readonly scratchDir: string
}

export interface Task {
  /** The name by which workflows call it. */
  readonly name?: string
  readonly inputs: readonly Parameter[]
  readonly outputs: readonly Parameter[]
  /** Whether arguments that are not declared are passed through, uncleaned. */
  readonly allowExtraArgs?: boolean
  /** Whether it is given floats as Float, and may tell 3.0 from 3. */
  readonly keepsFloats?: boolean
  execute(args: Readonly<Record<string, unknown>>, tools: TaskTools): unknown
}

/** Several outputs by name: what a task returns when one is not enough. */
export class ParameterCollection {
  readonly values: ReadonlyMap<string, unknown>
  constructor(values: Readonly<Record<string, unknown>>) {
    this.values = new Map(Object.entries(values))
  }
}

/** Outputs by name: `return outputs({ result, remainder })`. */
export function outputs(values: Readonly<Record<string, unknown>>): ParameterCollection {
  return new ParameterCollection(values)
}

/** Runs a task on arguments that are not clean yet; gives its cleaned outputs, those that were set. */
export async function runTask(
  task: Task,
  args: ReadonlyMap<string, unknown>,
  tools: TaskTools,
): Promise<Map<string, unknown>> {
  tools.signal.throwIfAborted()
  const cleaned = cleanArguments(task, args)
  const result = await task.execute(Object.fromEntries(cleaned), tools)
  return cleanOutputs(task, result)
}

/** The required inputs that are missing, in order of declaration. */
export function missingInputs(task: Task, names: ReadonlySet<string>): string[] {
  return task.inputs
    .filter(parameter => parameter.isRequired && !names.has(parameter.name))
    .map(({ name }) => name)
}

function cleanArguments(task: Task, args: ReadonlyMap<string, unknown>): Map<string, unknown> {
  const declared = new Map(task.inputs.map(parameter => [parameter.name, parameter]))
  const cleaned = new Map<string, unknown>()
  for (const [name, value] of args) {
    const parameter = declared.get(name)
    if (parameter === undefined && task.allowExtraArgs !== true)
      throw new TypeError(`Unrecognized parameter: ${name}`)
    const clean = parameter === undefined ? value : cleanValue(parameter, value)
    cleaned.set(name, task.keepsFloats === true ? clean : unwrapFloats(clean))
  }
  const missing = missingInputs(task, new Set(args.keys()))
  if (missing.length > 0) throw new TypeError(`Missing required parameters: (${missing.join(', ')})`)
  return cleaned
}

function cleanOutputs(task: Task, result: unknown): Map<string, unknown> {
  const cleaned = new Map<string, unknown>()
  if (task.outputs.length === 0) return cleaned
  const given =
    result instanceof ParameterCollection ? result.values : new Map([[task.outputs[0]!.name, result]])
  // In the order in which the task set them.
  for (const [name, value] of given) {
    const parameter = task.outputs.find(own => own.name === name)
    if (!parameter) throw new TypeError(`Unrecognized parameter: ${name}`)
    if (value !== undefined) cleaned.set(name, cleanValue(parameter, value))
  }
  return cleaned
}
