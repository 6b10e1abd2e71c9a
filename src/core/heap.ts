// A binary heap, smallest first: what queues, alarms and first pages are made of.

export class Heap<T> {
  readonly #items: T[] = []
  readonly #before: (a: T, b: T) => boolean

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before
  }

  get size(): number {
    return this.#items.length
  }

  /** In no particular order. */
  get items(): readonly T[] {
    return this.#items
  }

  peek(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    const items = this.#items
    let at = items.length
    items.push(item)
    while (at > 0) {
      const up = (at - 1) >> 1
      if (!this.#before(item, items[up]!)) break
      items[at] = items[up]!
      at = up
    }
    items[at] = item
  }

  pop(): T | undefined {
    const items = this.#items
    const top = items[0]
    const last = items.pop()
    if (items.length > 0 && last !== undefined) this.#sink(0, last)
    return top
  }

  /** Drops everything that `keep` refuses, in linear time. */
  prune(keep: (item: T) => boolean): void {
    const kept = this.#items.filter(keep)
    this.#items.length = 0
    for (const item of kept) this.#items.push(item)
    for (let at = (kept.length >> 1) - 1; at >= 0; at--) this.#sink(at, this.#items[at]!)
  }

  #sink(from: number, item: T): void {
    const items = this.#items
    const size = items.length
    let at = from
    for (;;) {
      let down = 2 * at + 1
      if (down >= size) break
      if (down + 1 < size && this.#before(items[down + 1]!, items[down]!)) down++
      if (!this.#before(items[down]!, item)) break
      items[at] = items[down]!
      at = down
    }
    items[at] = item
  }
}
