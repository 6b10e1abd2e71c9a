// Typed tree → text that parses to the same tree.

import type { Expression } from './expression.ts'

/** One spelling of an expression: `==`, `and`, single blanks. The text the user wrote is kept beside the tree. */
export function printExpression(tree: Expression): string {
  switch (tree.kind) {
    case 'chain':
      return tree.operands
        .map((operand, index) => (index === 0 ? '' : ` ${tree.joins[index - 1]} `) + printExpression(operand))
        .join('')
    case 'all':
      return tree.parts.map(printExpression).join(' and ')
    case 'not':
      return tree.sign + printExpression(tree.of)
    case 'group':
      return `(${printExpression(tree.of)})`
    case 'state':
      return `${tree.of.path} ${tree.equal ? '==' : '!='} ${tree.state}`
    case 'set':
      return `${tree.of.path}:${tree.attribute} ${tree.equal ? '==' : '!='} ${tree.set ? 'set' : 'clear'}`
    case 'compare':
    case 'calc':
      return tree.terms
        .map((term, index) => (index === 0 ? '' : ` ${tree.operators[index - 1]} `) + printExpression(term))
        .join('')
    case 'integer':
    case 'instant':
      return tree.text
    case 'attribute':
      return `${tree.of.path}:${tree.attribute}`
    case 'variable':
      return `:${tree.name}`
    case 'flag':
      return `${tree.of?.path ?? '/'}<flag>${tree.flag}`
    case 'julian':
      return `cal::${tree.to === 'julian' ? 'date_to_julian' : 'julian_to_date'}(${printExpression(tree.of)})`
  }
}
