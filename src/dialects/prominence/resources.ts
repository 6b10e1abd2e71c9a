// What a job takes from its pool: granted cpus, memory, disk, and the figures that its description shows for them.

import type { Resources } from '../../core/job.ts'
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

/** How many cpus could be had at the moment; undefined where nobody counts them. */
export type Free = number | undefined

/** Decides what a job gets. Ranges take what is free, and never less than their lower end. */
export function decideGrant(
  resources: ResourcesDocument,
  { freeCpus, diskGbDefault }: { freeCpus: Free; diskGbDefault: number },
): Grant {
  const cpus = decideCpus(resources, resources.nodes ?? 1, freeCpus)
  const nodes = decideNodes(resources, cpus, freeCpus)
  return {
    nodes,
    cpus,
    memory: resources.memory ?? (resources.memoryPerCpu ?? 1) * cpus,
    disk: resources.disk ?? diskGbDefault,
  }
}

function decideCpus(resources: ResourcesDocument, nodes: number, freeCpus: Free): number {
  if (resources.cpus !== undefined) return resources.cpus
  const free = freeCpus === undefined ? Number.POSITIVE_INFINITY : Math.floor(freeCpus / nodes)
  if (resources.cpusRange !== undefined) {
    const [min, max] = resources.cpusRange
    return Math.max(min, Math.min(max, free))
  }
  const [usual, preferred] = resources.cpusOptions!
  return preferred <= free ? preferred : usual
}

/** Without a number of nodes, as many as make up the total that was asked for, by what is free; never below its lower end. */
function decideNodes(resources: ResourcesDocument, cpus: number, freeCpus: Free): number {
  const { nodes, totalCpusRange } = resources
  // A range for each node and one for all of them: the nodes' own decides, and there is one.
  if (nodes !== undefined || totalCpusRange === undefined || resources.cpus === undefined) return nodes ?? 1
  const [min, max] = totalCpusRange
  const most = Math.floor(Math.min(max, freeCpus ?? Number.POSITIVE_INFINITY) / cpus)
  return Math.max(Math.ceil(min / cpus), most, 1)
}

/** How many nodes a job was granted, told by its document and what the engine counts for it. */
export function nodesOf({ nodes, cpus, totalCpusRange }: ResourcesDocument, needs: Resources | null): number {
  if (nodes !== undefined || totalCpusRange === undefined || cpus === undefined) return nodes ?? 1
  return Math.max(1, Math.round((needs?.cpus ?? cpus) / cpus))
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
