// How associations fail, in sentences for people.

import type { Rejection } from './pdu.ts'

/**
 * `rejected` by the peer's answer, `aborted` by either side, `lost` with its connection, `silent` when nothing came in
 * time, `protocol` when the peer broke the rules, `refused` when the peer agreed to nothing that we need.
 */
export type FailureKind = 'rejected' | 'aborted' | 'lost' | 'silent' | 'protocol' | 'refused'

export class AssociationFailed extends Error {
  readonly kind: FailureKind
  constructor(kind: FailureKind, message: string) {
    super(message)
    this.name = 'AssociationFailed'
    this.kind = kind
  }
}

/** Reasons of a rejection by source: DICOM PS3.8 §9.3.4. */
const reasons: Readonly<Record<number, Readonly<Record<number, string>>>> = {
  1: {
    1: 'no reason given',
    2: 'application context name not supported',
    3: 'calling AE title not recognized',
    7: 'called AE title not recognized',
  },
  2: { 1: 'no reason given', 2: 'protocol version not supported' },
  3: { 1: 'temporary congestion', 2: 'local limit exceeded' },
}

/** `Association rejected (permanent): called AE title not recognized` */
export function rejectionText({ result, source, reason }: Rejection): string {
  const why = reasons[source]?.[reason] ?? `source ${source}, reason ${reason}`
  return `the peer rejected the association (${result === 2 ? 'transient' : 'permanent'}): ${why}`
}
