// JSON as the original reads it: comments are allowed, and so are bare control characters inside strings and a comma
// behind the last member.

import { isObject } from '../../core/json.ts'
import { codes, fail } from './errors.ts'

/** Parses lenient JSON; undefined when it is not JSON at all. */
export function parseLenient(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    // Comments, or bare line ends in strings: rewritten, and read again.
  }
  try {
    return JSON.parse(strict(text)) as unknown
  } catch {
    return undefined
  }
}

/** The body of a request as an object; refused with `code` when it is anything else. */
export function readObject(bytes: Uint8Array, code: number = codes.badFormat): Record<string, unknown> {
  const value = parseLenient(Buffer.from(bytes).toString('utf8'))
  if (!isObject(value)) fail(code)
  return value
}

/** Takes comments out, and escapes control characters in strings. */
function strict(text: string): string {
  const out: string[] = []
  let from = 0
  let at = 0
  const flush = (to: number): void => {
    if (to > from) out.push(text.slice(from, to))
  }
  while (at < text.length) {
    const char = text[at]!
    if (char === '"') {
      at++
      while (at < text.length && text[at] !== '"') {
        if (text[at] === '\\') at++
        else if (text[at]! < ' ') {
          flush(at)
          out.push(`\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`)
          from = at + 1
        }
        at++
      }
      at++
    } else if (char === '/' && (text[at + 1] === '/' || text[at + 1] === '*')) {
      flush(at)
      const end = text[at + 1] === '/' ? text.indexOf('\n', at) : text.indexOf('*/', at + 2)
      at = end < 0 ? text.length : text[at + 1] === '/' ? end : end + 2
      from = at
    } else at++
  }
  flush(at)
  return withoutLastCommas(out.join(''))
}

/** Takes commas away that nothing but a bracket follows; strings stay as they are. */
function withoutLastCommas(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"?|,(?=\s*[}\]])/g, found => (found === ',' ? '' : found))
}

// ---- members of bodies, with the original's words when they are not what they should be ----

/** A boolean member; undefined when it is absent, bad format when it is anything else. */
export function flag(body: Readonly<Record<string, unknown>>, name: string): boolean | undefined {
  const value = body[name]
  if (value === undefined) return undefined
  if (typeof value !== 'boolean') fail(codes.badFormat, `Boolean value expected in field: ${name}`)
  return value
}

/** An integer member; undefined when it is absent, bad format when it is anything else. */
export function integer(body: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = body[name]
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    fail(codes.badFormat, `Integer value expected in field: ${name}`)
  }
  return value
}

/** A member that has to be a list of texts; bad format when it is not. */
export function texts(body: Readonly<Record<string, unknown>>, name: string): string[] {
  const value = body[name]
  if (!Array.isArray(value) || !value.every(item => typeof item === 'string')) {
    fail(codes.badFormat, `List of strings expected in field: ${name}`)
  }
  return value
}
