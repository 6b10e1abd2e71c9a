// The admin API beyond the recordings: who may, what is refused, what a service becomes when it is changed.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { writeRasterFile } from '../../src/domains/raster/netcdf/publish.ts'
import { makeRaster } from '../../src/domains/raster/tasks/demo.ts'
import { type NcdjangoServer, startNcdjango } from './ncdjango-server.ts'

const degrees = '+proj=longlat +datum=WGS84 +no_defs'

describe('an administrator', () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-admin-'))
  let server: NcdjangoServer
  let grid: Buffer
  beforeAll(async () => {
    server = await startNcdjango({ uploadBytes: 5_000_000 })
    const path = join(folder, 'grid.nc')
    const raster = makeRaster({ width: 4, height: 3, extent: [0, 0, 4, 3] })
    writeRasterFile(path, raster, { title: 't', history: 'h' })
    grid = readFileSync(path)
  })
  afterAll(async () => {
    rmSync(folder, { recursive: true })
    await server.close()
  })

  async function ask(
    path: string,
    {
      method = 'GET',
      body,
      key = `ApiKey admin:${server.token}`,
    }: { method?: string; body?: unknown; key?: string } = {},
  ) {
    const isForm = body instanceof FormData
    const answer = await fetch(`${server.url}/api/admin/${path}`, {
      method,
      headers: {
        ...(key === '' ? {} : { authorization: key }),
        ...(body === undefined || isForm ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined
        ? {}
        : { body: isForm ? body : typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await answer.text()
    const isJson = answer.headers.get('content-type') === 'application/json'
    return {
      status: answer.status,
      text,
      // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
      json: isJson ? (JSON.parse(text) as any) : undefined,
      headers: answer.headers,
    }
  }

  async function upload(bytes: Uint8Array<ArrayBuffer>, name = 'grid.nc'): Promise<string> {
    const form = new FormData()
    form.append('note', 'something else in the form')
    form.append('file', new Blob([bytes]), name)
    const answer = await ask('upload/', { method: 'POST', body: form })
    assert.equal(answer.status, 201, answer.text)
    return JSON.parse(answer.text).uuid as string
  }

  const bytes = (): Uint8Array<ArrayBuffer> => new Uint8Array(grid)

  const described = (uuid: string, name: string, more: object = {}): object => ({
    ...{ name, projection: degrees, full_extent: [0, 0, 4, 3] },
    tmp_file: `/api/admin/temporary-files/${uuid}/`,
    variables: [
      {
        ...{ index: 0, variable: 'data', x_dimension: 'longitude', y_dimension: 'latitude', name: 'height' },
        renderer: {
          type: 'stretched',
          colors: [
            [0, '#000'],
            [11, '#FFF'],
          ],
        },
      },
    ],
    ...more,
  })

  async function serve(name: string): Promise<string> {
    const made = await ask('services/', { method: 'POST', body: described(await upload(bytes()), name) })
    assert.equal(made.status, 201, made.text)
    return made.headers.get('location')!.replace('/api/admin/', '')
  }

  test('is asked for a key: none, a wrong one, and one with another name are refused without a word', async () => {
    for (const key of ['', 'ApiKey admin:wrong', `ApiKey somebody:${server.token}`, 'Basic YTpi']) {
      const answer = await ask('services/', { key })
      assert.deepEqual([answer.status, answer.text], [401, ''], key)
    }
    const cookie = { cookie: `sessionid=${server.token}; csrftoken=tok` }
    const url = `${server.url}/api/admin/services/`
    const forged = await fetch(url, { method: 'POST', headers: cookie, body: '{}' })
    assert.equal(forged.status, 401)
    const meant = await fetch(url, {
      method: 'POST',
      headers: { ...cookie, 'x-csrftoken': 'tok' },
      body: '{}',
    })
    assert.equal(meant.status, 400)
  })

  test('sends a plain NetCDF file, looks into it, makes a service of it, and it is a map', async () => {
    const uuid = await upload(bytes())
    const inspected = await ask(`temporary-files/${uuid}/inspect/`)
    assert.equal(inspected.json.variables.data.spatial_grid.extent.xmax, 4)
    assert.deepEqual([inspected.json.variables.data.min, inspected.json.variables.data.max], [0, 11])
    const raw = await fetch(`${server.url}/api/admin/download/${uuid}/`, {
      headers: { authorization: `ApiKey admin:${server.token}` },
    })
    assert.ok(Buffer.from(await raw.arrayBuffer()).equals(grid))
    const made = await ask('services/', { method: 'POST', body: described(uuid, 'maps/heights') })
    assert.equal(made.status, 201, made.text)
    assert.equal((await ask(`temporary-files/${uuid}/`)).status, 404)
    const range = await fetch(`${server.url}/data/services/maps/heights/height/info/range/`)
    assert.deepEqual(await range.json(), { min: 0, max: 11 })
    const detail = await ask(made.headers.get('location')!.replace('/api/admin/', ''))
    assert.equal(detail.json.data_path, 'maps/heights/grid.nc')
    assert.deepEqual(detail.json.initial_extent, [0, 0, 4, 3])
  })

  test('is told what is wrong with a service, and nothing is made', async () => {
    const uuid = await upload(bytes())
    const first = (described(uuid, 'x') as { variables: object[] }).variables[0]!
    const cases: readonly (readonly [object, RegExp])[] = [
      [{ name: '../x' }, /'name' field/],
      [{ name: undefined }, /'name' field has no data/],
      [{ projection: '+proj=nonsense' }, /'projection' field/],
      [{ full_extent: [4, 0, 0, 3] }, /'full_extent' field/],
      [{ full_extent: null }, /'full_extent' field/],
      [{ supports_time: true }, /'time_start' field/],
      [{ tmp_file: '/api/admin/temporary-files/nope/' }, /'tmp_file' field/],
      [{ variables: [{ ...first, variable: 'absent' }] }, /names absent, which is not in the file/],
      [{ variables: [{ ...first, x_dimension: 'lon' }] }, /names lon, which data does not have/],
      [{ variables: [{ ...first, renderer: { type: 'stretched', colors: [] } }] }, /not a renderer/],
      [{ variables: [first, first] }, /two variables/],
      [{ variables: 'data' }, /'variables' field/],
    ]
    for (const [change, expected] of cases) {
      const made = await ask('services/', { method: 'POST', body: described(uuid, 'wrong', change) })
      assert.equal(made.status, 400, `${JSON.stringify(change)}: ${made.text}`)
      assert.match(made.json.error, expected)
    }
    assert.equal((await ask('services/', { method: 'POST', body: '{"name": ' })).status, 400)
    assert.equal((await ask('services/', { method: 'POST', body: '[1]' })).status, 400)
    assert.equal((await ask(`temporary-files/${uuid}/`)).status, 200, 'the file is still there')
    const steps = {
      supports_time: true,
      time_start: '2000-01-01',
      time_end: '2020-01-01',
      calendar: 'standard',
    }
    const tiny = { ...steps, time_interval: 1, time_interval_units: 'milliseconds' }
    const made = await ask('services/', { method: 'POST', body: described(uuid, 'wrong', tiny) })
    assert.match(made.json.error, /'time_interval' field is too small/)
  })

  test('makes one service of a file, however many ask at once', async () => {
    const uuid = await upload(bytes())
    const answers = await Promise.all(
      ['a', 'b', 'c', 'a'].map(name =>
        ask('services/', { method: 'POST', body: described(uuid, `once-${name}`) }),
      ),
    )
    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 400, 400, 400])
  })

  test('changes a service and its variables: what is left out stays, and maps follow', async () => {
    const place = await serve('changing')
    const { json } = await ask(place)
    const [variable] = json.variables
    const tile = async (): Promise<string> => {
      const answer = await fetch(
        `${server.url}/arcgis/rest/services/changing/MapServer/export?size=4,3&f=image`,
      )
      return Buffer.from(await answer.arrayBuffer()).toString('base64')
    }
    const before = await tile()
    const own = variable.resource_uri.replace('/api/admin/', '')
    const renderer = {
      type: 'stretched',
      colors: [
        [0, '#F00'],
        [11, '#00F'],
      ],
    }
    assert.equal((await ask(own, { method: 'PATCH', body: { renderer } })).status, 202)
    assert.notEqual(await tile(), before)
    assert.equal((await ask(own)).json.renderer.colors[0][1], '#F00')
    assert.equal(
      (await ask(place, { method: 'PATCH', body: { name: 'changed', description: 'd' } })).status,
      202,
    )
    const after = (await ask(place)).json
    assert.deepEqual([after.name, after.description, after.variables[0].id], ['changed', 'd', variable.id])
    assert.equal((await fetch(`${server.url}/arcgis/rest/services/changing/MapServer`)).status, 404)
    assert.equal((await fetch(`${server.url}/arcgis/rest/services/changed/MapServer`)).status, 200)
    assert.equal((await ask(place, { method: 'PUT', body: { ...after, description: 'e' } })).status, 204)
    assert.equal((await ask(place)).json.description, 'e')
    const second = { ...variable, id: undefined, index: 1, name: 'again', service: after.resource_uri }
    const refused = await ask('variables/', { method: 'POST', body: second })
    assert.match(refused.json.error, /two variables of the service/)
    assert.equal((await ask(own, { method: 'DELETE' })).status, 204)
    const added = await ask('variables/', { method: 'POST', body: second })
    assert.equal(added.status, 201, added.text)
    const listed = await ask(`variables/?service=${after.id}`)
    assert.deepEqual(
      listed.json.objects.map(({ name }: { name: string }) => name),
      ['again'],
    )
    assert.equal(
      (await ask(`services/${after.id}`, { method: 'PATCH', body: { name: 'maps/heights' } })).status,
      400,
    )
  })

  test('takes a service down: its file is a temporary file again, or goes with it when that is asked', async () => {
    const place = await serve('leaving')
    const count = async (): Promise<number> => (await ask('temporary-files/')).json.meta.total_count
    const before = await count()
    assert.equal((await ask(place, { method: 'DELETE' })).status, 204)
    assert.equal(await count(), before + 1)
    const again = await serve('leaving')
    assert.equal((await ask(`${again}?delete_data=true`, { method: 'DELETE' })).status, 204)
    assert.equal(await count(), before + 1)
    assert.equal((await ask(again, { method: 'DELETE' })).status, 404)
  })

  test('pages through lists, and is told of filters that there are not', async () => {
    for (const name of ['page-1', 'page-2', 'page-3']) await serve(name)
    const page = (await ask('services/?limit=2&offset=1')).json
    assert.equal(page.objects.length, 2)
    assert.equal(page.meta.previous, null)
    assert.equal(page.meta.next, '/api/admin/services/?limit=2&offset=3')
    const named = await ask('services/?name__in=page-1,page-3,nope')
    assert.deepEqual(
      named.json.objects.map(({ name }: { name: string }) => name),
      ['page-1', 'page-3'],
    )
    for (const query of ['limit=-1', 'description=x', 'name__regex=.*'])
      assert.equal((await ask(`services/?${query}`)).status, 400, query)
    for (const path of ['nothing/', 'services/1/2/', 'services/abc/', 'upload/x/'])
      assert.equal((await ask(path)).status, 404, path)
    assert.equal((await ask('services/', { method: 'DELETE' })).status, 405)
  })

  test('is refused files that are too large, not grids, or lie about themselves', async () => {
    const form = new FormData()
    form.append('file', new Blob([new Uint8Array(6_000_000)]), 'large.nc')
    assert.equal((await ask('upload/', { method: 'POST', body: form })).status, 413)
    for (const [content, name] of [
      [new Uint8Array(100), 'noise.nc'],
      [bytes().subarray(0, 300), 'short.nc'],
      [new Uint8Array(100), 'noise.zip'],
      [bytes(), 'grid.txt'],
    ] as const) {
      const uuid = await upload(new Uint8Array(content), name)
      const inspected = await ask(`temporary-files/${uuid}/inspect/`)
      assert.equal(inspected.status, 400, `${name}: ${inspected.text}`)
      const made = await ask('services/', { method: 'POST', body: described(uuid, 'hostile') })
      assert.equal(made.status, 400, name)
    }
    const long = await upload(bytes(), `${'n'.repeat(150)}.nc`)
    const { filename } = (await ask(`temporary-files/${long}/`)).json
    assert.deepEqual([filename.length, filename.slice(-3)], [100, '.nc'])
    assert.equal((await ask('upload-by-url/?url=http://127.0.0.1/x.nc')).status, 404)
  })
})
