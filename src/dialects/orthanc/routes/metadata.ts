// Metadata of resources: facts that are not in the DICOM file, by name or number.

import { createHash } from 'node:crypto'
import { type Level, levels } from '../../../domains/dicom/levels.ts'
import { metadataNumbers, type Resource } from '../../../domains/dicom/store/bodies.ts'
import { dicomTime } from '../../../domains/dicom/store/time.ts'
import { type Answer, type Call, emptyText, json } from '../call.ts'
import { codes, fail } from '../errors.ts'
import type { House } from '../house.ts'
import { levelPaths } from '../shapes.ts'
import type { Routes } from './route.ts'

/** Users may write from here on. */
export const userNumberMin = 1024

export const metadataRoutes: Routes = (add, house) => {
  for (const level of levels) {
    const base = `/${levelPaths[level]}/{id}/metadata`
    add('GET', base, call => listMetadata(house, call, level))
    add('GET', `${base}/{name}`, async call => {
      // A number that no metadata can have is merely absent.
      const isBeyond = Number(call.param('name')) > 65_535
      const number = isBeyond ? -1 : readNumber(house, call.param('name'))
      const resource = await need(house, level, call)
      const found = metadataOf(house, resource)[number]
      if (!found) return undefined
      const etag = etagOf(found[1], found[0])
      return unchanged(call, etag) ?? { text: found[0], headers: { etag } }
    })
    add('PUT', `${base}/{name}`, call => putMetadata(house, call, level))
    add('DELETE', `${base}/{name}`, async call => {
      const number = readNumber(house, call.param('name'))
      if (number < userNumberMin) return { status: 403 }
      const resource = await need(house, level, call)
      const found = resource.body.meta[number]
      if (!found) fail(codes.unknownResource)
      checkRevision(house, call, etagOf(found[1], found[0]))
      await house.archive.change.dropMetadata(level, resource.id, number)
      return emptyText
    })
  }
}

async function need(house: House, level: Level, call: Call): Promise<Resource> {
  return (await house.archive.browse.get(level, call.param('id'))) ?? fail(codes.unknownResource)
}

/** What the resource has; while it is growing, its last update is in memory only. */
function metadataOf(house: House, { id, body }: Resource) {
  const lastAt = house.archive.stability.lastAt(id)
  if (lastAt === undefined) return body.meta
  const revision = body.meta[metadataNumbers.LastUpdate]?.[1] ?? 0
  return { ...body.meta, [metadataNumbers.LastUpdate]: [dicomTime(lastAt), revision] as [string, number] }
}

/** The metadata of a resource: their names, or with `expand` what they are. */
export async function listMetadata(house: House, call: Call, level: Level): Promise<Answer> {
  const resource = await need(house, level, call)
  const shown = showMetadata(house, resource)
  return json(call.has('expand') ? shown : Object.keys(shown))
}

/** All metadata of a resource, by name, in order of their numbers. */
export function showMetadata(house: House, resource: Resource): Record<string, string> {
  const shown: Record<string, string> = {}
  for (const [number, [text]] of Object.entries(metadataOf(house, resource))) {
    shown[nameOf(house, Number(number))] = text
  }
  return shown
}

async function putMetadata(house: House, call: Call, level: Level): Promise<Answer> {
  const number = readNumber(house, call.param('name'))
  if (number < userNumberMin) return { status: 403 }
  const resource = await need(house, level, call)
  const before = resource.body.meta[number]
  if (before) checkRevision(house, call, etagOf(before[1], before[0]))
  const text = await call.text()
  const revision = await house.archive.change.setMetadata(level, resource.id, number, text)
  if (revision === undefined) return undefined
  return { text: '', headers: { etag: etagOf(revision, text) } }
}

/** What a client has seen must still be there when it says so; where revisions are checked, it has to say so. */
export function checkRevision(house: House, call: Call, etag: string): void {
  const seen = call.request.headers['if-match']?.trim()
  if (seen === undefined && !house.settings.checksRevisions) return
  if (seen !== etag) fail(codes.revision)
}

/** The answer to a client that has seen what is there already. */
export function unchanged(call: Call, etag: string): Answer {
  return call.request.headers['if-none-match']?.trim() === etag
    ? { status: 304, headers: { etag } }
    : undefined
}

/** The tag of one revision of a metadata or attachment, by its content. */
export function etagOf(revision: number, text: string | { md5: string }): string {
  const md5 = typeof text === 'string' ? createHash('md5').update(text, 'utf8').digest('hex') : text.md5
  return `"${revision}-${md5}"`
}

function readNumber(house: House, name: string): number {
  const known =
    (metadataNumbers as Readonly<Record<string, number>>)[name] ?? house.settings.userMetadata.get(name)
  if (known !== undefined) return known
  if (/^\d{1,5}$/.test(name) && Number(name) <= 65_535) return Number(name)
  return fail(codes.inexistentItem)
}

function nameOf(house: House, number: number): string {
  for (const [name, known] of Object.entries(metadataNumbers)) if (known === number) return name
  for (const [name, known] of house.settings.userMetadata) if (known === number) return name
  return String(number)
}
