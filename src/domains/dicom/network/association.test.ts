import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { test } from 'vitest'
import { Association } from './association.ts'
import { commands } from './command.ts'
import { AssociationFailed } from './failure.ts'
import { acceptAll, aRequest, openPair, options } from './testing/pair.ts'

const failing = (kind: string) => (error: unknown) =>
  error instanceof AssociationFailed && error.kind === kind

const bytesOf = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, index) => index % 251))

test('a command and its answer go both ways, and the release ends both sides', async () => {
  const { scu, scp } = await openPair()
  await scu.send(scu.contexts.get(1)!, {
    field: commands.echoRq,
    messageId: 7,
    affectedClass: '1.2.840.10008.1.1',
  })
  const heard = (await scp.receive())!
  assert.deepEqual(
    { ...heard.command },
    { field: 0x30, messageId: 7, affectedClass: '1.2.840.10008.1.1', dataSetType: 0x0101 },
  )
  await scp.send(heard.context, { field: commands.echoRsp, respondsTo: 7, status: 0 })
  assert.equal((await scu.receive())!.command.status, 0)
  const [end] = await Promise.all([scp.receive(), scu.release()])
  assert.equal(end, undefined)
  await Promise.all([scu.closed, scp.closed])
})

test.each([0, 1, 999, 16_378, 16_379, 100_000])('a data set of %i bytes arrives whole', async length => {
  const { scu, scp } = await openPair()
  const sent = bytesOf(length)
  async function* chunks() {
    for (let at = 0; at < length; at += 777) yield sent.subarray(at, at + 777)
  }
  for (const data of [sent, chunks()]) {
    const sending = scu.send(scu.contexts.get(1)!, { field: commands.storeRq, messageId: 1 }, data)
    const message = (await scp.receive())!
    assert.deepEqual(await message.data!.whole(1_000_000), sent)
    await sending
  }
  scu.abort()
})

test('no fragment is longer than what the peer announced', async () => {
  const [near, far] = duplexPair()
  const lengths: number[] = []
  const write = near.write.bind(near) as (bytes: Buffer) => boolean
  near.write = ((bytes: Buffer) => {
    for (let at = 0; at < bytes.length; at += 6 + bytes.readUInt32BE(at + 2))
      if (bytes[at] === 4) lengths.push(bytes.readUInt32BE(at + 2))
    return write(bytes)
  }) as typeof near.write
  const [scp, scu] = await Promise.all([
    Association.serve(far, rq => acceptAll(rq, 1000), options),
    Association.ask(near, aRequest(), options),
  ])
  await scu.send(scu.contexts.get(1)!, { field: commands.storeRq, messageId: 1 }, bytesOf(5000))
  assert.deepEqual(await (await scp!.receive())!.data!.whole(10_000), bytesOf(5000))
  assert.equal(Math.max(...lengths), 1000)
  scu.abort()
})

test('whoever does not read is not sent more than a bounded amount', async () => {
  const { scu, scp } = await openPair()
  let sent = 0
  async function* endless() {
    for (;;) {
      sent += 65_536
      yield Buffer.alloc(65_536)
    }
  }
  const sending = scu.send(scu.contexts.get(1)!, { field: commands.storeRq, messageId: 1 }, endless())
  sending.catch(() => {}) // It is aborted below.
  await scp.receive()
  for (let turn = 0; turn < 200; turn++) await new Promise(resolve => setImmediate(resolve))
  assert.ok(sent < 4 * 1024 * 1024, `${sent} bytes were sent to somebody who reads nothing`)
  scp.abort()
  await assert.rejects(sending, failing('aborted'))
})

test('a data set that nobody reads is passed over for the next message', async () => {
  const { scu, scp } = await openPair()
  const context = scu.contexts.get(1)!
  const sending = scu
    .send(context, { field: commands.storeRq, messageId: 1 }, bytesOf(3_000_000))
    .then(() => scu.send(context, { field: commands.echoRq, messageId: 2 }))
  assert.equal((await scp.receive())!.command.messageId, 1)
  assert.equal((await scp.receive())!.command.messageId, 2)
  await sending
  scu.abort()
})

test('an abort in the middle of a data set is heard by whoever reads it', async () => {
  const { scu, scp } = await openPair()
  async function* broken() {
    yield bytesOf(50_000)
    yield bytesOf(50_000)
    scu.abort()
    yield bytesOf(50_000)
  }
  scu.send(scu.contexts.get(1)!, { field: commands.storeRq, messageId: 1 }, broken()).catch(() => {}) // As wanted.
  const message = (await scp.receive())!
  await assert.rejects(message.data!.whole(1_000_000), failing('aborted'))
})

test('a rejection says why', async () => {
  const [near, far] = duplexPair()
  const [served, asked] = await Promise.allSettled([
    Association.serve(far, () => ({ reject: { result: 1, source: 1, reason: 7 } }), options),
    Association.ask(near, aRequest(), options),
  ])
  assert.deepEqual(served, { status: 'fulfilled', value: undefined })
  assert.match(String((asked as PromiseRejectedResult).reason), /permanent.*called AE title not recognized/)
})

test('a peer that says nothing is given up, on either side and in every phase', async () => {
  const [near] = duplexPair()
  await assert.rejects(Association.ask(near, aRequest(), { ...options, waitMs: 30 }), failing('silent'))
  const [, far] = duplexPair()
  assert.equal(await Association.serve(far, acceptAll, { ...options, artimMs: 30 }), undefined)
  assert.ok(far.destroyed)
  const { scp } = await openPair({ scp: { waitMs: 30 } })
  await assert.rejects(scp.receive(), failing('silent'))
})

test('a data set that stops in the middle is given up', async () => {
  const { scu, scp } = await openPair({ scp: { waitMs: 50 } })
  async function* stuck() {
    yield bytesOf(40_000)
    yield bytesOf(40_000)
    await new Promise(() => {})
  }
  void scu.send(scu.contexts.get(1)!, { field: commands.storeRq, messageId: 1 }, stuck())
  const message = (await scp.receive())!
  await assert.rejects(message.data!.whole(1_000_000), failing('silent'))
})

test('when both sides release at the same moment, both come to their end', async () => {
  const { scu, scp } = await openPair()
  await Promise.all([scu.release(), scp.release()])
  await Promise.all([scu.closed, scp.closed])
})

test('answers on their way are still sent after the peer has asked for release', async () => {
  const { scu, scp } = await openPair()
  await scu.send(scu.contexts.get(1)!, { field: commands.echoRq, messageId: 1 })
  const message = (await scp.receive())!
  const released = scu.release()
  await new Promise(resolve => setTimeout(resolve, 10))
  await scp.send(message.context, { field: commands.echoRsp, respondsTo: 1, status: 0 })
  assert.equal(await scp.receive(), undefined)
  await released
})
