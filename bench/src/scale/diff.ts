// How long the diff of two definitions of 2 000 nodes takes, in this process: from documents to the shown answer.

import { readStoredDefinition } from '../../../src/domains/recipe/definition.ts'
import { diffDefinitions, showDiff } from '../../../src/domains/recipe/diff.ts'
import { buildGraph } from '../../../src/domains/recipe/graph.ts'
import { quantile } from '../suite.ts'

const count = 2000

/** The median of some runs. */
export function diffMs(): number {
  const [before, after] = [definition(0), definition(1)]
  const times: number[] = []
  for (let run = 0; run < 15; run++) {
    const startedAt = performance.now()
    const [previous, next] = [readStoredDefinition(before as never), readStoredDefinition(after as never)]
    const built = buildGraph(next)
    if (!('graph' in built)) throw new Error('the definition has no order')
    JSON.stringify(showDiff(diffDefinitions(previous, { definition: next, graph: built.graph })))
    times.push(performance.now() - startedAt)
  }
  return quantile(times.slice(5), 0.5)
}

function definition(shift: number): object {
  const nodes = Array.from({ length: count }, (_, n) => [
    `n${n}`,
    {
      dependencies: [n - 1, n - 2 - shift, n - 7]
        .filter(parent => parent >= 0)
        .map(parent => ({ name: `n${parent}` })),
      input: {},
      node_type: {
        node_type: 'job',
        job_type_name: 'nothing',
        job_type_version: '1.0.0',
        job_type_revision: n === 1000 ? 1 + shift : 1,
      },
    },
  ])
  return { nodes: Object.fromEntries(nodes) }
}
