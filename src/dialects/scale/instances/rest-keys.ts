// What lists can be ordered by that only rows know: read once of each row at rest, since it will not change there, and
// kept as one number. Nothing is kept of what nobody orders by.

import { Serial } from '../../../core/serial.ts'

const pageSize = 1024

/** One number for each id; a row without a value has infinity. */
export class RestKey {
  readonly #pages: (Float64Array | undefined)[] = []
  readonly #counts: number[] = []

  /** Undefined when it has not been read. */
  get(id: number): number | undefined {
    const value = this.#pages[Math.floor(id / pageSize)]?.[id % pageSize]
    return value === undefined || Number.isNaN(value) ? undefined : value
  }

  set(id: number, value: number | null): void {
    const at = Math.floor(id / pageSize)
    while (this.#pages.length <= at) {
      this.#pages.push(undefined)
      this.#counts.push(0)
    }
    const page = this.#pages[at] ?? new Float64Array(pageSize).fill(Number.NaN)
    this.#pages[at] = page
    if (Number.isNaN(page[id % pageSize])) this.#counts[at]!++
    page[id % pageSize] = value ?? Number.POSITIVE_INFINITY
  }

  delete(id: number): void {
    if (this.get(id) === undefined) return
    const at = Math.floor(id / pageSize)
    this.#pages[at]![id % pageSize] = Number.NaN
    if (--this.#counts[at]! === 0) this.#pages[at] = undefined
  }
}

/** The keys of one kind of rows, by name. */
export class RestKeys {
  #keys = new Map<string, RestKey>()
  readonly #reading = new Serial()

  of(name: string): RestKey {
    const known = this.#keys.get(name) ?? new RestKey()
    this.#keys.set(name, known)
    return known
  }

  /** Reads what is missing, for one request at a time: the next one finds what this one has read. */
  read(name: string, work: (key: RestKey) => Promise<void>): Promise<void> {
    return this.#reading.run(name, () => work(this.of(name)))
  }

  /** A row has left history. */
  drop(id: number): void {
    for (const key of this.#keys.values()) key.delete(id)
  }

  /** Memory was read again. */
  clear(): void {
    this.#keys = new Map()
  }
}
