// Changing a suite's clock: its kind, date or gain, or back to the server's own time. A begun suite's clock starts anew with
// it (observed); times that count from the begin of something count on.

import { refuse } from '../../../core/refusal.ts'
import { DefinitionError } from '../language/definition-error.ts'
import { readInteger } from '../language/name.ts'
import { readClock } from '../language/read-time.ts'
import { statementOf } from '../language/statement.ts'
import type { ClockAttribute } from '../tree/attribute.ts'
import type { Node } from '../tree/node.ts'
import { type AttributeEdit, needValue } from './attribute-edit.ts'
import type { Living } from './living.ts'
import { clockJumped } from './tick.ts'
import { clockStart } from './user-commands.ts'

/** The types of an edit that are about the clock. */
export const clockEdits = ['clock_type', 'clock_date', 'clock_gain', 'clock_sync'] as const

const plain: ClockAttribute = {
  hybrid: false,
  day: 0,
  month: 0,
  year: 0,
  gainSeconds: 0,
  signed: false,
  hasGain: false,
}

/** Changes one fact of the clock; a suite without one gets one. */
export function changeClock(
  living: Living,
  suite: Node,
  edit: AttributeEdit & { type: (typeof clockEdits)[number] },
  localMinute: number,
): void {
  if (suite.kind !== 'suite')
    refuse('bad-field', `type: only suites have a clock, ${suite.path} is a ${suite.kind}`, { field: 'type' })
  const before = suite.attributes?.rare?.clock ?? plain
  const after = changed(before, edit)
  suite.ownRare.clock = after
  living.touch(suite)
  living.setFlag(suite, 'message', true)
  const part = suite.suite
  if (!part?.begun) return
  part.minute = clockStart(after, localMinute)
  clockJumped(living, suite)
}

function changed(before: ClockAttribute, edit: AttributeEdit): ClockAttribute {
  switch (edit.type) {
    case 'clock_type': {
      const value = needValue(edit)
      if (value !== 'real' && value !== 'hybrid')
        refuse('bad-field', `value: expected real or hybrid, not '${value.slice(0, 40)}'`, { field: 'value' })
      return { ...before, hybrid: value === 'hybrid' }
    }
    case 'clock_date': {
      const value = needValue(edit)
      const { day, month, year } = readDate(value)
      return { ...before, day, month, year }
    }
    case 'clock_gain': {
      const value = needValue(edit)
      const gainSeconds = readInteger(value.startsWith('+') ? value.slice(1) : value)
      if (gainSeconds === undefined)
        refuse('bad-field', `value: expected a number of seconds, not '${value.slice(0, 40)}'`, {
          field: 'value',
        })
      return { ...before, gainSeconds, signed: gainSeconds >= 0, hasGain: true }
    }
    default:
      return { ...plain, hybrid: before.hybrid }
  }
}

function readDate(value: string): ClockAttribute {
  try {
    const clock = readClock(statementOf('clock', `real ${value}`))
    if (clock.day > 0 && !clock.hasGain) return clock
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error
  }
  return refuse('bad-field', `value: expected a date as D.M.Y, not '${value.slice(0, 40)}'`, {
    field: 'value',
  })
}
