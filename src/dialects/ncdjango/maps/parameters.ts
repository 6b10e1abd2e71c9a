// The parameters of map requests: names in any case, from the query or a posted form, empty ones as if absent.

import type { FastifyRequest } from 'fastify'
import { refuse } from '../../../core/refusal.ts'
import { textOfEpsg } from '../../../domains/raster/projection/epsg.ts'
import { readJson } from '../../../http/json.ts'

export class Parameters {
  readonly #values = new Map<string, string>()

  constructor(request: FastifyRequest) {
    const query = request.url.indexOf('?')
    const sources = [new URLSearchParams(query === -1 ? '' : request.url.slice(query + 1))]
    if (request.method === 'POST' && Buffer.isBuffer(request.body))
      sources.push(new URLSearchParams(request.body.toString('utf8')))
    for (const source of sources)
      for (const [name, value] of source)
        if (value.trim() !== '') this.#values.set(name.toLowerCase(), value.trim())
  }

  text(name: string): string | undefined {
    return this.#values.get(name.toLowerCase())
  }

  number(name: string): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = Number(text)
    return Number.isFinite(value) ? value : wrong(name, 'must be a number')
  }

  need(name: string): string {
    return this.text(name) ?? wrong(name, 'is missing')
  }

  /** Numbers separated by commas. */
  numbers(name: string, count: number): number[] | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const values = text.split(',').map(part => (part.trim() === '' ? Number.NaN : Number(part)))
    if (values.length !== count || !values.every(Number.isFinite)) wrong(name, `must be ${count} numbers`)
    return values
  }

  /** A JSON document. */
  json(name: string): unknown {
    const text = this.text(name)
    if (text === undefined) return undefined
    try {
      return readJson(text)
    } catch {
      return wrong(name, 'is not valid JSON')
    }
  }

  /** A projection by its number, alone or as `{"wkid": n}`. */
  projection(name: string): string | undefined {
    const text = this.text(name)
    return text === undefined
      ? undefined
      : readProjection(text.startsWith('{') ? this.json(name) : text, name)
  }
}

/** The PROJ.4 text of a spatial reference. */
export function readProjection(value: unknown, name: string): string {
  const reference = typeof value === 'object' && value !== null ? (value as { wkid?: unknown }).wkid : value
  const code = Number(reference)
  return (
    (Number.isInteger(code) ? textOfEpsg(code) : undefined) ??
    wrong(name, 'is not a projection that is known here')
  )
}

/** Refuses a parameter. */
export function wrong(name: string, text: string): never {
  return refuse('bad-field', `${name} ${text}`, { field: name })
}
