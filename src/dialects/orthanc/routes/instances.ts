// Instances: upload, file, tags, raw contents, frames, the PDF inside.

import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { showDicomJson, writeDicomJson } from '../../../domains/dicom/dicom-json.ts'
import { showDicomXml } from '../../../domains/dicom/dicom-xml.ts'
import { frameBytes, frameCount } from '../../../domains/dicom/frames.ts'
import { type DataSet, type Element, find } from '../../../domains/dicom/reading/data-set.ts'
import { frameMediaType } from '../../../domains/dicom/reading/syntax.ts'
import { readBytes, readLittleEndian, textOf, valuesOf } from '../../../domains/dicom/reading/value.ts'
import { showHeader } from '../../../domains/dicom/show-tags.ts'
import { fileOf } from '../../../domains/dicom/store/browse.ts'
import { tags, tagText } from '../../../domains/dicom/tag.ts'
import { type Answer, type Call, json } from '../call.ts'
import { codes, fail } from '../errors.ts'
import { needInstance, showInstanceTags, tagForm, withDataSet } from '../files.ts'
import { defaultTerm, type House } from '../house.ts'
import { integer } from '../numbers.ts'
import { showStored } from '../shapes.ts'
import { gunzipped, type Origin, receive } from '../upload.ts'
import type { Routes } from './route.ts'

export const instanceRoutes: Routes = (add, house) => {
  add('POST', '/instances', call => upload(house, call))

  add('GET', '/instances/{id}/file', async call => {
    const instance = await needInstance(house, call.param('id'))
    const accept = call.request.headers.accept ?? ''
    const form = /application\/dicom\+(json|xml)/.exec(accept)?.[1]
    if (form !== undefined) {
      const value = await withDataSet(house, instance, set => showDicomJson(set, defaultTerm(house)))
      if (form === 'json') return { text: writeDicomJson(value), type: 'application/dicom+json' }
      return { text: showDicomXml(value, house.dictionary), type: 'application/dicom+xml' }
    }
    const { hash, sizeBytes, uuid } = fileOf(instance)
    return {
      stream: house.kit.blobs.open(hash),
      type: 'application/dicom',
      sizeBytes,
      headers: { 'content-disposition': `filename="${uuid}.dcm"` },
    }
  })
  add('GET', '/instances/{id}/tags', async call => {
    const instance = await needInstance(house, call.param('id'))
    return json(await showInstanceTags(house, instance, call, { form: tagForm(call, 'full') }))
  })
  add('GET', '/instances/{id}/simplified-tags', async call => {
    const instance = await needInstance(house, call.param('id'))
    return json(await showInstanceTags(house, instance, call, { form: 'simplified' }))
  })
  add('GET', '/instances/{id}/header', async call => {
    const instance = await needInstance(house, call.param('id'))
    const options = {
      dictionary: house.dictionary,
      form: tagForm(call, 'full'),
      defaultTerm: defaultTerm(house),
    }
    return json(await withDataSet(house, instance, set => showHeader(set, options)))
  })
  add('GET', '/instances/{id}/content', call => showContent(house, call))
  add('GET', '/instances/{id}/content/*', call => showContent(house, call))
  add('GET', '/instances/{id}/pdf', call => showPdf(house, call))
  add('GET', '/instances/{id}/frames', async call => {
    const instance = await needInstance(house, call.param('id'))
    const count = await withDataSet(house, instance, set => frameCount(set, defaultTerm(house)), 'top')
    return json(Array.from({ length: count }, (_, index) => index))
  })
  add('GET', '/instances/{id}/frames/{frame}/raw', async call => {
    if (!/^\d+$/.test(call.param('frame'))) return undefined
    const { bytes, type } = await readFrame(house, call)
    return { stream: Readable.from([bytes]), type, sizeBytes: bytes.length }
  })
  add('GET', '/instances/{id}/frames/{frame}/raw.gz', async call => {
    const { bytes } = await readFrame(house, call)
    const packed = await promisify(gzip)(bytes)
    return { stream: Readable.from([packed]), type: 'application/gzip', sizeBytes: packed.length }
  })
}

/** Where an instance that comes with this call comes from. */
export function originOf(call: Call): Origin {
  const isNamed = call.principal.scheme === 'basic'
  return { remoteIp: call.request.ip, user: isNamed ? call.principal.name : '' }
}

async function upload(house: House, call: Call): Promise<Answer> {
  const origin = originOf(call)
  if (/^multipart\/form-data/i.test(call.request.headers['content-type'] ?? ''))
    return uploadForm(house, call)
  const isGzip = /\bgzip\b/i.test(String(call.request.headers['content-encoding'] ?? ''))
  const body = call.stream ?? Readable.from([])
  const received = await receive(house, isGzip ? gunzipped(body) : body, origin)
  if (received.type === 'zip') return json(received.stored.map(({ ids, isNew }) => showStored(ids, isNew)))
  return json(showStored(received.stored.ids, received.stored.isNew))
}

/** HTML forms: every part of the form is taken in, and nothing is said about it. */
async function uploadForm(house: House, call: Call): Promise<Answer> {
  try {
    // A part without a name of a file is one, too: passed over, it would be lost without a word.
    const parts = call.request.files({ limits: { files: 10_000 }, isPartAFile: () => true })
    for await (const part of parts) await receive(house, part.file, originOf(call))
  } catch (error) {
    if (isBrokenForm(error)) fail(codes.badFormat, `The form cannot be read: ${error.message}`)
    throw error
  }
  return { status: 200 }
}

/** Whether the parser of forms has thrown: its errors have no code of their own. */
function isBrokenForm(error: unknown): error is Error {
  return (
    error instanceof Error && /^(Multipart: |Malformed |Unsupported )|multipart data$/.test(error.message)
  )
}

/**
 * A value by its path: tags and indexes in turn. Without a tag, and on an item, the tags that there are; on a sequence
 * and on pixel data, the indexes.
 */
async function showContent(house: House, call: Call): Promise<Answer> {
  const instance = await needInstance(house, call.param('id'))
  const path = [...call.rest]
  const answer = await withDataSet(house, instance, set => {
    const { values } = valuesOf(set, defaultTerm(house))
    let elements = set.elements
    for (;;) {
      const name = path.shift()
      if (name === undefined) {
        const present = [...new Set(elements.map(({ tag }) => tag))].sort((a, b) => a - b)
        return { list: present.map(tag => tagText(tag).replace(',', '-')) }
      }
      const element = find(elements, house.dictionary.readTag(name))
      if (!element) return undefined
      const index = path.shift()
      if (element.items) {
        if (index === undefined) return { list: element.items.map((_, at) => String(at)) }
        const item = element.items[integer(index)]
        if (!item) return undefined
        elements = item.elements
        continue
      }
      const parts = contentParts(element)
      if (!parts)
        return path.length === 0 && index === undefined
          ? { bytes: readLittleEndian(element, values) }
          : undefined
      if (index === undefined) return { list: parts.map((_, at) => String(at)) }
      const part = parts[integer(index)]
      return part && { bytes: readLittleEndian({ ...element, ...part }, values) }
    }
  })
  if (!answer) return undefined
  if ('list' in answer) return json(answer.list)
  const bytes = Buffer.from(answer.bytes)
  return { stream: Readable.from([bytes]), type: 'application/octet-stream', sizeBytes: bytes.length }
}

/** Pixel data come in parts: fragments, or one when they are not encapsulated. */
function contentParts(element: Element): readonly { valueAt: number; length: number }[] | undefined {
  if (element.fragments) return element.fragments
  return element.tag === tags.PixelData ? [element] : undefined
}

async function showPdf(house: House, call: Call): Promise<Answer> {
  const instance = await house.archive.browse.get('instance', call.param('id'))
  if (!instance) return fail(codes.unknownResource)
  const bytes = await withDataSet(house, instance, set => pdfOf(set, defaultTerm(house)), 'top')
  if (!bytes) return undefined
  return { stream: Readable.from([bytes]), type: 'application/pdf', sizeBytes: bytes.length }
}

/** The encapsulated document, if it says that it is a PDF; without the NUL that made its length even. */
function pdfOf(set: DataSet, term: string): Buffer | undefined {
  const { values } = valuesOf(set, term)
  const mediaType = textOf(set.elements, tags.MIMETypeOfEncapsulatedDocument, values)?.trim().toLowerCase()
  const document = find(set.elements, tags.EncapsulatedDocument)
  if (mediaType !== 'application/pdf' || !document) return undefined
  const bytes = Buffer.from(readBytes(document, values))
  return bytes.at(-1) === 0 ? bytes.subarray(0, -1) : bytes
}

async function readFrame(house: House, call: Call): Promise<{ bytes: Buffer; type: string }> {
  const instance = await needInstance(house, call.param('id'))
  const index = integer(call.param('frame'))
  return withDataSet(
    house,
    instance,
    set => {
      const bytes = frameBytes(set, index, defaultTerm(house))
      if (!bytes) return fail(codes.outOfRange)
      return { bytes: Buffer.from(bytes), type: frameMediaType(set.transferSyntax) }
    },
    'top',
  )
}
