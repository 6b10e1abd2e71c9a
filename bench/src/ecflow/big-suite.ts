// A suite of a hundred thousand tasks over HTTP, beside the real server with its own client.

import { Buffer } from 'node:buffer'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freshDir, rssOf, startYard } from '../processes.ts'
import { boundFigure, type Figure, quantile, round, type Suite } from '../suite.ts'
import { bigSuite } from './definition.ts'
import { hasRealServer, startRealServer } from './real-server.ts'

const tasks = 100_000
/** With fewer, a p99 tells of the first requests after the start and of two or three collections of garbage. */
const reads = 2_000

export const bigSuiteBench: Suite = {
  name: 'ecflow-big',
  title: `A suite of ${tasks} tasks: load, trees, one-node reads, edits, delete`,
  run,
}

async function run(): Promise<Figure[]> {
  const definition = bigSuite('big', tasks)
  const theirs = hasRealServer() ? await measureReal(definition) : undefined
  const beside = (value: number | undefined) =>
    value === undefined ? '' : `ecflow_client: ${round(value)} s`
  const yard = await startYard({
    config: '[dialects.ecflow]\nno_ssl = true\n',
  })
  const ask = async (method: string, path: string, body?: unknown) => {
    const startedAt = performance.now()
    const answer = await fetch(yard.url + path, {
      method,
      headers: { authorization: `Bearer ${yard.token}`, 'accept-encoding': 'identity' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    let bytes = 0
    if (answer.body) for await (const chunk of answer.body) bytes += (chunk as Uint8Array).length
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status}`)
    return { seconds: (performance.now() - startedAt) / 1000, bytes }
  }
  try {
    const load = await ask('POST', '/v1/suites', { definition })
    const memory = rssOf(yard.pid) / 2 ** 20
    const basic = await ask('GET', '/v1/suites/big/tree')
    const full = await ask('GET', '/v1/suites/big/tree?content=full')
    const states: number[] = []
    const attributes: number[] = []
    for (let index = 0; index < reads; index++) {
      const path = `/v1/suites/big/f${(index * 37) % (tasks / 100)}/t${index % 100}`
      states.push((await ask('GET', `${path}/status`)).seconds * 1000)
      attributes.push((await ask('GET', `${path}/attributes`)).seconds * 1000)
    }
    const events: number[] = []
    for (let index = 0; index < 50; index++) {
      const edit = { type: 'event', name: `e${index}`, value: 'set' }
      events.push((await ask('POST', '/v1/suites/big/f7/t7/attributes', edit)).seconds * 1000)
    }
    const gone = await ask('DELETE', '/v1/suites/big/definition')
    return [
      boundFigure('load over HTTP', {
        value: load.seconds,
        unit: 's',
        atMost: 2.5,
        beside: beside(theirs?.load),
      }),
      boundFigure('memory after load', {
        value: memory,
        unit: 'MB',
        atMost: 350,
        beside: theirs ? `ecflow_server alone: ${round(theirs.memory)} MB` : '',
      }),
      boundFigure('basic tree', { value: basic.seconds, unit: 's', atMost: 0.1 }),
      boundFigure(`full tree (${round(full.bytes / 1e6)} MB)`, {
        value: full.seconds,
        unit: 's',
        atMost: 1.3,
        beside: theirs ? `--get_state: ${round(theirs.tree)} s` : '',
      }),
      boundFigure('status of one node, p99', { value: quantile(states, 0.99), unit: 'ms', atMost: 5 }),
      boundFigure('attributes of one node, p99', {
        value: quantile(attributes, 0.99),
        unit: 'ms',
        atMost: 5,
      }),
      boundFigure('adding an event, median', { value: quantile(events, 0.5), unit: 'ms', atMost: 10 }),
      boundFigure('delete', { value: gone.seconds, unit: 's', atMost: 0.1, beside: beside(theirs?.remove) }),
    ]
  } finally {
    await yard.stop()
  }
}

async function measureReal(
  definition: string,
): Promise<{ load: number; tree: number; remove: number; memory: number }> {
  const server = await startRealServer()
  const file = join(freshDir('definition'), 'big.def')
  writeFileSync(file, Buffer.from(definition))
  const timed = (...args: string[]) => {
    const startedAt = performance.now()
    server.client(...args)
    return (performance.now() - startedAt) / 1000
  }
  try {
    const load = timed(`--load=${file}`)
    const tree = timed('--get_state')
    const memory = rssOf(server.pid) / 2 ** 20
    const remove = timed('--delete=force', 'yes', '/big')
    return { load, tree, remove, memory }
  } finally {
    server.stop()
  }
}
