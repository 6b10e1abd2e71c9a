// The member `factories` of a workflow.

import type { SweepParameter } from '../document.ts'
import { countSweep } from '../factories.ts'
import { bad, has, isCount, listOr, objectOr, textOr } from './bad.ts'

const sweepAxesMax = 4

/** Checks `factories`, but for their sizes. `jobs` are the names of the workflow's jobs. */
export function checkFactories(workflow: { [name: string]: unknown }, jobs: ReadonlySet<string>): void {
  if (!has(workflow, 'factories')) return
  const claimed = new Set<string>()
  for (const entry of listOr(workflow['factories'], 'factories must be a list', 'factories')) {
    const factory = objectOr(entry, 'each factory must be defined as a dict', 'factories')
    if (!has(factory, 'type')) bad('a factory type must be specified', 'type')
    if (!has(factory, 'name')) bad('a factory name must be specified', 'name')
    textOr(factory['name'], 'the name of a factory must be a string', 'name')
    if (!has(factory, 'jobs')) bad('a list of jobs must be specified', 'jobs')
    for (const job of listOr(factory['jobs'], 'jobs must be a list', 'jobs')) {
      if (typeof job !== 'string' || !jobs.has(job))
        bad(`factory ${String(factory['name'])} references a job ${String(job)} which is not defined`, 'jobs')
      if (claimed.has(job)) bad(`job "${job}" is in more than one factory`, 'jobs')
      claimed.add(job)
    }
    switch (factory['type']) {
      case 'repeat':
        checkRepeat(factory)
        break
      case 'parameterSweep':
        checkSweep(factory)
        break
      case 'zip':
        checkZip(factory)
        break
      default:
        bad('invalid factory type', 'type')
    }
  }
}

/** Checks what the original checks last: how many instances the factories make. Returns that number. */
export function checkFactorySizes(workflow: { [name: string]: unknown }, instancesMax: number): number {
  let total = 0
  for (const factory of (workflow['factories'] ?? []) as { [name: string]: unknown }[]) {
    const parameters = (factory['parameters'] ?? []) as { [name: string]: unknown }[]
    let count = 1
    if (factory['type'] === 'repeat') count = (factory['number'] ?? factory['num']) as number
    else if (factory['type'] === 'zip') count = (parameters[0]!['values'] as unknown[]).length
    else {
      if (parameters.length > sweepAxesMax)
        bad('Currently only parameter sweeps up to 4D are supported', 'factories')
      for (const parameter of parameters)
        count *= countSweep(parameter as unknown as SweepParameter, instancesMax)
    }
    total += count * (factory['jobs'] as unknown[]).length
    if (total > instancesMax) bad(`the factories make more than ${instancesMax} jobs`, 'factories')
  }
  return total
}

function checkRepeat(factory: { [name: string]: unknown }): void {
  // `num` is what the Python classes of client 0.21.0 write: contracts/prominence.md §5.2.
  const name = has(factory, 'number') ? 'number' : 'num'
  if (!has(factory, name)) bad('a factory of type repeat must have number specified', 'number')
  if (!isCount(factory[name])) bad('number of repeats must be an integer', 'number')
  if (factory[name] < 1) bad('number of repeats must be at least 1', 'number')
}

function checkSweep(factory: { [name: string]: unknown }): void {
  if (!has(factory, 'parameters'))
    bad('a factory of type parameterSweep must have parameters specified', 'parameters')
  const names = new Set<string>()
  for (const entry of listOr(factory['parameters'], 'parameters must be a list', 'parameters')) {
    const parameter = objectOr(entry, 'each parameter must be defined as a dict', 'parameters')
    if (!has(parameter, 'name')) bad('a parameter must contain a name', 'name')
    if (!has(parameter, 'start')) bad('a parameter must contain a start value', 'start')
    if (!has(parameter, 'end')) bad('a parameter must contain an end value', 'end')
    if (!has(parameter, 'step') && !has(parameter, 'number'))
      bad('a parameter must contain a step size or number of steps', 'step')
    if (has(parameter, 'step') && has(parameter, 'number'))
      bad('a parameter cannot have both a step size and number of steps', 'step')
    checkParameterName(parameter['name'], names)
    checkAxis(parameter)
  }
  if (names.size === 0) bad('a factory of type parameterSweep must have parameters specified', 'parameters')
}

/** What the original leaves to chance: numbers, and a step that comes to the end. */
function checkAxis(parameter: { [name: string]: unknown }): void {
  const { name, start, end, step, number } = parameter
  for (const [member, value] of Object.entries({ start, end, ...(step === undefined ? {} : { step }) }))
    if (typeof value !== 'number' || !Number.isFinite(value))
      bad(`the ${member} value of parameter "${String(name)}" must be a number`, member)
  if (has(parameter, 'number')) {
    if (!isCount(number) || number < 1)
      bad(`the number of values of parameter "${String(name)}" must be an integer of at least 1`, 'number')
    return
  }
  const [from, to, by] = [start as number, end as number, step as number]
  if (by === 0 || from + by === from)
    bad(`the step of parameter "${String(name)}" never reaches its end`, 'step')
  if (by < 0 && from <= to) bad(`the step of parameter "${String(name)}" never reaches its end`, 'step')
  if (from > to) bad(`parameter "${String(name)}" has no values: its start is above its end`, 'end')
}

function checkZip(factory: { [name: string]: unknown }): void {
  if (!has(factory, 'parameters')) bad('a factory of type zip must have parameters specified', 'parameters')
  const parameters = listOr(factory['parameters'], 'parameters must be a list', 'parameters').map(entry =>
    objectOr(entry, 'each parameter must be defined as a dict', 'parameters'),
  )
  const lengths = parameters.map(({ values }) =>
    typeof values === 'string' || Array.isArray(values) ? values.length : undefined,
  )
  if (lengths.some(length => length !== undefined && length !== lengths[0] && lengths[0] !== undefined))
    bad('all parameters must lists of values the same length', 'parameters')
  const names = new Set<string>()
  for (const parameter of parameters) {
    if (!has(parameter, 'name')) bad('a parameter must contain a name', 'name')
    if (!has(parameter, 'values')) bad('a parameter must contain values', 'values')
    const values = listOr(parameter['values'], 'values must be a list', 'values')
    checkParameterName(parameter['name'], names)
    if (values.length === 0) bad(`parameter "${String(parameter['name'])}" has no values`, 'values')
    for (const value of values)
      if (!['string', 'boolean'].includes(typeof value) && !Number.isFinite(value))
        bad(`the values of parameter "${String(parameter['name'])}" must be numbers or text`, 'values')
      else if (typeof value === 'string' && value.includes('\0'))
        bad(
          `the values of parameter "${String(parameter['name'])}" must not contain a NUL character`,
          'values',
        )
  }
  if (names.size === 0) bad('a factory of type zip must have parameters specified', 'parameters')
}

function checkParameterName(name: unknown, taken: Set<string>): void {
  if (typeof name !== 'string' || !/^[A-Za-z0-9_.-]+$/.test(name))
    bad('the name of a parameter must be a string that an environment variable can bear', 'name')
  if (taken.has(name)) bad('each parameter must have a unique name', 'name')
  taken.add(name)
}
