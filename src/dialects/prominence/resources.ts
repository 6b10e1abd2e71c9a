// What a job takes from its pool: granted cpus, memory, disk, and the figures that its description shows for them.

import type { Job, Resources } from '../../core/job.ts'
import type { ResourcesDocument } from './document.ts'

/** The original counts 1000 MB to a GB, and so in bytes. */
export const gigabyte = 1_000_000_000

/** What was granted, in the units of the documents. */
export interface Grant {
  readonly nodes: number
  /** On each node. */
  readonly cpus: number
  /** GB on each node. */
  readonly memory: number
  readonly disk: number
}

/** What could be had at the moment; a member is undefined where nobody counts it. */
export interface Free {
  readonly cpus?: number | undefined
  readonly memoryBytes?: number | undefined
}

/** No more nodes than this are put together. */
export const nodesMax = 1000

/**
 * Decides what a job gets: as much as is free within what it says, on as few nodes as that takes, and else the least
 * that it says. Undefined where no number of nodes makes up the total that it asks for.
 */
export function decideGrant(
  resources: ResourcesDocument,
  { free, diskGbDefault }: { free: Free; diskGbDefault: number },
): Grant | undefined {
  const decided = decideMost(resources, free) ?? decideLeast(resources)
  if (decided === undefined) return undefined
  const { nodes, cpus } = decided
  return {
    nodes,
    cpus,
    memory: resources.memory ?? (resources.memoryPerCpu ?? 1) * cpus,
    disk: resources.disk ?? diskGbDefault,
  }
}

interface Shape {
  readonly nodes: number
  readonly cpus: number
}

/** The largest that is free now. */
function decideMost(resources: ResourcesDocument, free: Free): Shape | undefined {
  const { memory, memoryPerCpu = 1, totalCpusRange } = resources
  const [totalMin, totalMax] = totalCpusRange ?? [0, Number.POSITIVE_INFINITY]
  const freeGb = (free.memoryBytes ?? Number.POSITIVE_INFINITY) / gigabyte
  const cpusMax = Math.min(totalMax, free.cpus ?? Number.POSITIVE_INFINITY)
  let most: Shape | undefined
  for (const nodes of nodeCounts(resources)) {
    const byMemory =
      memory === undefined ? freeGb / nodes / memoryPerCpu : memory * nodes <= freeGb ? cpusMax : 0
    const cpus = cpusUpTo(resources, Math.min(cpusMax / nodes, byMemory))
    if (cpus === undefined || nodes * cpus < totalMin) continue
    if (most === undefined || nodes * cpus > most.nodes * most.cpus) most = { nodes, cpus }
  }
  return most
}

/** The smallest that the job would do with: what it waits for. */
function decideLeast(resources: ResourcesDocument): Shape | undefined {
  const [totalMin, totalMax] = resources.totalCpusRange ?? [0, Number.POSITIVE_INFINITY]
  let least: Shape | undefined
  for (const nodes of nodeCounts(resources)) {
    const cpus = cpusFrom(resources, totalMin / nodes)
    if (cpus === undefined || nodes * cpus > totalMax) continue
    if (least === undefined || nodes * cpus < least.nodes * least.cpus) least = { nodes, cpus }
  }
  return least
}

function nodeCounts({ nodes, totalCpusRange }: ResourcesDocument): number[] {
  if (nodes !== undefined) return [nodes]
  if (totalCpusRange === undefined) return [1]
  return Array.from({ length: Math.min(nodesMax, totalCpusRange[1]) }, (_, at) => at + 1)
}

/** The cpus of a node that a job would like best, up to a bound. */
function cpusUpTo({ cpus, cpusRange, cpusOptions }: ResourcesDocument, bound: number): number | undefined {
  if (cpus !== undefined) return cpus <= bound ? cpus : undefined
  if (cpusRange !== undefined)
    return cpusRange[0] <= bound ? Math.min(cpusRange[1], Math.floor(bound)) : undefined
  const [usual, preferred] = cpusOptions!
  return [preferred, usual].find(option => option <= bound)
}

/** The cpus of a node that a job would do with, from a bound. */
function cpusFrom({ cpus, cpusRange, cpusOptions }: ResourcesDocument, bound: number): number | undefined {
  if (cpus !== undefined) return cpus >= bound ? cpus : undefined
  if (cpusRange !== undefined) {
    const least = Math.max(cpusRange[0], Math.ceil(bound))
    return least <= cpusRange[1] ? least : undefined
  }
  return cpusOptions!.find(option => option >= bound)
}

/** What a job remembers of its grant besides its needs: how many nodes, where its document does not say. */
export function rememberedOf({ totalCpusRange, nodes }: ResourcesDocument, grant: Grant): { nodes?: number } {
  return totalCpusRange === undefined || nodes !== undefined ? {} : { nodes: grant.nodes }
}

/** How many nodes a job was granted. */
export function nodesOf({ nodes }: ResourcesDocument, { detail }: Pick<Job, 'detail'>): number {
  const granted = detail?.['nodes']
  return nodes ?? (typeof granted === 'number' ? granted : 1)
}

/** The grant as the engine counts it, over all nodes. */
export function needsOf({ nodes, cpus, memory, disk }: Grant): Resources {
  return {
    cpus: nodes * cpus,
    memoryBytes: Math.round(nodes * memory * gigabyte),
    diskBytes: disk * gigabyte,
  }
}

/** The engine's count as a grant again: what a description shows as provided. */
export function grantOf(needs: Resources | null, nodes: number): Grant {
  return {
    nodes,
    cpus: (needs?.cpus ?? nodes) / nodes,
    memory: (needs?.memoryBytes ?? 0) / nodes / gigabyte,
    disk: (needs?.diskBytes ?? 0) / gigabyte,
  }
}
