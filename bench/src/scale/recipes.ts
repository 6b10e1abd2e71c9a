// Types and recipes for the benchmarks, over HTTP as a user would make them.

import type { Client } from '../load.ts'

/** Creates a no-op job type, a recipe type of ten nodes and one of a single node. */
export async function createTypes(client: Client): Promise<{ chain: number; single: number }> {
  const manifest = {
    seedVersion: '1.0.0',
    job: {
      name: 'nothing',
      jobVersion: '1.0.0',
      packageVersion: '1.0.0',
      title: 'Nothing',
      description: 'Done as soon as it begins',
      maintainer: { name: 'bench', email: 'none' },
      timeout: 60,
    },
  }
  await client.json('POST', '/v6/job-types/', { docker_image: 'local/noop:1.0', manifest, configuration: {} })
  const type = { node_type: 'job', job_type_name: 'nothing', job_type_version: '1.0.0', job_type_revision: 1 }
  const node = (parents: string[]): object => ({
    dependencies: parents.map(name => ({ name })),
    input: {},
    node_type: type,
  })
  // Two levels of fan-out and a join: every kind of edge, none of it long.
  const nodes = Object.fromEntries([
    ['first', node([])],
    ...['a', 'b', 'c', 'd'].map(name => [name, node(['first'])]),
    ...['e', 'f', 'g', 'h'].map((name, at) => [name, node([['a', 'b', 'c', 'd'][at]!])]),
    ['last', node(['e', 'f', 'g', 'h'])],
  ])
  const create = async (title: string, definition: object): Promise<number> =>
    (await client.json<{ id: number }>('POST', '/v6/recipe-types/', { title, definition })).id
  return {
    chain: await create('Ten', { nodes }),
    single: await create('Single', { nodes: { only: node([]) } }),
  }
}

/** Creates a recipe type of many no-op nodes: levels of a hundred, each node below two of the level before. */
export async function createLarge(client: Client, count: number): Promise<number> {
  const type = { node_type: 'job', job_type_name: 'nothing', job_type_version: '1.0.0', job_type_revision: 1 }
  const nodes = Array.from({ length: count }, (_, n) => {
    const parents = n < 100 ? [] : [n - 100, n - (n % 100 === 0 ? 1 : 101)]
    const dependencies = parents.map(parent => ({ name: `n${parent}` }))
    return [`n${n}`, { dependencies, input: {}, node_type: type }]
  })
  const definition = { nodes: Object.fromEntries(nodes) }
  return (await client.json<{ id: number }>('POST', '/v6/recipe-types/', { title: 'Large', definition })).id
}

/** Queues recipes of a type, one a request. */
export async function queueMany(
  client: Client,
  typeId: number,
  facts: { count: number; clients: number },
): Promise<void> {
  const body = JSON.stringify({ recipe_type_id: typeId, input: {} })
  let left = facts.count
  const lane = async (): Promise<void> => {
    while (left-- > 0) {
      const answer = await client.ask('POST', '/v6/recipes/', body)
      if (answer.status !== 201)
        throw new Error(`a recipe was answered with ${answer.status}: ${answer.body}`)
    }
  }
  await Promise.all(Array.from({ length: facts.clients }, lane))
}
