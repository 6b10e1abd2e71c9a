// What happened to nodes lately: state changes, limits and repeats of the last turns, for `GET …/history`. Kept in the
// store beside the suites, one record a turn, and bounded: what somebody did is kept with the nodes themselves.

import { isObject, type Json } from '../../core/json.ts'
import type { LogEntry } from '../../domains/suite/planner/living.ts'
import type { Tx } from '../../engine/engine.ts'

export const logCollection = 'ecflow.log'

/** How many changes are remembered in all, and how many of one turn: the begin of a large suite is one turn. */
const entriesMax = 20_000
const turnEntriesMax = 1000

/** Old turns are dropped this many at a time, so that most turns drop none. */
const dropFrom = 64

interface Turn {
  readonly id: string
  /** Epoch ms. */
  readonly at: number
  readonly entries: readonly LogEntry[]
}

/** One thing that happened, with its time. */
export type Happened = LogEntry & { readonly at: number }

export class StateLog {
  #turns: Turn[] = []
  #count = 0
  #seq = 0

  /** Takes back what the store has, the oldest turn first. */
  restore(id: string, body: Json): void {
    this.#seq = Math.max(this.#seq, Number(id))
    if (!isObject(body) || typeof body['at'] !== 'number' || !Array.isArray(body['entries'])) return
    this.#push({ id, at: body['at'], entries: body['entries'] as unknown as LogEntry[] })
  }

  /** Remembers a turn, in the transaction that makes it durable. */
  write(tx: Tx, at: number, log: readonly LogEntry[]): void {
    if (log.length === 0) return
    const id = String(++this.#seq).padStart(15, '0')
    const entries = log.length > turnEntriesMax ? log.slice(0, turnEntriesMax) : log
    tx.record({
      put: { collection: logCollection, id, body: { at, entries: entries as unknown as Json } },
    })
    this.#push({ id, at, entries })
    this.#dropOld(tx)
  }

  #push(turn: Turn): void {
    this.#turns.push(turn)
    this.#count += turn.entries.length
  }

  #dropOld(tx: Tx): void {
    let old = 0
    let left = this.#count
    while (left > entriesMax) left -= this.#turns[old++]!.entries.length
    if (old < dropFrom && this.#count < 2 * entriesMax) return
    for (const { id } of this.#turns.splice(0, old)) tx.record({ drop: { collection: logCollection, id } })
    this.#count = left
  }

  /** The latest changes of a node (and, when asked for, of those below it), the oldest of them first. */
  latest(path: string, options: { below: boolean; limit: number }): Happened[] {
    const found: Happened[] = []
    const prefix = path === '/' ? '/' : `${path}/`
    for (let t = this.#turns.length - 1; t >= 0; t--) {
      const { at, entries } = this.#turns[t]!
      for (let e = entries.length - 1; e >= 0; e--) {
        const entry = entries[e]!
        if (entry.path !== path && !(options.below && entry.path.startsWith(prefix))) continue
        found.push({ ...entry, at })
        if (found.length >= options.limit) return found.reverse()
      }
    }
    return found.reverse()
  }
}
