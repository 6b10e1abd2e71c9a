// Path by path beside the real Orthanc: the same requests, and the same statuses, types and JSON. What is otherwise on
// purpose is named with its reason.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { type OrthancServer, startOrthanc } from '../contract/orthanc-server.ts'
import { hasShared, sharedPath } from '../support/shared.ts'
import { hasOrthanc, type RealOrthanc, startRealOrthanc } from './real-orthanc.ts'

const options = {
  StableAge: 3600, // longer than the test: on a busy machine one side would list a study as stable, the other not yet
  UserMetadata: { 'my-note': 1024 },
  UserContentType: { 'my-file': [1024, 'application/x-my'] },
}

interface Asked {
  readonly method: string
  readonly path: string
  readonly body?: string
}

/** Below each resource: `-` stands for a body that is empty, `=` begins one. */
const belowResource = `
GET | GET ?short | GET ?full | GET /attachments | GET /attachments/dicom | GET /attachments/dicom/data
GET /attachments/dicom/size | GET /attachments/dicom/md5 | GET /attachments/dicom/compressed-md5 | GET /attachments/dicom/info
GET /attachments/dicom/is-compressed | GET /attachments/dicom/verify-md5 | GET /attachments/dicom/nosuch | GET /attachments/nosuch
GET /attachments/my-file | GET /attachments/1024 | GET /attachments/dicom-as-json | GET /metadata | GET /metadata/99999
GET /metadata/nosuch | GET /metadata/my-note | GET /metadata/IndexInSeries | GET /statistics | GET /module | GET /module?short
GET /module-patient | GET /shared-tags | GET /shared-tags?simplify | GET /protected | GET /reconstruct | GET /nosuch | GET /series
GET /studies | GET /patients | GET /patient | GET /study | GET /tags | GET /tags?short | GET /simplified-tags | GET /header
GET /content | GET /content/PatientName | GET /content/0028-0010 | GET /content/7fe0-0010 | GET /content/7fe0-0010/0
GET /content/0010-0010/0 | GET /frames | GET /frames/0/raw | GET /frames/1/raw | GET /frames/x/raw | GET /pdf | POST = {}
PUT /metadata/my-note = hello | GET /metadata/my-note | GET /metadata?expand | PUT /metadata/LastUpdate = x | DELETE /metadata/LastUpdate
DELETE /metadata/my-note | DELETE /metadata/my-note | PUT /attachments/my-file = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
GET /attachments | GET /attachments/my-file | GET /attachments/my-file/data | GET /attachments/my-file/info
POST /attachments/my-file/verify-md5 - | POST /attachments/my-file/compress - | GET /attachments/my-file/is-compressed
GET /attachments/my-file/data | GET /attachments/my-file/compressed-size | GET /attachments/my-file/compressed-data
GET /attachments/my-file/info | POST /attachments/my-file/verify-md5 - | POST /attachments/my-file/uncompress -
GET /attachments/my-file/is-compressed | GET /attachments/my-file/compressed-data | DELETE /attachments/my-file
DELETE /attachments/my-file | DELETE /attachments/dicom | PUT /attachments/dicom = x | PUT /attachments/nosuch = x
POST /attachments/dicom/nosuch - | POST /attachments/dicom/compress - | GET /attachments/dicom/is-compressed
POST /attachments/dicom/uncompress - | GET /attachments/dicom/is-compressed`

const elsewhere = `
GET /nosuch | GET /nosuch/x | POST /nosuch - | DELETE /nosuch | HEAD /nosuch | OPTIONS /nosuch | PATCH /nosuch | GET /instances-x
GET /statistics | GET /tools/nosuch | GET /tools/generate-uid | GET /tools/generate-uid?level=x | GET /tools/log-level
GET /tools/log-level-dicom | GET /tools/log-level-x | PUT /tools/log-level = x | PUT /tools/log-level-http = verbose
GET /tools/log-level-http | PUT /tools/log-level = default | GET /tools/default-encoding | PUT /tools/default-encoding = x
GET /tools/accepted-transfer-syntaxes | GET /tools/metrics | PUT /tools/metrics = True | PUT /tools/metrics = 1
GET /tools/reset | GET /tools/shutdown | GET /tools/execute-script | GET /tools/find | POST /tools - | PUT /system - | DELETE /tools/metrics
HEAD /system | OPTIONS /system | PATCH /system | GET /changes?last | GET /changes?since=x&limit=1 | GET /exports | GET /exports?last
GET /jobs | GET /jobs/x | GET /jobs/x/archive | GET /jobs/x/cancel | PUT /jobs/x - | GET /patients?since=0&limit=2
GET /patients?limit=2 | GET /patients?since=0&limit=0 | GET /patients?since=x&limit=2 | POST /tools/lookup = SWY001
POST /tools/lookup = nobody | POST /tools/find = x | POST /tools/find = {} | POST /tools/find = {"Level":"X","Query":{}}
POST /tools/find = {"Level":"Study","Query":{"PatientID":1}} | POST /tools/find = {"Level":"Study","Query":{"StudyDate":"2024*"}}
POST /tools/find = {"Level":"Study","Query":{},"Limit":"x"} | POST /tools/find = {"Level":"Study","Query":{},"Limit":-1}
POST /tools/find = {"Level":"Instance","Query":{"Rows":"16"}} | POST /tools/bulk-content = x | POST /tools/bulk-content = {"Resources":1}
POST /tools/bulk-content = {"Resources":["x"]} | POST /tools/bulk-delete = [] | POST /tools/bulk-delete = {"Resources":["x"]}
POST /tools/create-archive - | POST /tools/create-archive = {} | POST /tools/create-archive = ["x"] | POST /tools/create-media = {"Resources":"x"}
POST /tools/create-dicom = x | POST /tools/create-dicom = {"Tags":{},"Parent":1} | POST /tools/create-dicom = {"Tags":{"PatientID":1}}
POST /tools/create-dicom = {"Tags":{"PixelData":"x"}} | POST /instances - | POST /instances = x
POST /modalities/x/nosuch -`

function asked(text: string, base = ''): Asked[] {
  return text
    .split(/[|\n]/)
    .map(line => /^\s*([A-Z]+)(?:\s+([/?]\S*))?(?:\s+(?:-|= (.*?)))?\s*$/.exec(line))
    .filter(match => match !== null)
    .map(([line, method, path = '', body]) => ({
      method: method!,
      path: base + path,
      ...(body !== undefined ? { body } : / -\s*$/.test(line) ? { body: '' } : {}),
    }))
}

/** What depends on the moment, on the server, or on how much a deflater squeezes. */
const changing =
  /^(LastUpdate|IsStable|FileUuid|Uuid|ReceptionDate|RemoteIP|Date|Seq|Last|Path|CompressedMD5|CompressedSize)$/

function steady(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(steady)
  if (typeof value !== 'object' || value === null) return value
  const left = Object.entries(value).filter(([name]) => !changing.test(name))
  return Object.fromEntries(left.map(([name, item]) => [name, steady(item)]))
}

async function seen(base: string, { method, path, body }: Asked): Promise<Record<string, unknown>> {
  const answer = await fetch(base + path, {
    method,
    redirect: 'manual',
    ...(body === undefined ? {} : { body }),
  })
  const bytes = Buffer.from(await answer.arrayBuffer())
  const type = (answer.headers.get('content-type') ?? '').replace('; charset=utf-8', '')
  let shown: unknown = bytes.toString('base64')
  if (/json/.test(type) || bytes[0] === 0x7b) {
    try {
      shown = steady(JSON.parse(bytes.toString('utf8')))
    } catch {
      // Shown as bytes.
    }
  }
  // Errors of 1.10.1 have no type; ours have, as newer versions do: contracts/orthanc.md §2.1.
  const isTyped = answer.status === 200
  return {
    status: answer.status,
    allow: answer.headers.get('allow'),
    body: shown,
    ...(isTyped ? { type } : {}),
  }
}

describe.skipIf(!hasOrthanc || !hasShared('recordings', 'orthanc'))(
  'path by path beside the real Orthanc (skipped unless it and the recordings are there)',
  () => {
    let real: RealOrthanc
    let ours: OrthancServer
    beforeAll(async () => {
      real = await startRealOrthanc(options)
      ours = await startOrthanc(options)
      const folder = sharedPath('recordings', 'orthanc', 'files')
      for (const name of readdirSync(folder).filter(file => file.endsWith('.dcm'))) {
        for (const { url } of [real, ours])
          await fetch(`${url}/instances`, { method: 'POST', body: readFileSync(join(folder, name)) })
      }
    })
    afterAll(async () => {
      await ours?.close()
      await real?.close()
    })

    async function compare(requests: readonly Asked[]): Promise<void> {
      const differences: string[] = []
      for (const request of requests) {
        const [theirs, mine] = [await seen(real.url, request), await seen(ours.url, request)]
        if (isDeepStrictEqual(mine, theirs)) continue
        const [wanted, came] = [theirs, mine].map(answer => JSON.stringify(answer).slice(0, 400))
        differences.push(`${request.method} ${request.path} ${request.body ?? ''}\n  ${wanted}\n  ${came}`)
      }
      assert.equal(differences.length, 0, differences.join('\n\n'))
    }

    test('everything outside of resources answers alike', async () => {
      await compare(asked(elsewhere))
    })

    for (const level of ['patients', 'studies', 'series', 'instances']) {
      test(`everything below ${level} answers alike`, async () => {
        const ids = (await (await fetch(`${real.url}/${level}`)).json()) as string[]
        for (const id of [ids[0]!, ids.at(-1)!, 'unknown']) {
          await compare(asked(belowResource, `/${level}/${id}`).filter(request => !isOurs(request, level)))
        }
      })
    }
  },
)

/** Otherwise on purpose. */
function isOurs({ method, path }: Asked, level: string): boolean {
  // The order of an ancestor's instances is not promised; ours is that of arrival.
  if (/\/(series|studies|instances)$/.test(path) && level === 'patients') return true
  // Frames of instances without pixels: 400 instead of "not implemented" with 500.
  if (/frames\/\d\/raw/.test(path)) return true
  // The real one answers 500 or 400 code 3 for what does not exist at all.
  return method !== 'GET' ? /unknown/.test(path) : /unknown\/protected/.test(path)
}
