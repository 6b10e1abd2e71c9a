// Finding nodes: by absolute path, and by the relative paths of expressions and inlimits.

import type { Node } from './node.ts'

/** The node at an absolute path; the root for `/`. Doubled slashes are harmless. */
export function findNode(root: Node, path: string): Node | undefined {
  let node: Node | undefined = root
  for (const name of path.split('/')) {
    if (name === '') continue
    node = node?.child(name)
    if (!node) return undefined
  }
  return node
}

/** The root above a node, or the top of the subtree it hangs in. */
export function rootOf(node: Node): Node {
  let at = node
  while (at.parent) at = at.parent
  return at
}

/**
 * The node that a path in an expression on `from` means. `a` is the node itself when so named, else a sibling;
 * `a/b` and `./a/b` start at the parent and then at the node; each `..` goes up one from the parent.
 */
export function findReference(from: Node, path: string): Node | undefined {
  if (path.charCodeAt(0) === 47) return findNode(rootOf(from), path)
  if (path.startsWith('../')) {
    let start: Node | undefined = from.parent
    let at = 0
    while (path.startsWith('../', at)) {
      start = start?.parent
      at += 3
    }
    // Above the suites there is only the root, whose children are the suites.
    return start ? descend(start, path.slice(at)) : undefined
  }
  const plain = path.startsWith('./') ? path.slice(2) : path
  if (plain === from.name && !path.includes('/')) return from
  const { parent } = from
  return (parent && descend(parent, plain)) ?? descend(from, plain)
}

function descend(start: Node, path: string): Node | undefined {
  let node: Node | undefined = start
  if (!path.includes('/')) return node.child(path)
  for (const name of path.split('/')) {
    node = node.child(name)
    if (!node) return undefined
  }
  return node
}
