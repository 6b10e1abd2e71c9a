// The Scale dialect: recipes beside plain jobs of the same engine, lists over many recipes, and diffs.

import { Client, drained } from '../load.ts'
import { type RunningYard, rssOf, startYard } from '../processes.ts'
import { boundFigure, type Figure, quantile, rateFigure, type Suite } from '../suite.ts'
import { diffMs } from './diff.ts'
import { createLarge, createTypes, queueMany } from './recipes.ts'

const manySlots = '[pools.default]\nslots = 1024\n'

const recipes: Suite = {
  name: 'scale-recipes',
  title: '1 000 recipes of 10 no-op nodes, one recipe a request, beside 10 000 plain no-op jobs',
  async run(): Promise<Figure[]> {
    const plain = await plainRate(10_000)
    const yard = await startYard({ config: manySlots })
    const client = new Client(yard.url, yard.token)
    const { chain } = await createTypes(client)
    // The first ones pay for compiling; they are not counted.
    await queueMany(client, chain, { count: 200, clients: 16 })
    await drained(client)
    const startedAt = performance.now()
    await queueMany(client, chain, { count: 1000, clients: 32 })
    await drained(client)
    const rate = 10_000 / ((performance.now() - startedAt) / 1000)
    const { count } = await client.json<{ count: number }>(
      'GET',
      '/v6/recipes/?is_completed=true&page_size=1',
    )
    if (count !== 1200) throw new Error(`${count} of 1200 recipes are complete`)
    client.close()
    await yard.stop()
    return [
      rateFigure('node rate', {
        ours: rate,
        peer: plain,
        peerName: 'plain no-op jobs',
        unit: 'jobs/s',
        atLeast: 0.7,
      }),
    ]
  },
}

const lists: Suite = {
  name: 'scale-lists',
  title: 'Lists and details with 100 000 recipes of one no-op node',
  async run(): Promise<Figure[]> {
    const total = Number(process.env['SCALE_BENCH_RECIPES'] ?? 100_000)
    const yard = await startYard({ config: manySlots })
    const client = new Client(yard.url, yard.token)
    const { single } = await createTypes(client)
    await queueMany(client, single, { count: total, clients: 64 })
    await drained(client)
    const last = Math.floor(total / 100)
    const paths = {
      'recipe list, first page': () => '/v6/recipes/',
      'recipe list, any page': (n: number) => `/v6/recipes/?page=${1 + ((n * 37) % last)}`,
      'recipe list, filtered': () =>
        '/v6/recipes/?is_completed=true&recipe_type_name=single&order=-last_modified&page_size=20',
      'recipe list, by creation, any page': (n: number) =>
        `/v6/recipes/?order=-created&page=${1 + ((n * 37) % last)}`,
      'recipe list of a time': (n: number) => `/v6/recipes/?started=PT${1 + (n % 60)}M0S&is_superseded=false`,
      'job list, by status, any page': (n: number) =>
        `/v6/jobs/?status=COMPLETED&order=-last_modified&page=${1 + ((n * 37) % last)}`,
      'job types by status': () => '/v6/job-types/status/',
      'recipe details': (n: number) => `/v6/recipes/${1 + ((n * 7919) % total)}/`,
      'job details': (n: number) => `/v6/jobs/${1 + ((n * 7919) % total)}/`,
    }
    const figures = await listFigures(client, paths)
    client.close()
    await yard.stop()
    return [...figures, ...(await restartFigures(yard, total))]
  },
}

async function listFigures(
  client: Client,
  paths: Readonly<Record<string, (n: number) => string>>,
): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const [what, path] of Object.entries(paths)) {
    const times: number[] = []
    for (let n = 0; n < 200; n++) {
      const answer = await client.ask('GET', path(n))
      if (answer.status !== 200) throw new Error(`${path(n)} answered ${answer.status}`)
      if (n >= 20) times.push(answer.ms)
    }
    figures.push(boundFigure(`${what}, p99`, { value: quantile(times, 0.99), unit: 'ms', atMost: 50 }))
  }
  return figures
}

/** A start over what the lists were measured on: until it answers, and what it holds in memory then. */
async function restartFigures({ dataDir }: RunningYard, total: number): Promise<Figure[]> {
  const startedAt = performance.now()
  const yard = await startYard({ dataDir, config: manySlots })
  const client = new Client(yard.url, yard.token)
  const { count } = await client.json<{ count: number }>('GET', '/v6/recipes/?page_size=1')
  const ms = performance.now() - startedAt
  if (count !== total) throw new Error(`${count} of ${total} recipes are there after a restart`)
  const mebibytes = rssOf(yard.pid) / 1_048_576
  client.close()
  await yard.stop()
  return [
    boundFigure('restart until the first list', { value: ms, unit: 'ms', atMost: 2000 }),
    boundFigure('memory after a restart', { value: mebibytes, unit: 'MiB', atMost: 250 }),
  ]
}

const large: Suite = {
  name: 'scale-large',
  title: 'One recipe of 5 000 no-op nodes in 50 levels, all of whose ends are followed',
  async run(): Promise<Figure[]> {
    const count = 5000
    const yard = await startYard({ config: manySlots })
    const client = new Client(yard.url, yard.token)
    await createTypes(client)
    const typeId = await createLarge(client, count)
    const startedAt = performance.now()
    await queueMany(client, typeId, { count: 1, clients: 1 })
    await drained(client)
    const perEnd = (performance.now() - startedAt) / count
    const shown = await client.json<{ jobs_completed: number }>('GET', '/v6/recipes/1/')
    if (shown.jobs_completed !== count)
      throw new Error(`${shown.jobs_completed} of ${count} jobs are complete`)
    const times: number[] = []
    for (let n = 0; n < 60; n++) {
      const { ms } = await client.ask('GET', '/v6/recipes/1/')
      if (n >= 10) times.push(ms)
    }
    client.close()
    await yard.stop()
    return [
      boundFigure('a job, from its start to its recipe’s update', { value: perEnd, unit: 'ms', atMost: 10 }),
      boundFigure('details of the recipe, median', { value: quantile(times, 0.5), unit: 'ms', atMost: 50 }),
    ]
  },
}

const diff: Suite = {
  name: 'scale-diff',
  title: 'Diff of two definitions of 2 000 nodes',
  async run(): Promise<Figure[]> {
    return [boundFigure('diff, read and shown', { value: diffMs(), unit: 'ms', atMost: 50 })]
  },
}

/** All suites of this dialect. */
export const scaleSuites: readonly Suite[] = [recipes, lists, large, diff]

async function plainRate(total: number): Promise<number> {
  const yard = await startYard({ config: manySlots })
  const client = new Client(yard.url, yard.token)
  const job = { executor: 'function', spec: { function: 'noop', input: null } }
  const body = JSON.stringify({ jobs: Array.from({ length: 10 }, () => job) })
  const submit = async (requests: number): Promise<void> => {
    let left = requests
    const lane = async (): Promise<void> => {
      while (left-- > 0) await client.ask('POST', '/yard/v1/jobs/batch', body)
    }
    await Promise.all(Array.from({ length: 32 }, lane))
  }
  await submit(200)
  await drained(client)
  const startedAt = performance.now()
  // As many requests as there will be recipes: what is compared is the work, not the number of requests.
  await submit(total / 10)
  await drained(client)
  const rate = total / ((performance.now() - startedAt) / 1000)
  client.close()
  await yard.stop()
  return rate
}
