// A map whose keys are places (n): dense whole numbers that count up. An array of small pages, because a hash table of a
// hundred thousand jobs costs a microsecond for each new one, in hashing and in growing.

const pageBits = 8
const pageSize = 1 << pageBits

interface Page<T> {
  readonly items: (T | undefined)[]
  count: number
}

/** Values by place, in the order of their places. */
export class PlaceMap<T extends object> {
  /** By the place without its low bits. Places are given out in order, so new pages come last. */
  readonly #pages = new Map<number, Page<T>>()
  /** The page used last: neighbours are asked for together. */
  #nearNumber = -1
  #near: Page<T> | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  has(n: number): boolean {
    return this.get(n) !== undefined
  }

  get(n: number): T | undefined {
    return this.#page(n)?.items[n % pageSize]
  }

  set(n: number, value: T): void {
    let page = this.#page(n)
    if (page === undefined) {
      page = { items: new Array(pageSize).fill(undefined), count: 0 }
      const number = Math.floor(n / pageSize)
      this.#pages.set(number, page)
      this.#nearNumber = number
      this.#near = page
    }
    if (page.items[n % pageSize] === undefined) {
      page.count++
      this.#size++
    }
    page.items[n % pageSize] = value
  }

  delete(n: number): void {
    const page = this.#page(n)
    if (page === undefined || page.items[n % pageSize] === undefined) return
    page.items[n % pageSize] = undefined
    this.#size--
    if (--page.count > 0) return
    this.#pages.delete(Math.floor(n / pageSize))
    this.#nearNumber = -1
    this.#near = undefined
  }

  /** In the order of places. What is added or taken away on the way may or may not be seen. */
  *values(): Iterable<T> {
    for (const number of [...this.#pages.keys()].sort((a, b) => a - b)) {
      for (const item of this.#pages.get(number)?.items ?? []) if (item !== undefined) yield item
    }
  }

  #page(n: number): Page<T> | undefined {
    const number = Math.floor(n / pageSize)
    if (number === this.#nearNumber) return this.#near
    const page = this.#pages.get(number)
    if (page !== undefined) {
      this.#nearNumber = number
      this.#near = page
    }
    return page
  }
}
