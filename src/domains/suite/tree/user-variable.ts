// Variables that somebody wrote down: on a node, and inherited from the levels above. On the root these are the
// user's variables of the server, then the server's own.

import type { Variable } from './attribute.ts'
import type { Node } from './node.ts'

/** The value on this very node. */
export function userVariable(node: Node, name: string): string | undefined {
  return valueIn(node.attributes?.variables, name) ?? valueIn(node.serverVariables, name)
}

/** The value as this node inherits it; generated variables do not count. */
export function findUserVariable(node: Node, name: string): string | undefined {
  for (let at: Node | undefined = node; at; at = at.parent) {
    const value = userVariable(at, name)
    if (value !== undefined) return value
  }
  return undefined
}

function valueIn(list: readonly Variable[] | undefined, name: string): string | undefined {
  if (list) for (const variable of list) if (variable.name === name) return variable.value
  return undefined
}
