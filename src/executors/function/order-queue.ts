// The orders that wait for a thread: first come, first served, with a way back for those whose thread is held up.

import type { ThreadOrder } from './messages.ts'

export class OrderQueue {
  #orders: (ThreadOrder | undefined)[] = []
  #head = 0
  #length = 0
  /** Taken out of the middle: skipped when their turn comes, so that taking out is cheap. */
  readonly #removed = new Set<string>()

  get length(): number {
    return this.#length
  }

  push(order: ThreadOrder): void {
    this.#orders.push(order)
    this.#length++
  }

  /** Before all others, in the given order. */
  unshift(orders: readonly ThreadOrder[]): void {
    if (orders.length === 0) return
    this.#orders = [...orders, ...this.#orders.slice(this.#head)]
    this.#head = 0
    this.#length += orders.length
  }

  peek(): ThreadOrder | undefined {
    while (this.#head < this.#orders.length) {
      const order = this.#orders[this.#head]!
      if (!this.#removed.delete(order.id)) return order
      this.#step()
    }
    return undefined
  }

  shift(): ThreadOrder | undefined {
    const order = this.peek()
    if (!order) return undefined
    this.#step()
    this.#length--
    return order
  }

  /** Takes out one that waits; only called for one that does. */
  remove(id: string): void {
    this.#removed.add(id)
    this.#length--
  }

  clear(): void {
    this.#orders = []
    this.#head = 0
    this.#length = 0
    this.#removed.clear()
  }

  #step(): void {
    this.#orders[this.#head++] = undefined
    if (this.#head < 1024 || this.#head * 2 < this.#orders.length) return
    this.#orders = this.#orders.slice(this.#head)
    this.#head = 0
  }
}
