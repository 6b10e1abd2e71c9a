// Files attached to resources: the DICOM file of an instance, and what users add.

import { createHash } from 'node:crypto'
import { type Level, levels } from '../../../domains/dicom/levels.ts'
import { type Attachment, dicomFile, type Resource } from '../../../domains/dicom/store/bodies.ts'
import { type Answer, type Call, emptyText, json, nothingToSay, text } from '../call.ts'
import { codes, fail } from '../errors.ts'
import type { House } from '../house.ts'
import { openPlain, packFile, unpackFile } from '../packed-files.ts'
import { levelPaths } from '../shapes.ts'
import { receiveBlob } from '../upload.ts'
import { checkRevision, etagOf, unchanged, userNumberMin } from './metadata.ts'
import type { Routes } from './route.ts'

interface Found {
  readonly resource: Resource
  readonly number: string
  readonly file: Attachment
}

const operations = [
  ...[
    'compress',
    'compressed-data',
    'compressed-md5',
    'compressed-size',
    'data',
    'info',
    'is-compressed',
    'md5',
  ],
  ...['size', 'uncompress', 'verify-md5', 'uuid'],
]

export const attachmentRoutes: Routes = (add, house) => {
  for (const level of levels) {
    const base = `/${levelPaths[level]}/{id}/attachments`
    add('GET', base, async call => {
      const resource = await need(house, level, call)
      return json(Object.keys(resource.body.files ?? {}).map(number => nameOf(house, number)))
    })
    const get = (name: string, show: (found: Found, call: Call) => Answer | Promise<Answer>): void => {
      add('GET', `${base}/{name}${name}`, async call => {
        const found = await findFile(house, level, call)
        const seen = unchanged(call, etagOf(found.file.revision, found.file))
        if (seen) return seen
        const answer = await show(found, call)
        if (typeof answer !== 'object' || !('headers' in answer || 'text' in answer || 'json' in answer))
          return answer
        const etag = etagOf(found.file.revision, found.file)
        return { ...answer, headers: { ...answer.headers, etag } }
      })
    }
    get('', () => json(operations))
    get('/data', ({ file, number }) => sendFile(house, file, number))
    get('/compressed-data', ({ file }) => {
      const { hash, sizeBytes } = file.packed ?? file
      return { stream: house.kit.blobs.open(hash), type: 'application/octet-stream', sizeBytes, headers: {} }
    })
    get('/size', ({ file }) => text(String(file.sizeBytes)))
    get('/compressed-size', ({ file }) => text(String((file.packed ?? file).sizeBytes)))
    get('/md5', ({ file }) => text(file.md5))
    get('/compressed-md5', ({ file }) => text((file.packed ?? file).md5))
    get('/is-compressed', ({ file }) => text(file.packed ? '1' : '0'))
    get('/uuid', ({ file }) => text(file.uuid))
    get('/info', ({ file, number }) =>
      json({
        CompressedMD5: (file.packed ?? file).md5,
        CompressedSize: (file.packed ?? file).sizeBytes,
        ContentType: Number(number),
        UncompressedMD5: file.md5,
        UncompressedSize: file.sizeBytes,
        Uuid: file.uuid,
      }),
    )
    for (const [name, change] of [
      ['compress', packFile],
      ['uncompress', unpackFile],
    ] as const) {
      add('POST', `${base}/{name}/${name}`, async call => {
        const { resource, number, file } = await findFile(house, level, call)
        await change(house, { level, id: resource.id, number, file })
        return nothingToSay
      })
    }
    add('POST', `${base}/{name}/verify-md5`, call => verify(house, level, call))
    add('PUT', `${base}/{name}`, call => putFile(house, level, call))
    add('DELETE', `${base}/{name}`, async call => {
      const number = readNumber(house, call.param('name'))
      if (Number(number) < userNumberMin) return { status: 403 }
      const found = await findFile(house, level, call)
      checkRevision(house, call, etagOf(found.file.revision, found.file))
      await house.archive.change.detach(level, found.resource.id, number)
      return emptyText
    })
  }
}

async function need(house: House, level: Level, call: Call): Promise<Resource> {
  return (await house.archive.browse.get(level, call.param('id'))) ?? fail(codes.unknownResource)
}

async function findFile(house: House, level: Level, call: Call): Promise<Found> {
  const number = readNumber(house, call.param('name'))
  const resource = await need(house, level, call)
  const file = resource.body.files?.[number]
  if (!file) fail(codes.unknownResource)
  return { resource, number, file }
}

function sendFile(house: House, file: Attachment, number: string): Answer {
  const user = [...house.settings.userContent.values()].find(content => String(content.number) === number)
  const isDicom = number === dicomFile
  return {
    stream: openPlain(house, file),
    type: isDicom ? 'application/dicom' : (user?.mediaType ?? 'application/octet-stream'),
    sizeBytes: file.sizeBytes,
    headers: { 'content-disposition': `filename="${file.uuid}${isDicom ? '.dcm' : ''}"` },
  }
}

/** Reads the bytes again: they must be those that were stored. */
async function verify(house: House, level: Level, call: Call): Promise<Answer> {
  const found = await findFile(house, level, call)
  const md5 = createHash('md5')
  for await (const chunk of openPlain(house, found.file)) md5.update(chunk)
  if (md5.digest('hex') !== found.file.md5) fail(11, 'The file is not what was stored')
  return nothingToSay
}

async function putFile(house: House, level: Level, call: Call): Promise<Answer> {
  const number = readNumber(house, call.param('name'))
  if (Number(number) < userNumberMin) return { status: 403 }
  const resource = await need(house, level, call)
  const before = resource.body.files?.[number]
  if (before) checkRevision(house, call, etagOf(before.revision, before))
  const { blob, md5 } = await receiveBlob(house, call.stream ?? (async function* () {})())
  const letGo = house.kit.blobs.keep(blob.hash)
  try {
    const attachment = await house.archive.change.attach(level, resource.id, number, { blob, md5 })
    if (!attachment) return undefined
    const headers = { etag: etagOf(attachment.revision, attachment) }
    return { json: {}, type: 'application/json', headers }
  } finally {
    letGo()
  }
}

/** Names of the original's own files; it no longer makes the last two. */
const ownNumbers: Readonly<Record<string, string>> = {
  dicom: dicomFile,
  'dicom-as-json': '2',
  'dicom-until-pixel-data': '3',
}

function readNumber(house: House, name: string): string {
  const own = ownNumbers[name]
  if (own !== undefined) return own
  const known = house.settings.userContent.get(name)
  if (known) return String(known.number)
  if (/^\d{1,5}$/.test(name) && Number(name) <= 65_535) return String(Number(name))
  return fail(codes.inexistentItem)
}

function nameOf(house: House, number: string): string {
  if (number === dicomFile) return 'dicom'
  for (const [name, known] of house.settings.userContent) if (String(known.number) === number) return name
  return number
}
