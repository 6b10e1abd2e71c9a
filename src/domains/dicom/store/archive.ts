// The archive of instances: the front door of this folder. Uploads, deletions and changes go through here, each of them
// one batch; who does them stands in `intake.ts`, `removal.ts` and `alteration.ts`.

import type { Level } from '../levels.ts'
import { Alteration } from './alteration.ts'
import type { Arrival } from './arrival.ts'
import { keptBytes, type Resource } from './bodies.ts'
import { type Browse, fileOf } from './browse.ts'
import { Intake, type Stored } from './intake.ts'
import type { ArchiveParts } from './parts.ts'
import { Removal, type Removed } from './removal.ts'
import type { Stability } from './stability.ts'
import { Stock } from './stock.ts'
import type { Totals } from './totals.ts'

export type { Arrival } from './arrival.ts'
export type { Stored } from './intake.ts'

/** What a resource and everything below it amount to, as the files are and as they are kept. */
export interface Measures {
  readonly counts: Record<Level, number>
  readonly bytes: number
  readonly dicomBytes: number
  readonly diskBytes: number
  readonly dicomDiskBytes: number
}

/** Patients, studies, series and instances, with their files. */
export class Archive {
  readonly #stock: Stock
  readonly #intake: Intake
  readonly #removal: Removal
  /** Changes of what is there. */
  readonly change: Alteration

  constructor(parts: ArchiveParts) {
    this.#stock = new Stock(parts)
    this.#removal = new Removal(this.#stock)
    this.#intake = new Intake(this.#stock, this.#removal)
    this.change = new Alteration(this.#stock)
  }

  get parts(): ArchiveParts {
    return this.#stock.parts
  }

  get browse(): Browse {
    return this.#stock.browse
  }

  get totals(): Totals {
    return this.#stock.totals
  }

  get stability(): Stability {
    return this.#stock.stability
  }

  async open(): Promise<void> {
    await this.totals.load(this.parts.records)
    await this.stability.load(this.parts.records)
    const { sizeBytesMax, patientsMax } = this.parts.options
    // From the start, for what is written down of arrivals is not finer than a second.
    if (sizeBytesMax > 0 || patientsMax > 0) await this.#stock.recency.order(this.browse, this.stability)
  }

  close(): Promise<void> {
    return this.stability.close()
  }

  /** Takes an instance in. Resolves when it is durable; an instance that is there already changes nothing. */
  store(arrival: Arrival): Promise<Stored> {
    return this.#intake.store(arrival)
  }

  /** Takes many instances in within one batch: all of them, or none. */
  storeAll(arrivals: readonly Arrival[]): Promise<void> {
    return this.#intake.storeAll(arrivals)
  }

  /** Deletes a resource with everything below it, and those above that are left empty. */
  remove(level: Level, id: string): Promise<Removed | undefined> {
    return this.#removal.remove(level, id)
  }

  /** Deletes instances, many in one batch, with all that they leave empty. */
  removeInstances(ids: readonly string[]): Promise<void> {
    return this.#removal.removeInstances(ids)
  }

  /** Counts and bytes of a resource and everything below it. */
  async measure(resource: Resource): Promise<Measures> {
    const counts = { patient: 0, study: 0, series: 0, instance: 0 }
    const sums = { bytes: 0, dicomBytes: 0, diskBytes: 0, dicomDiskBytes: 0 }
    for (const each of await this.#removal.everything(resource)) {
      counts[each.level]++
      for (const file of Object.values(each.body.files ?? {})) {
        sums.bytes += file.sizeBytes
        sums.diskBytes += keptBytes(file)
      }
      if (each.level !== 'instance') continue
      sums.dicomBytes += fileOf(each).sizeBytes
      sums.dicomDiskBytes += keptBytes(fileOf(each))
    }
    return { counts, ...sums }
  }
}
