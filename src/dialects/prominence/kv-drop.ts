// Keys that are dropped by how they begin. Few go in one commit. Many would hold up everybody else, so first a record of
// the intention is committed: from then on none of them is there any more for anybody, and they are cleared away some
// hundreds at a time, after a restart as well.

import { everyRecord } from './every-record.ts'
import type { Parts } from './parts.ts'
import { keys } from './stored.ts'

const collection = 'prominence.kv-drop'
/** So many keys are dropped in one commit: others are served in between. */
const keysPerCommit = 500

interface Dropping {
  readonly owner: string
  readonly prefix: string
}

/** How keys are found by how they begin: the place of each is its record's id. */
export function keysBelow(owner: string, prefix: string) {
  return {
    collection: keys,
    where: [{ name: 'place', prefix: keyPlace(owner, prefix) }],
    order: { index: 'place' },
  } as const
}

/** The place of a key, below its owner. */
export function keyPlace(owner: string, key: string): string {
  return encodeURIComponent(owner) + key
}

export class KeyDroppings {
  readonly #parts: Pick<Parts, 'kit' | 'serial' | 'stored'>
  /** Under way, by the place that they begin with. */
  readonly #open = new Map<string, Dropping>()

  constructor(parts: Pick<Parts, 'kit' | 'serial' | 'stored'>) {
    this.#parts = parts
  }

  /** Takes up what was under way when the server ended. Nobody waits for it, but who sets one of these keys. */
  async start(): Promise<void> {
    const { records, log } = this.#parts.kit
    for await (const { id, body } of everyRecord(records, { collection }))
      this.#open.set(id, body as unknown as Dropping)
    for (const [place, { owner }] of this.#open)
      this.#cleared(place, owner).catch(error => log.warn({ err: error }, 'dropped keys are still stored'))
  }

  /** Whether a key is gone although its record may still be there. */
  covers(owner: string, key: string): boolean {
    return this.#over(owner, key) !== undefined
  }

  /** Resolves when nothing that is being dropped can be mistaken for a key that is set now. */
  async settled(owner: string, key: string): Promise<void> {
    for (let place = this.#over(owner, key); place !== undefined; place = this.#over(owner, key))
      await this.#cleared(place, owner)
  }

  /** Drops all keys of a user that begin so. */
  drop(owner: string, prefix: string): Promise<void> {
    const { kit, serial } = this.#parts
    const place = keyPlace(owner, prefix)
    return serial.run(`drop ${owner}`, async () => {
      const dropping = { owner, prefix }
      if (await this.#dropSome(place, dropping, { onlyAll: true })) return
      await kit.engine.write(tx =>
        tx.record({ put: { collection, id: place, parent: owner, body: dropping } }),
      )
      this.#open.set(place, dropping)
      await this.#clear(place)
    })
  }

  #over(owner: string, key: string): string | undefined {
    if (this.#open.size === 0) return undefined
    const place = keyPlace(owner, key)
    for (const begin of this.#open.keys()) if (place.startsWith(begin)) return begin
    return undefined
  }

  #cleared(place: string, owner: string): Promise<void> {
    return this.#parts.serial.run(`drop ${owner}`, () => this.#clear(place))
  }

  /** What fails here is told to whoever waits, and the next who asks tries again. */
  async #clear(place: string): Promise<void> {
    const dropping = this.#open.get(place)
    while (dropping !== undefined && !(await this.#dropSome(place, dropping, { onlyAll: false })));
    this.#open.delete(place)
  }

  /**
   * Drops the next keys, and with the last of them the intention. `onlyAll`: none unless all of them go at once.
   * Answers whether all are gone.
   */
  async #dropSome(
    place: string,
    { owner, prefix }: Dropping,
    { onlyAll }: { onlyAll: boolean },
  ): Promise<boolean> {
    const { kit, stored } = this.#parts
    let isAll = false
    const intention = onlyAll ? [] : [{ collection, id: place, parent: owner, seq: 0, body: {} }]
    await stored.dropFound(owner, async () => {
      const { items, next } = await kit.records.list({ ...keysBelow(owner, prefix), limit: keysPerCommit })
      isAll = next === undefined
      if (!isAll) return onlyAll ? [] : items
      return [...items, ...intention]
    })
    return isAll
  }
}
