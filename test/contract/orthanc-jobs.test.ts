// Jobs of the Orthanc dialect beyond the recordings: every state and action, order, restarts, downloads in parts.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { aDicomFile } from '../../src/domains/dicom/testing/sample.ts'
import { listZip, readZipMember } from '../support/zip-listing.ts'
import { type OrthancServer, startOrthanc } from './orthanc-server.ts'

interface ShownJob {
  ID: string
  State: string
  Priority: number
  Progress: number
  ErrorCode: number
  CreationTime: string
  Content: Record<string, unknown>
}

let server: OrthancServer

async function call(method: string, path: string, body?: unknown): Promise<Response> {
  const sent =
    body === undefined
      ? {}
      : { body: body instanceof Uint8Array ? Uint8Array.from(body) : JSON.stringify(body) }
  return fetch(server.url + path, { method, ...sent })
}

async function see<T>(path: string): Promise<T> {
  return (await (await call('GET', path)).json()) as T
}

async function upload(tags: Record<string, string>, pixelBytes = 128): Promise<Record<string, string>> {
  const answer = await call('POST', '/instances', aDicomFile({ tags, pixelBytes }))
  assert.equal(answer.status, 200)
  return (await answer.json()) as Record<string, string>
}

async function submit(study: string, options: Record<string, unknown> = {}): Promise<string> {
  const answer = await call('POST', `/studies/${study}/archive`, { Asynchronous: true, ...options })
  return ((await answer.json()) as { ID: string }).ID
}

async function until(id: string, ...states: string[]): Promise<ShownJob> {
  for (let turn = 0; turn < 400; turn++) {
    const job = await see<ShownJob>(`/jobs/${id}`)
    if (states.includes(job.State)) return job
    await sleep(25)
  }
  throw new Error(`job ${id} did not become ${states.join(' or ')}`)
}

describe('jobs', () => {
  let study = ''
  beforeAll(async () => {
    server = await startOrthanc({ ConcurrentJobs: 1, JobsHistorySize: 100, MediaArchiveSize: 100 })
    for (let index = 1; index <= 4; index++) {
      study = (await upload({ SOPInstanceUID: `1.2.3.${index}`, InstanceNumber: String(index) }))[
        'ParentStudy'
      ]!
    }
  })
  afterAll(() => server.close())

  test('the job with the highest priority runs first, and the oldest of equals', async () => {
    server.gate.close()
    const first = await submit(study)
    const [low, high, other] = [
      await submit(study, { Priority: -5 }),
      await submit(study, { Priority: 10 }),
      await submit(study),
    ]
    assert.equal((await see<ShownJob>(`/jobs/${high}`)).Priority, 10)
    assert.equal((await see<ShownJob>(`/jobs/${low}`)).State, 'Pending')
    server.gate.open()
    for (const id of [first, low, high, other]) await until(id, 'Success')
    const jobs = await see<(ShownJob & { CompletionTime: string })[]>('/jobs?expand')
    const ended = jobs
      .filter(job => [low, high, other].includes(job.ID))
      .sort((a, b) => (a.CompletionTime < b.CompletionTime ? -1 : 1))
    assert.deepEqual(
      ended.map(job => job.ID),
      [high, other, low],
    )
  })

  test('a waiting job can be paused, resumed, cancelled; every refusal says why', async () => {
    server.gate.close()
    const running = await submit(study)
    const id = await submit(study)
    assert.deepEqual(await (await call('POST', `/jobs/${id}/pause`)).json(), {})
    assert.equal((await see<ShownJob>(`/jobs/${id}`)).State, 'Paused')
    assert.equal((await call('POST', `/jobs/${id}/pause`)).status, 200)
    assert.equal((await call('POST', `/jobs/${id}/resume`)).status, 200)
    const again = await call('POST', `/jobs/${id}/resume`)
    assert.equal(again.status, 400)
    const refusal = (await again.json()) as { OrthancStatus: number; Details: string }
    assert.equal(refusal.OrthancStatus, 6)
    assert.match(refusal.Details, /Pending cannot be asked to resume/)
    assert.equal((await call('POST', `/jobs/${id}/cancel`)).status, 200)
    const cancelled = await see<ShownJob>(`/jobs/${id}`)
    assert.deepEqual([cancelled.State, cancelled.ErrorCode], ['Failure', 37])
    const resubmitted = await call('POST', `/jobs/${id}/resubmit`)
    assert.equal(resubmitted.status, 500)
    assert.match(
      ((await resubmitted.json()) as { Details: string }).Details,
      /Cannot resubmit the creation of an archive/,
    )
    server.gate.open()
    await until(running, 'Success')
    assert.equal((await call('POST', `/jobs/${running}/cancel`)).status, 200)
    assert.equal((await see<ShownJob>(`/jobs/${running}`)).State, 'Success')
  })

  test('jobs survive a restart: waiting and paused ones, and finished ones with their archives', async () => {
    const done = await submit(study)
    await until(done, 'Success')
    server.gate.close()
    const blocker = await submit(study)
    const paused = await submit(study)
    await call('POST', `/jobs/${paused}/pause`)
    const waiting = await submit(study, { Priority: 3 })
    const before = await see<ShownJob>(`/jobs/${waiting}`)
    server = await server.restart()
    assert.equal((await see<ShownJob>(`/jobs/${paused}`)).State, 'Paused')
    const after = await until(waiting, 'Success')
    assert.deepEqual([after.CreationTime, after.Priority], [before.CreationTime, 3])
    await until(blocker, 'Success')
    const archive = Buffer.from(await (await call('GET', `/jobs/${done}/archive`)).arrayBuffer())
    assert.equal(listZip(archive).length, 4)
    await call('POST', `/jobs/${paused}/resume`)
    await until(paused, 'Success')
  })

  test('an archive can be downloaded in parts', async () => {
    const id = await submit(study)
    await until(id, 'Success')
    const path = `${server.url}/jobs/${id}/archive`
    const whole = Buffer.from(await (await fetch(path)).arrayBuffer())
    const part = await fetch(path, { headers: { range: 'bytes=10-19' } })
    assert.equal(part.status, 206)
    assert.equal(part.headers.get('content-range'), `bytes 10-19/${whole.length}`)
    assert.deepEqual(Buffer.from(await part.arrayBuffer()), whole.subarray(10, 20))
    const beyond = await fetch(path, { headers: { range: `bytes=${whole.length}-` } })
    assert.equal(beyond.status, 416)
    const other = await fetch(path, { headers: { range: 'bytes=0-1', 'if-range': '"other"' } })
    assert.equal(other.status, 200)
  })

  test('the list of jobs can be filtered and paged', async () => {
    const all = await see<ShownJob[]>('/jobs?expand')
    const failures = await see<string[]>('/jobs?state=Failure')
    assert.deepEqual(
      failures.sort(),
      all
        .filter(job => job.State === 'Failure')
        .map(job => job.ID)
        .sort(),
    )
    assert.equal((await see<string[]>('/jobs?type=Media')).length, 0)
    assert.deepEqual(
      await see<string[]>('/jobs?since=1&limit=2'),
      all.slice(1, 3).map(job => job.ID),
    )
  })

  test('an archive is made of what is still there when its turn comes', async () => {
    const shared = { StudyInstanceUID: '1.2.9', SeriesInstanceUID: '1.2.9.1' }
    const { ID: doomed } = await upload({ ...shared, SOPInstanceUID: '1.2.9.1.1' })
    const { ParentStudy: study } = await upload({ ...shared, SOPInstanceUID: '1.2.9.1.2' })
    server.gate.close()
    const job = await submit(study!)
    assert.equal((await call('DELETE', `/instances/${doomed}`)).status, 200)
    server.gate.open()
    await until(job, 'Success')
    const archive = Buffer.from(await (await call('GET', `/jobs/${job}/archive`)).arrayBuffer())
    assert.equal(listZip(archive).length, 1)
  })

  test('a streamed archive is broken off when its job is cancelled', async () => {
    for (let index = 0; index < 12; index++) {
      await upload(
        { StudyInstanceUID: '1.2.10', SeriesInstanceUID: '1.2.10.1', SOPInstanceUID: `1.2.10.1.${index}` },
        3_000_000,
      )
    }
    const large = await find('1.2.10')
    const answer = await call('GET', `/studies/${large}/archive`)
    assert.equal(answer.status, 200)
    const reader = answer.body!.getReader()
    await reader.read()
    const running = (await see<ShownJob[]>('/jobs?expand')).find(job => job.State === 'Running')
    if (running) await call('POST', `/jobs/${running.ID}/cancel`)
    const rest = async (): Promise<void> => {
      for (;;) if ((await reader.read()).done) return
    }
    if (running && (await until(running.ID, 'Success', 'Failure')).State === 'Failure')
      await assert.rejects(rest)
    else await rest()
  })

  test('a client that leaves takes its job with it', async () => {
    const large = await find('1.2.10')
    server.gate.close()
    const leave = new AbortController()
    const asked = fetch(`${server.url}/studies/${large}/archive`, { signal: leave.signal }).catch(
      () => undefined,
    )
    let waiting: ShownJob | undefined
    for (let turn = 0; turn < 200 && !waiting; turn++) {
      await sleep(20)
      waiting = (await see<ShownJob[]>('/jobs?expand')).find(
        job => job.State === 'Pending' || job.State === 'Running',
      )
    }
    leave.abort()
    await asked
    server.gate.open()
    const ended = await until(waiting!.ID, 'Failure')
    assert.equal(ended.ErrorCode, 37)
  })
})

async function find(studyUid: string): Promise<string> {
  const answer = await call('POST', '/tools/find', { Level: 'Study', Query: { StudyInstanceUID: studyUid } })
  return ((await answer.json()) as string[])[0]!
}

describe('options', () => {
  test('SaveJobs=false starts with an empty list', async () => {
    server = await startOrthanc({ SaveJobs: false })
    try {
      const { ParentStudy: study } = await upload({})
      await until(await submit(study!), 'Success')
      server = await server.restart()
      assert.deepEqual(await see('/jobs'), [])
      assert.equal((await see<{ CountInstances: number }>('/statistics')).CountInstances, 1)
    } finally {
      await server.close()
    }
  })

  test('JobsHistorySize and MediaArchiveSize bound what is kept', async () => {
    server = await startOrthanc({ JobsHistorySize: 3, MediaArchiveSize: 1 })
    try {
      const { ParentStudy: study } = await upload({})
      const ids: string[] = []
      for (let count = 0; count < 6; count++) {
        const id = await submit(study!)
        ids.push(id)
        await until(id, 'Success')
      }
      let kept: string[] = []
      for (let turn = 0; turn < 100 && kept.length !== 3; turn++) {
        kept = await see<string[]>('/jobs')
        await sleep(20)
      }
      assert.deepEqual(kept, ids.slice(3))
      assert.equal((await call('GET', `/jobs/${ids[4]}/archive`)).status, 404)
      assert.equal((await call('GET', `/jobs/${ids[5]}/archive`)).status, 200)
    } finally {
      await server.close()
    }
  })

  test('MaximumPatientCount lets the oldest unprotected patient go', async () => {
    server = await startOrthanc({ MaximumPatientCount: 2 })
    try {
      const uids = (n: number) => ({
        PatientID: `P${n}`,
        StudyInstanceUID: `1.${n}`,
        SeriesInstanceUID: `1.${n}.1`,
        SOPInstanceUID: `1.${n}.1.1`,
      })
      const first = (await upload(uids(1)))['ParentPatient']!
      await call('PUT', `/patients/${first}/protected`, 1)
      const second = (await upload(uids(2)))['ParentPatient']!
      const third = (await upload(uids(3)))['ParentPatient']!
      assert.deepEqual(await see('/patients'), [first, third])
      assert.equal((await call('GET', `/patients/${second}`)).status, 404)
    } finally {
      await server.close()
    }
  })

  test('a configuration of the original is taken whole, comments and unknown options included', async () => {
    const configuration = {
      Name: 'Moved',
      HttpPort: 1234,
      DicomAet: 'MOVED',
      NoSuchOption: true,
      StableAge: 1,
    }
    server = await startOrthanc({ configuration })
    try {
      const system = await see<Record<string, unknown>>('/system')
      assert.deepEqual([system['Name'], system['DicomAet']], ['Moved', 'MOVED'])
    } finally {
      await server.close()
    }
  })

  test('uploads that come at once make each parent once', async () => {
    server = await startOrthanc()
    try {
      const files = Array.from({ length: 40 }, (_, index) => ({
        StudyInstanceUID: `1.2.${index % 2}`,
        SeriesInstanceUID: `1.2.${index % 2}.${index % 4}`,
        SOPInstanceUID: `1.2.3.${index}`,
      }))
      const stored = await Promise.all([...files, ...files].map(tags => upload(tags)))
      assert.equal(stored.filter(answer => answer['Status'] === 'AlreadyStored').length, 40)
      const { CountInstances, CountSeries, CountStudies, CountPatients } =
        await see<Record<string, number>>('/statistics')
      assert.deepEqual([CountInstances, CountSeries, CountStudies, CountPatients], [40, 4, 2, 1])
      const types = (await see<{ Changes: { ChangeType: string }[] }>('/changes?limit=1000')).Changes.map(
        ({ ChangeType }) => ChangeType,
      )
      const count = (type: string): number => types.filter(each => each === type).length
      assert.deepEqual(['NewInstance', 'NewSeries', 'NewStudy', 'NewPatient'].map(count), [40, 4, 2, 1])
    } finally {
      await server.close()
    }
  })

  test('a ZIP of the archive can be uploaded to another server, which has the same then', async () => {
    server = await startOrthanc()
    try {
      const { ParentStudy: study, ID: id } = await upload({ PatientName: 'Müller^Jürgen' })
      const archive = Buffer.from(await (await call('GET', `/studies/${study}/archive`)).arrayBuffer())
      const name = listZip(archive)[0]!.name
      assert.equal(name, 'P1 Mller Jrgen/Unknown Study/CT/CT000000.dcm')
      const file = Buffer.from(await (await call('GET', `/instances/${id}/file`)).arrayBuffer())
      assert.deepEqual(readZipMember(archive, name), file)
      await call('DELETE', `/studies/${study}`)
      const stored = (await (await call('POST', '/instances', archive)).json()) as { ID: string }[]
      assert.deepEqual(
        stored.map(each => each.ID),
        [id],
      )
    } finally {
      await server.close()
    }
  })
})
