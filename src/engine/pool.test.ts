import { expect, test } from 'vitest'
import type { Job } from '../core/job.ts'
import { Pool } from './pool.ts'

function aJob(n: number, cpus: number): Job {
  return { n, rank: 0, owner: '', labels: null, needs: { cpus } } as Job
}

test('parts of processors add up exactly, so that a pool is as large after a year as on its first day', () => {
  const pool = new Pool('small', { resources: { cpus: 1 } })
  for (const cpus of [0.1, 0.2, 0.3]) pool.take(aJob(1, cpus))
  for (const cpus of [0.1, 0.2, 0.3]) pool.free(aJob(1, cpus))
  expect(pool.state().used.cpus).toBe(0)
  const whole = aJob(2, 1)
  pool.add(whole)
  expect(pool.next(0)).toBe(whole)
  pool.remove(whole)

  // 0.1 + 0.7 + 0.2 is more than 1 in some orders, when it is added up as the machine does.
  for (const parts of [
    [0.1, 0.7, 0.2],
    [0.7, 0.1, 0.2],
    [0.6, 0.3, 0.1],
  ]) {
    for (const [at, cpus] of parts.entries()) {
      const job = aJob(10 + at, cpus)
      pool.add(job)
      expect(pool.next(0)).toBe(job)
      pool.remove(job)
      pool.take(job)
    }
    expect(pool.state().used.cpus).toBe(1)
    for (const [at, cpus] of parts.entries()) pool.free(aJob(10 + at, cpus))
  }
})
