// What no recording shows: jobs of one's own, references, crashes between success and publication, clean-up, maps.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PNG } from 'pngjs'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { repository } from '../support/server.ts'
import { type NcdjangoServer, startNcdjango } from './ncdjango-server.ts'

interface Shown {
  uuid: string
  status: string
  inputs: string
  outputs: string
}

/** Submits a job and waits for its end. */
async function run(
  url: string,
  job: string,
  inputs: object,
): Promise<Shown & { values: Record<string, unknown> }> {
  const made = await fetch(`${url}/geoprocessing/rest/jobs/`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ job, inputs: JSON.stringify(inputs) }),
  })
  assert.equal(made.status, 201, await made.clone().text())
  const { uuid } = (await made.json()) as Shown
  for (;;) {
    const shown = (await (await fetch(`${url}/geoprocessing/rest/jobs/${uuid}/`)).json()) as Shown
    if (shown.status === 'success' || shown.status === 'failure')
      return { ...shown, values: JSON.parse(shown.outputs) as Record<string, unknown> }
    await sleep(20)
  }
}

async function picture(url: string): Promise<PNG> {
  const answer = await fetch(url)
  assert.equal(answer.status, 200, await answer.clone().text())
  return PNG.sync.read(Buffer.from(await answer.arrayBuffer()))
}

const at = (png: PNG, x: number, y: number): number[] => [
  ...png.data.subarray((y * png.width + x) * 4, (y * png.width + x) * 4 + 4),
]

describe('jobs over rasters', () => {
  let server: NcdjangoServer
  beforeAll(async () => {
    server = await startNcdjango({ jobs: join(repository, 'examples/ncdjango/jobs.mjs') })
  })
  afterAll(() => server.close())

  test('take the result of another by its service', async () => {
    const first = await run(server.url, 'demo_raster', { width: 4, height: 3, mask_above: 8 })
    const info = await run(server.url, 'demo_raster_info', {
      data: `service://${first.values['raster_out']}:data`,
    })
    assert.deepEqual(info.values['info'], {
      ...{ shape: [3, 4], extent: [0, 0, 10, 10], y_increasing: false },
      ...{ valid: 9, masked: 3, min: 0, max: 8, sum: 36 },
    })
  })

  test('publish lists of rasters and booleans, which the original cannot', async () => {
    const { values } = await run(server.url, 'demo_raster', { width: 4, height: 3 })
    const source = `service://${values['raster_out']}:data`
    const list = await run(server.url, 'demo_map_by_expression', {
      arrays_in: [source, source],
      expression: 'x > i',
    })
    assert.deepEqual(list.values['arrays_out'], [`${list.uuid}/arrays_out_0`, `${list.uuid}/arrays_out_1`])
    const unique = await fetch(`${server.url}/data/services/${list.uuid}/arrays_out_1/data/info/unique/`)
    assert.deepEqual(await unique.json(), { num_values: 2, values: [0, 1] })
  })

  test('may be tasks in Python, in workflows too, and their rasters are maps', async () => {
    const source = await run(server.url, 'demo_raster', {
      width: 5,
      height: 4,
      dtype: 'float32',
      pattern: 'checker',
    })
    const raster_in = `service://${source.values['raster_out']}:data`
    const smooth = await run(server.url, 'smooth', { raster_in, passes: 3 })
    assert.equal(smooth.status, 'success')
    assert.ok(Math.abs((smooth.values['mean'] as number) - 0.5) < 0.05)
    const twice = await run(server.url, 'smooth_twice', { raster_in })
    const range = await fetch(`${server.url}/data/services/${twice.values['raster_out']}/data/info/range/`)
    const { min, max } = (await range.json()) as { min: number; max: number }
    assert.ok(min > 0.4 && max < 0.6, `${min} to ${max}`)
    const hot = await run(server.url, 'heat_index', { temperature: raster_in, threshold: 0.5 })
    assert.deepEqual(hot.values, { hot_cells: 10 })
  })

  test('fail without a trace when the service that they name is not there', async () => {
    const { status, outputs } = await run(server.url, 'demo_raster_info', { data: 'service://nope:data' })
    assert.deepEqual([status, outputs], ['failure', '{}'])
  })

  test('stop when they are cancelled, and read failure', async () => {
    const made = await fetch(`${server.url}/geoprocessing/rest/jobs/`, {
      method: 'POST',
      body: new URLSearchParams({ job: 'demo_sleep', inputs: '{"seconds": 60}' }),
    })
    const { uuid } = (await made.json()) as Shown
    const { engine } = server.server
    const job = await engine.job({ dialect: 'ncdjango', ref: uuid })
    while ((await engine.job({ n: job!.n }))!.state !== 'running') await sleep(20)
    await engine.write(tx => tx.cancel(job!.n))
    await engine.settled(job!.n, { timeoutMs: 20_000 })
    const shown = (await (await fetch(`${server.url}/geoprocessing/rest/jobs/${uuid}/`)).json()) as Shown
    assert.equal(shown.status, 'failure')
  })

  test('show their maps where they belong, in Web Mercator tiles', async () => {
    const { values } = await run(server.url, 'demo_raster_unique', {
      ...{ width: 360, height: 170, extent: [-180, -85, 180, 85], pattern: 'checker', y_increasing: true },
    })
    const [z, x, y] = [4, 9, 5]
    const tile = await picture(`${server.url}/tiles/${values['raster_out']}/${z}/${x}/${y}.png`)
    for (let i = 0; i < 256; i++) {
      for (let j = 0; j < 256; j++) {
        const longitude = ((x + (i + 0.5) / 256) / 2 ** z) * 360 - 180
        const angle = Math.PI * (1 - (2 * (y + (j + 0.5) / 256)) / 2 ** z)
        const latitude = (Math.atan(Math.sinh(angle)) * 180) / Math.PI
        const isOdd = (Math.floor(longitude + 180) + Math.floor(latitude + 85)) % 2 === 1
        assert.deepEqual(at(tile, i, j), isOdd ? [0, 0, 255, 255] : [255, 0, 0, 255], `pixel ${i},${j}`)
      }
    }
  })

  test('are maps for pages of any origin, also by a posted form, and jobs are not', async () => {
    const { values } = await run(server.url, 'demo_raster', {})
    const headers = { origin: 'https://elsewhere.example' }
    const export_ = `${server.url}/arcgis/rest/services/${values['raster_out']}/MapServer/export`
    const body = new URLSearchParams({ SIZE: '4,4', BBOX: '0,0,10,10', f: 'image' })
    const posted = await fetch(export_, { method: 'POST', headers, body })
    assert.deepEqual([posted.status, posted.headers.get('access-control-allow-origin')], [200, '*'])
    assert.equal(PNG.sync.read(Buffer.from(await posted.arrayBuffer())).width, 4)
    const asked = await fetch(export_, { method: 'OPTIONS', headers })
    assert.equal(asked.status, 204)
    const job = new URLSearchParams({ job: 'some_job', inputs: '{"in": 5}' })
    const forged = await fetch(`${server.url}/geoprocessing/rest/jobs/`, {
      method: 'POST',
      headers,
      body: job,
    })
    assert.equal(forged.status, 403)
  })

  test('answer a second request for the same image with 304', async () => {
    const { values } = await run(server.url, 'demo_raster', {})
    const url = `${server.url}/tiles/${values['raster_out']}/0/0/0.png`
    const etag = (await fetch(url)).headers.get('etag')
    const again = await fetch(url, { headers: { 'if-none-match': etag! } })
    assert.equal(again.status, 304)
  })

  test('are refused in maps by what is wrong, and never with 500', async () => {
    const { values } = await run(server.url, 'demo_raster', {})
    const service = `${server.url}/arcgis/rest/services/${values['raster_out']}/MapServer`
    for (const query of [
      ...[
        'export?bbox=1,2,3',
        'export?size=0,5',
        'export?size=9999,9',
        'export?imageSR=99999',
        'export?layers=bad',
      ],
      ...[
        'export?styles={"0":{"type":"x","colors":[]}}',
        'export?format=svg',
        'export?bbox=5,5,1,1',
        'identify',
      ],
      ...[
        'identify?geometry=a,b',
        'export?bbox={"xmin":1}',
        'identify?geometry={"x":1}',
        'export?transparent=maybe',
      ],
    ]) {
      const answer = await fetch(`${service}/${query}`)
      assert.equal(answer.status, 400, query)
    }
    for (const path of [
      '/tiles/a/1/2/3.png',
      `/tiles/${values['raster_out']}/2/4/0.png`,
      '/wms/nope',
      '/arcgis/rest/services/../x',
    ])
      assert.equal((await fetch(server.url + path)).status, 404, path)
  })

  test('go from the shelf when they are too old, and the job keeps their name', async () => {
    const { uuid, values } = await run(server.url, 'demo_raster', {})
    const service = `${server.url}/arcgis/rest/services/${values['raster_out']}/MapServer`
    assert.equal((await fetch(service)).status, 200)
    await sleep(5)
    const url = `${server.url}/geoprocessing/rest/cleanup?max-age=0`
    assert.equal((await fetch(url, { method: 'POST' })).status, 403)
    const cleaned = await fetch(url, { method: 'POST', headers: { authorization: `Bearer ${server.token}` } })
    assert.ok(((await cleaned.json()) as { removed: number }).removed > 0)
    assert.equal((await fetch(service)).status, 404)
    const shown = (await (await fetch(`${server.url}/geoprocessing/rest/jobs/${uuid}/`)).json()) as Shown
    assert.equal(shown.status, 'success')
    assert.equal(shown.outputs, `{"raster_out": "${uuid}/raster_out"}`)
  })
})

test('temporary services go by their age, when that is looked after', async () => {
  const server = await startNcdjango({ maxTemporaryServiceAge: 0.3, cleanupInterval: 0.1 })
  try {
    const { values } = await run(server.url, 'demo_raster', {})
    const service = `${server.url}/arcgis/rest/services/${values['raster_out']}/MapServer`
    const blobs = join(server.dir, 'data', 'blobs')
    const hash = (
      (await server.server.engine.records.get('ncdjango.service', values['raster_out'] as string))!.body as {
        hash: string
      }
    ).hash
    assert.ok(existsSync(join(blobs, hash.slice(0, 2), hash.slice(2, 4), hash)))
    while ((await fetch(service)).status !== 404) await sleep(30)
    assert.deepEqual((await (await fetch(`${server.url}/arcgis/rest/services`)).json()) as object, {
      ...{ currentVersion: '10.1', folders: [], services: [] },
    })
  } finally {
    await server.close()
  }
})

test('everything stands under a prefix where one is configured, and addresses say so', async () => {
  const server = await startNcdjango({ prefix: 'maps/site/' })
  try {
    const base = `${server.url}/maps/site`
    const { values } = await run(base, 'demo_raster', {})
    const name = values['raster_out'] as string
    assert.equal((await fetch(`${server.url}/arcgis/rest/services`)).status, 404)
    const slashless = await fetch(`${base}/geoprocessing/rest/jobs?x=1`, { redirect: 'manual' })
    assert.equal(slashless.headers.get('location'), '/maps/site/geoprocessing/rest/jobs/?x=1')
    const { href } = (await (
      await fetch(`${base}/arcgis/rest/services/${name}/MapServer/export?f=json`)
    ).json()) as { href: string }
    await picture(href)
    await picture(`${base}/tiles/${name}/0/0/0.png`)
    const capabilities = await (await fetch(`${base}/wms/${name}?REQUEST=GetCapabilities`)).text()
    assert.ok(capabilities.includes(`${base}/wms/${name}?`))
    const range = await fetch(`${base}/data/services/${name}/data/info/range`, { redirect: 'manual' })
    assert.equal(range.headers.get('location'), `/maps/site/data/services/${name}/data/info/range/`)
    const headers = { authorization: `ApiKey admin:${server.token}` }
    const list = await fetch(`${base}/api/admin/services/?limit=1`, { headers })
    const { objects } = (await list.json()) as { objects: { resource_uri: string }[] }
    assert.equal((await fetch(server.url + objects[0]!.resource_uri, { headers })).status, 200)
    const cleanup = `${server.url}/geoprocessing/rest/cleanup?max-age=0`
    assert.equal(
      (await fetch(cleanup, { method: 'POST', headers: { authorization: `Bearer ${server.token}` } })).status,
      200,
    )
  } finally {
    await server.close()
  }
  await assert.rejects(startNcdjango({ prefix: '/a b' }), /dialects.ncdjango.prefix/)
})

test('the address of a submitter is that of the peer, or what a trusted proxy says', async () => {
  for (const [trustedProxies, wanted] of [
    [[], '127.0.0.1'],
    [['127.0.0.1'], '10.1.2.3'],
  ] as const) {
    const server = await startNcdjango({ trustedProxies })
    try {
      const made = await fetch(`${server.url}/geoprocessing/rest/jobs/`, {
        method: 'POST',
        headers: { 'x-forwarded-for': '10.1.2.3, 10.9.9.9' },
        body: new URLSearchParams({ job: 'some_job', inputs: '{"in": 5}' }),
      })
      const { uuid } = (await made.json()) as Shown
      const job = await server.server.engine.job({ dialect: 'ncdjango', ref: uuid })
      assert.equal(job?.detail?.['userIp'], wanted)
    } finally {
      await server.close()
    }
  }
})

test('a registration that is wrong stops the start, and names its job', async () => {
  const jobs = { broken: { type: 'task', task: 'no:such' } }
  await assert.rejects(startNcdjango({ jobs }), /job broken: there is no task no:such/)
})
