// Publishing on the real thing: the server is killed while jobs write their rasters. Whoever is told of a success finds
// its map, no map is there without a success, and no file stays behind.

import assert from 'node:assert/strict'
import { readdirSync, rmSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'vitest'
import { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { diceOf } from '../simulation/random.ts'
import { freshDataDir, type RealServer, startServer } from '../support/server.ts'

const kills = Number(process.env['NCDJANGO_KILLS'] ?? 5)
const seed = Number(process.env['SEED'] ?? 1)
/** Of each client between two kills: enough to be met at work, few enough that the rest is soon done. */
const jobsMax = 12
const jobs = '/geoprocessing/rest/jobs/'

interface Submitted {
  readonly uuid: string
  readonly factor: number
}

test(`a server killed ${kills} times while jobs publish shows a map with each success, and none without`, async () => {
  const dice = diceOf(seed)
  const dataDir = freshDataDir('ncdjango-kill')
  const ledger: Submitted[] = []
  let metAtWork = 0
  let server = await startServer({ dataDir })
  try {
    for (let kill = 1; kill <= kills; kill++) {
      const over = new AbortController()
      const clients = [1, 2].map(client => work(over.signal, server, ledger, kill * 1000 + client * 100))
      await sleep(150 + dice.below(450))
      await server.kill()
      over.abort()
      await Promise.all(clients)
      server = await startServer({ dataDir })
      metAtWork += await checkServices(server)
    }
    assert.ok(ledger.length >= kills, `only ${ledger.length} jobs were acknowledged: the load was no load`)
    for (const submitted of ledger) await checkEnd(server, submitted)
    assert.ok(metAtWork > 0, 'no kill met a job at work')
  } finally {
    await server.stop()
  }
  try {
    await checkFiles(dataDir, ledger)
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
})

/** Submits jobs one after another until the server is gone; looks at each as it goes on. */
async function work(
  over: AbortSignal,
  server: RealServer,
  ledger: Submitted[],
  firstFactor: number,
): Promise<void> {
  for (let count = 0; count < jobsMax && !over.aborted; count++) {
    const factor = firstFactor + count
    const inputs = { factor }
    try {
      const made = await server.ask(jobs, {
        body: { job: 'demo_two_rasters', inputs: JSON.stringify(inputs) },
      })
      assert.equal(made.status, 201, made.text)
      ledger.push({ uuid: made.json.uuid, factor })
      const { json } = await server.ask(`${jobs}${made.json.uuid}/`)
      if (json.status === 'success') await checkMaps(server, { uuid: json.uuid, factor })
    } catch (error) {
      // The server was killed under the request: what it was about is not known, and nothing was promised.
      if (error instanceof assert.AssertionError) throw error
      return
    }
  }
}

/** Every map belongs to a success. Gives how many jobs have not ended yet. */
async function checkServices(server: RealServer): Promise<number> {
  const { json: catalogue } = await server.ask('/arcgis/rest/services')
  for (const { name } of catalogue.services) {
    const uuid = (name as string).slice(0, 36)
    const { json } = await server.ask(`${jobs}${uuid}/`)
    assert.equal(json.status, 'success', `${name} is served, and its job is ${json.status}`)
    assert.ok(Object.values(JSON.parse(json.outputs)).includes(name), `${name} is no output of its job`)
  }
  const { json: live } = await server.ask('/yard/v1/jobs?state=ready,starting,running&limit=1000')
  return live.items?.length ?? live.jobs?.length ?? 0
}

/** Waits for the job's end; its success and its maps are there together. */
async function checkEnd(server: RealServer, submitted: Submitted): Promise<void> {
  for (;;) {
    const { json } = await server.ask(`${jobs}${submitted.uuid}/`)
    if (json.status === 'success') break
    assert.notEqual(json.status, 'failure', `job ${submitted.uuid} failed`)
    assert.equal(json.outputs, '{}')
    await sleep(20)
  }
  await checkMaps(server, submitted)
}

async function checkMaps(server: RealServer, { uuid, factor }: Submitted): Promise<void> {
  const { json } = await server.ask(`${jobs}${uuid}/`)
  const outputs = { first: `${uuid}/first`, second: `${uuid}/second`, note: 'two' }
  assert.deepEqual(JSON.parse(json.outputs), outputs)
  for (const [name, max] of [
    ['first', 99],
    ['second', 99 * factor],
  ] as const) {
    const { json: range } = await server.ask(`/data/services/${uuid}/${name}/data/info/range/`)
    assert.deepEqual(range, { min: 0, max }, `${uuid}/${name}`)
  }
}

/** After a sweep, the files are those of the services and nothing else. */
async function checkFiles(dataDir: string, ledger: readonly Submitted[]): Promise<void> {
  const folder = join(dataDir, 'blobs')
  const files = (): string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(path =>
      /^..\/..\/[0-9a-f]{64}$/.test(path),
    )
  const old = Date.now() / 1000 - 3600
  for (const path of files()) utimesSync(join(folder, path), old, old)
  const store = new SqliteStore({ directory: dataDir })
  await store.open()
  try {
    await store.blobs.sweep(async hash => (await store.blobCount(hash)) > 0)
    const page = await store.records.list({ collection: 'ncdjango.service', limit: 10_000 })
    const services = page.items.map(({ body }) => body as { name: string; hash: string })
    const uuids = new Set(services.map(({ name }) => name.slice(0, 36)))
    for (const { uuid } of ledger) assert.ok(uuids.has(uuid), `the services of ${uuid} are lost`)
    const hashes = [...new Set(services.map(({ hash }) => hash))].sort()
    assert.deepEqual(
      files()
        .map(path => path.slice(6))
        .sort(),
      hashes,
    )
    for (const hash of hashes) {
      const count = services.filter(service => service.hash === hash).length
      assert.equal(await store.blobCount(hash), count, `blob ${hash} is counted wrongly`)
    }
  } finally {
    await store.close()
  }
  const executor = join(dataDir, 'executors', 'function')
  const left = readdirSync(executor, { recursive: true, encoding: 'utf8' }).filter(path =>
    path.endsWith('.nc'),
  )
  assert.deepEqual(left, [], 'half-written rasters are left')
}
