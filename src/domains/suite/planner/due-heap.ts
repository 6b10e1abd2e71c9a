// The timer heap of a suite: nodes by the minute of suite time before which none of their times can become free.

import type { Node } from '../tree/node.ts'

interface Entry {
  readonly node: Node
  readonly due: number
}

export class DueHeap {
  readonly #entries: Entry[] = []

  /** The node is due as its `due` says; what was said of it before holds no more. */
  push(node: Node): void {
    const entries = this.#entries
    const entry = { node, due: node.due }
    let at = entries.length
    entries.push(entry)
    while (at > 0) {
      const up = (at - 1) >> 1
      if (entries[up]!.due <= entry.due) break
      entries[at] = entries[up]!
      at = up
    }
    entries[at] = entry
  }

  /** Takes out the nodes that are due, each once. */
  take(elapsed: number): Node[] {
    const taken: Node[] = []
    for (let first = this.#entries[0]; first && first.due <= elapsed; first = this.#entries[0]) {
      this.#dropFirst()
      // An older word about the node is passed over; the newest one has its turn.
      if (first.due !== first.node.due) continue
      first.node.due = Number.NEGATIVE_INFINITY
      taken.push(first.node)
    }
    return taken
  }

  #dropFirst(): void {
    const entries = this.#entries
    const last = entries.pop()
    if (!last || entries.length === 0) return
    let at = 0
    for (;;) {
      let down = at * 2 + 1
      if (down >= entries.length) break
      if (down + 1 < entries.length && entries[down + 1]!.due < entries[down]!.due) down++
      if (entries[down]!.due >= last.due) break
      entries[at] = entries[down]!
      at = down
    }
    entries[at] = last
  }
}
