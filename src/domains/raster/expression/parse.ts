// Reads the map-algebra language. Its levels are few and all left-associative, against convention, because workflow
// files rely on it: `2 * 3 ** 2` is 36. See contracts/ncdjango.md §3.6 for the grammar.

import { Float } from '../values/float.ts'
import { functionNames } from './functions.ts'
import { ExpressionFault, type Node, type Operator } from './tree.ts'

const lengthMax = 20_000
const depthMax = 200
/** Operators in one expression: the tree leans to the left, and is walked by recursion. */
const operatorsMax = 1_000

interface Token {
  readonly type: 'number' | 'string' | 'name' | 'mark' | 'end'
  readonly text: string
  readonly at: number
}

const constants: Readonly<Record<string, boolean>> = {
  true: true,
  True: true,
  TRUE: true,
  false: false,
  False: false,
  FALSE: false,
}

const levels: readonly (readonly string[])[] = [
  ['and', '&&', 'or', '||'],
  ['<=', '>=', '<', '>', '=='],
  ['+', '-'],
  ['*', '/', '**', '%'],
]

/** Parses an expression; throws an ExpressionFault named SyntaxError. */
export function parseExpression(text: string): Node {
  if (text.length > lengthMax) throw fault(`the expression is longer than ${lengthMax} characters`)
  return new Parser(readTokens(text)).whole()
}

/** The names that an expression needs values for, in order of first appearance. */
export function freeNames(node: Node): string[] {
  const names = new Set<string>()
  const visit = (at: Node): void => {
    switch (at.type) {
      case 'name':
        if (!functionNames.has(at.name)) names.add(at.name)
        return
      case 'call':
        for (const arg of at.args) visit(arg)
        return
      case 'index':
        visit(at.of)
        visit(at.by)
        return
      case 'negate':
      case 'plus':
        visit(at.of)
        return
      case 'binary':
        visit(at.left)
        visit(at.right)
    }
  }
  visit(node)
  return [...names]
}

function fault(text: string): ExpressionFault {
  return new ExpressionFault('SyntaxError', text)
}

const token =
  /[ \t\r\n]+|(\d+\.\d*(?:[eE]-?\d+)?|\.\d+(?:[eE]-?\d+)?|\d+)|("[^"]*"|'[^']*')|([A-Za-z_]\w*)|(\*\*|<=|>=|==|&&|\|\||[-+*/%<>()[\],])/y

function readTokens(text: string): Token[] {
  const tokens: Token[] = []
  token.lastIndex = 0
  for (let at = 0; at < text.length; ) {
    token.lastIndex = at
    const match = token.exec(text)
    if (match === null) throw fault(`Illegal character '${text[at]}' at position ${at}`)
    const [all, number, string, name, mark] = match
    if (number !== undefined) tokens.push({ type: 'number', text: number, at })
    else if (string !== undefined) tokens.push({ type: 'string', text: string.slice(1, -1), at })
    else if (name !== undefined)
      tokens.push({ type: name === 'and' || name === 'or' ? 'mark' : 'name', text: name, at })
    else if (mark !== undefined) tokens.push({ type: 'mark', text: mark, at })
    at += all.length
  }
  tokens.push({ type: 'end', text: 'end of statement', at: text.length })
  return tokens
}

class Parser {
  readonly #tokens: readonly Token[]
  #next = 0
  #depth = 0
  #operators = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  whole(): Node {
    const node = this.#level(0)
    if (this.#token.type !== 'end') this.#unexpected()
    return node
  }

  get #token(): Token {
    return this.#tokens[this.#next]!
  }

  #unexpected(): never {
    throw fault(`Unexpected ${this.#token.text} at position ${this.#token.at}`)
  }

  #isMark(text: string): boolean {
    return this.#token.type === 'mark' && this.#token.text === text
  }

  #take(text: string): void {
    if (!this.#isMark(text)) this.#unexpected()
    this.#next++
  }

  #level(index: number): Node {
    const operators = levels[index]
    if (operators === undefined) return this.#factor()
    // A sign may stand before the first factor of a term, once: `3 * -2` is not in the language.
    let left = index === levels.length - 1 ? this.#signed() : this.#level(index + 1)
    while (this.#token.type === 'mark' && operators.includes(this.#token.text)) {
      if (++this.#operators > operatorsMax)
        throw fault(`the expression has more than ${operatorsMax} operators`)
      const text = this.#token.text
      this.#next++
      const right = index === levels.length - 1 ? this.#factor() : this.#level(index + 1)
      left = { type: 'binary', op: operatorOf(text), left, right }
    }
    return left
  }

  #signed(): Node {
    if (this.#isMark('-')) {
      this.#next++
      return { type: 'negate', of: this.#factor() }
    }
    if (this.#isMark('+')) {
      this.#next++
      return { type: 'plus', of: this.#factor() }
    }
    return this.#factor()
  }

  #factor(): Node {
    if (++this.#depth > depthMax) throw fault(`the expression is nested more than ${depthMax} levels deep`)
    let node = this.#atom()
    while (this.#isMark('[')) {
      if (++this.#operators > operatorsMax)
        throw fault(`the expression has more than ${operatorsMax} operators`)
      this.#next++
      const by = this.#level(0)
      this.#take(']')
      node = { type: 'index', of: node, by }
    }
    this.#depth--
    return node
  }

  #atom(): Node {
    const { type, text } = this.#token
    if (type === 'end' || type === 'mark') {
      if (!this.#isMark('(')) this.#unexpected()
      this.#next++
      const node = this.#level(0)
      this.#take(')')
      return node
    }
    this.#next++
    if (type === 'string') return { type: 'literal', value: text }
    if (type === 'number') {
      return { type: 'literal', value: text.includes('.') ? new Float(Number(text)) : Number(text) }
    }
    if (Object.hasOwn(constants, text)) return { type: 'literal', value: constants[text]! }
    if (!this.#isMark('(')) return { type: 'name', name: text }
    if (!functionNames.has(text)) throw fault(`There is no function ${text}`)
    this.#next++
    const args: Node[] = []
    while (!this.#isMark(')')) {
      args.push(this.#level(0))
      if (this.#isMark(',')) this.#next++
      else if (!this.#isMark(')')) this.#unexpected()
    }
    this.#next++
    return { type: 'call', name: text, args }
  }
}

function operatorOf(text: string): Operator {
  return text === '&&' ? 'and' : text === '||' ? 'or' : (text as Operator)
}
