// Whatever bytes a peer sends: the association ends, nothing is thrown where nobody catches, and memory stays bounded.

import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Association } from './association.ts'
import { commands, readCommand, writeCommand } from './command.ts'
import { type AssociateRq, frameData, InvalidPdu, readPdu, writePdu } from './pdu.ts'
import { PduSplitter } from './pdu-splitter.ts'
import { acceptAll, aRequest, options } from './testing/pair.ts'

const quick = { ...options, waitMs: 100, artimMs: 20 }
/** Where the answer matters: a busy machine may take its time between two pieces. */
const patient = { ...options, waitMs: 30_000, artimMs: 30_000 }

const rq = (contexts = aRequest().contexts): Buffer =>
  writePdu({
    type: 'rq',
    protocolVersion: 1,
    applicationContext: '1.2.840.10008.3.1.1.1',
    ...aRequest(contexts),
  } as AssociateRq)

/** A server's whole life with one peer that writes these bytes and hangs up. */
async function serve(
  chunks: readonly Uint8Array[],
  waits: typeof options = quick,
): Promise<{ messages: number; answers: Buffer }> {
  const [near, far] = duplexPair()
  const answers: Buffer[] = []
  near.on('data', (chunk: Buffer) => answers.push(chunk))
  near.on('error', () => {})
  const serving = Association.serve(far, acceptAll, waits)
  for (const chunk of chunks) {
    near.write(chunk)
    // A peer that waits for its answer before it goes on.
    await new Promise(resolve => setImmediate(resolve))
    await new Promise(resolve => setImmediate(resolve))
  }
  near.end()
  const association = await serving
  let messages = 0
  try {
    while (association && (await association.receive())) messages++
  } catch {
    // How it ended is not the question here, but that it did.
  }
  far.destroy()
  return { messages, answers: Buffer.concat(answers) }
}

const echo = frameData(writeCommand({ field: commands.echoRq, messageId: 1 }), {
  context: 1,
  isCommand: true,
  isLast: true,
  pduBytesMax: 16_384,
})

const header = (type: number, length: number): Buffer => {
  const bytes = Buffer.alloc(6)
  bytes[0] = type
  bytes.writeUInt32BE(length, 2)
  return bytes
}

test('any bytes at all end the association', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), async chunks => {
      await serve(chunks)
    }),
    { seed: 7, numRuns: 150 },
  )
})

test('a good conversation with one part damaged ends, too', { timeout: 60_000 }, async () => {
  const good = Buffer.concat([rq(), echo, echo, writePdu({ type: 'release-rq' })])
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), fc.nat(255), async (at, value) => {
      const damaged = Buffer.from(good)
      damaged[at] = value
      await serve([damaged.subarray(0, rq().length), damaged.subarray(rq().length)])
    }),
    { seed: 7, numRuns: 250 },
  )
})

test('a conversation is understood however it is cut into pieces', async () => {
  const good = Buffer.concat([rq(), echo, echo, writePdu({ type: 'release-rq' })])
  const pieces = Array.from(good, byte => Uint8Array.of(byte))
  expect((await serve(pieces, patient)).messages).toBe(2)
  expect((await serve([rq(), good.subarray(rq().length)], patient)).messages).toBe(2)
})

test('whatever a server answers, whoever asked it hears of a failure in time', {
  timeout: 60_000,
}, async () => {
  const good = writePdu(acceptAll({ ...aRequest() } as AssociateRq).accept)
  const damaged = fc.tuple(fc.nat(good.length - 1), fc.nat(255), fc.boolean()).map(([at, value, isCut]) => {
    const bytes = Buffer.from(good)
    bytes[at] = value
    return isCut ? bytes.subarray(0, at) : bytes
  })
  const anything = fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes))
  await fc.assert(
    fc.asyncProperty(fc.oneof(damaged, anything), anything, async (first, second) => {
      const [near, far] = duplexPair()
      far.on('error', () => {})
      far.resume()
      far.write(first)
      const association = await Association.ask(near, aRequest(), { ...quick, waitMs: 20 }).catch(
        () => undefined,
      )
      const context = association?.contexts.get(1)
      if (association && context) {
        far.write(second)
        await association.send(context, { field: commands.echoRq, messageId: 1 }).catch(() => {}) // It may have ended.
        await association.receive().catch(() => {}) // As it should.
      }
      association?.abort()
      far.destroy()
    }),
    { seed: 7, numRuns: 100 },
  )
})

test.each([
  ['a P-DATA of four gigabytes', [rq(), header(4, 0xffffffff)]],
  ['a P-DATA longer than announced', [rq(), header(4, 16_385)]],
  ['a request of a gigabyte', [header(1, 0x40000000)]],
  ['a release with a body of its own', [rq(), header(5, 65)]],
  ['a PDU of a type that is none', [rq(), header(9, 4), Buffer.alloc(4)]],
  ['data before a request', [echo]],
  ['a second request', [rq(), rq()]],
  ['data in a context that was not agreed on', [rq(), Buffer.from(echo).fill(3, 10, 11)]],
  ['a data set without its command', [rq(), Buffer.from(echo).fill(2, 11, 12)]],
  [
    'an acceptance that nobody asked for',
    [rq(), writePdu(acceptAll({ ...aRequest() } as AssociateRq).accept)],
  ],
])('%s is answered with an abort or a close', async (_, chunks) => {
  const { messages, answers } = await serve(chunks)
  expect(messages).toBe(0)
  const last = answers.subarray(-10)
  if (answers.length > 0) expect([...last.subarray(0, 6)]).toEqual([7, 0, 0, 0, 0, 4])
})

test('a command without end is not gathered', async () => {
  const endless = Array.from({ length: 10 }, () =>
    frameData(Buffer.alloc(10_000), { context: 1, isCommand: true, isLast: false, pduBytesMax: 16_384 }),
  )
  const { messages, answers } = await serve([rq(), ...endless], patient)
  expect(messages).toBe(0)
  expect(answers.at(-10)).toBe(7)
})

test('an unknown protocol version and an unknown application are rejected', async () => {
  const old = rq()
  old.writeUInt16BE(2, 6)
  expect([...(await serve([old], patient)).answers]).toEqual([3, 0, 0, 0, 0, 4, 0, 1, 2, 2])
  const odd = Buffer.from(
    rq().toString('latin1').replace('1.2.840.10008.3.1.1.1', '1.2.840.10008.3.1.1.9'),
    'latin1',
  )
  expect([...(await serve([odd], patient)).answers]).toEqual([3, 0, 0, 0, 0, 4, 0, 1, 1, 2])
})

test('a whole request is written and read again as it was', () => {
  const uid = fc.stringMatching(/^[0-9.]{1,64}$/)
  const name = fc.stringMatching(/^[A-Z0-9]{1,16}$/)
  const user = fc.record({
    pduBytesMax: fc.nat(0x7fffffff),
    implementationClass: uid,
    implementationVersion: name,
    roles: fc.array(fc.record({ sopClass: uid, isScu: fc.boolean(), isScp: fc.boolean() }), { maxLength: 5 }),
  })
  const contexts = fc.uniqueArray(
    fc.record({
      id: fc.nat(127).map(index => index * 2 + 1),
      abstractSyntax: uid,
      transferSyntaxes: fc.array(uid, { minLength: 1, maxLength: 5 }),
    }),
    { selector: context => context.id, maxLength: 20 },
  )
  fc.assert(
    fc.property(contexts, user, name, name, (proposed, information, called, calling) => {
      const written = writePdu({
        type: 'rq',
        protocolVersion: 1,
        applicationContext: '1.2.3',
        called,
        calling,
        contexts: proposed,
        user: information,
      })
      const back = readPdu(1, written.subarray(6)) as AssociateRq
      assert.deepEqual(back.user, JSON.parse(JSON.stringify(information)))
      assert.deepEqual([back.called, back.calling], [called, calling])
      assert.deepEqual(
        back.contexts.map(({ id, abstractSyntax, transferSyntaxes }) => ({
          id,
          abstractSyntax,
          transferSyntaxes,
        })),
        JSON.parse(JSON.stringify(proposed)),
      )
    }),
    { seed: 7, numRuns: 200 },
  )
})

test('a command is written and read again as it was', () => {
  const command = {
    field: commands.moveRq,
    messageId: 65_535,
    affectedClass: '1.2.840.10008.5.1.4.1.2.2.2',
    moveDestination: 'TARGET',
    priority: 0,
    dataSetType: 1,
  }
  assert.deepEqual({ ...readCommand(writeCommand(command)) }, command)
})

test('a splitter holds no more than one PDU and what came with it', () => {
  const splitter = new PduSplitter(1000)
  splitter.push(header(4, 1000))
  for (let index = 0; index < 999; index++) {
    splitter.push(Buffer.of(1))
    assert.equal(splitter.next(), undefined)
  }
  splitter.push(Buffer.of(1, 4, 0, 0))
  assert.equal(splitter.next()!.body.length, 1000)
  assert.equal(splitter.waitingBytes, 3)
  splitter.push(header(4, 1001).subarray(3))
  assert.throws(() => splitter.next(), InvalidPdu)
})
