import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Histogram as PromHistogram, Registry } from 'prom-client'
import { test } from 'vitest'
import { Histogram } from './histogram.ts'

const facts = { name: 'times_seconds', help: 'How long', buckets: [0.1, 1, 10] }
const odd = ['', 'a', 'b\n"c"\\', 'a,b="x"']

test('it shows what prom-client’s own would, whatever is observed', async () => {
  const observed = fc.record({
    value: fc.oneof(fc.constantFrom(0, 0.1, 1, 10), fc.double({ min: 0, max: 20, noNaN: true })),
    route: fc.constantFrom(...odd),
    status: fc.constantFrom(200, 404),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(observed, { maxLength: 60 }), async values => {
      const [ours, theirs] = [new Registry(), new Registry()]
      const labelNames = ['route', 'status'] as const
      const own = new Histogram({ ...facts, labelNames, registers: [ours] })
      const peer = new PromHistogram({ ...facts, labelNames, registers: [theirs] })
      for (const { value, route, status } of values) {
        own.observe(value, route, status)
        peer.observe({ route, status }, value)
      }
      assert.equal(await ours.metrics(), await theirs.metrics())
    }),
    { seed: 7, numRuns: 60 },
  )
})

test('without labels there is one series, from the beginning', async () => {
  const [ours, theirs] = [new Registry(), new Registry()]
  const own = new Histogram({ ...facts, registers: [ours] })
  const peer = new PromHistogram({ ...facts, registers: [theirs] })
  assert.equal(await ours.metrics(), await theirs.metrics())
  for (const value of [0.05, 5, 50]) {
    own.observe(value)
    peer.observe(value)
  }
  assert.equal(await ours.metrics(), await theirs.metrics())
})

test('a name is taken once', () => {
  const registers = [new Registry()]
  new Histogram({ ...facts, registers })
  assert.throws(() => new Histogram({ ...facts, registers }), /already been registered/)
})
