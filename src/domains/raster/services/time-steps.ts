// The steps in time of a variable, and the one that is nearest to an instant.

import type { TimeFacts } from './service.ts'

const stepsMax = 1_000_000
const day = 86_400_000

/** All instants from start to end. Months keep the day once it had to be clipped: Jan 31, Feb 28, Mar 28. */
export function timeSteps(facts: TimeFacts): number[] {
  if (facts.calendar !== 'standard') throw new Error(`the calendar ${facts.calendar} is not supported`)
  if (!(facts.interval > 0)) throw new Error('the interval between time steps must be greater than 0')
  const steps: number[] = []
  for (let at = facts.start; at <= facts.end; at = nextStep(at, facts)) {
    if (steps.push(at) > stepsMax) throw new Error(`a variable has at most ${stepsMax} time steps`)
  }
  return steps
}

function nextStep(at: number, { interval, unit }: TimeFacts): number {
  switch (unit) {
    case 'milliseconds':
      return at + interval
    case 'seconds':
      return at + interval * 1000
    case 'minutes':
      return at + interval * 60_000
    case 'hours':
      return at + interval * 3_600_000
    case 'days':
      return at + interval * day
    case 'weeks':
      return at + interval * 7 * day
    case 'months':
      return addMonths(at, interval)
    case 'years':
      return addMonths(at, interval * 12)
    case 'decades':
      return addMonths(at, interval * 120)
    case 'centuries':
      return addMonths(at, interval * 1200)
  }
}

function addMonths(at: number, months: number): number {
  const date = new Date(at)
  const wanted = date.getUTCDate()
  const first = new Date(at)
  first.setUTCDate(1)
  first.setUTCMonth(first.getUTCMonth() + months)
  const last = new Date(Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 0)).getUTCDate()
  first.setUTCDate(Math.min(wanted, last))
  return first.getTime()
}

/** The step nearest to an instant; a tie goes to the earlier one. */
export function nearestStep(steps: readonly number[], at: number): number {
  const found = steps.findIndex(step => step >= at)
  const index = found === -1 ? steps.length - 1 : found
  if (index <= 0) return 0
  return steps[index]! - at < at - steps[index - 1]! ? index : index - 1
}
