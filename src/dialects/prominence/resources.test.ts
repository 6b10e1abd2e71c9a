import { expect, test } from 'vitest'
import type { Job } from '../../core/job.ts'
import { decideGrant, type Free, gigabyte, needsOf, nodesOf, rememberedOf } from './resources.ts'

type Resources = Parameters<typeof decideGrant>[0]

const grant = (resources: Resources, free: Free = {}) => decideGrant(resources, { free, diskGbDefault: 10 })
const shape = (resources: Resources, cpus?: number) => {
  const decided = grant(resources, { cpus })
  return decided && [decided.nodes, decided.cpus]
}

test('a range takes what is free of it, and never less than its lower end', () => {
  const resources = { cpusRange: [2, 6], memory: 1 } as const
  expect([undefined, 9, 4, 2, 0].map(free => shape(resources, free))).toEqual([
    [1, 6],
    [1, 6],
    [1, 4],
    [1, 2],
    [1, 2],
  ])
  expect(shape({ ...resources, nodes: 2 }, 9)).toEqual([2, 4])
})

test('of two options the second is taken when it is free now, else the first', () => {
  const resources = { cpusOptions: [2, 8], memory: 1 } as const
  expect([undefined, 8, 7, 1].map(free => shape(resources, free))).toEqual([
    [1, 8],
    [1, 8],
    [1, 2],
    [1, 2],
  ])
})

test('a total range is made up of nodes, as much as is free, on as few of them as that takes', () => {
  const resources = { cpus: 2, memory: 1, totalCpusRange: [4, 9] } as const
  expect([undefined, 100, 7, 4, 0].map(free => shape(resources, free)?.[0])).toEqual([4, 4, 3, 2, 2])
  expect(needsOf(grant(resources, { cpus: 7 })!)).toEqual({ cpus: 6, memoryBytes: 3e9, diskBytes: 1e10 })
})

test('a total range goes together with a range or options for each node', () => {
  const range = { cpusRange: [2, 4], memory: 1, totalCpusRange: [6, 16] } as const
  expect([undefined, 11, 7, 5].map(free => shape(range, free))).toEqual([
    [4, 4],
    // Ten on three nodes would be nine: five of two are more.
    [5, 2],
    [2, 3],
    [2, 3],
  ])
  const options = { cpusOptions: [4, 8], memory: 1, totalCpusRange: [8, 20] } as const
  expect([undefined, 19, 9, 3].map(free => shape(options, free))).toEqual([
    [5, 4],
    [2, 8],
    [1, 8],
    [1, 8],
  ])
})

test('a number of nodes and a total range hold both', () => {
  expect(shape({ cpusRange: [1, 8], memory: 1, nodes: 2, totalCpusRange: [4, 10] })).toEqual([2, 5])
  expect(shape({ cpusRange: [1, 8], memory: 1, nodes: 2, totalCpusRange: [4, 10] }, 1)).toEqual([2, 2])
})

test('a total that no number of nodes makes up is no grant', () => {
  expect(grant({ cpus: 4, memory: 1, totalCpusRange: [5, 7] })).toBeUndefined()
  expect(grant({ cpus: 2, memory: 1, nodes: 1, totalCpusRange: [4, 8] })).toBeUndefined()
})

test('memory counts as well: no more cpus than there is memory for', () => {
  const free = { cpus: 8, memoryBytes: 16 * gigabyte }
  expect(grant({ cpusRange: [1, 8], memoryPerCpu: 4 }, free)).toMatchObject({ cpus: 4, memory: 16 })
  expect(grant({ cpus: 1, memory: 6, totalCpusRange: [1, 8] }, free)).toMatchObject({ nodes: 2 })
})

test('huge ranges are decided at once', () => {
  const begunAt = performance.now()
  expect(shape({ cpusRange: [1, 2e9], memory: 1, totalCpusRange: [1, 4e15] }, 3e9)).toEqual([2, 1.5e9])
  expect(performance.now() - begunAt).toBeLessThan(1000)
})

test('the number of nodes is remembered with the job where its document does not say', () => {
  const resources = { cpus: 2, memory: 1, totalCpusRange: [4, 9] } as const
  const told = (detail: Record<string, number>) => ({ detail }) as Pick<Job, 'detail'>
  expect(nodesOf(resources, told(rememberedOf(resources, grant(resources, { cpus: 7 })!)))).toBe(3)
  expect(rememberedOf({ cpus: 2, memory: 1 }, grant({ cpus: 2, memory: 1 })!)).toEqual({})
  expect(nodesOf({ cpus: 2, memory: 1, nodes: 3 }, told({}))).toBe(3)
  expect(nodesOf({ cpus: 2, memory: 1 }, told({}))).toBe(1)
})
