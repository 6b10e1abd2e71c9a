// Text → typed tree, by recursive descent without back-tracking. Whether a parenthesis holds arithmetic or a
// condition is decided after it was read, by what is in it.

import { ValueError } from '../language/definition-error.ts'
import { isName } from '../language/name.ts'
import { readInstant } from '../tree/calendar-date.ts'
import type { FlagName } from '../tree/flag.ts'
import { isNodeState } from '../tree/state.ts'
import type { Arithmetic, Comparison, Expression } from './expression.ts'

/** Parentheses deeper than this are refused: nobody writes them, and they must not exhaust the stack. */
const depthMax = 200

interface Scanner {
  readonly text: string
  at: number
  depth: number
}

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

// Lists are copied when they are done (`slice`), because a list that was pushed to keeps room for sixteen more.

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
  const operands: Expression[] = []
  const joins: ('and' | 'or')[] = []
  let parts: Expression[] = []
  const flush = () => {
    operands.push(parts.length === 1 ? parts[0]! : { kind: 'all', parts: parts.slice() })
    parts = []
  }
  for (;;) {
    const test = readTest(scanner)
    const join = readJoin(scanner)
    if (test.isGroup) {
      if (parts.length > 0) {
        flush()
        joins.push('and')
      }
      operands.push(test.tree)
      if (!join) break
      joins.push(join)
      continue
    }
    parts.push(test.tree)
    if (join === 'and') continue
    flush()
    if (!join) break
    joins.push(join)
  }
  return operands.length === 1
    ? operands[0]!
    : { kind: 'chain', operands: operands.slice(), joins: joins.slice() }
}

interface Test {
  readonly tree: Expression
  /** A condition in parentheses, as opposed to a comparison. */
  readonly isGroup: boolean
}

function readTest(scanner: Scanner): Test {
  const sign = readNot(scanner)
  const test = readCompare(scanner)
  return sign ? { tree: { kind: 'not', sign, of: test.tree }, isGroup: test.isGroup } : test
}

const comparisons: Record<string, Comparison> = {
  '==': '==',
  eq: '==',
  '!=': '!=',
  ne: '!=',
  '>=': '>=',
  ge: '>=',
  '<=': '<=',
  le: '<=',
  '<': '<',
  lt: '<',
  '>': '>',
  gt: '>',
}

function readCompare(scanner: Scanner): Test {
  skipBlanks(scanner)
  const special = readNodeTest(scanner)
  if (special) return { tree: special, isGroup: false }
  const first = readCalc(scanner)
  if (first.kind === 'group' && !isArithmetic(first.of)) return { tree: first, isGroup: true }
  let operator = readComparison(scanner)
  if (!operator) return { tree: first, isGroup: false }
  const terms = [first]
  const operators: Comparison[] = []
  while (operator) {
    operators.push(operator)
    terms.push(readCalc(scanner))
    operator = readComparison(scanner)
  }
  for (const term of terms)
    if (!isArithmetic(term)) throw fault(scanner, 'no condition inside of a comparison')
  return { tree: { kind: 'compare', terms: terms.slice(), operators: operators.slice() }, isGroup: false }
}

/** `path == state` and `path:name == set`. Leaves the scanner where it was when it is neither. */
function readNodeTest(scanner: Scanner): Expression | undefined {
  const before = scanner.at
  const path = scanPath(scanner)
  if (path === undefined) return undefined
  const afterPath = scanner.at
  if (scanner.text[afterPath] === ':') {
    scanner.at++
    const attribute = scanName(scanner)
    const equal = attribute === undefined ? undefined : readEquality(scanner)
    if (attribute !== undefined && equal !== undefined) {
      skipBlanks(scanner)
      const word = peekWord(scanner)
      if (word === 'set' || word === 'clear') {
        scanner.at += word.length
        return { kind: 'set', of: { path }, attribute, equal, set: word === 'set' }
      }
    }
    scanner.at = before
    return undefined
  }
  const equal = readEquality(scanner)
  if (equal !== undefined) {
    skipBlanks(scanner)
    const word = peekWord(scanner)
    if (isNodeState(word)) {
      scanner.at += word.length
      return { kind: 'state', of: { path }, equal, state: word }
    }
    if (!/^\d+$/.test(path)) {
      throw fault(scanner, 'a state (complete, aborted, queued, active, submitted, unknown)')
    }
  }
  scanner.at = before
  return undefined
}

function readEquality(scanner: Scanner): boolean | undefined {
  const before = scanner.at
  const operator = readComparison(scanner)
  if (operator === '==') return true
  if (operator === '!=') return false
  scanner.at = before
  return undefined
}

/** calc := factor { operator factor }, strictly from left to right. */
function readCalc(scanner: Scanner): Expression {
  const first = readFactor(scanner)
  let operator = readArithmetic(scanner)
  if (!operator) return first
  const terms = [first]
  const operators: Arithmetic[] = []
  while (operator) {
    skipBlanks(scanner)
    const at = scanner.at
    const term = readFactor(scanner)
    if ((operator === '/' || operator === '%') && term.kind === 'integer' && term.value === 0) {
      throw new ValueError('0', 'a divisor other than 0', { offset: at })
    }
    operators.push(operator)
    terms.push(term)
    operator = readArithmetic(scanner)
  }
  for (const term of terms) if (!isArithmetic(term)) throw fault(scanner, 'no condition inside of arithmetic')
  return { kind: 'calc', terms: terms.slice(), operators: operators.slice() }
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
  if (scanner.text[scanner.at] !== ':') {
    const next = scanner.at
    skipBlanks(scanner)
    if (scanner.at >= scanner.text.length) scanner.at = before
    else scanner.at = next
    throw fault(scanner, `== or != and a state, or :NAME, after the path '${path.slice(0, 60)}'`)
  }
  scanner.at++
  const attribute = scanName(scanner)
  if (attribute === undefined) throw fault(scanner, 'a name after :')
  return { kind: 'attribute', of: { path }, attribute }
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

function readJoin(scanner: Scanner): 'and' | 'or' | undefined {
  skipBlanks(scanner)
  const { text, at } = scanner
  const two = text.slice(at, at + 2)
  if (two === '&&' || two === '||') {
    scanner.at += 2
    return two === '&&' ? 'and' : 'or'
  }
  const word = peekWord(scanner)
  if (word === 'and' || word === 'AND' || word === 'or' || word === 'OR') {
    scanner.at += word.length
    return word === 'and' || word === 'AND' ? 'and' : 'or'
  }
  return undefined
}

function readNot(scanner: Scanner): 'not ' | '!' | '~' | undefined {
  skipBlanks(scanner)
  const { text, at } = scanner
  if (text[at] === '!' || text[at] === '~') {
    scanner.at++
    return text[at] as '!' | '~'
  }
  if (text.startsWith('not', at) && isBlank(text.charCodeAt(at + 3))) {
    scanner.at += 4
    return 'not '
  }
  return undefined
}

function readComparison(scanner: Scanner): Comparison | undefined {
  skipBlanks(scanner)
  const { text, at } = scanner
  const char = text.charCodeAt(at)
  if (char === 60 || char === 62 || char === 61 || char === 33) {
    const two = text.slice(at, at + 2)
    const one = text.slice(at, at + 1)
    const found = comparisons[two] ?? (char === 60 || char === 62 ? comparisons[one] : undefined)
    if (found) scanner.at += comparisons[two] ? 2 : 1
    return found
  }
  const word = peekWord(scanner)
  if (word.length !== 2) return undefined
  const found = Object.hasOwn(comparisons, word) ? comparisons[word] : undefined
  if (found) scanner.at += 2
  return found
}

function readArithmetic(scanner: Scanner): Arithmetic | undefined {
  skipBlanks(scanner)
  const char = scanner.text[scanner.at]
  if (char === '+' || char === '-' || char === '*' || char === '/' || char === '%') {
    scanner.at++
    return char
  }
  return undefined
}

/** Reads a path token; undefined (and nothing read) when none begins here. */
function scanPath(scanner: Scanner): string | undefined {
  const { text } = scanner
  const from = scanner.at
  let end = from
  while (end < text.length && isPathChar(text.charCodeAt(end))) end++
  if (end === from || text.startsWith('::', end)) return undefined
  // A slash before a flag belongs to `/<flag>`, and a lone slash is no path.
  const path = text.slice(from, end)
  if (path === '/' || !isPath(path)) return undefined
  scanner.at = end
  return path
}

/** `/a/b`, `a/b`, `./a`, `../../a`: names of the language between single slashes. */
export function isPath(path: string): boolean {
  if (!path.includes('/')) return isName(path)
  return /^(?:\/|\.\/|(?:\.\.\/)+)?[A-Za-z0-9_][A-Za-z0-9_.]*(?:\/[A-Za-z0-9_][A-Za-z0-9_.]*)*$/.test(path)
}

function scanName(scanner: Scanner): string | undefined {
  const { text } = scanner
  const from = scanner.at
  if (!isWord(text.charCodeAt(from))) return undefined
  let end = from + 1
  while (end < text.length && isNameChar(text.charCodeAt(end))) end++
  scanner.at = end
  return text.slice(from, end)
}

function peekWord(scanner: Scanner): string {
  const { text, at } = scanner
  let end = at
  while (end < text.length && isNameChar(text.charCodeAt(end))) end++
  return text.slice(at, end)
}

function stickyMatch(scanner: Scanner, pattern: RegExp): RegExpExecArray | undefined {
  pattern.lastIndex = scanner.at
  const match = pattern.exec(scanner.text)
  if (!match) return undefined
  scanner.at += match[0].length
  return match
}

function skipBlanks(scanner: Scanner): void {
  const { text } = scanner
  while (scanner.at < text.length && isBlank(text.charCodeAt(scanner.at))) scanner.at++
}

function isBlank(char: number): boolean {
  return char === 32 || char === 9 || char === 10 || char === 13
}

function isDigit(char: number): boolean {
  return char >= 48 && char <= 57
}

/** A character that may begin a name. */
function isWord(char: number): boolean {
  return (char >= 97 && char <= 122) || (char >= 65 && char <= 90) || isDigit(char) || char === 95
}

function isNameChar(char: number): boolean {
  return isWord(char) || char === 46
}

function isPathChar(char: number): boolean {
  return isNameChar(char) || char === 47
}

function fault(scanner: Scanner, expected: string): ValueError {
  skipBlanks(scanner)
  const rest = scanner.text.slice(scanner.at, scanner.at + 40)
  return new ValueError(rest === '' ? 'the end' : `'${rest}'`, expected, { offset: scanner.at })
}
