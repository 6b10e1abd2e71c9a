// Which rows changed, and when each did last: what follows from a row's facts is worked out once, however much happened
// to it, and in the order of the last changes, which is how the ledgers want it.

/** Changes in the order in which they came. */
export class LastChanges<T extends object> {
  #rows: T[] = []
  #ats: number[] = []

  /** A row changed; times come in order. */
  add(row: T, at: number): void {
    this.#rows.push(row)
    this.#ats.push(at)
  }

  /** Tells each row once with the time of its last change, in the order of those, and begins anew. */
  take(tell: (row: T, at: number) => void): void {
    const rows = this.#rows
    const ats = this.#ats
    if (rows.length === 0) return
    this.#rows = []
    this.#ats = []
    // From the end, where a row is met first it changed last; a map in that order would be hashed anew at every change.
    const seen = new Set<T>()
    const last: number[] = []
    for (let at = rows.length - 1; at >= 0; at--) {
      seen.add(rows[at]!)
      if (seen.size > last.length) last.push(at)
    }
    for (let at = last.length - 1; at >= 0; at--) tell(rows[last[at]!]!, ats[last[at]!]!)
  }
}
