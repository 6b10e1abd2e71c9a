// What an expression depends on: the nodes it names, the attributes of them, and names looked up towards the root.

import type { Expression, Reference } from './expression.ts'

export interface Mention {
  /** Absent for `:NAME` and `/<flag>…`. */
  readonly of?: Reference
  /** The attribute; absent when only the node's state or flag matters. */
  readonly attribute?: string
}

/** Calls `found` for every node, attribute or inherited name that the expression mentions. */
export function eachMention(tree: Expression, found: (mention: Mention) => void): void {
  switch (tree.kind) {
    case 'chain':
      for (const operand of tree.operands) eachMention(operand, found)
      return
    case 'all':
      for (const part of tree.parts) eachMention(part, found)
      return
    case 'compare':
    case 'calc':
      for (const term of tree.terms) eachMention(term, found)
      return
    case 'not':
    case 'group':
    case 'julian':
      eachMention(tree.of, found)
      return
    case 'state':
      found({ of: tree.of })
      return
    case 'set':
    case 'attribute':
      found({ of: tree.of, attribute: tree.attribute })
      return
    case 'variable':
      found({ attribute: tree.name })
      return
    case 'flag':
      found(tree.of ? { of: tree.of } : {})
      return
    case 'integer':
    case 'instant':
      return
  }
}
