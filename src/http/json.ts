// JSON on the wire: answers whose media type goes out exactly as given (Fastify would add a charset), and reading
// that is lenient about the media type but strict about depth, so that nothing downstream recurses without bound.

import type { FastifyReply } from 'fastify'
import type { Json } from '../core/json.ts'
import { refuse } from '../core/refusal.ts'

/** How deep a JSON document of a client may be nested; the deepest real ones known to us have 12 levels. */
export const jsonDepthMax = 64

/** Sends a value as JSON. The media type is `application/json`, without charset, unless said. */
export function sendJson(
  reply: FastifyReply,
  value: unknown,
  options: { mediaType?: string; indent?: number; newline?: boolean } = {},
): FastifyReply {
  const text = JSON.stringify(value, undefined, options.indent) + (options.newline ? '\n' : '')
  reply.header('content-type', options.mediaType ?? 'application/json')
  // With a serializer of its own an answer's media type is left alone, and text goes out as it is.
  return reply.serializer(asItIs).send(text)
}

function asItIs(text: unknown): string {
  return text as string
}

/** The value of a JSON text; refuses, as `bad-request`, what is not JSON, is nested too deeply, or sets a prototype. */
export function readJson(text: string | Uint8Array, options: { depthMax?: number } = {}): Json {
  const source = typeof text === 'string' ? text : decode(text)
  const depthMax = options.depthMax ?? jsonDepthMax
  if (depthOf(source, depthMax) > depthMax) {
    refuse('bad-request', `The JSON document is nested more than ${depthMax} levels deep`)
  }
  try {
    return JSON.parse(source, mayNamePrototype.test(source) ? refusePrototype : undefined)
  } catch (error) {
    // V8 quotes a piece of the text after the position; that much is useful, and short.
    return refuse('bad-request', `The body is not valid JSON: ${(error as Error).message}`)
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return refuse('bad-request', 'The body is not valid UTF-8')
  }
}

// A member called __proto__ is an ordinary one to JSON.parse, and a trap for whoever copies members later. Its
// letters may be written as escapes; documents that cannot have it are spared the slower way of parsing.
const mayNamePrototype = /__proto__|\\u00[567]/i

function refusePrototype(this: unknown, key: string, value: unknown): unknown {
  return key === '__proto__' ? refuse('bad-request', 'The JSON document has a member named __proto__') : value
}

/** The nesting depth of a JSON text, found without recursion; stops counting just past `enough`. */
export function depthOf(text: string, enough: number): number {
  // A document cannot be deeper than it has opening brackets; most requests are too short to matter.
  if (text.length <= enough) return 0
  let depth = 0
  let deepest = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x22) {
      at = endOfString(text, at + 1)
    } else if (code === 0x5b || code === 0x7b) {
      if (++depth > deepest) deepest = depth
      if (depth > enough) return depth
    } else if (code === 0x5d || code === 0x7d) {
      depth--
    }
  }
  return deepest
}

function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at !== -1; at = text.indexOf('"', at + 1)) {
    let slashes = 0
    while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++
    if (slashes % 2 === 0) return at
  }
  return text.length
}
