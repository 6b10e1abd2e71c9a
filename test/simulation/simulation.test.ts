import assert from 'node:assert/strict'
import { test } from 'vitest'
import { playDay } from './day.ts'

const seeds = Number(process.env['SIM_SEEDS'] ?? 2_000)

test(`${seeds} seeded days of random commands, executors and crashes keep every promise`, async () => {
  const sum = { jobs: 0, crashes: 0, failedCommits: 0 }
  for (let seed = 1; seed <= seeds; seed++) {
    const report = await playDay(seed).catch(error => {
      throw new Error(`replay with: make sim SEED=${seed}\n${error.message}`, { cause: error })
    })
    sum.jobs += report.jobs
    sum.crashes += report.crashes
    sum.failedCommits += report.failedCommits
  }
  // A simulation that never does anything would pass as well: say what was played, and insist on it.
  assert.ok(
    sum.jobs > seeds * 10 && sum.crashes > seeds * 2 && sum.failedCommits > seeds / 2,
    JSON.stringify(sum),
  )
})
