// One statement of a definition as tokens over the source text. The reader holds a single one and refills it line
// by line, so that reading a large definition allocates only what it keeps.

import { DefinitionError, type DefinitionFault } from './definition-error.ts'
import type { Repetition } from './repetition.ts'

export class Statement {
  text = ''
  /** From 1; 0 for a single value that came in no line. */
  line = 0
  /** Where the statement's own line begins in `text`; columns are counted from here. */
  lineStart = 0
  start = 0
  end = 0
  count = 0
  /** Where the comment begins (its #), or -1. */
  comment = -1
  /** What the text said before; absent for a single value. */
  readonly repetition: Repetition | undefined
  private readonly starts: number[] = []
  private readonly ends: number[] = []
  /** Items of long lists by name, so that a node with a hundred thousand variables is still read in linear time. */
  private readonly indexes = new WeakMap<object, { upTo: number; items: Map<string, unknown> }>()

  constructor(repetition?: Repetition) {
    this.repetition = repetition
  }

  /** Splits `text` from `start` to `end` at blanks and tabs; a token that begins with # ends the statement. */
  fill(text: string, at: { start: number; end: number; line: number; lineStart: number }): void {
    this.text = text
    this.line = at.line
    this.lineStart = at.lineStart
    this.start = at.start
    this.end = at.end
    this.count = 0
    this.comment = -1
    const { end } = at
    let i = at.start
    let quote = 0
    for (;;) {
      while (i < end && isBlank(text.charCodeAt(i))) i++
      if (i >= end) return
      const first = text.charCodeAt(i)
      if (first === 35 && (quote === 0 || !this.quoteCloses(quote, i))) {
        this.comment = i
        return
      }
      const from = i
      while (i < end && !isBlank(text.charCodeAt(i))) i++
      this.starts[this.count] = from
      this.ends[this.count] = i
      this.count++
      if (quote !== 0) {
        if (text.charCodeAt(i - 1) === quote) quote = 0
      } else if ((first === 34 || first === 39) && (i === from + 1 || text.charCodeAt(i - 1) !== first)) {
        quote = first
      }
    }
  }

  /** Whether a quote that is open is closed later on the line; if not, it was never meant as one. */
  private quoteCloses(quote: number, from: number): boolean {
    for (let at = from; at < this.end; at++) if (this.text.charCodeAt(at) === quote) return true
    return false
  }

  word(index: number): string {
    return index < this.count ? this.slice(this.starts[index]!, this.ends[index]!) : ''
  }

  private slice(from: number, to: number): string {
    return this.repetition ? this.repetition.take(this.text, from, to) : this.text.slice(from, to)
  }

  startOf(index: number): number {
    return index < this.count ? this.starts[index]! : this.end
  }

  endOf(index: number): number {
    return this.ends[index]!
  }

  /** Words from `index` on, joined with one blank. */
  joined(index: number): string {
    return this.join(index) ?? this.slice(this.startOf(index), this.ends[this.count - 1]!)
  }

  /** The same for what is not looked for among earlier texts: expressions have a memory of their own. */
  phrase(index: number): string {
    return this.join(index) ?? this.text.slice(this.startOf(index), this.ends[this.count - 1]!)
  }

  /** Words that are not joined with single blanks as they stand; undefined when they are. */
  private join(index: number): string | undefined {
    const to = this.count
    if (index >= to) return ''
    let single = true
    for (let i = index; single && i + 1 < to; i++) {
      single = this.starts[i + 1]! === this.ends[i]! + 1 && this.text.charCodeAt(this.ends[i]!) === 32
    }
    if (single) return undefined
    const words: string[] = []
    for (let i = index; i < to; i++) words.push(this.word(i))
    return words.join(' ')
  }

  /** Words from `index` on, as a list. */
  words(index: number, to = this.count): string[] {
    const words: string[] = []
    for (let i = index; i < to; i++) words.push(this.word(i))
    return words
  }

  /** The comment without its #, trimmed; '' when there is none. */
  commentText(): string {
    return this.comment < 0 ? '' : this.text.slice(this.comment + 1, this.end).trim()
  }

  /** The item of a list that goes by a name; the list may only ever have grown at its end. */
  find<T>(list: readonly T[], name: string, nameOf: (item: T) => string): T | undefined {
    if (list.length < 24) {
      for (const item of list) if (nameOf(item) === name) return item
      return undefined
    }
    let index = this.indexes.get(list) as { upTo: number; items: Map<string, T> } | undefined
    if (!index) {
      index = { upTo: 0, items: new Map() }
      this.indexes.set(list, index)
    }
    for (; index.upTo < list.length; index.upTo++) {
      const item = list[index.upTo]!
      index.items.set(nameOf(item), item)
    }
    return index.items.get(name)
  }

  /** A refusal that points at a token (or just behind the last one). */
  fault(index: number, expected: string, kind: DefinitionFault = 'syntax'): DefinitionError {
    const found = index < this.count ? `'${this.word(index)}'` : 'the end of the line'
    return this.faultAt(this.startOf(index), found, expected, kind)
  }

  faultAt(
    offset: number,
    found: string,
    expected: string,
    fault: DefinitionFault = 'syntax',
  ): DefinitionError {
    return new DefinitionError({
      fault,
      line: this.line,
      column: Math.max(1, offset - this.lineStart + 1),
      found,
      expected,
    })
  }

  /** Refuses words behind the last one that the statement knows. */
  expectEnd(index: number): void {
    if (this.count > index) throw this.fault(index, 'the end of the line')
  }
}

function isBlank(char: number): boolean {
  return char <= 32 && (char === 32 || char === 9 || char === 13)
}

/** A statement made of a single value, for attributes that come alone over the wire. */
export function statementOf(keyword: string, value: string): Statement {
  const statement = new Statement()
  const text = `${keyword} ${value}`
  const nul = text.search(/[\0\n]/)
  statement.fill(text, { start: 0, end: text.length, line: 0, lineStart: keyword.length + 1 })
  if (nul >= 0) throw statement.faultAt(nul, 'a line break or NUL', 'text on one line')
  return statement
}
