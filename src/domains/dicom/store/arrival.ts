// An instance on its way in, and the records that it becomes: its own, and those of its ancestors that are new.

import type { BlobRef } from '../../../store/blobs.ts'
import type { Level } from '../levels.ts'
import type { Summary } from '../summary.ts'
import { makeUuid } from '../uid.ts'
import {
  type Attachment,
  dicomFile,
  type Metadata,
  metadataNumbers,
  putResource,
  type ResourceBody,
} from './bodies.ts'
import { logArrival, logChange } from './change-log.ts'
import type { WriteBatch } from './parts.ts'
import type { Stock } from './stock.ts'
import { dicomTime } from './time.ts'

/** An instance on its way in: what its file says, and where its bytes are. */
export interface Arrival {
  readonly summary: Summary
  readonly blob: BlobRef
  /** The bytes, when they are few and not written yet: they come with the batch. */
  readonly bytes?: Uint8Array
  readonly md5: string
  /** Metadata that the way of arrival tells: Origin, RemoteIP … by number. */
  readonly origin: Readonly<Record<number, string>>
  /** Metadata of the series: who sent it. */
  readonly remoteAet: string
  /** Metadata for each level that this arrival creates (ModifiedFrom …). */
  readonly ancestry?: Partial<Record<Level, readonly [number: number, text: string]>>
}

/** Which ancestors of an instance are new with it. */
export type NewAncestors = Readonly<Record<'patient' | 'study' | 'series', boolean>>

/** Adds an instance, and those of its ancestors that are new. */
export function addArrival(
  { parts, totals, stability, recency }: Pick<Stock, 'parts' | 'totals' | 'stability' | 'recency'>,
  batch: WriteBatch,
  arrival: Arrival,
  added: NewAncestors,
): void {
  const { summary } = arrival
  const { ids } = summary
  const parents = { patient: null, study: ids.patient, series: ids.study, instance: ids.series }
  const lastUpdate: Metadata = { [metadataNumbers.LastUpdate]: [dicomTime(batch.now), 0] }
  const counts: Partial<Record<Level | 'bytes', number>> = { instance: 1, bytes: arrival.blob.sizeBytes }
  for (const level of ['patient', 'study', 'series'] as const) {
    if (!added[level]) continue
    counts[level] = 1
    const meta: Metadata = { ...lastUpdate, ...(level === 'series' ? seriesMeta(arrival) : {}) }
    batch.record(
      putResource({
        level,
        id: ids[level],
        parent: parents[level],
        body: bodyOf(arrival, level, meta),
      }),
    )
  }
  const file: Attachment = {
    uuid: makeUuid(parts.random),
    hash: arrival.blob.hash,
    sizeBytes: arrival.blob.sizeBytes,
    md5: arrival.md5,
    revision: 0,
  }
  const body = {
    ...bodyOf(arrival, 'instance', instanceMeta(arrival, batch.now)),
    files: { [dicomFile]: file },
    change: logArrival(batch),
  }
  batch.record(putResource({ level: 'instance', id: ids.instance, parent: ids.series, body }))
  const { bytes } = arrival
  batch.blob({ hash: file.hash, sizeBytes: file.sizeBytes, delta: 1, ...(bytes && { bytes }) })
  totals.add(batch, counts)
  if (added.series) logChange(batch, 'NewSeries', 'series', ids.series)
  if (added.study) logChange(batch, 'NewStudy', 'study', ids.study)
  if (added.patient) logChange(batch, 'NewPatient', 'patient', ids.patient)
  for (const level of ['series', 'study', 'patient'] as const) stability.touch(batch, level, ids[level])
  recency.touch(ids.patient)
}

function bodyOf(arrival: Arrival, level: Level, meta: Metadata): ResourceBody {
  const from = arrival.ancestry?.[level]
  const { main } = arrival.summary
  return {
    main: main[level],
    meta: from ? { ...meta, [from[0]]: [from[1], 0] } : meta,
    ...(level === 'study' ? { patient: main.patient } : {}),
  }
}

function seriesMeta(arrival: Arrival): Metadata {
  const { expectedCount } = arrival.summary
  const meta: Metadata = { [metadataNumbers.RemoteAET]: [arrival.remoteAet, 0] }
  if (expectedCount !== undefined)
    meta[metadataNumbers.ExpectedNumberOfInstances] = [String(expectedCount), 0]
  return meta
}

function instanceMeta(arrival: Arrival, now: number): Metadata {
  const { summary } = arrival
  const texts: [number, string | undefined][] = [
    [metadataNumbers.IndexInSeries, summary.indexInSeries],
    [metadataNumbers.ReceptionDate, dicomTime(now)],
    [metadataNumbers.TransferSyntax, summary.transferSyntax],
    [metadataNumbers.SopClassUid, summary.sopClassUid],
    [metadataNumbers.PixelDataOffset, summary.pixelDataAt?.toString()],
  ]
  const meta: Metadata = {}
  for (const [number, text] of texts) if (text !== undefined) meta[number] = [text, 0]
  for (const [number, text] of Object.entries(arrival.origin)) meta[number] = [text, 0]
  return meta
}
