import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { onTestFinished, test } from 'vitest'
import { listZip, readZipMember } from '../../../../test/support/zip-listing.ts'
import type { Json } from '../../../core/json.ts'
import type { WorkAssistant, WorkTools } from '../../../core/work.ts'
import { aDicomFile } from '../testing/sample.ts'
import { makeArchive } from './make-archive.ts'
import { packBeside } from './pack-files.ts'
import type { ArchivePlan, PartsAnswer, PlannedFile } from './plan.ts'

/** Small contents are at hand, large ones files, and one is gone. */
function setup() {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-archive-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const small = new Map<string, Uint8Array>()
  const contents = new Map<string, Buffer>()
  const add = (bytes: Buffer, place: 'small' | 'file' | 'gone'): PlannedFile => {
    const hash = createHash('sha256').update(bytes).digest('hex')
    contents.set(hash, bytes)
    if (place === 'small') small.set(hash, bytes)
    if (place === 'file') writeFileSync(join(folder, hash), bytes)
    return { hash, sizeBytes: bytes.length }
  }
  const logged: string[] = []
  const tools = {
    signal: new AbortController().signal,
    stopReason: () => undefined,
    progress: () => {},
    scratchDir: folder,
    blobsDir: join(folder, 'blobs'),
    blobs: async () => ({
      find: (hash: string) => (small.has(hash) ? { bytes: small.get(hash)! } : { path: join(folder, hash) }),
    }),
    log: (line: string) => void logged.push(line),
    ask: async () => Promise.reject(new Error('nobody is asked here')),
    assistant: () => undefined,
  } satisfies WorkTools
  return { folder, contents, add, tools, logged }
}

const plan: Omit<ArchivePlan, 'target' | 'series' | 'count'> & { now: number } = {
  kind: 'archive',
  isExtended: false,
  level: 3,
  defaultTerm: 'ISO_IR 100',
  now: 0,
}

test('a streamed archive asks for its parts, and holds small and large files in their order without what is gone', async () => {
  const { folder, contents, add, tools, logged } = setup()
  const files = [
    ...[700, 8000, 60_000].map(size => add(randomBytes(size), 'small')),
    add(Buffer.alloc(300_000, 'middle '), 'file'),
    add(randomBytes(10), 'gone'),
    add(Buffer.alloc(9_000_000, 'large '), 'file'),
    ...Array.from({ length: 40 }, () => add(randomBytes(2000), 'small')),
    add(Buffer.alloc(100_000, 'last '), 'file'),
    add(Buffer.alloc(0), 'small'),
  ]
  const parts = [files.slice(0, 2), files.slice(2, 5), files.slice(5)].map((some, index) => ({
    ...{ folder: 'p/s/x', modality: 'CT', files: some },
    from: [0, 2, 5][index]!,
  }))
  const path = join(folder, 'socket')
  const server = createServer({ allowHalfOpen: true }).listen(path)
  onTestFinished(() => void server.close())
  const sent = new Promise<Buffer>(resolve =>
    server.once('connection', socket => resolve(buffer(socket).finally(() => socket.end()))),
  )
  const asked: unknown[] = []
  const ask = async (question: unknown): Promise<PartsAnswer> => {
    asked.push(question)
    const part = parts.shift()!
    return { parts: [part], isLast: parts.length === 0 }
  }
  const input = { ...plan, count: files.length, target: { type: 'socket', path } } as unknown as Json
  const { detail } = await makeArchive(input, { ...tools, ask })
  const zip = await sent
  assert.equal(detail!['archiveBytes'], zip.length)
  assert.deepEqual(asked, [{ plan: path }, { plan: path }, { plan: path }])
  assert.match(logged.join(), /is gone/)
  const kept = files.map((file, index) => ({ file, index })).filter(({ index }) => index !== 4)
  assert.deepEqual(
    listZip(zip).map(({ name }) => name),
    kept.map(({ index }) => `p/s/x/CT${String(index).padStart(6, '0')}.dcm`),
  )
  for (const { file, index } of kept) {
    const member = readZipMember(zip, `p/s/x/CT${String(index).padStart(6, '0')}.dcm`)
    assert.ok(member.equals(contents.get(file.hash)!), `file ${index}`)
  }
})

test('an archive whose parts cannot be had fails, and closes the connection', async () => {
  const { folder, tools } = setup()
  const path = join(folder, 'socket')
  const server = createServer().listen(path)
  onTestFinished(() => void server.close())
  const closed = new Promise(resolve =>
    server.once('connection', socket => socket.resume().once('close', resolve)),
  )
  const input = { ...plan, count: 1, target: { type: 'socket', path } } as unknown as Json
  await assert.rejects(makeArchive(input, tools), /nobody is asked/)
  await closed
})

/** An assistant that takes its time, on this thread. */
async function makeAssistant(tools: Pick<WorkTools, 'blobs'>): Promise<WorkAssistant & { asked: number }> {
  const answer = await packBeside(tools)
  const assistant = {
    isReady: true,
    waiting: 0,
    asked: 0,
    async ask(question: unknown) {
      assistant.asked++
      assistant.waiting++
      const { value, give = [] } = answer(structuredClone(question))
      await new Promise(resolve => setTimeout(resolve, 2))
      assistant.waiting--
      return structuredClone(value, { transfer: [...give] })
    },
  }
  return assistant
}

test.each(['archive', 'media'] as const)(
  'an %s of many small files is the same with an assistant and without',
  async kind => {
    const { contents, add, tools } = setup()
    const files = Array.from({ length: 150 }, (_, index) => {
      const InstanceNumber = String(index)
      const bytes = aDicomFile({ tags: { InstanceNumber, SOPInstanceUID: `1.2.${index}` }, pixelBytes: 700 })
      return add(Buffer.from(bytes), index === 70 ? 'gone' : index % 3 === 0 ? 'file' : 'small')
    })
    files.splice(60, 0, add(Buffer.from(aDicomFile({ pixelBytes: 90_000 })), 'file'))
    const series = [50, 200].map((end, index) => ({
      ...{ folder: `p/s/${index}`, modality: 'CT' },
      files: files.slice(index === 0 ? 0 : 50, end),
    }))
    const input = { ...plan, kind, series, count: files.length, target: { type: 'blob' } } as unknown as Json
    const make = async (assistant?: WorkAssistant): Promise<Buffer> => {
      const { outputs } = await makeArchive(input, { ...tools, assistant: () => assistant })
      const { hash } = outputs![0]!.blob!
      return readFileSync(join(tools.blobsDir, hash.slice(0, 2), hash.slice(2, 4), hash))
    }
    const alone = await make()
    const assistant = await makeAssistant(tools)
    const assisted = await make(assistant)
    assert.ok(assistant.asked > 1)
    const members = listZip(assisted)
    const names = (zip: Buffer): string[] => listZip(zip).map(({ name }) => name)
    assert.deepEqual(names(assisted), names(alone))
    assert.equal(members.length, kind === 'media' ? 151 : 150)
    const kept = files.filter((_, index) => index !== 71)
    for (const [index, { hash }] of kept.entries())
      assert.ok(
        readZipMember(assisted, members[index]!.name).equals(contents.get(hash)!),
        members[index]!.name,
      )
    if (kind === 'archive') assert.ok(assisted.equals(alone))
    else {
      // The file set's own UID, and with its length all offsets, differ from one medium to the next.
      const told = (zip: Buffer) =>
        readZipMember(zip, 'DICOMDIR')
          .toString('latin1')
          .match(/IMAGES\\IM\d+|\b1\.2\.[\d.]+/g)
      assert.deepEqual(told(assisted), told(alone))
      assert.ok(told(alone)!.length > 300)
    }
  },
)

test('a job that is asked to stop leaves off between two small files', async () => {
  const { add, tools } = setup()
  const files = Array.from({ length: 100 }, (_, index) => add(Buffer.from(`file ${index}`), 'small'))
  const found: string[] = []
  const blobs = await tools.blobs()
  const input = {
    ...{ ...plan, count: files.length, target: { type: 'blob' } },
    series: [{ folder: 'p/s/x', modality: 'CT', files }],
  } as unknown as Json
  const stopping: WorkTools = {
    ...tools,
    stopReason: () => (found.length >= 30 ? 'cancel' : undefined),
    blobs: async () => ({
      find(hash) {
        found.push(hash)
        return blobs.find(hash)
      },
    }),
  }
  await assert.rejects(makeArchive(input, stopping), /stopped: cancel/)
  assert.equal(found.length, 30)
})

test('an archive whose assistant ends fails with the reason', async () => {
  const { add, tools } = setup()
  const files = Array.from({ length: 200 }, (_, index) => add(Buffer.from(`file ${index}`), 'small'))
  const input = {
    ...{ ...plan, count: files.length, target: { type: 'blob' } },
    series: [{ folder: 'p/s/x', modality: 'CT', files }],
  } as unknown as Json
  const ask = () => Promise.reject(new Error('the assistant ended'))
  const assistant = () => ({ isReady: true, waiting: 0, ask })
  await assert.rejects(makeArchive(input, { ...tools, assistant }), /the assistant ended/)
})
