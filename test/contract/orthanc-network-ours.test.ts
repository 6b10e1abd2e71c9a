// The DICOM network beyond the recordings: jobs that go on where they were, limits, dead destinations, who may call.

import assert from 'node:assert/strict'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, onTestFinished, test } from 'vitest'
import { Association } from '../../src/domains/dicom/network/association.ts'
import { commands } from '../../src/domains/dicom/network/command.ts'
import { sopClasses } from '../../src/domains/dicom/network/sop-classes.ts'
import { aRequest, options } from '../../src/domains/dicom/network/testing/pair.ts'
import { dataSetOffset } from '../../src/domains/dicom/reading/data-set-offset.ts'
import { aDicomFile } from '../../src/domains/dicom/testing/sample.ts'
import { freePort } from '../support/free-port.ts'
import { type SlowScp, startSlowScp } from '../support/slow-scp.ts'
import { type OrthancServer, startOrthanc } from './orthanc-server.ts'

interface ShownJob {
  State: string
  Progress: number
  ErrorCode: number
  ErrorDetails: string
  Content: Record<string, unknown>
}

async function open(settings: Record<string, unknown> = {}): Promise<OrthancServer> {
  const server = await startOrthanc({ ConcurrentJobs: 4, JobsHistorySize: 100, ...settings })
  onTestFinished(() => server.close())
  return server
}

async function slowScp(delayMs: number, port?: number): Promise<SlowScp> {
  const scp = await startSlowScp(delayMs, port)
  onTestFinished(() => scp.close())
  return scp
}

async function send<T>(server: OrthancServer, method: string, path: string, body?: unknown): Promise<T> {
  const sent = body instanceof Uint8Array ? Uint8Array.from(body) : JSON.stringify(body)
  const answer = await fetch(server.url + path, { method, ...(body === undefined ? {} : { body: sent }) })
  const text = await answer.text()
  assert.equal(answer.status, 200, `${method} ${path}: ${text}`)
  return (text === '' ? undefined : JSON.parse(text)) as T
}

/** A study with so many instances; its id, and the UIDs in the order in which they go out. */
async function fill(
  server: OrthancServer,
  count: number,
  root = '1.2.77',
): Promise<{ study: string; uids: string[] }> {
  let study = ''
  const uids: string[] = []
  for (let index = 1; index <= count; index++) {
    const uid = `${root}.1.${index}`
    const file = aDicomFile({
      tags: {
        PatientID: root,
        StudyInstanceUID: root,
        SeriesInstanceUID: `${root}.1`,
        SOPInstanceUID: uid,
        InstanceNumber: String(index),
      },
    })
    study = (await send<Record<string, string>>(server, 'POST', '/instances', file))['ParentStudy']!
    uids.push(uid)
  }
  return { study, uids }
}

async function submit(server: OrthancServer, modality: string, id: string, more = {}): Promise<string> {
  const handle = await send<{ ID: string }>(server, 'POST', `/modalities/${modality}/store`, {
    Resources: [id],
    Asynchronous: true,
    ...more,
  })
  return handle.ID
}

async function until(server: OrthancServer, id: string, ...wanted: string[]): Promise<ShownJob> {
  for (let turn = 0; turn < 1000; turn++) {
    const job = await send<ShownJob>(server, 'GET', `/jobs/${id}`)
    if (wanted.includes(job.State)) return job
    await sleep(20)
  }
  throw new Error(`job ${id} did not become ${wanted.join(' or ')}`)
}

async function has(scp: SlowScp, count: number): Promise<void> {
  for (let turn = 0; turn < 1000 && scp.got.length < count; turn++) await sleep(10)
  assert.ok(scp.got.length >= count)
}

const put = (server: OrthancServer, name: string, port: number, more = {}): Promise<void> =>
  send(server, 'PUT', `/modalities/${name}`, {
    AET: name.toUpperCase(),
    Host: '127.0.0.1',
    Port: port,
    ...more,
  })

describe('store jobs', () => {
  test('a paused job goes on with the instances still to send', async () => {
    const [server, scp] = [await open(), await slowScp(60)]
    await put(server, 'far', scp.port)
    const { study, uids } = await fill(server, 8)
    const id = await submit(server, 'far', study)
    await has(scp, 2)
    await send(server, 'POST', `/jobs/${id}/pause`)
    const paused = await until(server, id, 'Paused')
    const before = scp.got.length
    assert.ok(before < 8)
    assert.equal(paused.Progress, Math.round((100 * before) / 8))
    await send(server, 'POST', `/jobs/${id}/resume`)
    await until(server, id, 'Success')
    assert.deepEqual(scp.got, uids)
  })

  test('a job that failed in the middle goes on there when it is resubmitted; a cancelled one begins anew', async () => {
    const [server, scp] = [await open(), await slowScp(40)]
    await put(server, 'far', scp.port)
    const { study, uids } = await fill(server, 6)
    const id = await submit(server, 'far', study)
    await has(scp, 2)
    scp.status = 0xa700
    const failed = await until(server, id, 'Failure')
    assert.equal(failed.ErrorCode, 9)
    assert.match(failed.ErrorDetails, /C-STORE SCU to AET "FAR" has failed with DIMSE status 0xA700/)
    assert.equal(failed.Content['DimseErrorStatus'], 0xa700)
    scp.status = 0
    const kept = scp.got.length - 1
    scp.got.length = kept
    await send(server, 'POST', `/jobs/${id}/resubmit`)
    await until(server, id, 'Success')
    assert.deepEqual(scp.got, uids)

    scp.got.length = 0
    const other = await submit(server, 'far', study)
    await has(scp, 2)
    await send(server, 'POST', `/jobs/${other}/cancel`)
    const cancelled = await until(server, other, 'Failure')
    assert.equal(cancelled.ErrorCode, 37)
    scp.got.length = 0
    await send(server, 'POST', `/jobs/${other}/resubmit`)
    await until(server, other, 'Success')
    assert.deepEqual(scp.got, uids)
  })

  test('a job goes on with the rest after a restart of the server', async () => {
    const scp = await slowScp(150)
    const first = await startOrthanc({ DicomModalities: { far: ['FAR', '127.0.0.1', scp.port] } })
    const { study, uids } = await fill(first, 8)
    const id = await submit(first, 'far', study)
    await has(scp, 3)
    const server = await first.restart()
    onTestFinished(() => server.close())
    await until(server, id, 'Success')
    assert.deepEqual([...new Set(scp.got)], uids)
    assert.ok(scp.got.length <= uids.length + 2, `${scp.got.length} were sent in all`)
  })

  test('a modality with retries is tried again by itself, and told as Retry meanwhile', async () => {
    const [server, port] = [await open(), await freePort()]
    await put(server, 'far', port, { Retries: 5, RetryDelay: 1 })
    const { study, uids } = await fill(server, 3)
    const id = await submit(server, 'far', study)
    await until(server, id, 'Retry')
    const scp = await slowScp(0, port)
    await until(server, id, 'Success')
    assert.deepEqual(scp.got, uids)
  })

  test('a permissive job names what could not be sent, and sends the rest', async () => {
    const [server, scp] = [await open(), await slowScp(40)]
    await put(server, 'far', scp.port)
    const { study } = await fill(server, 5)
    const id = await submit(server, 'far', study, { Permissive: true })
    await has(scp, 1)
    scp.status = 0xc001
    await has(scp, 2)
    scp.status = 0
    const { Content: content } = await until(server, id, 'Success')
    assert.equal(scp.got.length, 5)
    assert.equal(content['FailedInstancesCount'], (content['FailedInstances'] as unknown[]).length)
    assert.ok(Number(content['FailedInstancesCount']) >= 1)
  })

  test('an instance that is deleted meanwhile fails the job, or is counted by a permissive one', async () => {
    const [server, scp] = [await open(), await slowScp(60)]
    await put(server, 'far', scp.port)
    const { study } = await fill(server, 4)
    const instances = await send<{ ID: string }[]>(server, 'GET', `/studies/${study}/instances`)
    const id = await submit(server, 'far', study, { Permissive: true })
    await send(server, 'DELETE', `/instances/${instances.at(-1)!.ID}`)
    const job = await until(server, id, 'Success')
    assert.equal(job.Content['FailedInstancesCount'], 1)
    assert.equal(scp.got.length, 3)
  })

  test('a job of another dialect cannot call anybody in the name of this one', async () => {
    const [server, scp] = [await open(), await slowScp(0)]
    const caller = { modality: ['FAR', '127.0.0.1', scp.port], localAet: 'X', timeout: null }
    const input = { caller, instances: ['0-0'], isPermissive: true }
    const spec = { talk: 'dicom.modality-store', input }
    const { engine } = server.server
    const job = await engine.write(tx =>
      tx.submit({ dialect: 'native', executor: 'talk', kind: 'talk', spec }),
    )
    const ended = await engine.settled(job.n, { timeoutMs: 10_000 })
    assert.equal(ended?.state, 'failed')
    assert.match(ended?.message ?? '', /for jobs of the dialect orthanc alone/)
  })
})

describe('destinations', () => {
  test('one destination gets no more jobs at a time than it may, and others need not wait for it', async () => {
    const server = await open({ JobsPerDestination: 1 })
    const [slow, quick] = [await slowScp(50), await slowScp(0)]
    await put(server, 'slow', slow.port)
    await put(server, 'quick', quick.port)
    const { study } = await fill(server, 4)
    const ids = await Promise.all([1, 2, 3].map(() => submit(server, 'slow', study)))
    const other = await submit(server, 'quick', study)
    await until(server, other, 'Success')
    assert.notEqual((await send<ShownJob>(server, 'GET', `/jobs/${ids[2]}`)).State, 'Success')
    for (const id of ids) await until(server, id, 'Success')
    assert.equal(slow.open.most, 1)
  })

  test('nobody there, somebody who says nothing, and a name that is none: failed within the time-out, with the reason', async () => {
    const server = await open({ DicomScuTimeout: 1 })
    const mute = createServer(() => {}).listen(0, '127.0.0.1')
    await new Promise(resolve => mute.once('listening', resolve))
    onTestFinished(() => void mute.close())
    await put(server, 'none', await freePort())
    await put(server, 'mute', (mute.address() as { port: number }).port)
    await put(server, 'unnamed', 104, { Host: 'no-such-host.invalid' })
    const { study } = await fill(server, 2)
    const reasons = {
      none: /Connection refused/,
      mute: /nothing came from the peer for 1 seconds/,
      unnamed: /host name/i,
    }
    for (const [name, reason] of Object.entries(reasons)) {
      const startedAt = performance.now()
      const job = await until(server, await submit(server, name, study), 'Failure')
      assert.ok(performance.now() - startedAt < 10_000)
      assert.equal(job.ErrorCode, 9)
      assert.match(job.ErrorDetails, reason)
    }
    // A permissive job does not knock again for each instance.
    const id = await submit(server, 'mute', study, { Permissive: true })
    assert.equal((await until(server, id, 'Success')).Content['FailedInstancesCount'], 2)
  })

  test('modalities that clients put stay after a restart, and those they delete stay deleted', async () => {
    const configured = {
      DicomModalities: { old: ['OLD', '127.0.0.1', 104], gone: ['GONE', '127.0.0.1', 105] },
    }
    const first = await startOrthanc(configured)
    await put(first, 'new', 4001, { AllowFind: false })
    await send(first, 'PUT', '/modalities/old', ['OLDER', '127.0.0.1', 106])
    await send(first, 'DELETE', '/modalities/gone')
    const server = await first.restart()
    onTestFinished(() => server.close())
    const all = await send<Record<string, Record<string, unknown>>>(server, 'GET', '/modalities?expand')
    assert.deepEqual(Object.keys(all), ['new', 'old'])
    assert.deepEqual(
      [all['new']!['AllowFind'], all['old']!['AET'], all['old']!['Port']],
      [false, 'OLDER', 106],
    )
  })

  test.each([
    ['x', 15],
    [[], 15],
    [['A', 'b'], 15],
    [['', 'b', 1], 15],
    [['A', 'b', 70_000], 3],
    [['A', 'b', 1, 'Nobody'], 3],
    [{ AET: 'A', Host: 'b' }, 15],
    [{ AET: 'A', Host: 'b', Port: 1, AllowEcho: 'yes' }, 15],
    [{ AET: 'A', Host: 'b', Port: 1, Timeout: -1 }, 15],
    [{ AET: 'A', Host: 'b', Port: 1, UseDicomTls: 1 }, 15],
  ])('the modality %j is refused with code %i', async (body, code) => {
    const server = await open()
    const text = body === 'x' ? 'x' : JSON.stringify(body)
    const answer = await fetch(`${server.url}/modalities/bad`, { method: 'PUT', body: text })
    assert.equal(((await answer.json()) as { OrthancStatus: number }).OrthancStatus, code)
    assert.deepEqual(await send(server, 'GET', '/modalities'), [])
  })
})

describe('the DICOM port', () => {
  async function portOf(server: OrthancServer): Promise<number> {
    return (await send<{ DicomPort: number }>(server, 'GET', '/system')).DicomPort
  }

  async function dial(port: number, names: { called?: string; calling?: string } = {}): Promise<Association> {
    const socket = connect({ port, host: '127.0.0.1' })
    onTestFinished(() => void socket.destroy())
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return Association.ask(socket, { ...aRequest(), ...names }, options)
  }

  async function echo(association: Association): Promise<number | undefined> {
    await association.send(association.contexts.get(1)!, {
      field: commands.echoRq,
      messageId: 1,
      affectedClass: sopClasses.verification,
    })
    return (await association.receive())?.command.status
  }

  test('only so many associations are served at a time; others wait for their turn', async () => {
    const server = await open({ DicomPort: 0, DicomThreadsCount: 1 })
    const port = await portOf(server)
    const first = await dial(port)
    const second = dial(port)
    const early = await Promise.race([second, sleep(200)])
    assert.equal(early, undefined)
    assert.equal(await echo(first), 0)
    await first.release()
    assert.equal(await echo(await second), 0)
  })

  test('a peer that does not wait for answers has its instances stored side by side, large ones among them', async () => {
    const server = await open({ DicomPort: 0 })
    const socket = connect({ port: await portOf(server), host: '127.0.0.1' })
    onTestFinished(() => void socket.destroy())
    await new Promise(resolve => socket.once('connect', resolve))
    const sopClass = '1.2.840.10008.5.1.4.1.1.2'
    const wish = aRequest([
      { id: 1, abstractSyntax: sopClass, transferSyntaxes: ['1.2.840.10008.1.2.1'] },
      { id: 3, abstractSyntax: sopClasses.verification, transferSyntaxes: ['1.2.840.10008.1.2.1'] },
    ])
    const user = { ...wish.user, window: { invoked: 0, performed: 1 } }
    const association = await Association.ask(socket, { ...wish, user }, options)
    assert.deepEqual(association.answer.user.window, { invoked: 16, performed: 1 })
    const [count, large] = [120, 57]
    const answered: number[] = []
    const hearing = (async () => {
      while (answered.length < count + 1) {
        const { command } = (await association.receive())!
        assert.equal(command.status, command.respondsTo === 7 ? 0xa900 : 0)
        answered.push(command.respondsTo!)
      }
    })()
    for (let id = 1; id <= count; id++) {
      const file = aDicomFile({
        tags: { SOPInstanceUID: `1.2.88.${id}`, InstanceNumber: String(id) },
        pixelBytes: id === large ? 3_000_000 : 128,
      })
      // One of them is not what its command says it is.
      const affectedInstance = id === 7 ? '1.2.99' : `1.2.88.${id}`
      await association.send(
        association.contexts.get(1)!,
        { field: commands.storeRq, messageId: id, affectedClass: sopClass, affectedInstance, priority: 0 },
        file.subarray(dataSetOffset(file)),
      )
    }
    // Another service comes alone: when it is answered, all before it are.
    await association.send(association.contexts.get(3)!, {
      ...{ field: commands.echoRq, messageId: 999, affectedClass: sopClasses.verification },
    })
    await hearing
    assert.equal(answered.at(-1), 999)
    assert.deepEqual(
      new Set(answered.slice(0, -1)),
      new Set(Array.from({ length: count }, (_, at) => at + 1)),
    )
    await association.release()
    assert.equal((await send<string[]>(server, 'GET', '/instances')).length, count - 1)
  })

  test('a connection that says nothing gives its place up in time', async () => {
    const server = await open({ DicomPort: 0, DicomThreadsCount: 1, DicomScpTimeout: 1 })
    const port = await portOf(server)
    const mute = connect({ port, host: '127.0.0.1' })
    onTestFinished(() => void mute.destroy())
    await new Promise(resolve => mute.once('connect', resolve))
    assert.equal(await echo(await dial(port)), 0)
  })

  test('who is called, who calls, and from where is checked as the settings want', async () => {
    const strict = await open({
      DicomPort: 0,
      DicomAet: 'Yard',
      DicomCheckCalledAet: true,
      DicomAlwaysAllowEcho: false,
      DicomAlwaysAllowStore: false,
      DicomCheckModalityHost: true,
      DicomModalities: {
        known: ['KNOWN', '127.0.0.1', 104],
        mute: { AET: 'MUTE', Host: '127.0.0.1', Port: 104, AllowEcho: false },
        elsewhere: ['ELSEWHERE', '192.0.2.1', 104],
      },
    })
    const port = await portOf(strict)
    await assert.rejects(dial(port, { called: 'OTHER', calling: 'KNOWN' }), /called AE title not recognized/)
    await assert.rejects(
      dial(port, { called: 'YARD', calling: 'STRANGER' }),
      /calling AE title not recognized/,
    )
    await assert.rejects(
      dial(port, { called: 'YARD', calling: 'ELSEWHERE' }),
      /calling AE title not recognized/,
    )
    assert.equal(await echo(await dial(port, { called: 'yard', calling: 'known' })), 0)
    assert.equal(await echo(await dial(port, { called: 'YARD', calling: 'MUTE' })), 0x0124)
  })

  test('nothing listens where the configuration does not speak of DICOM', async () => {
    const server = await open()
    assert.equal(await portOf(server), 4242)
    const refused = await new Promise(resolve => {
      connect({ port: 4242, host: '127.0.0.1' })
        .once('error', () => resolve(true))
        .once('connect', () => resolve(false))
    })
    assert.equal(refused, true)
  })

  test('a C-MOVE is answered at once where the settings want that, and a job sends', async () => {
    const [farPort, scp] = [await freePort(), await slowScp(20)]
    const near = await open({ DicomAet: 'NEAR', DicomPort: 0 })
    const far = await open({
      DicomPort: farPort,
      DicomAet: 'FAR',
      DicomAlwaysAllowMove: true,
      SynchronousCMove: false,
      DicomModalities: { third: ['THIRD', '127.0.0.1', scp.port] },
    })
    await put(near, 'far', farPort)
    const { uids } = await fill(far, 5)
    await send(near, 'POST', '/modalities/far/move', {
      Level: 'Study',
      Resources: [{ StudyInstanceUID: '1.2.77' }],
      TargetAet: 'THIRD',
    })
    const [id] = await send<string[]>(far, 'GET', '/jobs')
    const job = await until(far, id!, 'Success')
    assert.deepEqual([job.Content['MoveOriginatorAET'], job.Content['InstancesCount']], ['NEAR', 5])
    assert.deepEqual(scp.got, uids)
  })

  test('a retrieve that is paused has the peer leave off, and asks for everything again when it goes on', async () => {
    const [farPort, scp] = [await freePort(), await slowScp(60)]
    const near = await open({ DicomAet: 'NEAR', DicomPort: 0 })
    const far = await open({
      ...{ DicomPort: farPort, DicomAet: 'FAR', DicomAlwaysAllowFind: true, DicomAlwaysAllowMove: true },
      DicomModalities: { third: ['THIRD', '127.0.0.1', scp.port] },
    })
    await put(near, 'far', farPort)
    const { uids } = await fill(far, 10)
    const query = { Level: 'Study', Query: { StudyInstanceUID: '1.2.77' } }
    const { Path: path } = await send<{ Path: string }>(near, 'POST', '/modalities/far/query', query)
    const { ID: id } = await send<{ ID: string }>(near, 'POST', `${path}/retrieve`, {
      TargetAet: 'THIRD',
      Asynchronous: true,
    })
    await has(scp, 2)
    await send(near, 'POST', `/jobs/${id}/pause`)
    await until(near, id, 'Paused')
    const sent = scp.got.length
    assert.ok(sent < 10)
    await sleep(200)
    assert.ok(scp.got.length <= sent + 1)
    await send(near, 'POST', `/jobs/${id}/resume`)
    await until(near, id, 'Success')
    assert.deepEqual([...new Set(scp.got)].sort(), [...uids].sort())
  })

  test('an identifier that is none, a level that is none, and keys that name nothing are refused, and the port goes on', async () => {
    const server = await open({ DicomPort: 0, DicomAlwaysAllowFind: true, DicomAlwaysAllowMove: true })
    const port = await portOf(server)
    const socket = connect({ port, host: '127.0.0.1' })
    onTestFinished(() => void socket.destroy())
    await new Promise(resolve => socket.once('connect', resolve))
    const contexts = [sopClasses.studyFind, sopClasses.studyMove, '1.2.840.10008.5.1.4.1.1.2'].map(
      (abstractSyntax, index) => ({
        id: 2 * index + 1,
        abstractSyntax,
        transferSyntaxes: ['1.2.840.10008.1.2.1'],
      }),
    )
    const association = await Association.ask(socket, aRequest(contexts), options)
    const ask = async (
      id: number,
      field: number,
      data: Uint8Array,
      more = {},
    ): Promise<number | undefined> => {
      const context = association.contexts.get(id)!
      await association.send(
        context,
        { field, messageId: 1, affectedClass: context.abstractSyntax, ...more },
        data,
      )
      return (await association.receive())?.command.status
    }
    const level = (word: string): Buffer =>
      Buffer.from(`\x08\0\x52\0CS${String.fromCharCode(word.length)}\0${word}`, 'latin1')
    const garbage = [
      Buffer.alloc(3),
      Buffer.alloc(5000, 0xff),
      Buffer.from('no data set at all'),
      level('WARD'),
      Buffer.alloc(2_000_000),
    ]
    for (const data of garbage) {
      assert.equal(await ask(1, commands.findRq, data), 0xa900)
      assert.equal(await ask(3, commands.moveRq, data, { moveDestination: 'X' }), 0xa900)
      assert.ok(
        [0xa900, 0xc000].includes((await ask(5, commands.storeRq, data, { affectedInstance: '1.2' }))!),
      )
    }
    assert.equal(await ask(3, commands.moveRq, level('STUDY '), { moveDestination: 'NOBODY' }), 0xa801)
    // A command that is known nowhere, and one without its data set.
    assert.equal(await ask(1, 0x0150, Buffer.alloc(8)), 0x0211)
    const context = association.contexts.get(5)!
    await association.send(context, { field: commands.storeRq, messageId: 9 })
    assert.equal((await association.receive())?.command.status, 0xc000)
    await association.release()
    assert.deepEqual(await send(server, 'GET', '/instances'), [])
  })

  test('two of ours commit to what one sent to the other, and the sender may then delete it', async () => {
    const [nearPort, farPort] = [await freePort(), await freePort()]
    const near = await open({ DicomPort: nearPort, DicomAet: 'NEAR' })
    const far = await open({ DicomPort: farPort, DicomAet: 'FAR' })
    await put(near, 'far', farPort)
    await put(far, 'near', nearPort)
    const { study } = await fill(near, 3)
    const content = await send<Record<string, string>>(near, 'POST', '/modalities/far/store', {
      Resources: [study],
      StorageCommitment: true,
    })
    const path = `/storage-commitment/${content['StorageCommitmentTransactionUID']}`
    type Report = { Status: string; Success: unknown[]; Failures: { FailureReason: number }[] }
    const report = async (at: string): Promise<Report> => {
      for (let turn = 0; turn < 300; turn++) {
        const found = await send<Report>(near, 'GET', at)
        if (found.Status !== 'Pending') return found
        await sleep(20)
      }
      throw new Error('no report came')
    }
    const found = await report(path)
    assert.deepEqual([found.Status, found.Success.length], ['Success', 3])
    await send(near, 'POST', `${path}/remove`)
    assert.deepEqual(await send(near, 'GET', '/instances'), [])
    const missing = await send<{ Path: string }>(near, 'POST', '/modalities/far/storage-commitment', {
      DicomInstances: [['1.2.840.10008.5.1.4.1.1.2', '9.9.9']],
    })
    const failed = await report(missing.Path)
    assert.deepEqual([failed.Status, failed.Failures[0]!.FailureReason], ['Failure', 0x0112])
  })
})
