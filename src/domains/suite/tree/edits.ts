// What people did to a node, kept with it: who, when and what, the last few of each node.

import type { Edit, Node } from './node.ts'

/** How many edits a node remembers. */
export const editsMax = 20

/** Longer commands (a label of a page, a trigger of a kilobyte) are cut: what was set is in the node itself. */
const textMax = 300

/** Remembers one more edit; the oldest goes when there are too many. */
export function keepEdit(node: Node, edit: Edit): void {
  const kept = { ...edit, by: shorten(edit.by), text: shorten(edit.text) }
  if (!node.edits) {
    node.edits = [kept]
    return
  }
  node.edits.push(kept)
  if (node.edits.length > editsMax) node.edits.shift()
}

function shorten(text: string): string {
  return text.length <= textMax ? text : `${text.slice(0, textMax - 3)}...`
}
