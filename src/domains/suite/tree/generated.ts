// Generated variables: what the server knows about a node without anybody having written it down. They are
// computed when asked for, so they are never stale.

import { julianOf, monthNames, pad2, partsOf, weekdayNames, weekdayOf } from './calendar-date.ts'
import type { Node } from './node.ts'
import { repeatVariables } from './repeat.ts'
import { findUserVariable } from './user-variable.ts'

/** Of one node, in the order in which clients see them. Repeats come last, on suites first. */
export function generatedVariables(node: Node): [name: string, value: string][] {
  const repeat = node.attributes?.repeat
  const fromRepeat = repeat ? repeatVariables(repeat) : []
  if (node.kind === 'suite') return [...fromRepeat, ...suiteNames.map(pairOf(node))]
  if (node.kind === 'family') return [...familyNames.map(pairOf(node)), ...fromRepeat]
  if (node.kind === 'root') return []
  return [...taskNames.map(pairOf(node)), ...fromRepeat]
}

function pairOf(node: Node): (name: string) => [string, string] {
  return name => [name, generatedValue(node, name) ?? '']
}

/** What every suite has, in the order in which clients see it, and how often the clock changes it. */
const suiteVariables = {
  SUITE: 'never',
  ECF_DATE: 'daily',
  YYYY: 'daily',
  DOW: 'daily',
  DOY: 'daily',
  DATE: 'daily',
  DAY: 'daily',
  DD: 'daily',
  MM: 'daily',
  MONTH: 'daily',
  ECF_CLOCK: 'daily',
  ECF_TIME: 'each minute',
  ECF_JULIAN: 'daily',
  TIME: 'each minute',
} as const
const suiteNames = Object.keys(suiteVariables)

/** The variables of a suite that the clock changes so often. */
export function clockNames(often: 'daily' | 'each minute'): ReadonlySet<string> {
  return new Set(
    Object.entries(suiteVariables).flatMap(([name, changes]) => (changes === often ? [name] : [])),
  )
}

const familyNames = ['FAMILY', 'FAMILY1']
const taskNames = [
  'TASK',
  'ECF_JOB',
  'ECF_SCRIPT',
  'ECF_JOBOUT',
  'ECF_TRYNO',
  'ECF_RID',
  'ECF_NAME',
  'ECF_PASS',
]

/** One generated variable of this very node, repeats left out. */
export function generatedValue(node: Node, name: string): string | undefined {
  switch (node.kind) {
    case 'suite':
      return suiteValue(node, name)
    case 'family':
      if (name === 'FAMILY1') return node.name
      if (name === 'FAMILY') return belowSuite(node)
      return undefined
    case 'task':
    case 'alias':
      return taskValue(node, name)
    case 'root':
      return undefined
  }
}

function suiteValue(node: Node, name: string): string | undefined {
  if (name === 'SUITE') return node.name
  if (!suiteNames.includes(name)) return undefined
  if (!node.suite?.begun) return ''
  const days = Math.floor(node.suite.minute / 1440)
  const minute = node.suite.minute - days * 1440
  const { year, month, day } = partsOf(days)
  const clock = `${pad2(Math.floor(minute / 60))}:${pad2(minute % 60)}`
  const dayOfYear = days - (julianDaysOfNewYear(year) - 1)
  const weekday = weekdayOf(days)
  switch (name) {
    case 'ECF_DATE':
      return `${year}${pad2(month)}${pad2(day)}`
    case 'YYYY':
      return String(year)
    case 'DOW':
      return String(weekday)
    case 'DOY':
      return String(dayOfYear)
    case 'DATE':
      return `${pad2(day)}.${pad2(month)}.${year}`
    case 'DAY':
      return weekdayNames[weekday]
    case 'DD':
      return pad2(day)
    case 'MM':
      return pad2(month)
    case 'MONTH':
      return monthNames[month - 1]
    case 'ECF_CLOCK':
      return `${weekdayNames[weekday]}:${monthNames[month - 1]}:${weekday}:${dayOfYear}`
    case 'ECF_TIME':
      return clock
    case 'TIME':
      return clock.replace(':', '')
    default:
      return String(julianOf(days))
  }
}

function julianDaysOfNewYear(year: number): number {
  const before = year - 1
  return before * 365 + Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400) - 719162
}

function taskValue(node: Node, name: string): string | undefined {
  switch (name) {
    case 'TASK':
      return node.kind === 'alias' ? (node.parent?.name ?? node.name) : node.name
    case 'ECF_NAME':
      return node.path
    case 'ECF_TRYNO':
      return String(node.run?.tryNumber ?? 0)
    case 'ECF_RID':
      return node.run?.remoteId ?? ''
    case 'ECF_PASS':
      return node.run?.password ?? ''
    case 'ECF_SCRIPT':
      return `${findUserVariable(node, 'ECF_HOME') ?? ''}${node.path}${node.kind === 'alias' ? '.usr' : '.ecf'}`
    case 'ECF_JOB':
      return `${findUserVariable(node, 'ECF_HOME') ?? ''}${node.path}.job${node.run?.tryNumber ?? 0}`
    case 'ECF_JOBOUT':
      return `${findUserVariable(node, 'ECF_OUT') ?? findUserVariable(node, 'ECF_HOME') ?? ''}${node.path}.${node.run?.tryNumber ?? 0}`
    default:
      return undefined
  }
}

function belowSuite(node: Node): string {
  let path = node.name
  for (let at = node.parent; at && at.kind === 'family'; at = at.parent) path = `${at.name}/${path}`
  return path
}
