// The modalities that are known, by name and by what they call themselves.

import type { Json } from '../../../core/json.ts'
import type { Kit } from '../../dialect.ts'
import { codes, fail } from '../errors.ts'
import { RemoteBook } from '../remote-book.ts'
import { type Modality, readModality, showModality } from './modality.ts'
import type { NetworkSettings } from './network-settings.ts'

export class Modalities {
  readonly #book: RemoteBook<Modality>
  readonly #settings: NetworkSettings

  constructor(kit: Kit, settings: NetworkSettings) {
    this.#settings = settings
    this.#book = new RemoteBook(kit, {
      collection: 'orthanc.modality',
      configured: settings.modalities,
      isInDatabase: settings.isModalitiesInDatabase,
      read: readModality,
      write: modality => showModality(modality) as Json,
    })
  }

  /** Reads what clients changed. */
  open(): Promise<void> {
    return this.#book.open()
  }

  /** All of them, sorted by name. */
  all(): [name: string, modality: Modality][] {
    return this.#book.all()
  }

  find(name: string): Modality | undefined {
    return this.#book.find(name)
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

  put(name: string, modality: Modality): Promise<void> {
    return this.#book.put(name, modality)
  }

  async drop(name: string): Promise<void> {
    if (await this.#book.drop(name)) return
    fail(codes.inexistentItem, `Unknown DICOM modality with symbolic name: ${name}`)
  }
}
