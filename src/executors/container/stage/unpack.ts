// Unpacks archives that jobs bring in, where they lie. Members stay below that place: names that lead out are refused,
// links are made only where they point inside, and nothing is written through a link. Bounded in bytes and members.

import { spawn } from 'node:child_process'
import { createReadStream, createWriteStream } from 'node:fs'
import { lstat, mkdir, rm, symlink } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { PassThrough, pipeline as pipe, Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import yauzl from 'yauzl'
import { sourceFromChunks } from '../images/byte-source.ts'
import { defaultLimits } from '../images/limits.ts'
import { readTar, type TarEntry } from '../images/tar-reader.ts'

export interface UnpackLimits {
  readonly bytesMax: number
  readonly membersMax: number
}

type Kind = 'tar' | 'tgz' | 'tbz' | 'gz' | 'bz2' | 'zip'

const kinds: readonly (readonly [ending: string, kind: Kind])[] = [
  ['.tar.gz', 'tgz'],
  ['.tgz', 'tgz'],
  ['.tar.bz2', 'tbz'],
  ['.tar', 'tar'],
  ['.gz', 'gz'],
  ['.bz2', 'bz2'],
  ['.zip', 'zip'],
]

/** What a file is by its name; undefined for what is no archive. */
export function archiveKind(name: string): Kind | undefined {
  return kinds.find(([ending]) => name.endsWith(ending) && name.length > ending.length)?.[1]
}

/** Unpacks an archive beside itself and removes it. */
export async function unpack(file: string, kind: Kind, limits: UnpackLimits): Promise<void> {
  const budget = new Budget(limits)
  const into = dirname(file)
  switch (kind) {
    case 'tar':
      await unpackTar(createReadStream(file), into, budget)
      break
    case 'tgz':
      await unpackTar(createReadStream(file), into, budget, createGunzip())
      break
    case 'tbz':
      await unpackTar(bunzipped(file), into, budget)
      break
    case 'gz':
    case 'bz2': {
      const plain = file.replace(/\.(gz|bz2)$/, '')
      const source = kind === 'gz' ? pipe(createReadStream(file), createGunzip(), () => {}) : bunzipped(file)
      await writeMember(source, plain, { mode: 0o644, budget })
      break
    }
    case 'zip':
      await unpackZip(file, into, budget)
      break
  }
  await rm(file)
}

/** What may still be written. */
class Budget {
  #bytes: number
  #members: number

  constructor({ bytesMax, membersMax }: UnpackLimits) {
    this.#bytes = bytesMax
    this.#members = membersMax
  }

  takeMember(): void {
    if (--this.#members < 0) throw new Error('the archive has too many members')
  }

  /** Passes bytes on and counts them. */
  meter(): Transform {
    return new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        this.#bytes -= chunk.length
        done(this.#bytes < 0 ? new Error('the archive is larger than the job may hold') : null, chunk)
      },
    })
  }
}

async function unpackTar(source: Readable, into: string, budget: Budget, through?: Transform): Promise<void> {
  // Its failure is also that of the reading below: the callback has nothing to add.
  const plain = through === undefined ? source : pipe(source, through, () => {})
  try {
    // Our own reader: the library's merges global headers into every other one, which a small file can make cost hours.
    for await (const entry of readTar(sourceFromChunks(plain as AsyncIterable<Buffer>), {
      limits: defaultLimits,
    })) {
      budget.takeMember()
      await unpackEntry(entry, into, budget)
    }
  } finally {
    source.destroy()
    plain.destroy()
  }
}

async function unpackEntry(entry: TarEntry, into: string, budget: Budget): Promise<void> {
  const target = placeOf(into, entry.name)
  const mode = (entry.mode & 0o777) | 0o600
  switch (entry.type) {
    case 'directory':
      if (target !== into) await makeDirectory(into, target)
      return
    case 'symlink':
      return makeLink(into, target, entry.linkName)
    case 'file': {
      await makeDirectory(into, dirname(target))
      return writeMember(Readable.from(entry.content(), { objectMode: false }), target, { mode, budget })
    }
    case 'link': {
      const from = placeOf(into, entry.linkName)
      await refuseLink(into, from)
      await makeDirectory(into, dirname(target))
      return writeMember(createReadStream(from), target, { mode, budget })
    }
    case 'device':
    case 'fifo':
      return // Nothing that a job's input has.
  }
}

async function unpackZip(file: string, into: string, budget: Budget): Promise<void> {
  const zip = await openZip(file)
  try {
    for (let entry = await nextEntry(zip); entry !== undefined; entry = await nextEntry(zip)) {
      budget.takeMember()
      const target = placeOf(into, entry.fileName)
      const unixMode = (entry.externalFileAttributes >>> 16) & 0xffff
      if (entry.fileName.endsWith('/')) {
        if (target !== into) await makeDirectory(into, target)
        continue
      }
      const source = await openEntry(zip, entry)
      if ((unixMode & 0o170000) === 0o120000) {
        await makeLink(into, target, await textOf(source))
        continue
      }
      await makeDirectory(into, dirname(target))
      await writeMember(source, target, { mode: (unixMode & 0o777 || 0o644) | 0o600, budget })
    }
  } finally {
    zip.close()
  }
}

function openZip(file: string): Promise<yauzl.ZipFile> {
  return new Promise((done, fail) =>
    yauzl.open(file, { lazyEntries: true, autoClose: false }, (error, zip) =>
      error ? fail(error) : done(zip),
    ),
  )
}

function nextEntry(zip: yauzl.ZipFile): Promise<yauzl.Entry | undefined> {
  return new Promise((done, fail) => {
    zip.removeAllListeners()
    zip.once('entry', done)
    zip.once('end', () => done(undefined))
    zip.once('error', fail)
    zip.readEntry()
  })
}

function openEntry(zip: yauzl.ZipFile, entry: yauzl.Entry): Promise<Readable> {
  return new Promise((done, fail) =>
    zip.openReadStream(entry, (error, stream) => (error ? fail(error) : done(heldBack(stream)))),
  )
}

/** Where a member goes; refuses one that would leave. */
function placeOf(into: string, name: string): string {
  const clean = posix.normalize(name.replaceAll('\\', '/'))
  if (clean.startsWith('/') || clean === '..' || clean.startsWith('../') || clean.includes('\0'))
    throw new Error(`the archive has a member that leads out of it: ${JSON.stringify(name)}`)
  return join(into, clean)
}

/** Makes a directory and those above it, none of which may be a link. */
async function makeDirectory(into: string, target: string): Promise<void> {
  await refuseLink(into, target)
  await mkdir(target, { recursive: true })
}

/** Refuses a path of which a part is a link: what an archive brought must not lead its next members elsewhere. */
async function refuseLink(into: string, target: string): Promise<void> {
  for (let at = target; at.length > into.length; at = dirname(at)) {
    const info = await lstat(at).catch(() => undefined)
    if (info?.isSymbolicLink())
      throw new Error(`the archive writes through a link: ${at.slice(into.length + 1)}`)
  }
}

async function makeLink(into: string, target: string, link: string): Promise<void> {
  const leads = posix.normalize(posix.join(dirname(target).slice(into.length), link))
  if (
    link === '' ||
    link.startsWith('/') ||
    leads === '..' ||
    leads.startsWith('../') ||
    leads.startsWith('/..')
  )
    throw new Error(`the archive has a link that leads out of it: ${JSON.stringify(link)}`)
  await makeDirectory(into, dirname(target))
  await rm(target, { force: true })
  await symlink(link, target)
}

async function writeMember(
  source: Readable,
  target: string,
  { mode, budget }: { mode: number; budget: Budget },
): Promise<void> {
  heldBack(source)
  // An earlier member of the same name goes first, so that nothing is ever written through a link.
  await rm(target, { force: true })
  await pipeline(source, budget.meter(), createWriteStream(target, { flags: 'wx', mode }))
}

/**
 * A stream may fail before anybody reads it, and an error that nobody listens to would end the server. Who comes to
 * read it then is told: a destroyed stream remembers its error.
 */
function heldBack<T extends Readable>(source: T): T {
  return source.on('error', error => source.destroy(error))
}

async function textOf(source: Readable): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of source as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > 4096) throw new Error('the archive has a link that is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** Node has no bzip2; the program of that name is asked, as rarely as such archives come. */
function bunzipped(file: string): Readable {
  const out = heldBack(new PassThrough())
  const child = spawn('bzip2', ['-dc', file], { stdio: ['ignore', 'pipe', 'ignore'] })
  child.on('error', error => out.destroy(error))
  child.stdout.on('error', error => out.destroy(error))
  child.stdout.pipe(out, { end: false })
  child.on('close', code => {
    if (code === 0) out.end()
    else out.destroy(new Error(`bzip2 ended with ${code}`))
  })
  out.on('close', () => child.kill())
  return out
}
