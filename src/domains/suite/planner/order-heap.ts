// Nodes that wait to be looked at, first in definition order first.

import type { Node } from '../tree/node.ts'

export class OrderHeap {
  private items: Node[] = []

  get size(): number {
    return this.items.length
  }

  /** Takes nodes that are in order already; the heap must be empty. */
  fill(sorted: Node[]): void {
    this.items = sorted
  }

  push(node: Node): void {
    const { items } = this
    let at = items.length
    items.push(node)
    while (at > 0) {
      const up = (at - 1) >> 1
      if (items[up]!.order <= node.order) break
      items[at] = items[up]!
      at = up
    }
    items[at] = node
  }

  pop(): Node | undefined {
    const { items } = this
    const first = items[0]
    const last = items.pop()
    if (!first || !last || items.length === 0) return first
    let at = 0
    for (;;) {
      let down = at * 2 + 1
      if (down >= items.length) break
      if (down + 1 < items.length && items[down + 1]!.order < items[down]!.order) down++
      if (items[down]!.order >= last.order) break
      items[at] = items[down]!
      at = down
    }
    items[at] = last
    return first
  }

  /** Empties the heap and gives what was in it, in no order. */
  drain(): Node[] {
    return this.items.splice(0)
  }
}
