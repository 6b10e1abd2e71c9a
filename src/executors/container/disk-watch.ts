// Watches how much disk live attempts take. There is no quota that holds on every file system, so their folders are
// measured at a slow beat, one after the other, and never for more than a small part of the time.

import type { Dirent } from 'node:fs'
import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'

/** From the end of a round to the next one, at least. */
const BEAT_MS = 2000
/** The pause is this many times as long as the round took: a tree of millions of files costs no more than others. */
const PAUSE_FACTOR = 20
/** So many directories may wait to be walked; a tree beyond that counts as beyond every limit. */
const AHEAD_COUNT_MAX = 100_000

interface Watched {
  readonly dir: string
  readonly bytesMax: number
}

/** The watch. `onOver` is told once of each folder that has grown past its limit. */
export class DiskWatch {
  readonly #onOver: (key: string) => Promise<void>
  readonly #beatMs: number
  readonly #watched = new Map<string, Watched>()
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: { onOver: (key: string) => Promise<void>; beatMs?: number | undefined }) {
    this.#onOver = options.onOver
    this.#beatMs = options.beatMs ?? BEAT_MS
  }

  watch(key: string, dir: string, bytesMax: number): void {
    if (this.#isClosed) return
    this.#watched.set(key, { dir, bytesMax })
    this.#timer ??= this.#later(this.#beatMs)
  }

  drop(key: string): void {
    this.#watched.delete(key)
  }

  close(): void {
    this.#isClosed = true
    this.#watched.clear()
    clearTimeout(this.#timer)
  }

  #later(ms: number): NodeJS.Timeout {
    const timer = setTimeout(() => void this.#round(), ms)
    timer.unref()
    return timer
  }

  async #round(): Promise<void> {
    const begunAt = performance.now()
    for (const [key, { dir, bytesMax }] of [...this.#watched]) {
      if (!this.#watched.has(key) || !(await isOver(dir, bytesMax))) continue
      // It may have ended while it was measured.
      if (!this.#watched.delete(key)) continue
      await this.#onOver(key).catch(() => undefined) // the measure at its end tells the same
    }
    this.#timer = undefined
    if (this.#isClosed || this.#watched.size === 0) return
    this.#timer = this.#later(Math.max(this.#beatMs, (performance.now() - begunAt) * PAUSE_FACTOR))
  }
}

/** A directory that waits to be walked, as a link to the one above: whole paths of a deep tree would fill memory. */
interface Ahead {
  readonly above: Ahead | undefined
  readonly name: string
}

/**
 * Whether a tree takes more than so many bytes of disk. A file with several names counts once for each of them, and
 * what cannot be read (a task of our own user may close a directory) counts for nothing; a tree so deep or so wide
 * that it cannot be walked is over every limit.
 */
export async function isOver(dir: string, bytesMax: number): Promise<boolean> {
  let bytes = 0
  const ahead: Ahead[] = [{ above: undefined, name: dir }]
  for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
    const path = pathOf(next)
    let entries: AsyncIterable<Dirent>
    try {
      entries = await opendir(path, { bufferSize: 256 })
    } catch (error) {
      if (isTooDeep(error)) return true
      continue // it was removed meanwhile
    }
    try {
      for await (const entry of entries) {
        // On disk, not in length: a file with holes takes less than it says.
        const { blocks } = await lstat(join(path, entry.name)).catch((error: unknown) => ({
          blocks: isTooDeep(error) ? Number.POSITIVE_INFINITY : 0,
        }))
        bytes += blocks * 512
        if (bytes > bytesMax) return true
        if (entry.isDirectory()) ahead.push({ above: next, name: entry.name })
        if (ahead.length > AHEAD_COUNT_MAX) return true
      }
    } catch {
      // It was removed while it was read.
    }
  }
  return false
}

function pathOf(place: Ahead): string {
  const names: string[] = []
  for (let each: Ahead | undefined = place; each !== undefined; each = each.above) names.push(each.name)
  return names.reverse().join('/')
}

function isTooDeep(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENAMETOOLONG'
}
