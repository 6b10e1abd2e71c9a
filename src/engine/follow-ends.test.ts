import assert from 'node:assert/strict'
import { test } from 'vitest'
import { aJob, setup, type TestYard } from '../../test/support/yard.ts'
import type { End } from './engine.ts'

const foreign = aJob()
const own = aJob({ dialect: 'own' })

/** Follows with a list of what it was told; `gate` holds it up, `fails` makes it throw. */
async function follow(yard: TestYard, from?: number, gate = Promise.resolve()) {
  const told: number[] = []
  const places: number[] = []
  const errors: unknown[] = []
  const mood = { gate, fails: false }
  const stop = await yard.engine.followEnds({
    dialect: 'own',
    from,
    take: async (ends: readonly End[], upTo: number) => {
      await mood.gate
      if (mood.fails) throw new Error('not now')
      for (const end of ends) told.push('job' in end ? end.job.n : end.flow.n)
      places.push(upTo)
    },
    onError: error => errors.push(error),
  })
  await yard.settle()
  return { told, places, errors, mood, stop }
}

/** Jobs that are submitted and ended, one after the other. */
async function endMany(yard: TestYard, draft: typeof own, count: number): Promise<number[]> {
  const jobs = await yard.submit(...Array.from({ length: count }, () => draft))
  for (const job of jobs) yard.executor.end(`${job.id}.1`, { result: 'succeeded', exitCode: 0 })
  for (let turn = 0; turn < 20; turn++) await yard.settle()
  return jobs.map(job => job.n)
}

test('the ends of one dialect are told in their order, and those of others are not', async () => {
  const yard = await setup()
  const { told, places } = await follow(yard)
  const jobs = await yard.submit(own, foreign, own)
  await yard.end(jobs[2]!)
  await yard.end(jobs[1]!)
  await yard.fail(jobs[0]!)
  assert.deepEqual(told, [jobs[2]!.n, jobs[0]!.n])
  assert.equal(places.at(-1), await yard.engine.lastEvent())
})

test('following that begins now writes its place down first, and tells nothing of what was before', async () => {
  const yard = await setup()
  await endMany(yard, own, 3)
  const { told, places } = await follow(yard)
  assert.deepEqual(told, [])
  assert.deepEqual(places, [await yard.engine.lastEvent()])
})

test('what was missed is told first, page by page, and what ends meanwhile is neither lost nor told twice', async () => {
  const yard = await setup()
  const missed = [...(await endMany(yard, own, 300)), ...(await endMany(yard, own, 300))]
  let open = () => {}
  const gate = new Promise<void>(resolve => {
    open = resolve
  })
  const { told } = await follow(yard, 0, gate)
  const live = await endMany(yard, own, 5)
  open()
  for (let turn = 0; turn < 20; turn++) await yard.settle()
  assert.deepEqual(told, [...missed, ...live])
})

test('ends that could not be dealt with are told again', async () => {
  const yard = await setup()
  const { told, errors, mood } = await follow(yard)
  mood.fails = true
  const first = await endMany(yard, own, 2)
  assert.equal(errors.length > 0, true)
  mood.fails = false
  const then = await endMany(yard, own, 1)
  assert.deepEqual(told, [...first, ...then])
})

test('more ends than memory should hold are read from the store once they can be dealt with', async () => {
  const yard = await setup()
  const { told, mood } = await follow(yard)
  let open = () => {}
  mood.gate = new Promise(resolve => {
    open = resolve
  })
  const jobs = await endMany(yard, own, 10_600)
  open()
  for (let turn = 0; turn < 100; turn++) await yard.settle()
  assert.deepEqual(told, jobs)
})

test('a long time without own ends moves the place on all the same', async () => {
  const yard = await setup()
  const { places } = await follow(yard)
  await endMany(yard, foreign, 7_000)
  assert.equal(places.length, 2)
  assert.equal(places[1]! > 20_000, true)
})

test('a follower that was stopped hears nothing more', async () => {
  const yard = await setup()
  const { told, stop } = await follow(yard)
  await stop()
  await endMany(yard, own, 1)
  assert.deepEqual(told, [])
})
