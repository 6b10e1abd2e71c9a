// Whether everything that expressions and autorestore name is there. Nothing is changed here.

import { eachMention } from '../expression/mentions.ts'
import type { Condition } from './attribute.ts'
import { findReference } from './find.ts'
import { attributeNumber, holderOf } from './lookup.ts'
import { type Node, visitAll } from './node.ts'

/** What may be missing: declared externs, or everything. */
export interface Externs {
  readonly declared: ReadonlySet<string>
  readonly all: boolean
}

/** A name that leads nowhere. */
export class MissingReference extends Error {
  override readonly name = 'MissingReference'
  readonly path: string
  readonly keyword: string

  constructor(node: Node, keyword: string, what: string) {
    super(`Could not find ${what}, named by the ${keyword} of ${node.path}`)
    this.path = node.path
    this.keyword = keyword
  }
}

/** Checks a subtree that already hangs where it will stay; throws at the first name that leads nowhere. */
export function checkReferences(top: Node, externs: Externs): void {
  visitAll(top, node => {
    const own = node.attributes
    if (!own) return
    if (own.trigger) checkCondition(node, own.trigger, { keyword: 'trigger', externs })
    if (own.complete) checkCondition(node, own.complete, { keyword: 'complete', externs })
    if (own.rare?.autorestore) checkRestores(node, own.rare.autorestore)
  })
}

/** Checks one condition as if it stood on `node`. */
export function checkCondition(
  node: Node,
  condition: Condition,
  at: { keyword: string; externs: Externs },
): void {
  if (at.externs.all) return
  for (const part of condition.parts) {
    eachMention(part.tree, ({ of, attribute }) => {
      const { declared } = at.externs
      if (!of) {
        if (attribute !== undefined && !holderOf(node, attribute)) {
          throw new MissingReference(node, at.keyword, `a variable '${attribute}' on the node or above it`)
        }
        return
      }
      const { path } = of
      // Only absolute and plain relative paths may be declared as missing: contract ecflow §3.1.
      const mayMiss = !path.startsWith('./') && !path.startsWith('../')
      const target = findReference(node, path)
      if (!target) {
        const isDeclared =
          declared.has(path) || (attribute !== undefined && declared.has(`${path}:${attribute}`))
        if (mayMiss && isDeclared) return
        throw new MissingReference(node, at.keyword, `node '${path}'`)
      }
      if (attribute === undefined || attributeNumber(target, attribute) !== undefined) return
      if (mayMiss && declared.has(`${path}:${attribute}`)) return
      throw new MissingReference(
        node,
        at.keyword,
        `an event, meter, variable, repeat, limit or queue '${attribute}' on node ${target.path}`,
      )
    })
  }
}

function checkRestores(node: Node, paths: readonly string[]): void {
  for (const path of paths) {
    const target = findReference(node, path)
    if (!target) throw new MissingReference(node, 'autorestore', `node '${path}'`)
    if (!target.isContainer) throw new MissingReference(node, 'autorestore', `a suite or family at '${path}'`)
  }
}
