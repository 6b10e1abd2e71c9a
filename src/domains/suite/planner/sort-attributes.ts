// Sorting the attributes of a node by name, without regard to case; and of all below it.

import { refuse } from '../../../core/refusal.ts'
import { type Node, visitAll } from '../tree/node.ts'
import type { Living } from './living.ts'

const listsOf = {
  event: ['events'],
  meter: ['meters'],
  label: ['labels'],
  variable: ['variables'],
  limit: ['limits'],
  all: ['events', 'meters', 'labels', 'variables', 'limits'],
} as const

/** The words that say what is sorted. */
export const sortTypes = Object.keys(listsOf) as (keyof typeof listsOf)[]

/** Sorts what a word says. Refuses another word. */
export function sortAttributes(
  living: Living,
  node: Node,
  options: { type: string; recursive: boolean },
): void {
  const type = sortTypes.find(it => it === options.type)
  if (!type) {
    refuse('bad-field', `type: expected one of ${sortTypes.join(', ')}, not '${options.type.slice(0, 40)}'`, {
      field: 'type',
    })
  }
  const sortOne = (at: Node) => {
    const own = at.attributes
    if (!own) return
    for (const name of listsOf[type]) {
      const list: { name: string }[] | undefined = own[name]
      if (!list || list.length < 2) continue
      list.sort((one, other) => compare(one.name.toLowerCase(), other.name.toLowerCase()))
      living.touch(at)
    }
  }
  if (options.recursive) visitAll(node, sortOne)
  else sortOne(node)
  living.setFlag(node, 'message', true)
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}
