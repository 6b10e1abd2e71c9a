// The timer heap of a suite: nodes by the minute of suite time at which they have to be looked at.

import type { Node } from '../tree/node.ts'

interface Entry {
  readonly node: Node
  readonly due: number
}

/** Nodes with a minute each, the earliest first. What is said again about a node is one more entry. */
class EntryHeap {
  readonly #entries: Entry[] = []

  push(entry: Entry): void {
    const entries = this.#entries
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

  /** Takes the earliest entry out if it is due. */
  takeDue(elapsed: number): Entry | undefined {
    const entries = this.#entries
    const first = entries[0]
    if (!first || first.due > elapsed) return undefined
    const last = entries.pop()!
    if (entries.length === 0) return first
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
    return first
  }
}

/** By the minute before which none of their times can become free: it is kept in the node itself, as `due`. */
export class DueHeap {
  readonly #heap = new EntryHeap()

  /** The node is due as its `due` says; what was said of it before holds no more. */
  push(node: Node): void {
    this.#heap.push({ node, due: node.due })
  }

  /** Takes out the nodes that are due, each once. */
  take(elapsed: number): Node[] {
    const taken: Node[] = []
    for (let first = this.#heap.takeDue(elapsed); first; first = this.#heap.takeDue(elapsed)) {
      // An older word about the node is passed over; the newest one has its turn.
      if (first.due !== first.node.due) continue
      first.node.due = Number.NEGATIVE_INFINITY
      taken.push(first.node)
    }
    return taken
  }
}

/** By the minute at which something about them may come true; who takes them looks whether it has. */
export class Timers {
  #heap = new EntryHeap()
  #dueOf = new Map<Node, number>()

  /** Has the node looked at in that minute, or in an earlier one that was said before: one entry for each node. */
  note(node: Node, due: number): void {
    const known = this.#dueOf.get(node)
    if (known !== undefined && known <= due) return
    this.#dueOf.set(node, due)
    this.#heap.push({ node, due })
  }

  forget(node: Node): void {
    this.#dueOf.delete(node)
  }

  /** The clock jumped: everybody is looked at in the next minute. */
  hurry(): void {
    const nodes = [...this.#dueOf.keys()]
    this.#heap = new EntryHeap()
    this.#dueOf = new Map()
    for (const node of nodes) this.note(node, 0)
  }

  /** Takes out the nodes that are due, each once. */
  take(elapsed: number): Node[] {
    const taken: Node[] = []
    for (let first = this.#heap.takeDue(elapsed); first; first = this.#heap.takeDue(elapsed)) {
      if (this.#dueOf.get(first.node) !== first.due) continue
      this.#dueOf.delete(first.node)
      taken.push(first.node)
    }
    return taken
  }
}
