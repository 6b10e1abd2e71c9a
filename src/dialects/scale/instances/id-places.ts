// Where the row of an id stands. Ids only grow, and retention takes the oldest away: pages of a thousand ids come when one
// of them is set and go with the last, so that memory follows what there is and not what there ever was.

const pageSize = 1024

export class IdPlaces {
  readonly #pages: (Uint32Array | undefined)[] = []
  /** How many ids of each page are set. */
  readonly #counts: number[] = []

  /** The place of an id, or undefined. */
  get(id: number): number | undefined {
    const place = this.#pages[Math.floor(id / pageSize)]?.[id % pageSize] ?? 0
    return place === 0 ? undefined : place - 1
  }

  /** Ids are whole numbers from 1. */
  set(id: number, place: number): void {
    const at = Math.floor(id / pageSize)
    while (this.#pages.length <= at) {
      this.#pages.push(undefined)
      this.#counts.push(0)
    }
    let page = this.#pages[at]
    if (!page) {
      page = new Uint32Array(pageSize)
      this.#pages[at] = page
    }
    if (page[id % pageSize] === 0) this.#counts[at]!++
    page[id % pageSize] = place + 1
  }

  delete(id: number): void {
    const at = Math.floor(id / pageSize)
    const page = this.#pages[at]
    if (!page || (page[id % pageSize] ?? 0) === 0) return
    page[id % pageSize] = 0
    if (--this.#counts[at]! === 0) this.#pages[at] = undefined
  }

  /** All ids with their places, from the lowest or from the highest. */
  *entries(isDown: boolean): Generator<readonly [id: number, place: number]> {
    const pages = this.#pages.length
    for (let step = 0; step < pages; step++) {
      const at = isDown ? pages - 1 - step : step
      const page = this.#pages[at]
      if (!page) continue
      for (let inner = 0; inner < pageSize; inner++) {
        const index = isDown ? pageSize - 1 - inner : inner
        const place = page[index]!
        if (place !== 0) yield [at * pageSize + index, place - 1]
      }
    }
  }
}
