// DICOM over TLS with DCMTK's programs and the real Orthanc, in both directions: who shows no certificate that is trusted
// gets no association, and who speaks no TLS gets none either.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, onTestFinished, test } from 'vitest'
import { aDicomFile } from '../../src/domains/dicom/testing/sample.ts'
import { type OrthancServer, startOrthanc } from '../contract/orthanc-server.ts'
import { hasDcmtk, run, start } from '../support/dcmtk.ts'
import { freePort } from '../support/free-port.ts'
import { hasOrthanc, startRealOrthanc } from './real-orthanc.ts'

const isReady = hasDcmtk && existsSync('/usr/bin/openssl')
const folder = mkdtempSync(join(tmpdir(), 'switchyard-tls-'))

/** A certificate that nobody else has signed. */
function makeKeys(name: string) {
  const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)]
  const what = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${name}`]
  execFileSync('openssl', [...what, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  return { cert, key }
}

describe.skipIf(!isReady)('DICOM over TLS (skipped unless DCMTK and openssl are there)', () => {
  let server: OrthancServer
  let port = 0
  let [ours, theirs, strange] = [] as unknown as ReturnType<typeof makeKeys>[] as [
    ...[ReturnType<typeof makeKeys>, ReturnType<typeof makeKeys>, ReturnType<typeof makeKeys>],
  ]
  const tlsOf = ({ cert, key }: { cert: string; key: string }, trusted: string) => ({
    ...{ DicomTlsEnabled: true, DicomTlsCertificate: cert, DicomTlsPrivateKey: key },
    DicomTlsTrustedCertificates: trusted,
  })

  beforeAll(async () => {
    ours = makeKeys('ours')
    theirs = makeKeys('theirs')
    strange = makeKeys('strange')
    port = await freePort()
    server = await startOrthanc({ DicomPort: port, DicomScpTimeout: 2, ...tlsOf(ours, theirs.cert) })
  }, 60_000)
  afterAll(async () => {
    await server?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const count = async (): Promise<number> =>
    ((await (await fetch(`${server.url}/instances`)).json()) as unknown[]).length
  const put = (name: string, body: unknown): Promise<Response> =>
    fetch(`${server.url}/modalities/${name}`, { method: 'PUT', body: JSON.stringify(body) })
  const post = (path: string, body: unknown): Promise<Response> =>
    fetch(server.url + path, {
      method: 'POST',
      body: body instanceof Uint8Array ? Uint8Array.from(body) : JSON.stringify(body),
    })

  test('storescu with a certificate that is trusted stores; others do not get in', async () => {
    const file = join(folder, 'one.dcm')
    writeFileSync(file, aDicomFile({ tags: { SOPInstanceUID: '1.2.70.1' } }))
    const store = (keys: { cert: string; key: string }, trusted: string) =>
      run('storescu', '+tls', keys.key, keys.cert, '+cf', trusted, '127.0.0.1', String(port), file)
    await store(theirs, ours.cert)
    assert.equal(await count(), 1)
    await assert.rejects(store(strange, ours.cert))
    await assert.rejects(store(theirs, strange.cert))
    await assert.rejects(run('echoscu', '+tla', '+cf', ours.cert, '127.0.0.1', String(port)))
    await assert.rejects(run('echoscu', '-to', '5', '-ta', '5', '-td', '5', '127.0.0.1', String(port)))
    await run('echoscu', '+tls', theirs.key, theirs.cert, '+cf', ours.cert, '127.0.0.1', String(port))
  })

  test('a connection that never shakes hands is ended in time', async () => {
    const socket = connect({ port, host: '127.0.0.1' })
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => {})
    await new Promise(resolve => socket.once('close', resolve))
  })

  test('storescp is sent to over TLS, once it is known to speak it and its certificate is trusted', async () => {
    const place = join(folder, 'scp')
    mkdirSync(place)
    const open = async (keys: { cert: string; key: string }) => {
      const scpPort = await freePort()
      const options = ['+tls', keys.key, keys.cert, '+cf', ours.cert, '-od', place]
      const scp = await start('storescp', scpPort, ...options, String(scpPort))
      onTestFinished(() => scp.kill())
      return { AET: 'SCP', Host: '127.0.0.1', Port: scpPort, Timeout: 3 }
    }
    const known = await open(theirs)
    await put('safe', { ...known, UseDicomTls: true })
    await put('plain', known)
    await put('impostor', { ...(await open(strange)), UseDicomTls: true })
    const bytes = aDicomFile({ tags: { SOPInstanceUID: '1.2.70.2' } })
    assert.equal((await post('/modalities/safe/store-straight', bytes)).status, 200)
    assert.equal(readdirSync(place).length, 1)
    const shown = (await (await fetch(`${server.url}/modalities/safe/configuration`)).json()) as object
    assert.equal((shown as { UseDicomTls: boolean }).UseDicomTls, true)
    for (const [name, why] of [
      ['plain', /connection|nothing came/],
      ['impostor', /TLS Initialization Error: self-signed certificate/],
    ] as const) {
      const answer = await post(`/modalities/${name}/store-straight`, bytes)
      assert.equal(answer.status, 500)
      assert.match(((await answer.json()) as { Details: string }).Details, why)
    }
    assert.equal((await put('odd', { ...known, UseDicomTls: 'yes' })).status, 400)
  }, 30_000)

  test.skipIf(!hasOrthanc)(
    'the real Orthanc stores here and is stored to',
    async () => {
      const real = await startRealOrthanc({
        ...tlsOf(theirs, ours.cert),
        DicomModalities: { yard: { AET: 'ORTHANC', Host: '127.0.0.1', Port: port, UseDicomTls: true } },
      })
      onTestFinished(() => real.close())
      await put('real', { AET: 'ORTHANC', Host: '127.0.0.1', Port: real.dicomPort, UseDicomTls: true })
      assert.equal((await post('/modalities/real/echo', {})).status, 200)
      const before = await count()
      const bytes = aDicomFile({ tags: { SOPInstanceUID: '1.2.70.3' } })
      const made = await fetch(`${real.url}/instances`, { method: 'POST', body: Uint8Array.from(bytes) })
      const { ID } = (await made.json()) as { ID: string }
      const sent = await fetch(`${real.url}/modalities/yard/store`, { method: 'POST', body: ID })
      assert.equal(sent.status, 200, await sent.text())
      assert.equal(await count(), before + 1)
      await fetch(`${real.url}/instances/${ID}`, { method: 'DELETE' })
      assert.equal((await post('/modalities/real/store', [ID])).status, 200)
      assert.equal((await fetch(`${real.url}/instances/${ID}`)).status, 200)
    },
    60_000,
  )

  test('keys that are missing or wrong stop the start, and the option is named', async () => {
    const wrong: [option: RegExp, options: Record<string, unknown>][] = [
      [/DicomTlsCertificate is needed/, { DicomTlsEnabled: true }],
      [/DicomTlsPrivateKey is needed/, { DicomTlsCertificate: ours.cert }],
      [
        /DicomTlsTrustedCertificates is needed/,
        { DicomTlsCertificate: ours.cert, DicomTlsPrivateKey: ours.key },
      ],
      [/DicomTlsPrivateKey names a file that cannot be read/, { DicomTlsPrivateKey: join(folder, 'none') }],
      [
        /DicomTlsCertificate and its key cannot be used/,
        tlsOf({ cert: ours.cert, key: theirs.key }, ours.cert),
      ],
      [/DicomTlsEnabled must be true or false/, { DicomTlsEnabled: 'yes' }],
    ]
    for (const [why, options] of wrong) await assert.rejects(startOrthanc(options), why)
  })
})
