// New identifiers from old ones and the seed of a job: no table has to be kept, one old UID has one new UID in all files
// of the job, and a job that is taken up again makes the same instances as before.

import { createHash } from 'node:crypto'

/** The new UID that stands for an old one. */
export function mappedUid(seed: string, old: string): string {
  return `2.25.${BigInt(`0x${digest(seed, 'uid', old)}`)}`
}

/** The new patient identifier that stands for an old one: a UUID. */
export function mappedPatientId(seed: string, old: string): string {
  const hex = digest(seed, 'patient', old)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** 128 bits in hex with the marks of a UUID of version 8, whose content is the maker's own affair. */
function digest(seed: string, kind: string, old: string): string {
  const bytes = createHash('sha256').update(`${seed}\n${kind}\n${old}`, 'utf8').digest().subarray(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x80
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes.toString('hex')
}
