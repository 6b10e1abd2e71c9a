// POST /tools/create-dicom: new instances from tags, images and PDFs.

import { isObject } from '../../../core/json.ts'
import { createInstance, type Draft, type Parent } from '../../../domains/dicom/create.ts'
import { type Tag, tags } from '../../../domains/dicom/tag.ts'
import { makeUid, makeUuid } from '../../../domains/dicom/uid.ts'
import { type Answer, type Call, json } from '../call.ts'
import { codes, fail } from '../errors.ts'
import { withDataSet } from '../files.ts'
import { defaultTerm, type House } from '../house.ts'
import { readObject } from '../read-json.ts'
import { showStored } from '../shapes.ts'
import { receiveBytes } from '../upload.ts'
import { originOf } from './instances.ts'
import type { Routes } from './route.ts'

export const createRoutes: Routes = (add, house) => {
  add('POST', '/tools/create-dicom', call => create(house, call))
}

async function create(house: House, call: Call): Promise<Answer> {
  const body = readObject(await call.bytes(), codes.badRequest)
  if (body['Tags'] === undefined) return createOld(house, call, body)
  const { Tags: given, Content: content } = body
  if (!isObject(given)) fail(codes.badRequest)
  const privateCreator = optionalText(body, 'PrivateCreator')
  const draft: Omit<Draft, 'parent'> = {
    tags: given,
    readsBinary: switchOf(body, 'InterpretBinaryTags') ?? true,
    force: switchOf(body, 'Force') ?? false,
    isBare: false,
    ...(privateCreator === undefined ? {} : { privateCreator }),
  }
  if (content !== undefined && typeof content !== 'string' && !Array.isArray(content)) fail(codes.contentForm)
  const parentId = body['Parent']
  if (parentId !== undefined && typeof parentId !== 'string') fail(codes.noParent)
  return withParent(house, parentId, async parent => {
    const whole: Draft = parent ? { ...draft, parent } : draft
    if (Array.isArray(content) && content.length > 0) return createSeries(house, call, whole, content)
    return storeOne(house, call, typeof content === 'string' ? { ...whole, content } : whole)
  })
}

/** The old form: the body itself holds the tags, and the image is called PixelData. */
async function createOld(house: House, call: Call, body: Record<string, unknown>): Promise<Answer> {
  const given: Record<string, string> = {}
  let content: string | undefined
  for (const [name, value] of Object.entries(body)) {
    if (typeof value !== 'string') fail(codes.onlyTexts)
    if (house.dictionary.readTag(name) === tags.PixelData) content = value
    else given[name] = value
  }
  const draft: Draft = { tags: given, readsBinary: true, force: true, isBare: true }
  return storeOne(house, call, content === undefined ? draft : { ...draft, content })
}

async function storeOne(house: House, call: Call, draft: Draft): Promise<Answer> {
  const { ids, isNew } = await receiveBytes(house, await make(house, draft), originOf(call))
  return json(showStored(ids, isNew))
}

function make(house: House, draft: Draft): Promise<Uint8Array> {
  const { kit, dictionary } = house
  return createInstance(draft, {
    dictionary,
    random: kit.random,
    now: kit.clock.now(),
    defaultTerm: defaultTerm(house),
  })
}

/** One series from a list of contents. Everything is made before anything is stored. */
async function createSeries(
  house: House,
  call: Call,
  draft: Draft,
  contents: readonly unknown[],
): Promise<Answer> {
  const shared: [Tag, string][] = []
  const share = (tag: Tag, value: string): void => {
    if (!isGiven(house, draft, tag)) shared.push([tag, value])
  }
  const { random } = house.kit
  if (!draft.parent) share(tags.PatientID, makeUuid(random))
  if (!draft.parent || draft.parent.level === 'patient') share(tags.StudyInstanceUID, makeUid(random))
  if (draft.parent?.level !== 'series') share(tags.SeriesInstanceUID, makeUid(random))

  const files: Uint8Array[] = []
  for (const [index, entry] of contents.entries()) {
    const { content, more } = readEntry(entry)
    const fixed: [Tag, string][] = [
      ...shared,
      [tags.InstanceNumber, String(index + 1)],
      [tags.ImageIndex, String(index + 1)],
      [tags.ImagesInAcquisition, String(contents.length)],
      [tags.NumberOfTemporalPositions, '1'],
    ]
    // A SOPInstanceUID of the common tags would make all instances the same one.
    if (isGiven(house, draft, tags.SOPInstanceUID)) fixed.push([tags.SOPInstanceUID, makeUid(random)])
    files.push(await make(house, { ...draft, tags: { ...draft.tags, ...more }, content, fixed }))
  }
  let series = ''
  for (const file of files) series = (await receiveBytes(house, file, originOf(call))).ids.series
  return json({ ID: series, Path: `/series/${series}`, Status: 'Success' })
}

function isGiven(house: House, draft: Draft, tag: Tag): boolean {
  return Object.keys(draft.tags).some(name => house.dictionary.readTag(name) === tag)
}

function readEntry(entry: unknown): { content: string; more: Record<string, unknown> } {
  if (typeof entry === 'string') return { content: entry, more: {} }
  if (!isObject(entry) || typeof entry['Content'] !== 'string') fail(codes.contentForm)
  const more = entry['Tags'] ?? {}
  if (!isObject(more)) fail(codes.badRequest)
  return { content: entry['Content'], more }
}

/** Opens the first instance of the parent, whose modules the new ones inherit. */
async function withParent(
  house: House,
  id: string | undefined,
  use: (parent: Parent | undefined) => Promise<Answer>,
): Promise<Answer> {
  if (id === undefined) return use(undefined)
  const resource = await house.archive.browse.any(id)
  const instance = resource && (await house.archive.browse.firstInstance(resource))
  if (!resource || !instance) return fail(codes.noParent)
  const { level } = resource
  if (level === 'instance') return fail(codes.parentInstance)
  return withDataSet(house, instance, set => use({ level, set }))
}

function switchOf(body: Readonly<Record<string, unknown>>, name: string): boolean | undefined {
  const value = body[name]
  if (value !== undefined && typeof value !== 'boolean') fail(codes.badRequest)
  return value
}

function optionalText(body: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = body[name]
  if (value !== undefined && typeof value !== 'string') fail(codes.badRequest)
  return value
}
