import { expect, test } from 'vitest'
import { decideGrant, needsOf, nodesOf } from './resources.ts'

const grant = (resources: Parameters<typeof decideGrant>[0], freeCpus?: number) =>
  decideGrant(resources, { freeCpus, diskGbDefault: 10 })

test('a total range of cpus is made up of nodes, as many as are free, and never below its lower end', () => {
  const resources = { cpus: 2, memory: 1, totalCpusRange: [4, 9] } as const
  expect([undefined, 100, 7, 4, 0].map(free => grant(resources, free).nodes)).toEqual([4, 4, 3, 2, 2])
  expect(needsOf(grant(resources, 7))).toEqual({ cpus: 6, memoryBytes: 3e9, diskBytes: 1e10 })
})

test('the number of nodes is found again in what the engine counts', () => {
  const resources = { cpus: 2, memory: 1, totalCpusRange: [4, 9] } as const
  for (const free of [0, 7, 100]) {
    const granted = grant(resources, free)
    expect(nodesOf(resources, needsOf(granted))).toBe(granted.nodes)
  }
  expect(nodesOf({ cpus: 2, memory: 1, nodes: 3 }, null)).toBe(3)
  expect(nodesOf({ cpus: 2, memory: 1 }, null)).toBe(1)
})

test('a number of nodes wins over a total range, and so does a range for each node', () => {
  expect(grant({ cpus: 2, memory: 1, nodes: 1, totalCpusRange: [4, 8] }).nodes).toBe(1)
  expect(grant({ cpusRange: [1, 4], memory: 1, totalCpusRange: [4, 8] }, 3)).toMatchObject({
    nodes: 1,
    cpus: 3,
  })
})
