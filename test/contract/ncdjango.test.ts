import assert from 'node:assert/strict'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { hashPassword } from '../../src/http/auth/passwords.ts'
import { saveUser } from '../../src/http/auth/user-files.ts'
import { hasShared } from '../support/shared.ts'
import { type Ours, Replay, readRecording } from './ncdjango-replay.ts'
import { type NcdjangoServer, startNcdjango } from './ncdjango-server.ts'

/** A service with its renderers in the form in which they are taken; the numbers of variables are ours. */
const ownVariables = (recorded: { variables: { id: number; resource_uri: string }[] }) => ({
  ...recorded,
  variables: recorded.variables.map(({ id: _, resource_uri: __, ...variable }, index) => ({
    ...variable,
    renderer: [
      {
        type: 'stretched',
        colors: [
          [0, '#00F'],
          [60, '#F00'],
        ],
        options: { color_space: 'rgb' },
      },
      {
        type: 'unique',
        colors: [
          [0, '#F00'],
          [1, '#0F0'],
          [2, '#00F'],
        ],
        options: { labels: ['a', 'b', 'c'] },
      },
    ][index],
  })),
})

type RecordedPixels = { image: { pixels_rgba: [number, number, number[]][] } }

/** Values that equal a break have its colour, as the original's documentation says; its code gives the next one's. */
const breaksBelong = ({ image }: RecordedPixels) => {
  const own = new Map([
    ['220,100', [255, 0, 0, 255]],
    ['20,220', [255, 255, 0, 255]],
    ['220,300', [0, 255, 0, 255]],
  ])
  const pixels_rgba = image.pixels_rgba.map(([x, y, colour]) => [x, y, own.get(`${x},${y}`) ?? colour])
  return { image: { ...image, pixels_rgba } }
}

/** What we answer otherwise, by step, as the contract says; a text is the reason for leaving a step out. */
const notShipped = 'the broken workflow of this step is not shipped'
const differences: Readonly<Record<string, Ours | string>> = {
  'inputs given as an object': {
    status: 400,
    body: { inputs: ['Inputs must be a string containing an encoded JSON object.'] },
  },
  'inputs string holds a list': { status: 400, body: { inputs: ['Invalid input JSON'] } },
  'inputs string holds null': { status: 400, body: { inputs: ['Invalid input JSON'] } },
  "form-encoded submission (as the seed's jQuery example sends)": {
    status: 201,
    body: { job: 'sum_numbers', status: 'pending', inputs: '{"int1": 1, "int2": 2}', outputs: '{}' },
  },
  'workflow: node uses two outputs of one node (result)': {
    body: { status: 'success', outputs: '{"q": 3, "q_plus_r": 4}' },
  },
  'workflow: dependency on a node that does not exist (submit)': notShipped,
  'workflow: dependency on a node that does not exist (result)': notShipped,
  'workflow: unknown task': notShipped,
  'workflow: missing input': {
    status: 400,
    body: { non_field_errors: ['Missing task inputs: int2,int3'] },
  },
  'demo_raster_classified export': { body: breaksBelong },
  'export svg': { status: 400 },
  'more than 999 cells: a printed summary (result)': { body: { status: 'success' } },
  'two rasters in one job (result)': { body: { status: 'success' } },
  // There the sphere of Web Mercator was taken for another datum, and the map lies 0.19 degrees to the south.
  'tile 6/11/23': 'drawn where it belongs',
  'tile 7/22/47': 'drawn where it belongs',
  'layer at /0 (where ArcGIS clients look)': { status: 200, body: { id: 0, name: 'data' } },
  'identify without tolerance': { status: 200, body: { results: [{ layerId: 0, value: 0 }] } },
  'identify layers=all (esri-leaflet default)': {
    status: 200,
    body: { results: [{ layerId: 0, value: 0 }] },
  },
  'export transparent=false': {
    status: 200,
    body: { image: { width: 40, height: 20, pixels_rgba: [[35, 15, [255, 255, 255, 255]]] } },
  },
  'upload, anonymous': { status: 401, body: '' },
  'service detail': { body: ownVariables },
  'identify one time value': { status: 200, body: { results: [{ layerId: 0, value: 24 }] } },
  'metadata after the update': { status: 200, body: { description: 'changed', mapName: 'second' } },
  'boolean raster cannot be written (result)': { body: { status: 'success' } },
  'list of arrays is not JSON-able (result)': { body: { status: 'success' } },
  'data unique/': { body: { num_values: 7, values: [0, 1, 2, 3, 4, 5, 6] } },
  'data unknown method': { status: 400 },
  'data values-at-point on a variable without time': { status: 200, body: { values: [0] } },
}

const names = [
  ...['010-lifecycle', '011-sum-numbers', '012-seed-example', '013-failure', '020-bad-input'],
  ...['021-methods-and-slashes', '022-auth-and-csrf', '030-parameter-cleaning', '040-task-semantics'],
  ...['041-workflows', '050-expressions', '060-published-raster', '061-south-up-raster', '062-renderers'],
  ...['063-raster-outputs', '064-projected-raster', '070-admin-and-timed-service'],
  ...['080-service-references', '095-tiles', '090-cleanup'],
]

interface Stage {
  readonly server: NcdjangoServer
  readonly replay: Replay
}

/** What was done beside the recorded requests, before the step of this name. */
const meanwhile: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  async 'create a second service'({ server, replay }) {
    const { url, token } = server
    const upload = readRecording('070-admin-and-timed-service').find(({ name }) =>
      name.startsWith('upload a zip'),
    )!
    const { multipart } = upload.request.body as { multipart: { file: { base64: string } } }
    const form = new FormData()
    form.append('file', new Blob([Buffer.from(multipart.file.base64, 'base64')]), 'timed.zip')
    const headers = { authorization: `ApiKey admin:${token}` }
    const answer = await fetch(`${url}/api/admin/upload/`, { method: 'POST', body: form, headers })
    const { uuid } = (await answer.json()) as { uuid: string }
    replay.learn('bc6008aa-0e50-47c2-89f1-6ec4c9905e09', uuid)
  },
  async 'after cleanup: service gone'({ server: { url, token } }) {
    const path = `${url}/geoprocessing/rest/cleanup?max-age=0`
    await fetch(path, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
  },
}

describe.skipIf(!hasShared('recordings', 'ncdjango'))(
  'recordings of ncdjango (skipped without the shared recordings)',
  () => {
    let server: NcdjangoServer
    beforeAll(async () => {
      server = await startNcdjango()
      // The user that the recorded requests name.
      const passwordHash = await hashPassword('secret')
      await saveUser(join(server.dir, 'data'), { name: 'bob', role: 'submitter', groups: [], passwordHash })
    })
    afterAll(() => server.close())

    for (const name of names) {
      test(`${name}: the recorded answers come`, async () => {
        const replay = new Replay(server.url, server.token)
        const wrong: string[] = []
        for (const step of readRecording(name)) {
          const ours = differences[step.name] ?? {}
          if (typeof ours === 'string') continue
          await meanwhile[step.name]?.({ server, replay })
          for (const difference of await replay.play(step, ours)) wrong.push(`${step.name}: ${difference}`)
        }
        assert.deepEqual(wrong, [])
      })
    }
  },
)
