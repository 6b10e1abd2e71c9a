// Factories: one job of a workflow becomes many instances, each with its parameter values. Instances are never
// listed in memory: an instance's values follow from its index.

import type { FactoryDocument, SweepParameter } from './document.ts'
import { printValue } from './parameters.ts'

export interface Factory {
  /** How many instances each of its jobs has. */
  readonly count: number
  /** The printed value of every parameter for an instance, by name, in document order. */
  at(index: number): Map<string, string>
}

/** Makes a factory out of its document. Only for documents that validate/ has accepted. */
export function openFactory(document: FactoryDocument): Factory {
  switch (document.type) {
    case 'repeat':
      return { count: document.number ?? document.num ?? 0, at: () => new Map() }
    case 'zip':
      return {
        count: document.parameters[0]?.values.length ?? 0,
        at: index =>
          new Map(document.parameters.map(({ name, values }) => [name, printValue(values[index]!)])),
      }
    case 'parameterSweep': {
      const axes = document.parameters.map(parameter => ({
        name: parameter.name,
        values: sweepValues(parameter),
      }))
      return {
        count: axes.reduce((product, { values }) => product * values.length, 1),
        // The first parameter is the slowest, the last the fastest.
        at: index => {
          const values = new Map(axes.map(({ name }) => [name, '']))
          for (const axis of axes.toReversed()) {
            values.set(axis.name, printValue(axis.values[index % axis.values.length]!))
            index = Math.floor(index / axis.values.length)
          }
          return values
        },
      }
    }
  }
}

/** How many values a sweep parameter has, counted no further than `max` + 1. */
export function countSweep({ start, end, step, number }: SweepParameter, max: number): number {
  if (number !== undefined) return number
  let count = 0
  // Counted by adding up, as users of the original see it: 0.1 to 0.3 in steps of 0.1 has two values.
  for (let value = start; value <= end && count <= max; value += step!) count++
  return count
}

function sweepValues(parameter: SweepParameter): number[] {
  const { start, end, step, number } = parameter
  if (number !== undefined)
    return Array.from({ length: number }, (_, k) =>
      k === 0 ? start : k === number - 1 ? end : start + (k * (end - start)) / (number - 1),
    )
  return Array.from({ length: countSweep(parameter, Number.MAX_SAFE_INTEGER) }, (_, k) => start + k * step!)
}
