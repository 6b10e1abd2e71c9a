// Text → typed tree, by recursive descent without back-tracking. Whether a parenthesis holds arithmetic or a
// condition is decided after it was read, by what is in it.

import { ValueError } from '../language/definition-error.ts'
import { readInstant } from '../tree/calendar-date.ts'
import type { FlagName } from '../tree/flag.ts'
import { isNodeState, type NodeState, nodeStates } from '../tree/state.ts'
import type { Expression } from './expression.ts'
import {
  fault,
  isDigit,
  isNameChar,
  isPathChar,
  isWord,
  isWordAt,
  peekWord,
  readArithmetic,
  readComparison,
  readJoin,
  readNot,
  type Scanner,
  scanName,
  scanPath,
  skipBlanks,
  stickyMatch,
} from './scan-expression.ts'

/** Parentheses deeper than this are refused: nobody writes them, and they must not exhaust the stack. */
const depthMax = 200

/** Reads one expression; throws a ValueError with the offset of the fault. */
export function parseExpression(text: string): Expression {
  if (text.endsWith('suspended')) {
    const plain = parsePlain(text)
    if (plain) return plain
  }
  const scanner: Scanner = { text, at: 0, depth: 0 }
  const tree = readChain(scanner)
  skipBlanks(scanner)
  if (scanner.at < text.length) throw fault(scanner, 'and, or, or the end of the expression')
  return tree
}

/** A list that was pushed to keeps room for sixteen more items: expressions live long, so they are copied when done. */
function exact<T>(list: T[]): T[] {
  return list.length === 1 ? list : list.slice()
}

/** `NAME == state` and nothing else: this form alone knows the state `suspended`. */
function parsePlain(text: string): Expression | undefined {
  const match = /^\s*([A-Za-z0-9_][A-Za-z0-9_.]*)\s*(==|!=|\beq\b|\bne\b)\s*([a-z]+)\s*$/.exec(text)
  if (!match) return undefined
  const state = match[3]!
  if (state !== 'suspended' && !isNodeState(state)) return undefined
  return { kind: 'state', of: { path: match[1]! }, equal: match[2] === '==' || match[2] === 'eq', state }
}

/**
 * expr := operand [ (and | or) expr ], kept flat. An operand is a chain of comparisons joined by and, or a
 * condition in parentheses; the latter takes all that follows it as its other side, so it ends a chain.
 */
function readChain(scanner: Scanner): Expression {
  let test = readTest(scanner)
  let join = readJoin(scanner)
  // Most expressions are one comparison.
  if (!join) return test
  let operands: Expression[] | undefined
  let joins: ('and' | 'or')[] | undefined
  let parts: Expression[] | undefined
  const close = (operand: Expression) => {
    if (operands) operands.push(operand)
    else operands = [operand]
  }
  const closeParts = () => {
    if (parts) close(parts.length === 1 ? parts[0]! : { kind: 'all', parts: exact(parts) })
    parts = undefined
  }
  const joinBy = (word: 'and' | 'or') => {
    if (joins) joins.push(word)
    else joins = [word]
  }
  for (;;) {
    if (isCondition(test)) {
      if (parts) {
        closeParts()
        joinBy('and')
      }
      close(test)
    } else {
      if (parts) parts.push(test)
      else parts = [test]
      if (join !== 'and') closeParts()
    }
    if (!join) break
    if (!parts) joinBy(join)
    test = readTest(scanner)
    join = readJoin(scanner)
  }
  return operands!.length === 1
    ? operands![0]!
    : { kind: 'chain', operands: exact(operands!), joins: exact(joins!) }
}

/** A condition in parentheses, as opposed to a comparison. */
function isCondition(test: Expression): boolean {
  const of = test.kind === 'not' ? test.of : test
  return of.kind === 'group' && !isArithmetic(of.of)
}

function readTest(scanner: Scanner): Expression {
  const sign = readNot(scanner)
  const test = readCompare(scanner)
  return sign ? { kind: 'not', sign, of: test } : test
}

function readCompare(scanner: Scanner): Expression {
  const begun = readNodeTest(scanner)
  if (begun && (begun.kind === 'state' || begun.kind === 'set')) return begun
  const first = readCalc(scanner, begun)
  if (first.kind === 'group' && !isArithmetic(first.of)) return first
  let operator = readComparison(scanner)
  if (!operator) return first
  const terms = [first]
  const operators = [operator]
  for (;;) {
    terms.push(readCalc(scanner))
    operator = readComparison(scanner)
    if (!operator) break
    operators.push(operator)
  }
  for (const term of terms)
    if (!isArithmetic(term)) throw fault(scanner, 'no condition inside of a comparison')
  return { kind: 'compare', terms: exact(terms), operators: exact(operators) }
}

/**
 * What begins with a path: `path == state` and `path:name == set` are read whole, of anything else the first factor.
 * Undefined, and nothing read, where no path begins.
 */
function readNodeTest(scanner: Scanner): Expression | undefined {
  skipBlanks(scanner)
  const { text, at: from } = scanner
  if (!isPathChar(text.charCodeAt(from)) || text.startsWith('/<flag>', from)) return undefined
  // Digits may be a number as well as a name: only a comparison with a state tells.
  const number = isDigit(text.charCodeAt(from)) ? readNumber(scanner) : undefined
  if (number) {
    const state = number.kind === 'integer' ? readStateTest(scanner, number.text) : undefined
    return state ?? number
  }
  const path = scanPath(scanner)
  if (path === undefined) return undefined
  const next = text.charCodeAt(scanner.at)
  if (next === 58) {
    scanner.at++
    const attribute = scanName(scanner)
    if (attribute === undefined) throw fault(scanner, 'a name after :')
    return readSetTest(scanner, path, attribute) ?? { kind: 'attribute', of: { path }, attribute }
  }
  if (next === 60 && text.startsWith('<flag>', scanner.at)) {
    scanner.at += 6
    return { kind: 'flag', of: { path }, flag: readFlagName(scanner) }
  }
  const afterPath = scanner.at
  const test = readStateTest(scanner, path)
  if (test) return test
  const operator = readComparison(scanner)
  if (operator === '==' || operator === '!=')
    throw fault(scanner, 'a state (complete, aborted, queued, active, submitted, unknown)')
  scanner.at = afterPath
  throw faultBehindPath(scanner, from, path)
}

/** `== state` behind a path; nothing is read when it is something else. */
function readStateTest(scanner: Scanner, path: string): Expression | undefined {
  const before = scanner.at
  const operator = readComparison(scanner)
  if (operator === '==' || operator === '!=') {
    skipBlanks(scanner)
    const state = readState(scanner)
    if (state) return { kind: 'state', of: { path }, equal: operator === '==', state }
  }
  scanner.at = before
  return undefined
}

/** `== set` or `!= clear` behind a path and name; nothing is read when it is something else. */
function readSetTest(scanner: Scanner, path: string, attribute: string): Expression | undefined {
  const before = scanner.at
  const operator = readComparison(scanner)
  if (operator === '==' || operator === '!=') {
    skipBlanks(scanner)
    const set = isWordAt(scanner, 'set')
    if (set || isWordAt(scanner, 'clear')) {
      scanner.at += set ? 3 : 5
      return { kind: 'set', of: { path }, attribute, equal: operator === '==', set }
    }
  }
  scanner.at = before
  return undefined
}

function readState(scanner: Scanner): NodeState | undefined {
  for (const state of nodeStates) {
    if (!isWordAt(scanner, state)) continue
    scanner.at += state.length
    return state
  }
  return undefined
}

/** calc := factor { operator factor }, strictly from left to right. */
function readCalc(scanner: Scanner, begun?: Expression): Expression {
  const first = begun ?? readFactor(scanner)
  let operator = readArithmetic(scanner)
  if (!operator) return first
  const terms = [first]
  const operators = [operator]
  for (;;) {
    skipBlanks(scanner)
    const at = scanner.at
    const term = readFactor(scanner)
    if ((operator === '/' || operator === '%') && term.kind === 'integer' && term.value === 0) {
      throw new ValueError('0', 'a divisor other than 0', { offset: at })
    }
    terms.push(term)
    operator = readArithmetic(scanner)
    if (!operator) break
    operators.push(operator)
  }
  for (const term of terms) if (!isArithmetic(term)) throw fault(scanner, 'no condition inside of arithmetic')
  return { kind: 'calc', terms: exact(terms), operators: exact(operators) }
}

function readFactor(scanner: Scanner): Expression {
  skipBlanks(scanner)
  const { text } = scanner
  const char = text[scanner.at]
  if (char === '(') return readGroup(scanner)
  if (char === ':') {
    scanner.at++
    const name = scanName(scanner)
    if (name === undefined) throw fault(scanner, 'a variable name after :')
    return { kind: 'variable', name }
  }
  if (text.startsWith('/<flag>', scanner.at)) {
    scanner.at += 7
    return { kind: 'flag', of: undefined, flag: readFlagName(scanner) }
  }
  if (text.startsWith('cal::', scanner.at)) return readJulian(scanner)
  return readNumber(scanner) ?? readPathFactor(scanner)
}

function readGroup(scanner: Scanner): Expression {
  if (++scanner.depth > depthMax) throw fault(scanner, `at most ${depthMax} nested parentheses`)
  scanner.at++
  const of = readChain(scanner)
  skipBlanks(scanner)
  if (scanner.text[scanner.at] !== ')') throw fault(scanner, 'and, or, or )')
  scanner.at++
  scanner.depth--
  return { kind: 'group', of }
}

function readJulian(scanner: Scanner): Expression {
  const match = stickyMatch(scanner, /cal::(date_to_julian|julian_to_date)\s*\(/y)
  if (!match) throw fault(scanner, 'cal::date_to_julian( or cal::julian_to_date(')
  const before = scanner.at
  const of = readFactor(scanner)
  if (of.kind !== 'integer' && of.kind !== 'attribute' && of.kind !== 'variable') {
    scanner.at = before
    throw fault(scanner, 'path:NAME or an integer')
  }
  skipBlanks(scanner)
  if (scanner.text[scanner.at] !== ')') throw fault(scanner, ')')
  scanner.at++
  return { kind: 'julian', to: match[1] === 'date_to_julian' ? 'julian' : 'date', of }
}

/** An instant or an integer; undefined when the digits begin a path, as in `00/a:x`. */
function readNumber(scanner: Scanner): Expression | undefined {
  const { text } = scanner
  let end = scanner.at
  while (end < text.length && isDigit(text.charCodeAt(end))) end++
  if (end === scanner.at) return undefined
  const instant = end === scanner.at + 8 ? stickyMatch(scanner, /\d{8}T\d{6}(?![A-Za-z0-9_.])/y) : undefined
  if (instant) {
    const value = readInstant(instant[0])
    if (value === undefined)
      throw new ValueError(instant[0], 'a date and time that exist', { offset: scanner.at })
    return { kind: 'instant', value, text: instant[0] }
  }
  const next = text.charCodeAt(end)
  if (isNameChar(next) || next === 58) return undefined
  if (text.startsWith('<flag>', end)) return undefined
  if (next === 47 && isWord(text.charCodeAt(end + 1)) && !isDigit(text.charCodeAt(end + 1))) return undefined
  const digits = text.slice(scanner.at, end)
  const value = Number(digits)
  if (value > 2147483647) throw fault(scanner, 'an integer of at most 2147483647')
  scanner.at = end
  return { kind: 'integer', value, text: digits }
}

function readPathFactor(scanner: Scanner): Expression {
  const before = scanner.at
  const path = scanPath(scanner)
  if (path === undefined) throw fault(scanner, 'a path, a number, : or (')
  if (scanner.text.startsWith('<flag>', scanner.at)) {
    scanner.at += 6
    return { kind: 'flag', of: { path }, flag: readFlagName(scanner) }
  }
  if (scanner.text[scanner.at] !== ':') throw faultBehindPath(scanner, before, path)
  scanner.at++
  const attribute = scanName(scanner)
  if (attribute === undefined) throw fault(scanner, 'a name after :')
  return { kind: 'attribute', of: { path }, attribute }
}

/** A path by itself says nothing. At the end of the text the path is pointed at, else what follows it. */
function faultBehindPath(scanner: Scanner, from: number, path: string): ValueError {
  const next = scanner.at
  skipBlanks(scanner)
  scanner.at = scanner.at >= scanner.text.length ? from : next
  return fault(scanner, `== or != and a state, or :NAME, after the path '${path.slice(0, 60)}'`)
}

function readFlagName(scanner: Scanner): FlagName {
  const word = peekWord(scanner)
  if (word !== 'late' && word !== 'zombie' && word !== 'archived')
    throw fault(scanner, 'late, zombie or archived')
  scanner.at += word.length
  return word
}

/** Arithmetic, as opposed to a condition. A bare arithmetic value may stand for a condition, not the reverse. */
function isArithmetic(tree: Expression): boolean {
  let of = tree
  while (of.kind === 'group') of = of.of
  switch (of.kind) {
    case 'calc':
    case 'integer':
    case 'instant':
    case 'attribute':
    case 'variable':
    case 'flag':
    case 'julian':
      return true
    default:
      return false
  }
}
