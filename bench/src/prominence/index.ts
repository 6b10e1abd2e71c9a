// The PROMINENCE dialect: a big factory while other requests go on, and a chain of small jobs. The jobs are containers
// over an unpacked busybox image: heavier than the plain processes that the goals were set for.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { writeBusyboxImage } from '../../../scripts/busybox-image.ts'
import { Client } from '../load.ts'
import { freshDir, type RunningYard, root, startYard } from '../processes.ts'
import { boundFigure, type Figure, quantile, type Suite } from '../suite.ts'

const resources = { cpus: 1, memory: 0.1, disk: 1 }
const noop = (cmd: string) => [{ image: 'busybox', runtime: 'singularity', cmd }]
const watchMs = 15_000

const factory: Suite = {
  name: 'prominence-factory',
  title: 'A factory of 10 000 no-op container jobs: its creation, and other requests while its jobs run',
  async run(): Promise<Figure[]> {
    const { yard, client } = await startWithImage()
    const created = await client.ask('POST', '/api/v1/workflows', JSON.stringify(bigFactory()))
    const { id } = JSON.parse(created.body) as { id: number }
    const latencies = await watchOthers(client, id)
    const [shown] = JSON.parse((await client.ask('GET', `/api/v1/workflows/${id}`)).body) as Workflow[]
    const { done, total } = shown!.progress
    if (total !== 10_000 || done === 0) throw new Error(`${done} of ${total} jobs ran`)
    await client.ask('DELETE', `/api/v1/workflows/${id}`)
    client.close()
    await yard.stop()
    return [
      boundFigure('creation of 10 000 jobs', { value: created.ms, unit: 'ms', atMost: 1_000 }),
      boundFigure('other requests meanwhile, p99', {
        value: quantile(latencies, 0.99),
        unit: 'ms',
        atMost: 100,
        beside: `median ${quantile(latencies, 0.5).toFixed(1)} ms; ${done} jobs ended in ${watchMs / 1000} s`,
      }),
    ]
  },
}

const chain: Suite = {
  name: 'prominence-chain',
  title: 'A chain of 40 no-op container jobs, from its submission to its end',
  async run(): Promise<Figure[]> {
    const { yard, client } = await startWithImage()
    await runChain(client, 5)
    const ms = await runChain(client, 40)
    client.close()
    await yard.stop()
    return [boundFigure('40 steps', { value: ms, unit: 'ms', atMost: 2_000 })]
  },
}

export const prominenceSuites: readonly Suite[] = [factory, chain]

interface Workflow {
  readonly status: string
  readonly progress: { readonly done: number; readonly total: number }
}

/** A server with the image and with a token of a user. */
async function startWithImage(): Promise<{ yard: RunningYard; client: Client }> {
  const dataDir = freshDir('prominence')
  const file = join(freshDir('image'), 'busybox.tar')
  await writeBusyboxImage(file)
  cli('image', 'import', file, '--name', 'busybox', '--data', dataDir)
  const yard = await startYard({ dataDir })
  const token = cli('token', 'create', '--jwt', '--quiet', '--user', 'bench', '--data', dataDir).trim()
  return { yard, client: new Client(yard.url, token) }
}

function cli(...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(join(root, 'bin/switchyard'), words, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`switchyard ${words.join(' ')}: ${stderr}`)
  return stdout
}

function bigFactory() {
  return {
    name: 'big',
    jobs: [{ name: 'p', resources, tasks: noop('/bin/true $x') }],
    factories: [
      {
        name: 'f',
        type: 'parameterSweep',
        jobs: ['p'],
        parameters: [{ name: 'x', start: 1, end: 10_000, step: 1 }],
      },
    ],
  }
}

/** What another user of the server would do meanwhile, and how long each answer took. */
async function watchOthers(client: Client, id: number): Promise<number[]> {
  const latencies: number[] = []
  const until = performance.now() + watchMs
  while (performance.now() < until) {
    for (const [method, path, body] of [
      ['GET', '/api/v1/jobs', undefined],
      ['GET', `/api/v1/workflows/${id}`, undefined],
      ['GET', '/api/v1/jobs?completed=true&num=100', undefined],
      ['POST', '/api/v1/kv/bench', 'value'],
    ] as const) {
      const { status, ms } = await client.ask(method, path, body)
      if (status > 299) throw new Error(`${method} ${path} was answered with ${status}`)
      latencies.push(ms)
    }
    await new Promise(done => setTimeout(done, 20))
  }
  return latencies
}

async function runChain(client: Client, steps: number): Promise<number> {
  const names = Array.from({ length: steps }, (_, at) => `s${at}`)
  const document = {
    name: 'chain',
    jobs: names.map(name => ({ name, resources, tasks: noop('/bin/true') })),
    dependencies: Object.fromEntries(names.slice(1).map((name, at) => [names[at]!, [name]])),
  }
  const startedAt = performance.now()
  const { body } = await client.ask('POST', '/api/v1/workflows', JSON.stringify(document))
  const { id } = JSON.parse(body) as { id: number }
  for (;;) {
    const [shown] = JSON.parse((await client.ask('GET', `/api/v1/workflows/${id}`)).body) as Workflow[]
    if (shown?.status === 'completed') return performance.now() - startedAt
    if (shown?.status === 'failed') throw new Error('a step of the chain failed')
    await new Promise(done => setTimeout(done, 10))
  }
}
