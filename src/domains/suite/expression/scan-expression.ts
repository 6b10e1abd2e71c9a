// The words of expressions: operators, paths, names and numbers, as they stand at a place of the text. What they mean
// together is parse-expression.ts.

import { ValueError } from '../language/definition-error.ts'
import type { Arithmetic, Comparison } from './expression.ts'

/** A place in a text; `depth` counts the parentheses that are open. */
export interface Scanner {
  readonly text: string
  at: number
  depth: number
}

/** `and`, `&&`, `or`, `||` in either case; undefined (and nothing read) for anything else. */
export function readJoin(scanner: Scanner): 'and' | 'or' | undefined {
  skipBlanks(scanner)
  const { text, at } = scanner
  switch (text.charCodeAt(at)) {
    case 97: // a
    case 65: // A
      if (!isWordAt(scanner, 'and') && !isWordAt(scanner, 'AND')) return undefined
      scanner.at += 3
      return 'and'
    case 111: // o
    case 79: // O
      if (!isWordAt(scanner, 'or') && !isWordAt(scanner, 'OR')) return undefined
      scanner.at += 2
      return 'or'
    case 38: // &
      if (text.charCodeAt(at + 1) !== 38) return undefined
      scanner.at += 2
      return 'and'
    case 124: // |
      if (text.charCodeAt(at + 1) !== 124) return undefined
      scanner.at += 2
      return 'or'
  }
  return undefined
}

/** A negation as it was written; undefined when none stands here. */
export function readNot(scanner: Scanner): 'not ' | '!' | '~' | undefined {
  skipBlanks(scanner)
  const { text, at } = scanner
  const char = text.charCodeAt(at)
  if (char === 33 || char === 126) {
    scanner.at++
    return char === 33 ? '!' : '~'
  }
  if (char === 110 && text.startsWith('not', at) && isBlank(text.charCodeAt(at + 3))) {
    scanner.at += 4
    return 'not '
  }
  return undefined
}

/** A comparison, in signs or words; undefined when none stands here. */
export function readComparison(scanner: Scanner): Comparison | undefined {
  skipBlanks(scanner)
  const { text, at } = scanner
  const isEqualNext = text.charCodeAt(at + 1) === 61
  switch (text.charCodeAt(at)) {
    case 61: // =
    case 33: // !
      if (!isEqualNext) return undefined
      scanner.at += 2
      return text.charCodeAt(at) === 61 ? '==' : '!='
    case 60: // <
      scanner.at += isEqualNext ? 2 : 1
      return isEqualNext ? '<=' : '<'
    case 62: // >
      scanner.at += isEqualNext ? 2 : 1
      return isEqualNext ? '>=' : '>'
    case 101: // e
    case 103: // g
    case 108: // l
    case 110: // n
      for (const word of comparisonWords) {
        if (!isWordAt(scanner, word.text)) continue
        scanner.at += 2
        return word.means
      }
  }
  return undefined
}

const comparisonWords: readonly { readonly text: string; readonly means: Comparison }[] = [
  { text: 'eq', means: '==' },
  { text: 'ne', means: '!=' },
  { text: 'ge', means: '>=' },
  { text: 'le', means: '<=' },
  { text: 'lt', means: '<' },
  { text: 'gt', means: '>' },
]

/** One of + - * / %; undefined when none stands here. */
export function readArithmetic(scanner: Scanner): Arithmetic | undefined {
  skipBlanks(scanner)
  const char = scanner.text.charCodeAt(scanner.at)
  const sign =
    char === 43
      ? '+'
      : char === 45
        ? '-'
        : char === 42
          ? '*'
          : char === 47
            ? '/'
            : char === 37
              ? '%'
              : undefined
  if (sign) scanner.at++
  return sign
}

/** Reads a path token; undefined (and nothing read) when none begins here. */
export function scanPath(scanner: Scanner): string | undefined {
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
  let at = 0
  if (path.charCodeAt(0) === 47) at = 1
  else if (path.startsWith('./')) at = 2
  else while (path.startsWith('../', at)) at += 3
  let isStart = true
  for (; at < path.length; at++) {
    const char = path.charCodeAt(at)
    if (isStart ? !isWord(char) : !isPathChar(char)) return false
    isStart = char === 47
  }
  return !isStart
}

/** A name of the language; undefined when none begins here. */
export function scanName(scanner: Scanner): string | undefined {
  const { text } = scanner
  const from = scanner.at
  if (!isWord(text.charCodeAt(from))) return undefined
  let end = from + 1
  while (end < text.length && isNameChar(text.charCodeAt(end))) end++
  scanner.at = end
  return text.slice(from, end)
}

/** Whether a word stands here, and ends where it ends. */
export function isWordAt({ text, at }: Scanner, word: string): boolean {
  // A loop, because `startsWith` is a call out of compiled code.
  for (let i = 0; i < word.length; i++) if (text.charCodeAt(at + i) !== word.charCodeAt(i)) return false
  return !isNameChar(text.charCodeAt(at + word.length))
}

/** The word that stands here; nothing is read. */
export function peekWord(scanner: Scanner): string {
  const { text, at } = scanner
  let end = at
  while (end < text.length && isNameChar(text.charCodeAt(end))) end++
  return text.slice(at, end)
}

/** A match that begins here; what it takes has been read. */
export function stickyMatch(scanner: Scanner, pattern: RegExp): RegExpExecArray | undefined {
  pattern.lastIndex = scanner.at
  const match = pattern.exec(scanner.text)
  if (!match) return undefined
  scanner.at += match[0].length
  return match
}

/** Goes on to the next character that is no blank. */
export function skipBlanks(scanner: Scanner): void {
  const { text } = scanner
  while (scanner.at < text.length && isBlank(text.charCodeAt(scanner.at))) scanner.at++
}

/** A blank or tab. */
export function isBlank(char: number): boolean {
  return char === 32 || char === 9 || char === 10 || char === 13
}

/** 0 to 9. */
export function isDigit(char: number): boolean {
  return char >= 48 && char <= 57
}

/** A character that may begin a name. */
export function isWord(char: number): boolean {
  return (char >= 97 && char <= 122) || (char >= 65 && char <= 90) || isDigit(char) || char === 95
}

/** A character within a name. */
export function isNameChar(char: number): boolean {
  return isWord(char) || char === 46
}

/** A character within a path. */
export function isPathChar(char: number): boolean {
  return isNameChar(char) || char === 47
}

/** What is wrong here, with the offset. */
export function fault(scanner: Scanner, expected: string): ValueError {
  skipBlanks(scanner)
  const rest = scanner.text.slice(scanner.at, scanner.at + 40)
  return new ValueError(rest === '' ? 'the end' : `'${rest}'`, expected, { offset: scanner.at })
}
