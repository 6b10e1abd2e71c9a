// Reads the members of an uploaded ZIP file one after another, with limits: what a few bytes unfold to is bounded.

import { type Entry, open, type ZipFile } from 'yauzl'
import { Refused, refuse } from '../../../core/refusal.ts'

export interface ZipLimits {
  readonly membersMax: number
  readonly memberBytesMax: number
  readonly totalBytesMax: number
}

export interface ZipMember {
  readonly name: string
  readonly sizeBytes: number
  /** Its bytes; stop or end before the next member is asked for. */
  read(): AsyncIterable<Uint8Array>
}

/** Whether bytes are the beginning of a ZIP file. */
export function isZip(head: Uint8Array): boolean {
  return head.length >= 4 && head[0] === 0x50 && head[1] === 0x4b && (head[2] === 3 || head[2] === 5)
}

/** The files in a ZIP file, in the order of its directory. Refuses files that are broken or pass a limit. */
export async function* zipMembers(path: string, limits: ZipLimits): AsyncGenerator<ZipMember> {
  const zip = await openZip(path)
  try {
    if (zip.entryCount > limits.membersMax)
      refuseZip(`has ${zip.entryCount} members, and at most ${limits.membersMax} are allowed`)
    let total = 0
    for (;;) {
      const entry = await nextEntry(zip)
      if (!entry) return
      if (entry.fileName.endsWith('/')) continue
      total += entry.uncompressedSize
      if (entry.uncompressedSize > limits.memberBytesMax)
        refuseZip(`has a member of ${entry.uncompressedSize} bytes, which is too large`)
      if (total > limits.totalBytesMax) refuseZip(`unfolds to more than ${limits.totalBytesMax} bytes`)
      yield { name: entry.fileName, sizeBytes: entry.uncompressedSize, read: () => readEntry(zip, entry) }
    }
  } finally {
    zip.close()
  }
}

function refuseZip(why: string): never {
  refuse('bad-request', `The ZIP file ${why}`, { facts: { fault: 'bad-zip' } })
}

function openZip(path: string): Promise<ZipFile> {
  return new Promise((resolve, reject) => {
    open(path, { lazyEntries: true, autoClose: false, validateEntrySizes: true }, (error, zip) => {
      if (!error && zip) resolve(zip)
      else reject(broken(error))
    })
  })
}

function nextEntry(zip: ZipFile): Promise<Entry | undefined> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => () => {
      zip.removeAllListeners('entry')
      zip.removeAllListeners('end')
      zip.removeAllListeners('error')
      end()
    }
    zip.once('entry', (entry: Entry) => settle(() => resolve(entry))())
    zip.once(
      'end',
      settle(() => resolve(undefined)),
    )
    zip.once('error', error => settle(() => reject(broken(error)))())
    zip.readEntry()
  })
}

async function* readEntry(zip: ZipFile, entry: Entry): AsyncGenerator<Uint8Array> {
  const stream = await new Promise<AsyncIterable<Uint8Array>>((resolve, reject) => {
    zip.openReadStream(entry, (error, opened) => (error || !opened ? reject(broken(error)) : resolve(opened)))
  })
  try {
    yield* stream
  } catch (error) {
    throw broken(error)
  }
}

function broken(error: unknown): Error {
  if (error instanceof Refused) return error
  const why = error instanceof Error ? error.message : String(error)
  return new Refused({
    kind: 'bad-request',
    text: `The ZIP file is broken: ${why}`,
    facts: { fault: 'bad-zip' },
  })
}
