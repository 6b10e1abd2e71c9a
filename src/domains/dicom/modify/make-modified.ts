// The work of modification jobs, on a thread of the function executor: reads instances, modifies them, and hands them to
// the server in groups, so that they share commits. The server says after each group whether to go on.

import { createHash } from 'node:crypto'
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Json } from '../../../core/json.ts'
import { Refused } from '../../../core/refusal.ts'
import type { WorkBlobs, WorkTools } from '../../../core/work.ts'
import { makeDictionary } from '../dictionary/dictionary.ts'
import type { DataSet } from '../reading/data-set.ts'
import { readDataSet } from '../reading/reader.ts'
import { type ByteSource, fileSource, memorySource } from '../reading/source.ts'
import { type Summary, summarise } from '../summary.ts'
import { transcodeBytes } from '../transcoding/transcode.ts'
import { writeFile, writeFileChunks } from '../writing/writer.ts'
import type { Modification } from './modification.ts'
import { type Modifier, makeModifier } from './modify.ts'
import type {
  Modified,
  ModifyAnswer,
  ModifyPlan,
  ModifyQuestion,
  ModifySource,
  ModifyStart,
  Trouble,
} from './modify-plan.ts'

/** A group is handed over when it has so many instances, or so many bytes. */
const groupMax = 64
const groupBytesMax = 8 * 1024 * 1024
/** Groups on their way at a time: one is stored while the next is made. */
const aheadMax = 2
/** Larger files are never held: they are written to a file that the server takes over. */
const heldBytesMax = 64 * 1024 * 1024
/** Stretches of a large file are copied in pieces of this size. */
const copyBytes = 1024 * 1024

/** Makes all instances of a plan and sees them stored. Stops between instances when it is asked to. */
export async function makeModified(input: Json, tools: WorkTools): Promise<void> {
  const plan = input as unknown as ModifyPlan & ModifyStart
  const dictionary = makeDictionary(plan.dictionary.own, { vendors: plan.dictionary.vendors })
  const ask = (question: ModifyQuestion, give?: ArrayBuffer[]) =>
    tools.ask(question, give) as Promise<ModifyAnswer>
  const groups = makeGroups(plan.from, ask)
  const { sources, change } = plan
  const blobs = await tools.blobs()
  const readWhole = makeReader()
  const parent = change.inherits && openParent(blobs, change.inherits.hash, dictionary)
  try {
    let modifier: Modifier | undefined
    for (let at = plan.from; at < sources.length; at++) {
      stopIfAsked(tools)
      const source = sources[at]!
      const item = await attempt(source, () => {
        modifier ??= makeModifier(change, { dictionary })
        return makeOne(source, { plan, modifier, parent: parent?.set, dictionary, blobs, readWhole, ask })
      })
      await groups.add(item)
      tools.progress((at + 1) / (sources.length + 1))
      if (item.trouble) await groups.flush()
    }
    await groups.flush()
  } finally {
    parent?.close()
    await groups.settled()
  }
  stopIfAsked(tools)
  const { stop } = await ask({ type: 'finish' })
  if (stop !== undefined) throw new Error(stop)
}

function stopIfAsked(tools: WorkTools): void {
  const reason = tools.stopReason()
  if (reason !== undefined) throw new Error(`stopped: ${reason}`)
}

async function attempt(
  source: ModifySource,
  make: () => Promise<NonNullable<Modified['made']>>,
): Promise<Modified> {
  try {
    return { source: source.id, made: await make() }
  } catch (error) {
    return { source: source.id, trouble: troubleOf(error) }
  }
}

function troubleOf(error: unknown): Trouble {
  if (error instanceof Refused) {
    const { kind, text, field, facts } = error.refusal
    const fault = facts?.['fault']
    return {
      type: 'refused',
      kind,
      text,
      ...(field === undefined ? {} : { field }),
      ...(typeof fault === 'string' ? { fault } : {}),
    }
  }
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { type: 'missing' }
  return { type: 'failed', text: error instanceof Error ? error.message : String(error) }
}

interface Making {
  readonly plan: ModifyPlan
  readonly modifier: Modifier
  readonly parent: DataSet | undefined
  readonly dictionary: ReturnType<typeof makeDictionary>
  readonly blobs: WorkBlobs
  readonly readWhole: (path: string) => Uint8Array
  readonly ask: (question: ModifyQuestion) => Promise<ModifyAnswer>
}

async function makeOne(source: ModifySource, making: Making): Promise<NonNullable<Modified['made']>> {
  const place = making.blobs.find(source.hash)
  if ('path' in place && source.sizeBytes > heldBytesMax) return makeLarge(place.path, making)
  const { change } = making.plan
  const bytes = modifyBytes('bytes' in place ? place.bytes : making.readWhole(place.path), making)
  const { from, summary } = summariesOf(bytes, change, making)
  return {
    summary,
    from,
    md5: createHash('md5').update(bytes.made).digest('hex'),
    content: { bytes: bytes.made },
  }
}

function modifyBytes(file: Uint8Array, { modifier, plan, parent, dictionary }: Making) {
  const set = readDataSet(memorySource(file), { dictionary, keep: keepOf(plan.change) })
  const { defaultTerm } = plan.change
  const made = transcodeBytes(writeFile(modifier(set, parent)), plan.transcode, { dictionary, defaultTerm })
  return { set, made }
}

function summariesOf(
  { set, made }: { set: DataSet; made: Uint8Array },
  { defaultTerm }: Modification,
  { dictionary }: Making,
): { from: Summary['ids']; summary: Summary } {
  const read = readDataSet(memorySource(made), { dictionary, keep: 'top' })
  return { from: summarise(set, defaultTerm).ids, summary: summarise(read, defaultTerm) }
}

/** Items of sequences are only of interest to those who change something in them. */
function keepOf(change: Modification): 'all' | 'top' {
  const isDeep =
    change.isAnonymization ||
    change.removePaths.length > 0 ||
    change.replacePaths.length > 0 ||
    change.replaces.length > 0
  return isDeep ? 'all' : 'top'
}

/** A file that is too large to be held: only its headers are read, and the rest is copied piece by piece. */
async function makeLarge(path: string, making: Making): Promise<NonNullable<Modified['made']>> {
  const { plan, modifier, parent, dictionary, ask } = making
  const { defaultTerm } = plan.change
  const source = fileSource(path)
  try {
    const set = readDataSet(source, { dictionary, keep: keepOf(plan.change) })
    const parts = modifier(set, parent)
    const { file } = await ask({ type: 'scratch' })
    const md5 = createHash('md5')
    const handle = await open(file!, 'wx', 0o600)
    try {
      for (const chunk of writeFileChunks(parts, (at, length) => ({ at, length }))) {
        for (const bytes of chunk instanceof Uint8Array ? [chunk] : stretch(set.source, chunk)) {
          md5.update(bytes)
          await handle.writeFile(bytes)
        }
      }
    } finally {
      await handle.close()
    }
    const made = fileSource(file!)
    try {
      const read = readDataSet(made, { dictionary, keep: 'top' })
      return {
        summary: summarise(read, defaultTerm),
        from: summarise(set, defaultTerm).ids,
        md5: md5.digest('hex'),
        content: { file: file! },
      }
    } finally {
      made.close()
    }
  } finally {
    source.close()
  }
}

function* stretch(source: ByteSource, { at, length }: { at: number; length: number }): Generator<Uint8Array> {
  for (let done = 0; done < length; done += copyBytes) {
    yield source.read(at + done, Math.min(copyBytes, length - done))
  }
}

/**
 * Reads files one after another into the same memory: what it gave is gone with the next call. At once, because the
 * threads that would read it meanwhile are those that wait for the disk to take what was made before.
 */
function makeReader(): (path: string) => Uint8Array {
  let memory = Buffer.alloc(0)
  return path => {
    const fd = openSync(path, 'r')
    try {
      const { size } = fstatSync(fd)
      if (memory.length < size) memory = Buffer.allocUnsafeSlow(Math.ceil(size * 1.25))
      let done = 0
      while (done < size) {
        const got = readSync(fd, memory, done, size - done, done)
        if (got === 0) break
        done += got
      }
      return memory.subarray(0, done)
    } finally {
      closeSync(fd)
    }
  }
}

function openParent(blobs: WorkBlobs, hash: string, dictionary: ReturnType<typeof makeDictionary>) {
  const place = blobs.find(hash)
  if ('bytes' in place) {
    return { set: readDataSet(memorySource(place.bytes), { dictionary }), close: () => {} }
  }
  if (!existsSync(place.path)) throw new Error('the instance whose tags are to be taken over is gone')
  const source = fileSource(place.path)
  try {
    return { set: readDataSet(source, { dictionary }), close: () => source.close() }
  } catch (error) {
    source.close()
    throw error
  }
}

/** Gathers what is made, and hands it over in groups, a bounded number of them at a time. */
function makeGroups(
  from: number,
  ask: (question: ModifyQuestion, give: ArrayBuffer[]) => Promise<ModifyAnswer>,
) {
  const flying: Promise<ModifyAnswer>[] = []
  let group: Modified[] = []
  let bytes = 0
  let at = from
  const land = async (): Promise<void> => {
    const { stop } = await flying.shift()!
    if (stop !== undefined) throw new Error(stop)
  }
  const send = async (): Promise<void> => {
    if (group.length === 0) return
    const flight = ask({ type: 'store', at, items: group }, buffersOf(group))
    flight.catch(() => {}) // Heard when it lands.
    flying.push(flight)
    at += group.length
    group = []
    bytes = 0
    while (flying.length >= aheadMax) await land()
  }
  return {
    async add(item: Modified): Promise<void> {
      group.push(item)
      bytes += item.made && 'bytes' in item.made.content ? item.made.content.bytes.length : 0
      if (group.length >= groupMax || bytes >= groupBytesMax) await send()
    },
    async flush(): Promise<void> {
      await send()
      while (flying.length > 0) await land()
    },
    /** Whatever became of the work: what was handed over is dealt with. */
    async settled(): Promise<void> {
      await Promise.allSettled(flying)
    },
  }
}

/** Buffers that belong to one instance alone are handed over, not copied. */
function buffersOf(group: readonly Modified[]): ArrayBuffer[] {
  const buffers: ArrayBuffer[] = []
  for (const { made } of group) {
    if (!made || !('bytes' in made.content)) continue
    const { buffer, byteLength } = made.content.bytes
    if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffers.push(buffer)
  }
  return buffers
}
