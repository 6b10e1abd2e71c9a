// The four levels of the archive: lists, details, children, ancestors, statistics, modules, deletion.

import { isObject, type Json, type JsonObject } from '../../../core/json.ts'
import { type Level, levels, moduleTags } from '../../../domains/dicom/levels.ts'
import type { TagForm } from '../../../domains/dicom/show-tags.ts'
import type { Resource } from '../../../domains/dicom/store/bodies.ts'
import { summarise } from '../../../domains/dicom/summary.ts'
import { type Call, emptyText, json, nothingToSay, readSwitch, text } from '../call.ts'
import { codes, fail, OrthancError } from '../errors.ts'
import { showInstanceTags, tagForm, withDataSet } from '../files.ts'
import { defaultTerm, type House } from '../house.ts'
import { integer } from '../numbers.ts'
import { levelPaths, showReference, showResource, showSize } from '../shapes.ts'
import type { Routes } from './route.ts'

export const resourceRoutes: Routes = (add, house) => {
  for (const level of levels) addLevel(add, house, level)

  add('GET', '/patients/{id}/protected', async call => {
    const patient = await house.archive.browse.get('patient', call.param('id'))
    return patient && text(patient.body.isProtected ? '1' : '0')
  })
  add('PUT', '/patients/{id}/protected', async call => {
    const isProtected = readSwitch(await call.text())
    return (await house.archive.change.protect(call.param('id'), isProtected)) ? emptyText : undefined
  })
  add('GET', '/studies/{id}/module-patient', call => showModule(house, call, 'study', 'patient'))
  add('POST', '/tools/reconstruct', async () => {
    for await (const patient of house.archive.browse.all('patient')) await reconstruct(house, patient)
    return nothingToSay
  })
}

function addLevel(add: Parameters<Routes>[0], house: House, level: Level): void {
  const { archive } = house
  const base = `/${levelPaths[level]}`
  const own = (call: Call): Promise<Resource | undefined> => archive.browse.get(level, call.param('id'))

  add('GET', base, call => listResources(house, call, level))
  add('GET', `${base}/{id}`, async call => {
    const resource = await own(call)
    return resource && json(await showResource(house, resource, tagForm(call, 'simplified')))
  })
  add('DELETE', `${base}/{id}`, async call => {
    const removed = await archive.remove(level, call.param('id'))
    if (!removed) return undefined
    const { remaining } = removed
    return json({ RemainingAncestor: remaining ? showReference(remaining.level, remaining.id) : null })
  })
  add('GET', `${base}/{id}/statistics`, async call => {
    const resource = await need(own(call))
    const { counts, ...sizes } = await archive.measure(resource)
    const shown: JsonObject = {}
    if (level === 'patient') shown['CountStudies'] = counts.study
    if (level === 'patient' || level === 'study') shown['CountSeries'] = counts.series
    if (level !== 'instance') shown['CountInstances'] = counts.instance
    return json({
      ...shown,
      ...showSize('DicomDiskSize', sizes.dicomDiskBytes),
      ...showSize('DicomUncompressedSize', sizes.dicomBytes),
      ...showSize('DiskSize', sizes.diskBytes),
      ...showSize('UncompressedSize', sizes.bytes),
    })
  })
  add('GET', `${base}/{id}/module`, call => showModule(house, call, level, level))
  add('POST', `${base}/{id}/reconstruct`, async call => {
    await reconstruct(house, await need(own(call)))
    return nothingToSay
  })

  for (const below of levels.slice(levels.indexOf(level) + 1)) {
    add('GET', `${base}/{id}/${levelPaths[below]}`, async call => {
      const shown: JsonObject[] = []
      const form = tagForm(call, 'simplified')
      for await (const child of archive.browse.descendants(await need(own(call)), below)) {
        shown.push(await showResource(house, child, form))
      }
      return json(shown)
    })
  }
  for (const above of levels.slice(0, levels.indexOf(level))) {
    add('GET', `${base}/{id}/${above}`, async call => {
      const ancestor = await archive.browse.ancestor(await need(own(call)), above)
      return ancestor && json(await showResource(house, ancestor, tagForm(call, 'simplified')))
    })
  }
  if (level === 'instance') return
  add('GET', `${base}/{id}/shared-tags`, call => showSharedTags(house, call, level))
  add('GET', `${base}/{id}/instances-tags`, async call => {
    const form = tagForm(call, 'full')
    const shown: JsonObject = {}
    for await (const instance of archive.browse.descendants(await need(own(call)), 'instance')) {
      shown[instance.id] = await showInstanceTags(house, instance, call, { form })
    }
    return json(shown)
  })
}

async function need(resource: Promise<Resource | undefined>): Promise<Resource> {
  return (await resource) ?? fail(codes.unknownResource)
}

/** The ids of a level, or its objects; in order of arrival, a part of them when `since` and `limit` are given. */
async function listResources(house: House, call: Call, level: Level) {
  const { browse } = house.archive
  const since = call.query.get('since')
  const limit = call.query.get('limit')
  if ((since === null) !== (limit === null)) {
    const missing = since === null ? 'since' : 'limit'
    fail(codes.badRequest, `Missing "${missing}" argument for GET request against: /${levelPaths[level]}/`)
  }
  const found: Resource[] = []
  if (since !== null && limit !== null) {
    // The original reads them without a sign: a negative limit is none at all.
    const most = integer(limit) < 0 ? Number.MAX_SAFE_INTEGER : integer(limit)
    found.push(...(await browse.slice(level, Math.max(0, integer(since)), most)))
  } else {
    for await (const resource of browse.all(level)) found.push(resource)
  }
  if (!call.has('expand')) return json(found.map(resource => resource.id))
  const form = tagForm(call, 'simplified')
  const shown: JsonObject[] = []
  for (const resource of found) shown.push(await showResource(house, resource, form))
  return json(shown)
}

/** The tags of a DICOM module, taken from the first instance. */
async function showModule(house: House, call: Call, level: Level, module: Level) {
  const { browse } = house.archive
  const resource = await need(browse.get(level, call.param('id')))
  const instance = await browse.firstInstance(resource)
  if (!instance) throw new OrthancError(codes.unknownResource)
  const only = new Set(moduleTags[module])
  return json(await showInstanceTags(house, instance, call, { form: tagForm(call, 'full'), only }))
}

/** Tags that all instances have with the same text. Sequences, bytes and texts that are too long are left out. */
async function showSharedTags(house: House, call: Call, level: Level) {
  const { browse } = house.archive
  const resource = await need(browse.get(level, call.param('id')))
  let shared: JsonObject | undefined
  for await (const instance of browse.descendants(resource, 'instance')) {
    const shown = await showInstanceTags(house, instance, call, { form: 'full' })
    shared ??= shown
    for (const tag of Object.keys(shared)) {
      if (!isText(shared[tag]) || JSON.stringify(shared[tag]) !== JSON.stringify(shown[tag]))
        delete shared[tag]
    }
  }
  return json(inForm(shared ?? {}, tagForm(call, 'full')))
}

function isText(shown: unknown): boolean {
  return isObject(shown) && shown['Type'] === 'String'
}

/** Tags that are shown in full, in one of the shorter forms. */
function inForm(shown: JsonObject, form: TagForm): JsonObject {
  if (form === 'full') return shown
  const short: JsonObject = {}
  for (const [tag, { Name, Value }] of Object.entries(shown as Record<string, { Name: string; Value: Json }>))
    short[form === 'short' ? tag : Name] = Value
  return short
}

/** Reads the files again, and takes the main tags from there. */
export async function reconstruct(house: House, resource: Resource): Promise<void> {
  await house.archive.change.reconstruct(resource, instance =>
    withDataSet(house, instance, set => summarise(set, defaultTerm(house)), 'top'),
  )
}
