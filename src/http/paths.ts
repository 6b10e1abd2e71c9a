// Which dialect a path belongs to, and which methods a path has: asked only when no route fits a request.

import type { FastifyRequest } from 'fastify'

/** The path of a request's URL, without its query. */
export function pathOf(url: string): string {
  const query = url.indexOf('?')
  return query === -1 ? url : url.slice(0, query)
}

/** Whose claim covers a path: the longest one wins, and `/jobs` covers `/jobs` and `/jobs/…`, never `/jobsite`. */
export function claimFor<T>(claims: ReadonlyMap<string, T>, path: string): T | undefined {
  for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
    const found = claims.get(path.slice(0, end))
    if (found !== undefined) return found
  }
  return undefined
}

/** The route patterns of a scope, for telling "no such path" from "not with this method". */
export class PathTable {
  readonly #patterns = new Map<string, { test: RegExp; methods: Set<string> }>()

  add(pattern: string, methods: readonly string[]): void {
    let known = this.#patterns.get(pattern)
    if (known === undefined) {
      known = { test: patternTest(pattern), methods: new Set() }
      this.#patterns.set(pattern, known)
    }
    for (const method of methods) known.methods.add(method)
  }

  /** The methods that routes for this path have, in order of the alphabet; none when no pattern fits. */
  methods(path: string): string[] {
    const found = new Set<string>()
    for (const { test, methods } of this.#patterns.values()) {
      if (test.test(path)) for (const method of methods) found.add(method)
    }
    return [...found].sort()
  }
}

/**
 * For a dialect's not-found handler: the methods that the requested path does have. Not empty means 405 with this as
 * `Allow`, where the original answers so; empty means 404.
 */
export function allowedMethods(request: FastifyRequest): string[] {
  const config = request.routeOptions.config as { allowed?: (path: string) => string[] }
  return config.allowed?.(pathOf(request.url)) ?? []
}

// The patterns of find-my-way: `:name`, `:name(regex)`, several parameters in one segment, `*` at the end, `?` after
// an optional last parameter, `::` for a colon.
function patternTest(pattern: string): RegExp {
  let source = ''
  for (let at = 0; at < pattern.length; ) {
    const char = pattern[at]!
    if (char === '*') {
      source += '.*'
      at++
    } else if (char === ':' && pattern[at + 1] === ':') {
      source += ':'
      at += 2
    } else if (char === ':') {
      at++
      while (at < pattern.length && /\w/.test(pattern[at]!)) at++
      if (pattern[at] === '(') {
        const end = closingBracket(pattern, at)
        source += `(?:${pattern.slice(at + 1, end)})`
        at = end + 1
      } else {
        source += '[^/]+'
      }
      if (pattern[at] === '?') {
        source = source.replace(/\/(\[\^\/\]\+)$/, '(?:/$1)?')
        at++
      }
    } else {
      source += char.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
      at++
    }
  }
  return new RegExp(`^${source}$`)
}

function closingBracket(pattern: string, open: number): number {
  let depth = 0
  for (let at = open; at < pattern.length; at++) {
    if (pattern[at] === '\\') at++
    else if (pattern[at] === '(') depth++
    else if (pattern[at] === ')' && --depth === 0) return at
  }
  return pattern.length
}
