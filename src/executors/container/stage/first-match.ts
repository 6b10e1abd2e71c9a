// The first thing that a pattern of a shell matches: `*`, `?` and `[...]` within each part of a path.

import { readdir } from 'node:fs/promises'
import { type InsideRoot, openInside, pathOf } from './inside-path.ts'

/** Directories with more entries than this are not searched to their end. */
const entriesMax = 100_000

/** Whether a path has something of a pattern in it. */
export function isPattern(path: string): boolean {
  return /[*?[]/.test(path)
}

/** The path of the first match in order of names; undefined when nothing matches. */
export async function firstMatch(root: InsideRoot, pattern: string): Promise<string | undefined> {
  return search(
    root,
    '',
    pattern.split('/').filter(part => part !== '' && part !== '.'),
  )
}

async function search(
  root: InsideRoot,
  before: string,
  parts: readonly string[],
): Promise<string | undefined> {
  const [part, ...rest] = parts
  if (part === undefined) return before
  if (!isPattern(part)) {
    const path = joined(before, part)
    if (rest.length > 0) return search(root, path, rest)
    return (await exists(root, path)) ? path : undefined
  }
  const matches = partTest(part)
  for (const name of await namesIn(root, before)) {
    if (!matches(name)) continue
    const found = await search(root, joined(before, name), rest)
    if (found !== undefined && (rest.length > 0 || (await exists(root, found)))) return found
  }
  return undefined
}

async function exists(root: InsideRoot, path: string): Promise<boolean> {
  const handle = await openInside(root, path)
  await handle?.close()
  return handle !== undefined
}

async function namesIn(root: InsideRoot, path: string): Promise<string[]> {
  const handle = await openInside(root, path)
  if (handle === undefined) return []
  try {
    if (!(await handle.stat()).isDirectory()) return []
    return (await readdir(pathOf(handle))).slice(0, entriesMax).sort()
  } finally {
    await handle.close()
  }
}

function joined(before: string, part: string): string {
  return before === '' ? part : `${before}/${part}`
}

/** A test for one part of a pattern. Names that begin with a dot match only where the pattern begins with one. */
export function partTest(pattern: string): (name: string) => boolean {
  const tokens = tokensOf(pattern)
  return name => (name.startsWith('.') && !pattern.startsWith('.') ? false : fits(tokens, name))
}

type Token = { readonly any: true } | { readonly one: (char: string) => boolean }

function tokensOf(pattern: string): Token[] {
  const chars = [...pattern]
  const tokens: Token[] = []
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at]!
    if (char === '*') tokens.push({ any: true })
    else if (char === '?') tokens.push({ one: () => true })
    else {
      const end = char === '[' ? chars.indexOf(']', chars[at + 1] === '!' ? at + 3 : at + 2) : -1
      if (end < 0) tokens.push({ one: other => other === char })
      else {
        tokens.push({ one: setOf(chars.slice(at + 1, end)) })
        at = end
      }
    }
  }
  return tokens
}

function setOf(chars: readonly string[]): (char: string) => boolean {
  const isNot = chars[0] === '!'
  const set = isNot ? chars.slice(1) : chars
  return char => {
    let isIn = false
    for (let at = 0; at < set.length; at++) {
      if (set[at + 1] === '-' && at + 2 < set.length) {
        isIn ||= set[at]! <= char && char <= set[at + 2]!
        at += 2
      } else isIn ||= set[at] === char
    }
    return isIn !== isNot
  }
}

/** Linear in the text for each star: on a mismatch only the last star takes one more character. */
function fits(tokens: readonly Token[], text: string): boolean {
  const chars = [...text]
  let at = 0
  let token = 0
  let star = -1
  let starAt = 0
  while (at < chars.length) {
    const now = tokens[token]
    if (now !== undefined && 'any' in now) {
      star = token++
      starAt = at
    } else if (now?.one(chars[at]!)) {
      token++
      at++
    } else if (star >= 0) {
      token = star + 1
      at = ++starAt
    } else return false
  }
  return tokens.slice(token).every(left => 'any' in left)
}
