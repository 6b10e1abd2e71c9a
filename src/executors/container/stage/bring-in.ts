// Before the first task: what a job wants from the web or from stored blobs is put into its scratch directory.

import { createReadStream, createWriteStream } from 'node:fs'
import { chmod, mkdir, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { dirname, join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Blobs } from '../../../store/blobs.ts'
import { StageFault } from './stage-fault.ts'
import type { FetchItem } from './stage-spec.ts'
import { archiveKind, unpack } from './unpack.ts'

export interface BringInTools {
  readonly scratchDir: string
  readonly blobs: Pick<Blobs, 'stat' | 'path'>
  /** Opens a URL under the rules of this installation. */
  readonly openUrl: (url: string) => Promise<IncomingMessage>
  /** All that is brought in together, unpacked. */
  readonly bytesMax: number
  /** Before the second and the third try. */
  readonly pausesMs?: readonly number[]
}

const membersMax = 1_000_000
const pausesMsUsual = [1_000, 2_000]

/** Brings everything in, one after another; answers how long it took. */
export async function bringIn(items: readonly FetchItem[], tools: BringInTools): Promise<number> {
  const begunAt = performance.now()
  for (const item of items) await bringOne(item, tools)
  return items.length === 0 ? 0 : Math.max(1, Math.round(performance.now() - begunAt))
}

async function bringOne(item: FetchItem, tools: BringInTools): Promise<void> {
  const name = item.name ?? nameOf(item.url ?? '')
  if (name === undefined) throw new StageFault('stage-in', 'fetch', `${item.url} names no file`)
  const file = join(tools.scratchDir, name)
  await mkdir(dirname(file), { recursive: true })
  if (item.url !== undefined) await fetchWithTries(item.url, file, tools)
  else await copyBlob(item.blob ?? '', file, { name, tools })
  const kind = item.unpack ? archiveKind(name) : undefined
  if (kind === undefined) {
    await chmod(file, item.executable ? 0o775 : 0o644)
    return
  }
  try {
    await unpack(file, kind, { bytesMax: tools.bytesMax, membersMax })
  } catch (error) {
    throw new StageFault('stage-in', 'unpack', `${name} could not be unpacked: ${(error as Error).message}`)
  }
}

/** The last part of a URL's path, its escapes undone; undefined where that names no file. */
function nameOf(url: string): string | undefined {
  try {
    const path = decodeURIComponent(new URL(url).pathname)
    const name = path.slice(path.lastIndexOf('/') + 1)
    return name === '' || name === '.' || name === '..' || name.includes('\0') ? undefined : name
  } catch {
    return undefined // Not a URL, or escapes that mean nothing: there is no name in it.
  }
}

async function fetchWithTries(url: string, file: string, tools: BringInTools): Promise<void> {
  const pauses = tools.pausesMs ?? pausesMsUsual
  for (let attempt = 0; ; attempt++) {
    try {
      return await fetchOnce(url, file, tools)
    } catch (error) {
      const pause = pauses[attempt]
      // An address that may not be gone to will not become a better one.
      if (pause === undefined || (error as Error).name === 'UrlRefused')
        throw new StageFault('stage-in', 'fetch', `${url} could not be fetched: ${(error as Error).message}`)
      await sleep(pause)
    }
  }
}

async function fetchOnce(url: string, file: string, { openUrl, bytesMax }: BringInTools): Promise<void> {
  const answer = await openUrl(url)
  if (answer.statusCode !== 200) {
    answer.destroy()
    throw new Error(`it was answered with ${answer.statusCode}`)
  }
  await rm(file, { force: true })
  await pipeline(answer, limited(bytesMax), createWriteStream(file, { flags: 'wx', mode: 0o644 }))
}

async function copyBlob(
  hash: string,
  file: string,
  { name, tools: { blobs, bytesMax } }: { name: string; tools: BringInTools },
): Promise<void> {
  if (hash === '' || (await blobs.stat(hash)) === undefined)
    throw new StageFault('stage-in', 'fetch', `there is no ${name} any more`)
  await rm(file, { force: true })
  try {
    await pipeline(
      createReadStream(blobs.path(hash)),
      limited(bytesMax),
      createWriteStream(file, { flags: 'wx', mode: 0o644 }),
    )
  } catch (error) {
    throw new StageFault('stage-in', 'fetch', `${name} could not be copied: ${(error as Error).message}`)
  }
}

function limited(bytesMax: number): Transform {
  let left = bytesMax
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      left -= chunk.length
      done(
        left < 0 ? new Error(`it is larger than the ${bytesMax} bytes that the job may hold`) : null,
        chunk,
      )
    },
  })
}
