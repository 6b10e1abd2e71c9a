// The engine beside its limits and peers: issue by issue the figures that the founders promised.

import { join } from 'node:path'
import { Client, drained, postRate } from '../load.ts'
import { builtRoot, freshDir, rssOf, runProgram, startProgram, startRedis, startYard } from '../processes.ts'
import { boundFigure, type Figure, quantile, rateFigure, type Suite } from '../suite.ts'
import { fillHistory } from './fill.ts'

const here = import.meta.dirname
const noop = { executor: 'function', spec: { function: 'noop', input: 'x'.repeat(90) } }
const waitingNoop = { ...noop, held: true }
const manySlots = '[pools.default]\nslots = 1024\n'

/** Each of them in turn, three times over, so that a busy moment of the machine does not fall on one alone. */
const turns = 3

const submit: Suite = {
  name: 'submit',
  title: `Durable submit over HTTP, 64 clients, one job a request; medians of ${turns} turns`,
  async run() {
    const facts = { clients: 64, seconds: 3, body: JSON.stringify(waitingNoop) }
    const [bareRates, bullRates, rates]: [number[], number[], number[]] = [[], [], []]
    for (let turn = 0; turn < turns; turn++) {
      const bare = await startProgram(join(here, 'bare-server.ts'), [freshDir('bare')])
      bareRates.push(postRate(bare.url, { ...facts, token: '-' }))
      await bare.stop()
      const redis = await startRedis()
      const bull = await startProgram(join(here, 'bullmq-server.ts'), [String(redis.port)])
      bullRates.push(postRate(bull.url, { ...facts, token: '-' }))
      await bull.stop()
      await redis.stop()
      const yard = await startYard()
      rates.push(postRate(`${yard.url}/yard/v1/jobs`, { ...facts, token: yard.token }))
      await yard.stop()
    }
    return [
      rateFigure('submit over HTTP', {
        ours: quantile(rates, 0.5),
        peer: quantile(bareRates, 0.5),
        peerName: 'bare node:http + SQLite groups',
        unit: 'jobs/s',
        atLeast: 0.6,
      }),
      rateFigure('submit over HTTP', {
        ours: quantile(rates, 0.5),
        peer: quantile(bullRates, 0.5),
        peerName: 'BullMQ (fsync always) behind bare node:http',
        unit: 'jobs/s',
        atLeast: 1.5,
      }),
    ]
  },
}

const batch: Suite = {
  name: 'batch',
  title: 'Batch submit, 1 000 jobs a request',
  async run() {
    const yard = await startYard()
    const client = new Client(yard.url, yard.token)
    const body = JSON.stringify({ jobs: Array.from({ length: 1000 }, () => waitingNoop) })
    for (let i = 0; i < 5; i++) await client.ask('POST', '/yard/v1/jobs/batch', body)
    const requests = 100
    const startedAt = performance.now()
    let left = requests
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        while (left-- > 0) await client.ask('POST', '/yard/v1/jobs/batch', body)
      }),
    )
    const rate = (requests * 1000) / ((performance.now() - startedAt) / 1000)
    client.close()
    await yard.stop()
    return [boundFigure('batch submit', { value: rate, unit: 'jobs/s', atLeast: 40_000 })]
  },
}

const whole: Suite = {
  name: 'whole',
  title: `Durable no-op function jobs: submitted in batches, started and finished; medians of ${turns} turns`,
  async run() {
    const total = 100_000
    const [bareRates, bullRates, rates]: [number[], number[], number[]] = [[], [], []]
    for (let turn = 0; turn < turns; turn++) {
      const bare = await runProgram(join(here, 'bare-steps.ts'), [freshDir('steps'), String(total), '200'])
      bareRates.push((bare as { rate: number }).rate)
      const redis = await startRedis()
      const bull = await runProgram(join(here, 'bullmq-whole.ts'), [String(redis.port), '40000'])
      bullRates.push((bull as { rate: number }).rate)
      await redis.stop()
      rates.push(await wholeRate(total))
    }
    return [
      rateFigure('whole no-op jobs', {
        ours: quantile(rates, 0.5),
        peer: quantile(bullRates, 0.5),
        peerName: 'BullMQ (fsync always), best mode',
        unit: 'jobs/s',
        atLeast: 2,
      }),
      rateFigure('whole no-op jobs', {
        ours: quantile(rates, 0.5),
        peer: quantile(bareRates, 0.5),
        peerName: 'bare SQLite, three durable steps',
        unit: 'jobs/s',
        atLeast: 0.35,
      }),
    ]
  },
}

async function wholeRate(total: number): Promise<number> {
  const yard = await startYard({ config: manySlots })
  const client = new Client(yard.url, yard.token)
  const body = JSON.stringify({ jobs: Array.from({ length: 1000 }, () => noop) })
  await client.ask('POST', '/yard/v1/jobs/batch', body)
  await drained(client)
  const startedAt = performance.now()
  let left = total / 1000
  await Promise.all(
    Array.from({ length: 2 }, async () => {
      while (left-- > 0) await client.ask('POST', '/yard/v1/jobs/batch', body)
    }),
  )
  await drained(client)
  const rate = total / ((performance.now() - startedAt) / 1000)
  client.close()
  await yard.stop()
  return rate
}

const latency: Suite = {
  name: 'latency',
  title:
    'Submit to start when nothing else is to do, in flushes of this disk (median of those timed in between)',
  async run() {
    const inEngine = (await runProgram(join(here, 'engine-latency.ts'), [builtRoot(), '1000', '100'])) as {
      durableMs: number[]
      startMs: number[]
      flushMs: number[]
    }
    const flush = quantile(inEngine.flushMs, 0.5)
    const bareP99 = quantile(inEngine.flushMs, 0.99) / flush
    const throughHttp = await latencyOverHttp()
    const figure = (
      what: string,
      times: readonly number[],
      facts: { q: number; atMost?: number; beside?: string },
    ) =>
      boundFigure(`${what}, p${facts.q * 100}`, {
        ...facts,
        value: quantile(times, facts.q) / flush,
        unit: 'flushes',
      })
    return [
      figure('submit to start in the engine', inEngine.startMs, {
        q: 0.5,
        atMost: 2,
        beside: `one flush: ${flush.toFixed(2)} ms`,
      }),
      figure('submit to start in the engine', inEngine.startMs, {
        q: 0.99,
        atMost: 8,
        beside: `p99 of the bare flushes: ${bareP99.toFixed(1)}`,
      }),
      figure('submit to durable in the engine', inEngine.durableMs, { q: 0.5 }),
      figure('submit to start as an HTTP client sees it', throughHttp, { q: 0.5 }),
      figure('submit to start as an HTTP client sees it', throughHttp, { q: 0.99 }),
    ]
  },
}

/** From before the request is written to the run of the function; client and worker read the same clock. */
async function latencyOverHttp(): Promise<number[]> {
  const yard = await startYard()
  const client = new Client(yard.url, yard.token)
  const times: number[] = []
  for (let i = 0; i < 1_100; i++) {
    const submittedAt = performance.timeOrigin + performance.now()
    const { id } = await client.json<{ id: string }>('POST', '/yard/v1/jobs', {
      executor: 'function',
      spec: { function: 'stamp' },
    })
    await client.ask('GET', `/yard/v1/jobs/${id}?wait=5000`)
    const at = await client.json<number>('GET', `/yard/v1/jobs/${id}/outputs/at`)
    if (i >= 100) times.push(at - submittedAt)
  }
  client.close()
  await yard.stop()
  return times
}

const processes: Suite = {
  name: 'processes',
  title: '/bin/true jobs beside a bare spawn loop of the same parallelism',
  async run() {
    const [total, parallel] = [3_000, 8]
    const { rate: bare } = (await runProgram(join(here, 'bare-spawns.ts'), [
      freshDir('spawns'),
      String(total),
      String(parallel),
    ])) as { rate: number }
    const yard = await startYard({ config: `[pools.default]\nslots = ${parallel}\n` })
    const client = new Client(yard.url, yard.token)
    const job = { executor: 'process', spec: { argv: ['/bin/true'] } }
    const submitMany = (count: number) =>
      client.ask(
        'POST',
        '/yard/v1/jobs/batch',
        JSON.stringify({ jobs: Array.from({ length: count }, () => job) }),
      )
    await submitMany(50)
    await drained(client)
    const startedAt = performance.now()
    await submitMany(total)
    await drained(client)
    const rate = total / ((performance.now() - startedAt) / 1000)
    client.close()
    await yard.stop()
    return [
      rateFigure('/bin/true jobs', {
        ours: rate,
        peer: bare,
        peerName: `bare spawn loop, ${parallel} at once`,
        unit: 'jobs/s',
        atLeast: 0.6,
      }),
    ]
  },
}

const full: Suite = {
  name: 'full',
  title: `With 1 000 000 finished and 100 000 waiting jobs; rates are medians of ${turns} turns`,
  async run() {
    const facts = { clients: 64, seconds: 3, body: JSON.stringify(waitingNoop) }
    const empty = await startYard()
    await new Promise(resolved => setTimeout(resolved, 12_000))
    const idleRss = rssOf(empty.pid)

    const dataDir = await fillHistory({ finished: 1_000_000, waiting: 100_000 })
    const startedAt = performance.now()
    const yard = await startYard({ dataDir })
    const readyMs = performance.now() - startedAt
    const client = new Client(yard.url, yard.token)
    const lists = [
      '/yard/v1/jobs?limit=100',
      '/yard/v1/jobs?state=failed&limit=100',
      '/yard/v1/jobs?state=succeeded&limit=100',
      '/yard/v1/jobs?state=ready&limit=100',
      '/yard/v1/jobs?owner=bench-7&limit=100',
      '/yard/v1/jobs?name=none-is-called-so&limit=100',
      '/yard/v1/jobs?order=oldest&limit=100',
    ]
    const figures: Figure[] = []
    const times: number[] = []
    for (let i = 0; i < 700; i++) times.push((await client.ask('GET', lists[i % lists.length]!)).ms)
    figures.push(boundFigure('list p99', { value: quantile(times, 0.99), unit: 'ms', atMost: 50 }))
    const gets: number[] = []
    for (let i = 0; i < 1_000; i++)
      gets.push((await client.ask('GET', `/yard/v1/jobs/${1 + ((i * 1_097) % 1_100_000)}`)).ms)
    figures.push(boundFigure('get p99', { value: quantile(gets, 0.99), unit: 'ms', atMost: 50 }))
    const [emptyRates, rates]: [number[], number[]] = [[], []]
    for (let turn = 0; turn < turns; turn++) {
      emptyRates.push(postRate(`${empty.url}/yard/v1/jobs`, { ...facts, token: empty.token }))
      rates.push(postRate(`${yard.url}/yard/v1/jobs`, { ...facts, token: yard.token }))
    }
    figures.push(
      rateFigure('submit rate', {
        ours: quantile(rates, 0.5),
        peer: quantile(emptyRates, 0.5),
        peerName: 'an empty server',
        unit: 'jobs/s',
        atLeast: 0.8,
      }),
    )
    figures.push(boundFigure('start to ready', { value: readyMs / 1000, unit: 's', atMost: 5 }))
    figures.push(
      boundFigure('idle memory of an empty server', { value: idleRss / 2 ** 20, unit: 'MiB', atMost: 124 }),
    )
    client.close()
    await yard.stop()
    await empty.stop()
    return figures
  },
}

export const engineSuites: readonly Suite[] = [submit, batch, whole, latency, processes, full]
