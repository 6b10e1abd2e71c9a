// The modalities that are known: those of the configuration, and what clients changed about them, which is kept.

import type { Json } from '../../../core/json.ts'
import type { Kit } from '../../dialect.ts'
import { codes, fail } from '../errors.ts'
import { type Modality, readModality, showModality } from './modality.ts'
import type { NetworkSettings } from './network-settings.ts'

const collection = 'orthanc.modality'

export class Modalities {
  readonly #kit: Kit
  readonly #settings: NetworkSettings
  #known = new Map<string, Modality>()

  constructor(kit: Kit, settings: NetworkSettings) {
    this.#kit = kit
    this.#settings = settings
  }

  /** Reads what clients changed. */
  async open(): Promise<void> {
    const known = new Map(this.#settings.isModalitiesInDatabase ? [] : this.#settings.modalities)
    let after: string | undefined
    do {
      const page = await this.#kit.records.list({
        collection,
        limit: 1000,
        ...(after === undefined ? {} : { after }),
      })
      for (const { id, body } of page.items) {
        // A deleted one hides that of the configuration.
        if (body === null) known.delete(id)
        else known.set(id, readModality(body))
      }
      after = page.next
    } while (after !== undefined)
    this.#known = known
  }

  /** All of them, sorted by name. */
  all(): [name: string, modality: Modality][] {
    return [...this.#known].sort(([a], [b]) => (a < b ? -1 : 1))
  }

  find(name: string): Modality | undefined {
    return this.#known.get(name)
  }

  need(name: string): Modality {
    return this.find(name) ?? fail(codes.inexistentItem, `No modality with symbolic name: ${name}`)
  }

  /** Modalities that call themselves so. */
  byAet(aet: string): [name: string, modality: Modality][] {
    const wanted = this.comparable(aet)
    return this.all().filter(([, modality]) => this.comparable(modality.aet) === wanted)
  }

  /** Application entity titles as they are compared. */
  comparable(aet: string): string {
    return this.#settings.isStrict ? aet : aet.replace(/\s+/g, '').toUpperCase()
  }

  async put(name: string, modality: Modality): Promise<void> {
    await this.#kit.engine.write(tx =>
      tx.record({ put: { collection, id: name, body: showModality(modality) as Json } }),
    )
    this.#known.set(name, modality)
  }

  async drop(name: string): Promise<void> {
    if (!this.#known.has(name))
      fail(codes.inexistentItem, `Unknown DICOM modality with symbolic name: ${name}`)
    const isConfigured = !this.#settings.isModalitiesInDatabase && this.#settings.modalities.has(name)
    await this.#kit.engine.write(tx =>
      tx.record(
        isConfigured ? { put: { collection, id: name, body: null } } : { drop: { collection, id: name } },
      ),
    )
    this.#known.delete(name)
  }
}
