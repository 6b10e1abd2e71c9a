// JSON as Python reads and writes it. Reading: raw control characters inside of strings, NaN and Infinity, and the
// difference between 3 and 3.0 are kept. Writing: blanks after `,` and `:`, \uXXXX beyond ASCII. Errors carry Python's
// sentences, because clients of the original show them.

import { Float, pythonNumber } from './float.ts'

const depthMax = 64

/** A text that is no JSON; the message is the one of Python's json module. */
export class JsonFault extends Error {
  constructor(what: string, text: string, at: number) {
    const before = text.slice(0, at)
    const line = before.split('\n').length
    const column = at - before.lastIndexOf('\n')
    super(`${what}: line ${line} column ${column} (char ${at})`)
    this.name = 'JsonFault'
  }
}

/** Reads a JSON text; numbers with a point or an exponent become Float. `isLenient` allows control characters. */
export function readPythonJson(text: string, { isLenient = true } = {}): unknown {
  const reader = new Reader(text, isLenient)
  const value = reader.value(reader.blank(0), 1)
  const end = reader.blank(reader.at)
  if (end !== text.length) throw new JsonFault('Extra data', text, end)
  return value
}

class Reader {
  at = 0
  readonly #text: string
  readonly #isLenient: boolean

  constructor(text: string, isLenient: boolean) {
    this.#text = text
    this.#isLenient = isLenient
  }

  blank(from: number): number {
    let at = from
    while (at < this.#text.length && ' \t\n\r'.includes(this.#text[at]!)) at++
    return at
  }

  fail(what: string, at: number): never {
    throw new JsonFault(what, this.#text, at)
  }

  value(at: number, depth: number): unknown {
    if (depth > depthMax) this.fail(`Nested more than ${depthMax} levels deep`, at)
    const text = this.#text
    switch (text[at]) {
      case '"':
        return this.#string(at)
      case '{':
        return this.#object(at, depth)
      case '[':
        return this.#array(at, depth)
    }
    for (const [word, value] of words) {
      if (text.startsWith(word, at)) {
        this.at = at + word.length
        return value
      }
    }
    number.lastIndex = at
    const match = number.exec(text)
    if (match === null) return this.fail('Expecting value', at)
    this.at = at + match[0].length
    const parsed = Number(match[0])
    return match[1] === undefined && match[2] === undefined ? parsed : new Float(parsed)
  }

  #array(open: number, depth: number): unknown[] {
    const items: unknown[] = []
    let at = this.blank(open + 1)
    if (this.#text[at] === ']') {
      this.at = at + 1
      return items
    }
    for (;;) {
      items.push(this.value(at, depth + 1))
      at = this.blank(this.at)
      const next = this.#text[at]
      if (next === ']') break
      if (next !== ',') this.fail("Expecting ',' delimiter", at)
      at = this.blank(at + 1)
    }
    this.at = at + 1
    return items
  }

  #object(open: number, depth: number): Record<string, unknown> {
    const entries: [string, unknown][] = []
    let at = this.blank(open + 1)
    if (this.#text[at] === '}') {
      this.at = at + 1
      return {}
    }
    for (;;) {
      if (this.#text[at] !== '"') this.fail('Expecting property name enclosed in double quotes', at)
      const name = this.#string(at)
      at = this.blank(this.at)
      if (this.#text[at] !== ':') this.fail("Expecting ':' delimiter", at)
      entries.push([name, this.value(this.blank(at + 1), depth + 1)])
      at = this.blank(this.at)
      const next = this.#text[at]
      if (next === '}') break
      if (next !== ',') this.fail("Expecting ',' delimiter", at)
      at = this.blank(at + 1)
    }
    this.at = at + 1
    // Own properties only, whatever they are called: fromEntries defines, it does not assign.
    return Object.fromEntries(entries)
  }

  #string(open: number): string {
    const text = this.#text
    let out = ''
    let from = open + 1
    for (let at = from; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code === 0x22) {
        this.at = at + 1
        return out + text.slice(from, at)
      }
      if (code < 0x20 && !this.#isLenient) this.fail('Invalid control character at', at)
      if (code !== 0x5c) continue
      out += text.slice(from, at)
      const letter = text[++at]
      if (letter === 'u') {
        const digits = text.slice(at + 1, at + 5)
        if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fail('Invalid \\uXXXX escape', at)
        out += String.fromCharCode(Number.parseInt(digits, 16))
        at += 4
      } else {
        const plain = letter === undefined ? undefined : escapes[letter]
        if (plain === undefined) this.fail('Invalid \\escape', at - 1)
        out += plain
      }
      from = at + 1
    }
    return this.fail('Unterminated string starting at', open)
  }
}

const number = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}
const words: readonly (readonly [string, unknown])[] = [
  ['null', null],
  ['true', true],
  ['false', false],
  ['NaN', new Float(Number.NaN)],
  ['Infinity', new Float(Number.POSITIVE_INFINITY)],
  ['-Infinity', new Float(Number.NEGATIVE_INFINITY)],
]

/** Writes a value as Python's json.dumps does; what JSON cannot say (NaN, infinities) becomes null. */
export function writePythonJson(value: unknown, depth = 0): string {
  if (depth > depthMax) throw new Error(`a value is nested more than ${depthMax} levels deep`)
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (typeof value === 'string') return writeString(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number' || value instanceof Float) {
    const plain = value instanceof Float ? value.value : value
    return Number.isFinite(plain) ? pythonNumber(value) : 'null'
  }
  if (Array.isArray(value)) return `[${value.map(item => writePythonJson(item, depth + 1)).join(', ')}]`
  if (typeof value === 'object' && isPlain(value)) {
    const members = Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([name, item]) => `${writeString(name)}: ${writePythonJson(item, depth + 1)}`)
    return `{${members.join(', ')}}`
  }
  throw new Error(
    `a value of type ${(value as object)?.constructor?.name ?? typeof value} has no place in JSON`,
  )
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function writeString(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    letter => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
