// The tree that a map-algebra expression is parsed into, and the faults of expressions.

export type Node =
  | { readonly type: 'literal'; readonly value: unknown }
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'call'; readonly name: string; readonly args: readonly Node[] }
  | { readonly type: 'index'; readonly of: Node; readonly by: Node }
  | { readonly type: 'negate' | 'plus'; readonly of: Node }
  | { readonly type: 'binary'; readonly op: Operator; readonly left: Node; readonly right: Node }

export type Operator = 'and' | 'or' | '<=' | '>=' | '<' | '>' | '==' | '+' | '-' | '*' | '/' | '**' | '%'

/** What is wrong with an expression, with the name of the error that the original raises. */
export class ExpressionFault extends Error {
  constructor(name: 'SyntaxError' | 'ExecutionError' | 'TypeError' | 'ValueError', text: string) {
    super(text)
    this.name = name
  }
}
