// Attributes from text, read by the language's own reader: beside what a node has, or by themselves.

import { refuse } from '../../../core/refusal.ts'
import { DefinitionError } from '../language/definition-error.ts'
import { readAttribute } from '../language/read-attribute.ts'
import { statementOf } from '../language/statement.ts'
import type { Attributes, RareAttributes } from '../tree/attribute.ts'
import { Node } from '../tree/node.ts'

/** Reads the text behind a keyword with the language's own reader, and adds what it gives to the node. */
export function addByText(node: Node, keyword: string, value: string): void {
  const scratch = new Node(node.kind, node.name)
  // The reader sees what is there already, so that it refuses what may stand only once.
  const own = node.attributes
  if (own) {
    Object.assign(scratch.own, own)
    for (const key of ['times', 'todays', 'dates', 'days', 'crons', 'inlimits'] as const) {
      if (own[key]) (scratch.own as unknown as Record<string, unknown>)[key] = [...own[key]]
    }
    if (own.rare) {
      scratch.own.rare = Object.assign(
        Object.create(Object.getPrototypeOf(own.rare)),
        own.rare,
      ) as RareAttributes
      for (const key of ['zombies', 'queues', 'generics'] as const) {
        if (own.rare[key]) (scratch.own.rare as unknown as Record<string, unknown>)[key] = [...own.rare[key]]
      }
    }
  }
  readText(scratch, keyword, value)
  node.attributes = scratch.attributes
}

/** The attributes that a text gives by itself. */
export function readScratch(node: Node, keyword: string, value: string): Attributes {
  const scratch = new Node(node.kind, node.name)
  readText(scratch, keyword, value)
  return scratch.own
}

function readText(scratch: Node, keyword: string, value: string): void {
  try {
    readAttribute(statementOf(keyword, value), keyword, scratch)
  } catch (error) {
    if (error instanceof DefinitionError) {
      refuse('bad-field', `${keyword}: found ${error.found}, expected ${error.expected}`, { field: 'value' })
    }
    throw error
  }
}
