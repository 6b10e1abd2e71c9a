// Remote systems under the names that users gave them: those of the configuration, and what clients changed about them,
// which is kept.

import type { Json } from '../../core/json.ts'
import type { Kit } from '../dialect.ts'

export interface BookParts<T> {
  /** Where changes are kept. */
  readonly collection: string
  readonly configured: ReadonlyMap<string, T>
  /** Those of the configuration do not count; only what was put by clients. */
  readonly isInDatabase: boolean
  /** From and to what is kept. */
  readonly read: (body: unknown) => T
  readonly write: (remote: T) => Json
}

export class RemoteBook<T> {
  readonly #kit: Kit
  readonly #parts: BookParts<T>
  #known = new Map<string, T>()

  constructor(kit: Kit, parts: BookParts<T>) {
    this.#kit = kit
    this.#parts = parts
  }

  /** Reads what clients changed. */
  async open(): Promise<void> {
    const { collection, configured, isInDatabase, read } = this.#parts
    const known = new Map(isInDatabase ? [] : configured)
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
        else known.set(id, read(body))
      }
      after = page.next
    } while (after !== undefined)
    this.#known = known
  }

  /** All of them, sorted by name. */
  all(): [name: string, remote: T][] {
    return [...this.#known].sort(([a], [b]) => (a < b ? -1 : 1))
  }

  find(name: string): T | undefined {
    return this.#known.get(name)
  }

  async put(name: string, remote: T): Promise<void> {
    const { collection, write } = this.#parts
    await this.#kit.engine.write(tx => tx.record({ put: { collection, id: name, body: write(remote) } }))
    this.#known.set(name, remote)
  }

  /** Forgets one; false when there is none. */
  async drop(name: string): Promise<boolean> {
    if (!this.#known.has(name)) return false
    const { collection, configured, isInDatabase } = this.#parts
    const isConfigured = !isInDatabase && configured.has(name)
    await this.#kit.engine.write(tx =>
      tx.record(
        isConfigured ? { put: { collection, id: name, body: null } } : { drop: { collection, id: name } },
      ),
    )
    this.#known.delete(name)
    return true
  }
}
