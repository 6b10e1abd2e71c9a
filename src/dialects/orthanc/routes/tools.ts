// Tools over many resources: find, lookup, bulk content and deletion; the logs of changes and exports.

import type { JsonObject } from '../../../core/json.ts'
import { isObject } from '../../../core/json.ts'
import { type Level, levels } from '../../../domains/dicom/levels.ts'
import type { TagForm } from '../../../domains/dicom/show-tags.ts'
import type { Resource } from '../../../domains/dicom/store/bodies.ts'
import { clearChanges, lastChange, listChanges, newestSeq } from '../../../domains/dicom/store/change-log.ts'
import { findResources } from '../../../domains/dicom/store/find.ts'
import { normalise } from '../../../domains/dicom/store/normalise.ts'
import type { Tag } from '../../../domains/dicom/tag.ts'
import { type Answer, type Call, emptyText, json } from '../call.ts'
import { clearExports, listExports } from '../dicom/exports.ts'
import { codes, fail } from '../errors.ts'
import { readTexts } from '../files.ts'
import type { House } from '../house.ts'
import { integer } from '../numbers.ts'
import { flag, parseLenient, texts } from '../read-json.ts'
import { levelPaths, showChange, showReference, showResource } from '../shapes.ts'
import { showMetadata } from './metadata.ts'
import type { Routes } from './route.ts'

export const toolRoutes: Routes = (add, house) => {
  add('POST', '/tools/find', call => find(house, call))
  add('POST', '/tools/lookup', call => lookUp(house, call))
  add('POST', '/tools/bulk-delete', call => bulkDelete(house, call))
  add('POST', '/tools/bulk-content', call => bulkContent(house, call))

  add('GET', '/changes', call => showChanges(house, call))
  add('DELETE', '/changes', async () => {
    await clearChanges(house.kit.records, house.archive.parts.write)
    return emptyText
  })
  add('GET', '/exports', async call => {
    if (call.has('last')) return json(await listExports(house, 'last'))
    const since = Math.max(0, integer(call.query.get('since') ?? '0'))
    const limit = integer(call.query.get('limit') ?? '100') || 100
    return json(await listExports(house, { since, limit: Math.min(Math.max(1, limit), 10_000) }))
  })
  add('DELETE', '/exports', async () => {
    await clearExports(house)
    return emptyText
  })
}

const levelNamed = new Map<string, Level>([
  ...levels.map(level => [level, level] as const),
  ...levels.map(level => [levelPaths[level], level] as const),
])

/** The level that a body names: in any case, one or many. */
function levelOf(name: unknown): Level | undefined {
  return typeof name === 'string' ? levelNamed.get(name.toLowerCase()) : undefined
}

async function find(house: House, call: Call): Promise<Answer> {
  const body = parseLenient(await call.text())
  if (!isObject(body)) fail(codes.badRequest, 'The body must contain a JSON object')
  if (typeof body['Level'] !== 'string')
    fail(codes.badRequest, 'Field "Level" is missing, or should be a string')
  if (!isObject(body['Query'])) fail(codes.badRequest, 'Field "Query" is missing, or should be a JSON object')
  const level = levelOf(body['Level'])
  if (level === undefined) fail(codes.outOfRange)
  const query = Object.entries(body['Query']).map(([name, value]): [Tag, string] => {
    const tag = house.dictionary.readTag(name)
    if (typeof value !== 'string') fail(codes.badRequest, `Tag "${name}" should be associated with a string`)
    return [tag, value]
  })
  const given = { limit: count(body, 'Limit'), since: count(body, 'Since') ?? 0 }
  const { findLimit, findInstancesLimit } = house.settings
  const limit =
    given.limit || (level === 'instance' ? findInstancesLimit : findLimit) || Number.POSITIVE_INFINITY
  // CaseSensitivePN is about the DICOM network: here the body says.
  const search = { level, query, isCaseSensitive: switchOf(body, 'CaseSensitive') ?? false }
  const form = formOf(body)
  const expands = switchOf(body, 'Expand') ?? false

  const found: unknown[] = []
  let skip = given.since
  const tools = {
    dictionary: house.dictionary,
    readTags: (instance: Resource, wanted: readonly Tag[]) => readTexts(house, instance, wanted),
  }
  for await (const resource of findResources(house.archive.browse, search, tools)) {
    if (skip-- > 0) continue
    found.push(expands ? await showResource(house, resource, form) : resource.id)
    if (found.length >= limit) break
  }
  return json(found)
}

function switchOf(body: Readonly<Record<string, unknown>>, name: string): boolean | undefined {
  const value = body[name]
  if (value !== undefined && typeof value !== 'boolean') {
    fail(codes.badRequest, `Field "${name}" should be a Boolean`)
  }
  return value
}

function count(body: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = body[name]
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    fail(codes.badRequest, `Field "${name}" should be an integer`)
  }
  if (value < 0) fail(codes.outOfRange, `Field "${name}" should be a positive integer`)
  return value
}

function formOf(body: Readonly<Record<string, unknown>>): TagForm {
  if (body['Short'] === true) return 'short'
  return body['Full'] === true ? 'full' : 'simplified'
}

/** Resources whose DICOM identifier is the text of the body. */
async function lookUp(house: House, call: Call): Promise<Answer> {
  const wanted = normalise((await call.text()).replace(/\0+$/, ''))
  const keys: [Level, string][] = [
    ['patient', '0010,0020'],
    ['study', '0020,000d'],
    ['series', '0020,000e'],
    ['instance', '0008,0018'],
  ]
  const found: JsonObject[] = []
  if (wanted === '') return json(found)
  for (const [level, tag] of keys) {
    for await (const { id } of house.archive.browse.having(level, tag, wanted))
      found.push(showReference(level, id))
  }
  return json(found)
}

async function readJsonBody(call: Call): Promise<Record<string, unknown>> {
  const body = parseLenient(await call.text())
  if (!isObject(body)) fail(codes.badRequest, 'The body must contain a JSON object')
  return body
}

async function bulkDelete(house: House, call: Call): Promise<Answer> {
  const ids = texts(await readJsonBody(call), 'Resources')
  for (const id of ids) {
    // What went with a parent that was deleted before is not missed.
    const resource = await house.archive.browse.any(id)
    if (resource) await house.archive.remove(resource.level, id)
  }
  return emptyText
}

async function bulkContent(house: House, call: Call): Promise<Answer> {
  const body = await readJsonBody(call)
  const ids = texts(body, 'Resources')
  const level = body['Level'] === undefined ? undefined : levelOf(body['Level'])
  if (body['Level'] !== undefined && level === undefined) fail(codes.outOfRange)
  const withMetadata = flag(body, 'Metadata') ?? true
  const form = formOf(body)
  const shown = new Map<string, JsonObject>()
  for (const id of ids) {
    const resource = await house.archive.browse.any(id)
    if (!resource) continue
    for await (const each of atLevel(house, resource, level)) {
      if (shown.has(each.id)) continue
      const object = await showResource(house, each, form)
      shown.set(each.id, withMetadata ? { ...object, Metadata: showMetadata(house, each) } : object)
    }
  }
  return json([...shown.values()])
}

/** What a resource is at another level: an ancestor, or everything below. */
async function* atLevel(
  house: House,
  resource: Resource,
  level: Level | undefined,
): AsyncGenerator<Resource> {
  if (level === undefined) yield resource
  else if (levels.indexOf(level) >= levels.indexOf(resource.level)) {
    yield* house.archive.browse.descendants(resource, level)
  } else {
    const ancestor = await house.archive.browse.ancestor(resource, level)
    if (ancestor) yield ancestor
  }
}

async function showChanges(house: House, call: Call): Promise<Answer> {
  const { records } = house.kit
  if (call.has('last')) {
    const last = await lastChange(records)
    const seq = last?.seq ?? (await newestSeq(records))
    return json({ Changes: last ? [showChange(last)] : [], Done: true, Last: seq })
  }
  // When one of them is no number, both are passed over, as the original does.
  const given = [call.query.get('since') ?? '0', call.query.get('limit') ?? '100']
  const [since, limit] = given.every(text => /^-?\d{1,15}$/.test(text))
    ? [Math.max(0, Number(given[0])), Number(given[1])]
    : [0, 100]
  if (limit <= 0) {
    const newest = await newestSeq(records)
    return json({ Changes: [], Done: limit < 0 || newest <= since, Last: newest })
  }
  const { changes, isDone } = await listChanges(records, {
    since,
    limit: Math.min(limit, 10_000),
  })
  const last = changes.at(-1)?.seq ?? (await newestSeq(records))
  return json({ Changes: changes.map(showChange), Done: isDone, Last: last })
}
