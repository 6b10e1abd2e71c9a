// Every statement is explained by SQLite: none may read a whole table or sort, unless it is said here why.

import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { readMigrations } from './migrate.ts'
import * as sql from './sql.ts'

/** What reads everything on purpose. */
const scans: Record<string, string> = {
  liveJobs: 'all that is live, in order of place, by its own index',
  liveFlows: 'the same for flows',
  allCounters: 'there are a few dozen',
}

const database = new DatabaseSync(':memory:')
for (const migration of readMigrations()) database.exec(migration.sql)

for (const [name, text] of statementsOf(sql)) {
  test(`${name} reads no whole table and sorts nothing`, () => {
    const plan = database
      .prepare(`EXPLAIN QUERY PLAN ${text}`)
      .all()
      .map(row => String(row['detail']))
    expect(plan.filter(step => step.includes('TEMP B-TREE'))).toEqual([])
    // json_each is a table function, and the subqueries of counts and maxima are scanned by their nature.
    const whole = plan.filter(step => /^SCAN (?!json_each|CONSTANT ROW|\()/.test(step))
    if (name in scans) return
    expect(whole).toEqual([])
  })
}

test('changing a job that goes on looks at one index, which it is not in', () => {
  const opcodes = database.prepare(`EXPLAIN ${sql.moveJob}`).all()
  // jobs_state has the state in it, but only of jobs with an end; that is seen before the index is touched.
  expect(opcodes.filter(row => row['opcode'] === 'IdxDelete').map(row => row['p4'])).toEqual(['jobs_state'])
})

test('changing a flow that goes on running touches no index', () => {
  const opcodes = database.prepare(`EXPLAIN ${sql.moveFlow}`).all()
  expect(opcodes.map(row => row['opcode'])).not.toContain('IdxDelete')
})

function statementsOf(group: object, prefix = ''): [string, string][] {
  return Object.entries(group).flatMap(([name, value]): [string, string][] => {
    if (typeof value === 'string') return [[prefix + name, value]]
    return typeof value === 'object' && value !== null ? statementsOf(value, `${prefix}${name}.`) : []
  })
}
