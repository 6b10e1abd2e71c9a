// Which patients received something longest ago: they are the first to go when there is no more room. Learned when it is
// first asked for (most archives have no limits, and never ask), and kept in order from then on.

import { metadataNumbers } from './bodies.ts'
import type { Browse } from './browse.ts'
import type { Stability } from './stability.ts'
import { dicomTime } from './time.ts'

export class Recency {
  /** Ids of patients, longest ago first; undefined until somebody asks. */
  #order: Set<string> | undefined
  /** What was touched while the order is being learned. */
  #since: Set<string> | undefined

  /** The patients in the order in which they are to go. Whoever asks keeps others from taking patients away. */
  async order(browse: Browse, stability: Stability): Promise<Iterable<string>> {
    if (this.#order) return [...this.#order]
    const since = new Set<string>()
    this.#since = since
    const found: { id: string; at: string; seq: number }[] = []
    for await (const { id, seq, body } of browse.all('patient')) {
      const growingAt = stability.lastAt(id)
      const lastUpdate = body.meta[metadataNumbers.LastUpdate]?.[0] ?? ''
      found.push({ id, seq, at: growingAt === undefined ? lastUpdate : dicomTime(growingAt) })
    }
    found.sort((a, b) => (a.at === b.at ? a.seq - b.seq : a.at < b.at ? -1 : 1))
    // Somebody may have said `clear` meanwhile: what was learned still serves this once.
    const order = new Set(found.map(({ id }) => id).filter(id => !since.has(id)))
    for (const id of since) order.add(id)
    if (this.#since === since) {
      this.#order = order
      this.#since = undefined
    }
    return [...order]
  }

  /** Notes that a patient received something. */
  touch(id: string): void {
    for (const known of [this.#order, this.#since]) {
      known?.delete(id)
      known?.add(id)
    }
  }

  /** Forgets a patient that is gone. */
  drop(id: string): void {
    this.#order?.delete(id)
    this.#since?.delete(id)
  }

  /** Forgets the order: memory and store may differ. */
  clear(): void {
    this.#order = undefined
    this.#since = undefined
  }
}
