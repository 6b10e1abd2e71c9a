// Why an expression does not hold: its false parts, each with what the named node is at the moment.

import { findReference, rootOf } from '../tree/find.ts'
import { attributeNumber, holderOf } from '../tree/lookup.ts'
import type { Node } from '../tree/node.ts'
import { evaluate, holds } from './evaluate.ts'
import type { Expression } from './expression.ts'
import { printExpression } from './print-expression.ts'

/** One part that is false, with the facts that make it so: `a(submitted) == complete`. */
export interface FalsePart {
  readonly text: string
  readonly shown: string
  readonly tree: Expression
}

/** The smallest parts that keep the expression from holding; empty when it holds. */
export function explain(tree: Expression, on: Node): FalsePart[] {
  if (holds(tree, on)) return []
  switch (tree.kind) {
    case 'group':
      return explain(tree.of, on)
    case 'all':
      return tree.parts.flatMap(part => explain(part, on))
    case 'chain': {
      const parts: FalsePart[] = []
      for (let i = 0; i < tree.operands.length; i++) {
        const operand = tree.operands[i]!
        const join = tree.joins[i]
        const isTrue = holds(operand, on)
        if (!isTrue) parts.push(...explain(operand, on))
        // `false and …`: what follows does not matter before this part holds.
        if (join === 'and' && !isTrue) break
      }
      return parts
    }
    default:
      return [{ text: printExpression(tree), shown: showFacts(tree, on), tree }]
  }
}

/** The expression with the present facts written beside each name, as operators like to read it. */
export function showFacts(tree: Expression, on: Node): string {
  switch (tree.kind) {
    case 'state': {
      const node = findReference(on, tree.of.path)
      const fact = node ? node.displayState : 'unknown: no such node'
      return `${tree.of.path}(${fact}) ${tree.equal ? '==' : '!='} ${tree.state}`
    }
    case 'set': {
      const node = findReference(on, tree.of.path)
      const value = node && attributeNumber(node, tree.attribute)
      const fact = value === undefined ? '0: not there' : value ? 'set' : 'clear'
      return `${tree.of.path}:${tree.attribute}(${fact}) ${tree.equal ? '==' : '!='} ${tree.set ? 'set' : 'clear'}`
    }
    case 'attribute': {
      const node = findReference(on, tree.of.path)
      const value = node && attributeNumber(node, tree.attribute)
      return `${tree.of.path}:${tree.attribute}(${value ?? '0: not there'})`
    }
    case 'variable': {
      const node = holderOf(on, tree.name)
      return `:${tree.name}(${node ? attributeNumber(node, tree.name) : '0: not there'})`
    }
    case 'flag': {
      const node = tree.of ? findReference(on, tree.of.path) : rootOf(on)
      return `${tree.of?.path ?? '/'}<flag>${tree.flag}(${node?.has(tree.flag) ? 1 : 0})`
    }
    case 'chain':
      return joinFacts(tree.operands, tree.joins, on)
    case 'all':
      return tree.parts.map(part => showFacts(part, on)).join(' and ')
    case 'compare':
    case 'calc':
      return joinFacts(tree.terms, tree.operators, on)
    case 'not':
      return tree.sign + showFacts(tree.of, on)
    case 'group':
      return `(${showFacts(tree.of, on)})`
    case 'julian':
      return `cal::${tree.to === 'julian' ? 'date_to_julian' : 'julian_to_date'}(${showFacts(tree.of, on)})(${evaluate(tree, on)})`
    case 'integer':
    case 'instant':
      return tree.text
  }
}

function joinFacts(terms: readonly Expression[], signs: readonly string[], on: Node): string {
  return terms
    .map((term, index) => (index === 0 ? '' : ` ${signs[index - 1]} `) + showFacts(term, on))
    .join('')
}
