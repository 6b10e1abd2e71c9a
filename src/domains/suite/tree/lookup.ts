// Looking names up: attributes of a node as numbers for expressions, variables as text for everything else.

import { generatedValue } from './generated.ts'
import type { Node } from './node.ts'
import { countsDays, repeatNumber, repeatText, repeatVariables } from './repeat.ts'
import { userVariable } from './user-variable.ts'

/** The number that `node:name` stands for; undefined when the node has nothing of that name. */
export function attributeNumber(node: Node, name: string): number | undefined {
  const own = node.attributes
  if (own) {
    if (own.events) {
      const number = /^\d+$/.test(name) ? Number(name) : -2
      for (const event of own.events) {
        if (event.name === name || event.number === number) return event.value ? 1 : 0
      }
    }
    if (own.meters) for (const meter of own.meters) if (meter.name === name) return meter.value
    if (own.variables) for (const it of own.variables) if (it.name === name) return toNumber(it.value)
    if (own.repeat && own.repeat.name === name && own.repeat.kind !== 'day') return repeatNumber(own.repeat)
  }
  const generated = node.kind === 'root' ? userVariable(node, name) : generatedValue(node, name)
  if (generated !== undefined) return toNumber(generated)
  if (own?.repeat) {
    for (const [derived, value] of repeatVariables(own.repeat)) if (derived === name) return toNumber(value)
  }
  if (own?.limits) for (const limit of own.limits) if (limit.name === name) return limit.value
  if (own?.rare?.queues) {
    for (const queue of own.rare.queues) {
      if (queue.name !== name) continue
      const item = queue.items[queue.index]
      return item !== undefined && /^[+-]?\d+$/.test(item) ? Number(item) : queue.index
    }
  }
  return undefined
}

/** Whether `node:name` is a repeat whose arithmetic counts in days. */
export function attributeCountsDays(node: Node, name: string): boolean {
  const repeat = node.attributes?.repeat
  return repeat?.name === name && countsDays(repeat)
}

/** The nearest node, from `node` towards the root, that has something called `name`. */
export function holderOf(node: Node, name: string): Node | undefined {
  for (let at: Node | undefined = node; at; at = at.parent) {
    if (attributeNumber(at, name) !== undefined) return at
  }
  return undefined
}

/** The text of a variable on this very node: user's, then the repeat's, then generated. */
export function ownVariable(node: Node, name: string): string | undefined {
  return userVariable(node, name) ?? repeatVariable(node, name) ?? generatedValue(node, name)
}

function repeatVariable(node: Node, name: string): string | undefined {
  const repeat = node.attributes?.repeat
  if (!repeat || !name.startsWith(repeat.name)) return undefined
  if (repeat.name === name && repeat.kind !== 'day') return repeatText(repeat)
  for (const [derived, value] of repeatVariables(repeat)) if (derived === name) return value
  return undefined
}

/** The text of a variable as this node sees it: its own, then that of each level above, the server last. */
export function findVariable(node: Node, name: string): string | undefined {
  for (let at: Node | undefined = node; at; at = at.parent) {
    const value = ownVariable(at, name)
    if (value !== undefined) return value
  }
  return undefined
}

/** Integer text is its value, anything else 0. */
function toNumber(text: string): number {
  return /^\s*[+-]?\d+\s*$/.test(text) ? Number(text) : 0
}
