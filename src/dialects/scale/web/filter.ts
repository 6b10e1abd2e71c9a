// Filters and orders that lists of different things share.

import type { SourceFacts } from '../../../domains/recipe/seed/side-car.ts'
import type { Params } from './params.ts'

/** The filters on when and by what something was sensed; undefined when none is asked for. */
export function sourceFilter(params: Params): ((facts: SourceFacts) => boolean) | undefined {
  const span = params.span('source_started', 'source_ended')
  const classes = params.texts('source_sensor_class')
  const sensors = params.texts('source_sensor')
  const collections = params.texts('source_collection')
  const tasks = params.texts('source_task')
  if (span.from === undefined && span.to === undefined && !classes && !sensors && !collections && !tasks)
    return undefined
  const fits = (wanted: readonly string[] | undefined, value: string | undefined): boolean =>
    !wanted || (value !== undefined && wanted.includes(value))
  return facts =>
    (span.from === undefined || (facts.sourceStartedAt ?? -1) >= span.from) &&
    (span.to === undefined || (facts.sourceEndedAt !== undefined && facts.sourceEndedAt <= span.to)) &&
    fits(classes, facts.sourceSensorClass) &&
    fits(sensors, facts.sourceSensor) &&
    fits(collections, facts.sourceCollection) &&
    fits(tasks, facts.sourceTask)
}

/** Whether an instant lies in a span that may be open. */
export function isWithin(at: number, { from, to }: { from?: number; to?: number }): boolean {
  return (from === undefined || at >= from) && (to === undefined || at <= to)
}

type Key<T> = (item: T) => string | number | null

/** Compares by several keys; what has no value comes last. */
export function compareBy<T>(keys: readonly { key: Key<T>; isDown: boolean }[]): (a: T, b: T) => number {
  return (a, b) => {
    for (const { key, isDown } of keys) {
      const [left, right] = [key(a), key(b)]
      if (left === right) continue
      if (left === null || right === null) return left === null ? 1 : -1
      return left < right === isDown ? 1 : -1
    }
    return 0
  }
}
