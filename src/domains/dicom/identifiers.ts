// Orthanc's identifiers: SHA-1 of the DICOM identifiers from the patient down, as five groups of eight hex digits.

import { createHash } from 'node:crypto'

/** The DICOM identifiers of an instance. */
export interface DicomIds {
  readonly patientId: string
  readonly studyUid: string
  readonly seriesUid: string
  readonly instanceUid: string
}

/** The identifiers of an instance and of what it belongs to. */
export interface ResourceIds {
  readonly patient: string
  readonly study: string
  readonly series: string
  readonly instance: string
}

/** The ids of an instance's patient, study and series, and its own: hashes of its DICOM identifiers. */
export function resourceIdsOf(ids: DicomIds): ResourceIds {
  const study = `${ids.patientId}|${ids.studyUid}`
  const series = `${study}|${ids.seriesUid}`
  return {
    patient: hashId(ids.patientId),
    study: hashId(study),
    series: hashId(series),
    instance: hashId(`${series}|${ids.instanceUid}`),
  }
}

/** Whether a text has the form of an identifier. */
export function isResourceId(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{8}){4}$/.test(text)
}

function hashId(text: string): string {
  const hex = createHash('sha1').update(text, 'utf8').digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 16)}-${hex.slice(16, 24)}-${hex.slice(24, 32)}-${hex.slice(32)}`
}
