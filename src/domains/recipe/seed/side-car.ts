// Side-car metadata: a GeoJSON file beside a product that says when, where and by what it was sensed
// (contracts/scale.md §5.5). Also how such facts are inherited from inputs to jobs, recipes and products.

import { isObject, type Json, type JsonObject } from '../../../core/json.ts'

/** When and by what something was sensed. Times are instants in epoch milliseconds. */
export interface SourceFacts {
  readonly dataStartedAt?: number
  readonly dataEndedAt?: number
  readonly sourceStartedAt?: number
  readonly sourceEndedAt?: number
  readonly sourceSensorClass?: string
  readonly sourceSensor?: string
  readonly sourceCollection?: string
  readonly sourceTask?: string
}

/** What a side-car file says. */
export interface SideCar {
  readonly facts: SourceFacts
  readonly geometry?: JsonObject
  readonly metaData: JsonObject
}

const times = [
  ['dataStarted', 'dataStartedAt'],
  ['dataEnded', 'dataEndedAt'],
  ['sourceStarted', 'sourceStartedAt'],
  ['sourceEnded', 'sourceEndedAt'],
] as const
const texts = ['sourceSensorClass', 'sourceSensor', 'sourceCollection', 'sourceTask'] as const
const geometryTypes = new Set([
  'Point',
  'MultiPoint',
  'LineString',
  'MultiLineString',
  'Polygon',
  'MultiPolygon',
])

/** Reads a side-car's text; undefined when it says nothing usable (not JSON, a collection). */
export function readSideCar(text: string): SideCar | undefined {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    // A broken description must not cost the product it describes.
    return undefined
  }
  if (!isObject(document)) return undefined
  const metaData = document as JsonObject
  if (isGeometry(document)) return { facts: {}, geometry: metaData, metaData }
  if (document['type'] !== 'Feature') return undefined
  const properties = isObject(document['properties']) ? document['properties'] : {}
  const facts: Record<string, number | string> = {}
  for (const [from, to] of times) {
    const at = typeof properties[from] === 'string' ? Date.parse(properties[from]) : Number.NaN
    if (!Number.isNaN(at)) facts[to] = at
  }
  for (const name of texts) if (typeof properties[name] === 'string') facts[name] = properties[name]
  return {
    facts: facts as SourceFacts,
    ...(isGeometry(document['geometry']) && { geometry: document['geometry'] as JsonObject }),
    metaData,
  }
}

/** The facts of something made from several sources: the earliest start, the latest end, the last of the words. */
export function mergeSources(sources: Iterable<SourceFacts>): SourceFacts {
  const merged: Record<string, number | string> = {}
  const take = (
    name: string,
    value: number | string | undefined,
    isBetter: (a: never, b: never) => boolean,
  ): void => {
    if (value === undefined) return
    if (merged[name] === undefined || isBetter(value as never, merged[name] as never)) merged[name] = value
  }
  const earlier = (a: number, b: number): boolean => a < b
  const later = (a: number | string, b: number | string): boolean => a > b
  for (const source of sources) {
    take('sourceStartedAt', source.sourceStartedAt, earlier)
    take('sourceEndedAt', source.sourceEndedAt, later)
    for (const name of texts) take(name, source[name], later)
  }
  return merged as SourceFacts
}

/** A geometry as well-known text, as files show it; undefined when it has no sane coordinates. */
export function wellKnownText(geometry: JsonObject): string | undefined {
  const type = String(geometry['type']).toUpperCase()
  const body = writeCoordinates(geometry['coordinates'], 0)
  return body === undefined ? undefined : `${type} ${type === 'POINT' ? `(${body})` : body}`
}

function writeCoordinates(value: Json | undefined, depth: number): string | undefined {
  if (!Array.isArray(value) || value.length === 0 || depth > 4) return undefined
  if (value.every(item => typeof item === 'number')) return value.join(' ')
  const parts = value.map(item => writeCoordinates(item, depth + 1))
  return parts.every(part => part !== undefined) ? `(${parts.join(', ')})` : undefined
}

function isGeometry(value: unknown): boolean {
  return isObject(value) && geometryTypes.has(String(value['type'])) && Array.isArray(value['coordinates'])
}
