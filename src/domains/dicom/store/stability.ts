// Which resources are still growing. One that received nothing for a while becomes stable, which is logged once.
// What is growing is written down, so that a restart neither forgets nor repeats it.

import type { Records } from '../../../store/store.ts'
import type { Level } from '../levels.ts'
import { collectionOf, metadataNumbers, putResource, readResource } from './bodies.ts'
import { logChange } from './change-log.ts'
import type { ArchiveParts, WriteBatch } from './parts.ts'
import { dicomTime } from './time.ts'

const collection = 'dicom.growing'
const stableTypes = { patient: 'StablePatient', study: 'StableStudy', series: 'StableSeries' } as const

interface Growing {
  readonly level: keyof typeof stableTypes
  lastAt: number
}

export class Stability {
  readonly #parts: ArchiveParts
  readonly #alone: <T>(task: () => Promise<T>) => Promise<T>
  readonly #growing = new Map<string, Growing>()
  #stopAlarm: (() => void) | undefined
  #sweeping: Promise<void> = Promise.resolve()
  #isClosed = false

  /** `alone` keeps everybody else from changing resources meanwhile. */
  constructor(parts: ArchiveParts, alone: <T>(task: () => Promise<T>) => Promise<T>) {
    this.#parts = parts
    this.#alone = alone
  }

  /** Takes up what was growing before the restart. */
  async load(records: Records): Promise<void> {
    this.#growing.clear()
    let after: string | undefined
    do {
      const page = await records.list({ collection, limit: 1000, ...(after === undefined ? {} : { after }) })
      for (const { id, body } of page.items) this.#growing.set(id, { ...(body as unknown as Growing) })
      after = page.next
    } while (after !== undefined)
    this.#arm()
  }

  isStable(id: string): boolean {
    return !this.#growing.has(id)
  }

  /** When the resource last received something, while it is growing. */
  lastAt(id: string): number | undefined {
    return this.#growing.get(id)?.lastAt
  }

  /** Notes that a resource received something; within the batch that made it so. */
  touch(batch: WriteBatch, level: Level, id: string): void {
    if (level === 'instance') return
    const before = this.#growing.get(id)
    // Answers show seconds: one note per second is enough.
    if (before && Math.floor(before.lastAt / 1000) === Math.floor(batch.now / 1000)) return
    const body = { level, lastAt: batch.now }
    // Taking it out and putting it back keeps the map in order of age.
    this.#growing.delete(id)
    this.#growing.set(id, body)
    batch.record({ put: { collection, id, body } })
    this.#arm()
  }

  /** Forgets a resource that was deleted. */
  drop(batch: WriteBatch, id: string): void {
    if (this.#growing.delete(id)) batch.record({ drop: { collection, id } })
  }

  close(): Promise<void> {
    this.#isClosed = true
    this.#stopAlarm?.()
    return this.#sweeping
  }

  #arm(): void {
    if (this.#stopAlarm || this.#isClosed) return
    const oldest = this.#growing.values().next().value
    if (!oldest) return
    const at = Math.max(oldest.lastAt + this.#parts.options.stableMs, this.#parts.clock.now() + 250)
    this.#stopAlarm = this.#parts.clock.alarm(at, () => {
      this.#sweeping = this.#alone(() => this.#sweep())
        .catch(error => this.#parts.onError(error))
        .finally(() => {
          this.#stopAlarm = undefined
          this.#arm()
        })
    })
  }

  /** Announces a portion of those that are due. */
  async #sweep(): Promise<void> {
    const due: [string, Growing][] = []
    const before = this.#parts.clock.now() - this.#parts.options.stableMs
    for (const [id, growing] of this.#growing) {
      if (growing.lastAt > before || due.length === 500) break
      due.push([id, growing])
    }
    if (due.length === 0) return
    const byLevel = new Map<Level, string[]>()
    for (const [id, { level }] of due) byLevel.set(level, [...(byLevel.get(level) ?? []), id])
    const found = new Map<string, Awaited<ReturnType<Records['get']>>>()
    for (const [level, ids] of byLevel) {
      for (const [id, record] of await this.#parts.records.getMany(collectionOf(level), ids))
        found.set(id, record)
    }
    await this.#parts.write(batch => {
      // Series first, as they become complete from below.
      const order = ['series', 'study', 'patient']
      due.sort((a, b) => order.indexOf(a[1].level) - order.indexOf(b[1].level))
      for (const [id, growing] of due) {
        // It may have received something, or have gone, since it was looked up.
        if (this.#growing.get(id) !== growing) continue
        this.drop(batch, id)
        const record = found.get(id)
        if (!record) continue
        const resource = readResource(growing.level, record)
        const revision = resource.body.meta[metadataNumbers.LastUpdate]?.[1] ?? -1
        resource.body.meta[metadataNumbers.LastUpdate] = [dicomTime(growing.lastAt), revision + 1]
        batch.record(putResource(resource))
        logChange(batch, stableTypes[growing.level], growing.level, id)
      }
    })
  }
}
