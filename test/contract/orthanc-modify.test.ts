import assert from 'node:assert/strict'
import { onTestFinished, test } from 'vitest'
import { aDicomFile } from '../../src/domains/dicom/testing/sample.ts'
import { type OrthancServer, startOrthanc } from './orthanc-server.ts'

// biome-ignore lint/suspicious/noExplicitAny: answers of many shapes, looked into by each test.
type Answer = any

async function start(options: Record<string, unknown> = {}): Promise<OrthancServer> {
  const server = await startOrthanc({ JobsHistorySize: 100, ...options })
  onTestFinished(() => server.close())
  return server
}

interface Filled {
  readonly patient: string
  readonly study: string
  readonly series: string
  readonly instances: readonly string[]
}

/** One series; the pixels of instance `bad` are unsigned, so that a negative value does not fit into it. */
async function fill(server: OrthancServer, count = 4, bad = -1): Promise<Filled> {
  const instances: string[] = []
  let ids = { patient: '', study: '', series: '' }
  for (let index = 0; index < count; index++) {
    const file = aDicomFile({
      tags: {
        SOPInstanceUID: `1.2.3.4.5.${index + 10}`,
        InstanceNumber: String(index),
        PixelRepresentation: index === bad ? '0' : '1',
      },
    })
    const answer = await fetch(`${server.url}/instances`, { method: 'POST', body: Uint8Array.from(file) })
    const stored = (await answer.json()) as Record<string, string>
    instances.push(stored['ID']!)
    ids = {
      patient: stored['ParentPatient']!,
      study: stored['ParentStudy']!,
      series: stored['ParentSeries']!,
    }
  }
  return { ...ids, instances }
}

async function ask(method: string, url: string, body?: object): Promise<{ status: number; body: Answer }> {
  const answer = await fetch(url, { method, ...(body ? { body: JSON.stringify(body) } : {}) })
  const text = await answer.text()
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) }
}

async function ok(method: string, url: string, body?: object): Promise<Answer> {
  const answer = await ask(method, url, body)
  assert.equal(answer.status, 200, `${method} ${url}: ${JSON.stringify(answer.body)}`)
  return answer.body
}

async function until(server: OrthancServer, id: string, isIt: (job: Answer) => boolean): Promise<Answer> {
  for (let turn = 0; turn < 400; turn++) {
    const job = await ok('GET', `${server.url}/jobs/${id}`)
    if (isIt(job)) return job
    await new Promise(resolve => setTimeout(resolve, 15))
  }
  throw new Error(
    `the job does not come so far: ${JSON.stringify(await ok('GET', `${server.url}/jobs?expand`))}`,
  )
}

const ended = (server: OrthancServer, id: string): Promise<Answer> =>
  until(server, id, job => job.State === 'Success' || job.State === 'Failure')

const negative = { Replace: { SmallestImagePixelValue: '-5' } }

test('one bad instance fails the job, what was made before it stays, and no source goes', async () => {
  const server = await start()
  const { series } = await fill(server, 4, 2)
  const wish = { ...negative, KeepSource: false, Asynchronous: true }
  const { ID: id } = await ok('POST', `${server.url}/series/${series}/modify`, wish)
  const job = await ended(server, id)
  assert.deepEqual([job.State, job.ErrorCode, job.Progress], ['Failure', 15, 40])
  assert.match(job.ErrorDetails, /tag \(0028,0106\) has out-of-range value: "-5"/)
  assert.equal((await ok('GET', `${server.url}/statistics`)).CountInstances, 6)
  assert.equal((await ok('GET', `${server.url}/series/${series}`)).Instances.length, 4)
  const answer = await ask('POST', `${server.url}/series/${series}/modify`, negative)
  assert.deepEqual([answer.status, answer.body.OrthancStatus], [400, 15])
})

test('a permissive job counts and names the bad instance, and spares its source', async () => {
  const server = await start()
  const { series, instances } = await fill(server, 4, 2)
  const wish = { ...negative, KeepSource: false, Permissive: true }
  const content = await ok('POST', `${server.url}/series/${series}/modify`, wish)
  assert.equal(content.FailedInstancesCount, 1)
  assert.equal(content.FailedInstances[0].ID, instances[2])
  assert.match(content.FailedInstances[0].Reason, /out-of-range/)
  assert.deepEqual((await ok('GET', `${server.url}/series/${series}`)).Instances, [instances[2]])
  assert.equal((await ok('GET', `${server.url}${content.Path}`)).Instances.length, 3)
})

test('an instance that was deleted meanwhile is counted, and the others are made', async () => {
  const server = await start()
  const { study, instances } = await fill(server)
  server.gate.close()
  const wish = { Asynchronous: true, Keep: ['StudyDescription'] }
  const { ID: id } = await ok('POST', `${server.url}/studies/${study}/anonymize`, wish)
  await ok('DELETE', `${server.url}/instances/${instances[1]}`)
  server.gate.open()
  const job = await ended(server, id)
  assert.equal(job.State, 'Success', job.ErrorDetails)
  // The bytes may still be at hand when the job reads them; then it is made all the same.
  const failed = job.Content.FailedInstancesCount
  assert.equal((await ok('GET', `${server.url}/studies/${job.Content.ID}/instances`)).length, 4 - failed)
})

test('a modification that keeps all identifiers is refused where nothing may be overwritten', async () => {
  const keeps = {
    Keep: ['SeriesInstanceUID', 'SOPInstanceUID'],
    Force: true,
    Replace: { SeriesDescription: 'new' },
  }
  const server = await start()
  const { series } = await fill(server)
  const refused = await ask('POST', `${server.url}/series/${series}/modify`, keeps)
  assert.deepEqual([refused.status, refused.body.OrthancStatus], [500, 2018])

  const willing = await start({ OverwriteInstances: true })
  const filled = await fill(willing)
  const wish = { ...keeps, KeepSource: false }
  const content = await ok('POST', `${willing.url}/series/${filled.series}/modify`, wish)
  assert.equal(content.ID, filled.series)
  const shown = await ok('GET', `${willing.url}/series/${filled.series}`)
  assert.equal(shown.Instances.length, 4, 'what was made in place of its source does not go with it')
  const tags = await ok('GET', `${willing.url}/instances/${filled.instances[0]}/simplified-tags`)
  assert.equal(tags.SeriesDescription, 'new')
})

test('a waiting job can be paused and cancelled, and makes everything when it is resubmitted', async () => {
  const server = await start({ ConcurrentJobs: 1 })
  const { study } = await fill(server, 3)
  server.gate.close()
  const wish = { Asynchronous: true }
  const { ID: before } = await ok('POST', `${server.url}/studies/${study}/anonymize`, wish)
  const { ID: id } = await ok('POST', `${server.url}/studies/${study}/anonymize`, wish)
  await ok('POST', `${server.url}/jobs/${id}/pause`, {})
  assert.equal((await ok('GET', `${server.url}/jobs/${id}`)).State, 'Paused')
  await ok('POST', `${server.url}/jobs/${id}/cancel`, {})
  const cancelled = await ended(server, id)
  assert.deepEqual([cancelled.State, cancelled.ErrorCode], ['Failure', 37])
  server.gate.open()
  await ok('POST', `${server.url}/jobs/${id}/resubmit`, {})
  for (const each of [before, id]) assert.equal((await ended(server, each)).State, 'Success')
  assert.equal((await ok('GET', `${server.url}/statistics`)).CountInstances, 9)
})

test('a job that was resubmitted after a failure begins anew and makes nothing twice', async () => {
  const server = await start()
  const { series, instances } = await fill(server, 6, 4)
  const { ID: id } = await ok('POST', `${server.url}/series/${series}/modify`, {
    ...negative,
    Asynchronous: true,
  })
  const failed = await ended(server, id)
  assert.equal(failed.State, 'Failure')
  assert.equal((await ok('GET', `${server.url}/statistics`)).CountInstances, 10)
  await ok('DELETE', `${server.url}/instances/${instances[4]}`)
  await ok('POST', `${server.url}/jobs/${id}/resubmit`, {})
  const job = await ended(server, id)
  // The bytes of what was deleted may be at hand for a while, and are still not right.
  if (job.State === 'Success') assert.equal(job.Content.FailedInstancesCount, 1)
  const made = await ok('GET', `${server.url}${failed.Content.Path}`)
  assert.equal(made.Instances.length, job.State === 'Success' ? 5 : 4)
})

test('with an empty job list a synchronous call says so, though its work is done', async () => {
  const server = await start({ JobsHistorySize: 0 })
  const { study } = await fill(server)
  const answer = await ask('POST', `${server.url}/studies/${study}/anonymize`, {})
  assert.deepEqual([answer.status, answer.body.OrthancStatus], [404, 7])
  assert.match(answer.body.Details, /make sure that "JobsHistorySize" is not 0/)
  assert.equal((await ok('GET', `${server.url}/statistics`)).CountInstances, 8)
})

test('a split study and a merged one hold what was moved, and nothing is left behind', async () => {
  const server = await start()
  const { study, series, instances } = await fill(server)
  const split = await ok('POST', `${server.url}/studies/${study}/split`, {
    Instances: [instances[0], instances[1]],
    Replace: { StudyDescription: 'apart' },
  })
  assert.equal(split.InstancesCount, 2)
  const target = await ok('GET', `${server.url}/studies/${split.TargetStudy}`)
  assert.equal(target.MainDicomTags.StudyInstanceUID, split.TargetStudyUID)
  assert.equal(target.MainDicomTags.StudyDescription, 'apart')
  assert.equal((await ok('GET', `${server.url}/series/${series}`)).Instances.length, 2)
  await ok('POST', `${server.url}/studies/${split.TargetStudy}/merge`, { Resources: [study] })
  assert.deepEqual(await ok('GET', `${server.url}/studies`), [split.TargetStudy])
  assert.equal((await ok('GET', `${server.url}/studies/${split.TargetStudy}/instances`)).length, 4)
  const { Changes: changes } = await ok('GET', `${server.url}/changes?limit=1000`)
  assert.ok(
    changes.every((change: Answer) => change.ID !== study),
    'the log does not speak of what is gone',
  )
})

test('bulk calls list everything that was made', async () => {
  const server = await start()
  const { series, instances } = await fill(server)
  const content = await ok('POST', `${server.url}/tools/bulk-anonymize`, {
    Resources: [instances[0], series],
  })
  assert.equal(content.InstancesCount, 4)
  const types = content.Resources.map((each: Answer) => each.Type)
  assert.deepEqual(types, [...Array(4).fill('Instance'), 'Series', 'Study', 'Patient'])
  for (const { Path: path } of content.Resources) await ok('GET', server.url + path)
})

test('a job of a thousand instances stops between two of them, and goes on where it was', async () => {
  const server = await start()
  const { study } = await fill(server, 1000)
  const { ID: id } = await ok('POST', `${server.url}/studies/${study}/anonymize`, { Asynchronous: true })
  await until(server, id, job => job.Progress > 0)
  // On a busy machine it may be over before it is asked to pause.
  await ask('POST', `${server.url}/jobs/${id}/pause`, {})
  const paused = await until(server, id, job => job.State === 'Paused' || job.State === 'Success')
  if (paused.State === 'Paused') {
    const { CountInstances: count } = await ok('GET', `${server.url}/statistics`)
    assert.ok(count > 1000 && count < 2000, `${count} instances while it is paused`)
    await ok('POST', `${server.url}/jobs/${id}/resume`, {})
  }
  const job = await ended(server, id)
  assert.equal(job.State, 'Success', job.ErrorDetails)
  assert.equal((await ok('GET', `${server.url}/studies/${job.Content.ID}/instances`)).length, 1000)
}, 300_000)

const sequence = JSON.stringify([{}])
for (const [what, path, body, status] of [
  ['a list in place of options', 'series/SERIES/modify', [], 400],
  ['a value that is a list of texts', 'series/SERIES/modify', { Replace: { PatientName: ['x'] } }, 400],
  ['a text for a sequence', 'series/SERIES/modify', { Replace: { ContentSequence: sequence } }, 400],
  ['a KeepSource that is a text', 'series/SERIES/modify', { KeepSource: 'no' }, 400],
  ['a level that there is not', 'tools/bulk-modify', { Resources: ['SERIES'], Level: 'Room' }, 400],
  ['a Transcode that is a number', 'series/SERIES/modify', { Transcode: 5 }, 400],
  ['a priority that is a fraction', 'series/SERIES/anonymize', { Priority: 1.5 }, 400],
  ['a path a hundred sequences deep', 'series/SERIES/modify', { Remove: ['A[0].'.repeat(100)] }, 400],
  ['an index that is too large', 'series/SERIES/modify', { Remove: ['ContentSequence[99999999999].X'] }, 400],
  ['series that are not texts', 'studies/STUDY/split', { Series: [1] }, 400],
] as const) {
  test(`a call with ${what} is refused, and no job is made`, async () => {
    const server = await start()
    const { series, study } = await fill(server, 1)
    const named = (text: string): string => text.replace('SERIES', series).replace('STUDY', study)
    const answer = await ask('POST', `${server.url}/${named(path)}`, JSON.parse(named(JSON.stringify(body))))
    assert.equal(answer.status, status, JSON.stringify(answer.body))
    assert.ok(answer.body.Message)
    const left = (await ok('GET', `${server.url}/jobs?expand`)).filter(
      (job: Answer) => job.State === 'Success',
    )
    assert.deepEqual(left, [])
    assert.equal((await ok('GET', `${server.url}/statistics`)).CountInstances, 1)
  })
}
