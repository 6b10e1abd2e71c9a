// The records that the archive of instances is kept in: one collection per level, children naming their parent.

import type { Json } from '../../../core/json.ts'
import type { BlobRef } from '../../../store/blobs.ts'
import type { Rec, RecordChange } from '../../../store/store.ts'
import { type Level, levels } from '../levels.ts'
import type { MainTags } from '../summary.ts'
import { normalise } from './normalise.ts'
import type { WriteBatch } from './parts.ts'

/** Metadata by number: text and revision. */
export type Metadata = { [number: string]: [text: string, revision: number] }

/** A file that belongs to a resource: its DICOM file, or one that users attached. */
export type Attachment = {
  uuid: string
  hash: string
  sizeBytes: number
  md5: string
  revision: number
  /** The compressed form, if somebody asked for it. */
  packed?: { hash: string; sizeBytes: number; md5: string; isOnly?: true }
}

/** The blobs that are kept for a file: its bytes, unless only their compressed form is, and that. */
export function blobsOf({ hash, sizeBytes, packed }: Attachment): BlobRef[] {
  const plain = packed?.isOnly ? [] : [{ hash, sizeBytes }]
  return packed ? [...plain, { hash: packed.hash, sizeBytes: packed.sizeBytes }] : plain
}

/** How many bytes are kept for a file. */
export function keptBytes(file: Attachment): number {
  return blobsOf(file).reduce((total, { sizeBytes }) => total + sizeBytes, 0)
}

/** Counts the blobs that are kept for a file. */
export function countBlobs(batch: WriteBatch, file: Attachment, delta: 1 | -1): void {
  for (const { hash, sizeBytes } of blobsOf(file)) batch.blob({ hash, sizeBytes, delta })
}

export type ResourceBody = {
  main: MainTags
  meta: Metadata
  /** By number; 1 is the DICOM file of an instance. */
  files?: { [number: string]: Attachment }
  /** Studies: what their first instance says of the patient, which need not be what the patient's first one said. */
  patient?: MainTags
  /** Instances: the number of the change that tells of their arrival. */
  change?: number
  /** Patients: never recycled. */
  isProtected?: true
}

/** A patient, study, series or instance. */
export interface Resource {
  readonly level: Level
  readonly id: string
  readonly parent: string | null
  readonly seq: number
  readonly body: ResourceBody
}

export const metadataNumbers = {
  IndexInSeries: 1,
  ReceptionDate: 2,
  RemoteAET: 3,
  ExpectedNumberOfInstances: 4,
  ModifiedFrom: 5,
  AnonymizedFrom: 6,
  LastUpdate: 7,
  Origin: 8,
  TransferSyntax: 9,
  SopClassUid: 10,
  RemoteIP: 11,
  CalledAET: 12,
  HttpUsername: 13,
  PixelDataOffset: 14,
} as const

export const dicomFile = '1'

const collections: Readonly<Record<Level, string>> = {
  patient: 'dicom.patient',
  study: 'dicom.study',
  series: 'dicom.series',
  instance: 'dicom.instance',
}

/** Where the records of a level are kept. */
export function collectionOf(level: Level): string {
  return collections[level]
}

/** Main tags that can be searched by, per level, in their normalised form. */
const indexedTags: Readonly<Record<Level, readonly string[]>> = {
  patient: ['0010,0020', '0010,0010', '0010,0030'],
  study: ['0020,000d', '0008,0050', '0008,1030', '0008,0020'],
  series: ['0020,000e', '0008,0060'],
  instance: ['0008,0018'],
}

/** Whether resources of a level can be found by a tag, given as eight hexadecimal digits. */
export function isIndexed(level: Level, tag: string): boolean {
  return indexedTags[level].includes(tag)
}

/** Instances are found by the number of the change that tells of their arrival. */
export const arrivalIndex = 'change'

/** The change that writes a resource. */
export function putResource(resource: Omit<Resource, 'seq'>): RecordChange {
  const { level, id, parent, body } = resource
  const index: [string, string | number][] = []
  for (const tag of indexedTags[level]) {
    const value = body.main[tag]
    if (value !== undefined) index.push([tag, normalise(value)])
  }
  if (body.change !== undefined) index.push([arrivalIndex, body.change])
  return { put: { collection: collections[level], id, parent, body: body as Json, index } }
}

/** The change that drops a resource's record. */
export function dropResource(level: Level, id: string): RecordChange {
  return { drop: { collection: collections[level], id } }
}

/** A resource as it was read. */
export function readResource(level: Level, record: Rec): Resource {
  return { level, id: record.id, parent: record.parent, seq: record.seq, body: record.body as ResourceBody }
}

/** A metadata of a resource as text; undefined when it has none of that name. */
export function metaText(body: ResourceBody, name: keyof typeof metadataNumbers): string | undefined {
  return body.meta[metadataNumbers[name]]?.[0]
}

/** Sets metadata, counting its revision up. `body` is changed. */
export function setMeta(body: ResourceBody, number: number, text: string): void {
  const before = body.meta[number]
  body.meta[number] = [text, before === undefined ? 0 : before[1] + 1]
}

export { levels }
