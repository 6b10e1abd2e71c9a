// Tools and files of the Orthanc dialect beyond the recordings: compressed attachments, other forms of files, log
// levels, resets and the end.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { inflateSync } from 'node:zlib'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { aDicomFile } from '../../src/domains/dicom/testing/sample.ts'
import { type OrthancServer, startOrthanc } from './orthanc-server.ts'

let server: OrthancServer

async function ask(method: string, path: string, body?: Uint8Array | string): Promise<Response> {
  const sent = body === undefined ? {} : { body: typeof body === 'string' ? body : Uint8Array.from(body) }
  return fetch(server.url + path, { method, ...sent })
}

async function bytesOf(path: string): Promise<Buffer> {
  const answer = await ask('GET', path)
  assert.equal(answer.status, 200, path)
  return Buffer.from(await answer.arrayBuffer())
}

const textOf = async (path: string): Promise<string> => (await bytesOf(path)).toString()

describe('tools', () => {
  let id = ''
  const file = aDicomFile({ tags: { PatientName: 'A&B^Ada', SOPInstanceUID: '1.2.3' }, pixelBytes: 4096 })
  beforeAll(async () => {
    server = await startOrthanc({ UserContentType: { notes: 4321 } })
    id = ((await (await ask('POST', '/instances', file)).json()) as { ID: string }).ID
  })
  afterAll(() => server.close())

  test('an attachment can be kept compressed, and is the same in plain; also after a restart', async () => {
    const path = `/instances/${id}/attachments/notes`
    const total = async () => Number(JSON.parse(await textOf('/statistics')).TotalDiskSize)
    const before = await total()
    const content = Buffer.concat([Buffer.alloc(300_000, 'notes '), randomBytes(50)])
    assert.equal((await ask('PUT', path, content)).status, 200)
    assert.equal((await ask('POST', `${path}/compress`, '')).status, 200)
    for (let turn = 0; turn < 2; turn++) {
      const packed = await bytesOf(`${path}/compressed-data`)
      assert.equal(packed.readBigUInt64LE(0), BigInt(content.length))
      assert.ok(inflateSync(packed.subarray(8)).equals(content))
      assert.ok((await bytesOf(`${path}/data`)).equals(content))
      assert.equal(await textOf(`${path}/is-compressed`), '1')
      assert.equal(await textOf(`${path}/compressed-size`), String(packed.length))
      assert.equal(await textOf(`${path}/size`), String(content.length))
      assert.equal(await total(), before + packed.length)
      assert.equal((await ask('POST', `${path}/verify-md5`, '')).status, 200)
      // Asking twice changes nothing.
      assert.equal((await ask('POST', `${path}/compress`, '')).status, 200)
      if (turn === 0) server = await server.restart()
    }
    assert.equal((await ask('POST', `${path}/uncompress`, '')).status, 200)
    assert.ok((await bytesOf(`${path}/compressed-data`)).equals(content))
    assert.equal(await textOf(`${path}/is-compressed`), '0')
    assert.equal(await total(), before + content.length)
    assert.equal((await ask('POST', `${path}/compress`, '')).status, 200)
    assert.equal((await ask('DELETE', path)).status, 200)
    assert.equal(await total(), before)
  })

  test('the file of an instance stays at hand when it is compressed', async () => {
    const path = `/instances/${id}/attachments/dicom`
    assert.equal((await ask('POST', `${path}/compress`, '')).status, 200)
    assert.equal(await textOf(`${path}/is-compressed`), '1')
    assert.ok(inflateSync((await bytesOf(`${path}/compressed-data`)).subarray(8)).equals(Buffer.from(file)))
    assert.ok((await bytesOf(`/instances/${id}/file`)).equals(Buffer.from(file)))
    assert.equal((await ask('POST', `${path}/uncompress`, '')).status, 200)
    assert.ok((await bytesOf(`${path}/compressed-data`)).equals(Buffer.from(file)))
  })

  test('a file can be had in the native DICOM model as XML', async () => {
    const answer = await fetch(`${server.url}/instances/${id}/file`, {
      headers: { accept: 'application/dicom+xml' },
    })
    assert.equal(answer.headers.get('content-type'), 'application/dicom+xml')
    const text = await answer.text()
    assert.match(
      text,
      /<DicomAttribute tag="00100010" vr="PN" keyword="PatientName">\s*<PersonName number="1">\s*<Alphabetic>\s*<FamilyName>A&amp;B<\/FamilyName>\s*<GivenName>Ada<\/GivenName>/,
    )
    assert.match(
      text,
      /<InlineBinary>[\w+/]+=*<\/InlineBinary>\s*<\/DicomAttribute>\s*<\/NativeDicomModel>\s*$/,
    )
  })

  test('a reset takes back what clients have set', async () => {
    await ask('PUT', '/tools/log-level-http', 'verbose')
    await ask('PUT', '/tools/default-encoding', 'Utf8')
    await ask('PUT', '/tools/metrics', '0')
    assert.equal(await textOf('/tools/log-level-http'), 'verbose')
    assert.equal((await ask('POST', '/tools/reset', '')).status, 200)
    assert.equal(await textOf('/tools/log-level-http'), 'default')
    assert.equal(await textOf('/tools/default-encoding'), 'Latin1')
    assert.equal(await textOf('/tools/metrics'), '1')
  })

  test('a server that stands in for the original answers in its shape where there is nothing', async () => {
    const answer = await ask('GET', '/nowhere/at/all')
    assert.equal(answer.status, 404)
    const { OrthancStatus: code, Uri: uri } = (await answer.json()) as Record<string, unknown>
    assert.deepEqual([code, uri], [17, '/nowhere/at/all'])
  })

  test('a shutdown is answered, and ends the server', async () => {
    const other = await startOrthanc()
    try {
      const answer = await fetch(`${other.url}/tools/shutdown`, { method: 'POST' })
      assert.deepEqual([answer.status, await answer.json()], [200, {}])
      for (let turn = 0; turn < 400; turn++) {
        const isGone = await fetch(`${other.url}/system`).then(
          () => false,
          () => true,
        )
        if (isGone) return
        await sleep(25)
      }
      assert.fail('the server is still there')
    } finally {
      await other.close()
    }
  })
})

test('the change log does not speak of what was deleted, and goes on counting', async () => {
  const other = await startOrthanc({ OverwriteInstances: true })
  try {
    const send = async (uid: string) => {
      const body = Uint8Array.from(aDicomFile({ tags: { SOPInstanceUID: uid } }))
      return (await (await fetch(`${other.url}/instances`, { method: 'POST', body })).json()) as {
        ID: string
      }
    }
    const log = async () =>
      (await (await fetch(`${other.url}/changes`)).json()) as {
        Changes: { ID: string; Seq: number }[]
        Last: number
      }
    const [first, second] = [await send('1.2.1'), await send('1.2.2')]
    const about = async (id: string) => (await log()).Changes.filter(change => change.ID === id).length
    assert.deepEqual([await about(first!.ID), await about(second!.ID)], [1, 1])
    // Overwritten, it has arrived once: the latest time.
    await send('1.2.1')
    assert.equal(await about(first!.ID), 1)
    await fetch(`${other.url}/instances/${first!.ID}`, { method: 'DELETE' })
    assert.deepEqual([await about(first!.ID), await about(second!.ID)], [0, 1])
    const { Last: last } = await log()
    await fetch(`${other.url}/changes`, { method: 'DELETE' })
    await fetch(`${other.url}/instances/${second!.ID}`, { method: 'DELETE' })
    await send('1.2.3')
    const after = await log()
    assert.ok(after.Changes.every(({ Seq: seq }) => seq > last) && after.Changes.length === 4)
  } finally {
    await other.close()
  }
})
