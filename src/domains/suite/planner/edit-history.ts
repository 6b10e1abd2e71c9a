// Who did what to which node: noted in the turn that does it, so that it is durable with what it did.

import { keepEdit } from '../tree/edits.ts'
import { findNode } from '../tree/find.ts'
import type { Living } from './living.ts'

/**
 * Notes a command on the node it named; on the nearest one above when it is gone (it was deleted, or never there). `text`
 * is the command in the words of the original's client, without dashes.
 */
export function noteEdit(living: Living, path: string, edit: { by: string; text: string }): void {
  let at = path
  let node = findNode(living.root, at)
  while (!node) {
    at = at.slice(0, Math.max(0, at.lastIndexOf('/')))
    node = at === '' ? living.root : findNode(living.root, at)
  }
  keepEdit(node, { at: living.nowMs, ...edit })
  living.touch(node)
}
