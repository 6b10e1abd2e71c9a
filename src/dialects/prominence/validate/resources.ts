// The member `resources` of a job. The order of the checks is the contract's: the first fault answers.

import { atLeastOne, bad, has, isCount, listOr, objectOr, onlyKnown } from './bad.ts'

const known = new Set([
  'nodes',
  'cpus',
  'cpusRange',
  'cpusOptions',
  'memory',
  'memoryPerCpu',
  'disk',
  'walltime',
  'totalCpusRange',
])

/** Checks `resources` of a job description. */
export function checkResources(job: { [name: string]: unknown }): void {
  if (!has(job, 'resources')) bad('a job must contain resources', 'resources')
  const resources = objectOr(job['resources'], 'resources must be defined as a dict', 'resources')
  onlyKnown(resources, known, item => `invalid item "${item}" in resources`)
  checkNodes(resources)
  checkCpus(resources)
  checkMemory(resources)
  if (has(resources, 'disk'))
    atLeastOne(resources['disk'], 'required disk must be an integer', 'disk must be at least 1', 'disk')
  if (has(resources, 'walltime'))
    atLeastOne(
      resources['walltime'],
      'required walltime must be an integer',
      'walltime must be at least 1 minute',
      'walltime',
    )
}

function checkNodes(resources: { [name: string]: unknown }): void {
  if (has(resources, 'nodes'))
    atLeastOne(
      resources['nodes'],
      'number of nodes must be an integer',
      'number of nodes must be at least 1',
      'nodes',
    )
  if (!has(resources, 'totalCpusRange')) return
  const range = listOr(resources['totalCpusRange'], 'totalCpusRange must be a list', 'totalCpusRange')
  const words = 'totalCpusRange must be a list containing the min and max allowed total number of CPUs'
  if (range.length !== 2) bad(words, 'totalCpusRange')
  checkPair('totalCpusRange', range, { rising: true })
}

function checkCpus(resources: { [name: string]: unknown }): void {
  if (has(resources, 'cpus')) {
    atLeastOne(
      resources['cpus'],
      'number of cpus must be an integer',
      'number of cpus must be at least 1',
      'cpus',
    )
  } else {
    if (!has(resources, 'cpusRange') && !has(resources, 'cpusOptions'))
      bad('one of cpus, cpusRange, cpusOptions must be defined', 'cpus')
    if (has(resources, 'cpusRange')) {
      const range = resources['cpusRange']
      const words = 'cpusRange must be a list containing the min and max allowed number of CPUs'
      if (!Array.isArray(range) || range.length !== 2) bad(words, 'cpusRange')
      checkPair('cpusRange', range, { rising: true })
    }
    if (has(resources, 'cpusOptions')) {
      const options = resources['cpusOptions']
      const words = 'cpusOptions must be a list containing the two possible number of CPUs'
      if (!Array.isArray(options) || options.length !== 2) bad(words, 'cpusOptions')
      checkPair('cpusOptions', options, { rising: false })
    }
  }
  for (const [one, other] of [
    ['cpus', 'cpusRange'],
    ['cpus', 'cpusOptions'],
    ['cpusRange', 'cpusOptions'],
  ] as const)
    if (has(resources, one) && has(resources, other)) bad(`${one} and ${other} cannot both be defined`, other)
}

function checkPair(name: string, pair: unknown[], { rising }: { rising: boolean }): void {
  if (!pair.every(entry => isCount(entry) && entry >= 1)) bad(`${name} must contain positive integers`, name)
  if (rising && (pair[0] as number) > (pair[1] as number))
    bad(`the first entry of ${name} must not be greater than the second`, name)
}

function checkMemory(resources: { [name: string]: unknown }): void {
  if (has(resources, 'memory')) checkGigabytes('memory', resources['memory'])
  else {
    if (!has(resources, 'memoryPerCpu')) bad('memory or memoryPerCpu (in GB) must be defined', 'memory')
    checkGigabytes('memoryPerCpu', resources['memoryPerCpu'])
  }
  if (has(resources, 'memory') && has(resources, 'memoryPerCpu'))
    bad('memory and memoryPerCpu cannot both be defined', 'memory')
}

/** Any number above zero: client 0.21.0 sends fractions, contracts/prominence.md §5.1. */
function checkGigabytes(name: string, value: unknown): void {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
    bad(`${name} must be an integer`, name)
  if (value === 0) bad(`${name} must be at least 1`, name)
}
