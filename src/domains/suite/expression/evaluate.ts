// Typed tree + living tree → number. Everything is an integer; true is non-zero.

import { compactDate, daysOfCompact, julianOf } from '../tree/calendar-date.ts'
import { findReference, rootOf } from '../tree/find.ts'
import { flagBit } from '../tree/flag.ts'
import { attributeCountsDays, attributeNumber, holderOf } from '../tree/lookup.ts'
import type { Node } from '../tree/node.ts'
import { addDays } from '../tree/repeat.ts'
import type { Arithmetic, Comparison, Expression } from './expression.ts'

/** Whether the expression holds on a node. */
export function holds(tree: Expression, on: Node): boolean {
  switch (tree.kind) {
    case 'chain':
      return chainHolds(tree.operands, tree.joins, on)
    case 'all':
      for (const part of tree.parts) if (!holds(part, on)) return false
      return true
    case 'not':
      return !holds(tree.of, on)
    case 'group':
      return holds(tree.of, on)
    case 'state': {
      const node = findReference(on, tree.of.path)
      // A node that is not there (any more) counts as unknown.
      return ((node ? node.displayState : 'unknown') === tree.state) === tree.equal
    }
    case 'set': {
      const node = findReference(on, tree.of.path)
      const value = (node && attributeNumber(node, tree.attribute)) ?? 0
      return ((value !== 0) === tree.set) === tree.equal
    }
    case 'compare':
      return compareHolds(tree.terms, tree.operators, on)
    case 'calc':
      // Arithmetic that is compared with nothing is true whatever it comes to: contract ecflow §3.2.
      return true
    default:
      return evaluate(tree, on) !== 0
  }
}

/** Right recursive: each operator stands between one operand and all that follows, so the fold runs backwards. */
function chainHolds(operands: readonly Expression[], joins: readonly ('and' | 'or')[], on: Node): boolean {
  for (let i = 0; i < operands.length; i++) {
    const value = holds(operands[i]!, on)
    const join = joins[i]
    if (!join || (join === 'and' && !value) || (join === 'or' && value)) return value
  }
  return false
}

function compareHolds(terms: readonly Expression[], operators: readonly Comparison[], on: Node): boolean {
  let left = evaluate(terms[0]!, on)
  for (let i = 0; i < operators.length; i++) {
    left = compare(left, operators[i]!, evaluate(terms[i + 1]!, on)) ? 1 : 0
  }
  return left !== 0
}

function compare(left: number, operator: Comparison, right: number): boolean {
  switch (operator) {
    case '==':
      return left === right
    case '!=':
      return left !== right
    case '<':
      return left < right
    case '>':
      return left > right
    case '<=':
      return left <= right
    case '>=':
      return left >= right
  }
}

/** The number that an arithmetic expression comes to on a node. */
export function evaluate(tree: Expression, on: Node): number {
  switch (tree.kind) {
    case 'integer':
    case 'instant':
      return tree.value
    case 'group':
      return evaluate(tree.of, on)
    case 'attribute': {
      const node = findReference(on, tree.of.path)
      return (node && attributeNumber(node, tree.attribute)) ?? 0
    }
    case 'variable': {
      const node = holderOf(on, tree.name)
      return (node && attributeNumber(node, tree.name)) ?? 0
    }
    case 'flag': {
      const node = tree.of ? findReference(on, tree.of.path) : rootOf(on)
      return node && node.flags & flagBit(tree.flag) ? 1 : 0
    }
    case 'julian':
      return convertDay(tree.to, evaluate(tree.of, on))
    case 'calc':
      return calculate(tree.terms, tree.operators, on)
    default:
      return holds(tree, on) ? 1 : 0
  }
}

function calculate(terms: readonly Expression[], operators: readonly Arithmetic[], on: Node): number {
  let left = evaluate(terms[0]!, on)
  let leftDays = isDayCount(terms[0]!, on)
  for (let i = 0; i < operators.length; i++) {
    const operator = operators[i]!
    const term = terms[i + 1]!
    const right = evaluate(term, on)
    if (leftDays && (operator === '+' || operator === '-')) {
      left = addDays(left, operator === '+' ? right : -right)
      continue
    }
    if (operator === '+' && isDayCount(term, on)) {
      left = addDays(right, left)
      leftDays = true
      continue
    }
    left = calculateOne(left, operator, right)
    leftDays = false
  }
  return left
}

function calculateOne(left: number, operator: Arithmetic, right: number): number {
  switch (operator) {
    case '+':
      return left + right
    case '-':
      return left - right
    case '*':
      return left * right
    case '/':
      return right === 0 ? 0 : Math.trunc(left / right)
    case '%':
      return right === 0 ? 0 : left % right
  }
}

/** A repeat of days, where + 1 means the next day. */
function isDayCount(tree: Expression, on: Node): boolean {
  if (tree.kind === 'group') return isDayCount(tree.of, on)
  if (tree.kind === 'attribute') {
    const node = findReference(on, tree.of.path)
    return node !== undefined && attributeCountsDays(node, tree.attribute)
  }
  if (tree.kind === 'variable') {
    const node = holderOf(on, tree.name)
    return node !== undefined && attributeCountsDays(node, tree.name)
  }
  return false
}

function convertDay(to: 'julian' | 'date', value: number): number {
  if (to === 'date') return value <= 0 ? 0 : compactDate(value - 2440588)
  const text = String(value)
  if (text.length !== 8 && text.length !== 10) return 0
  const days = daysOfCompact(Number(text.slice(0, 8)))
  return days === undefined ? 0 : julianOf(days)
}
