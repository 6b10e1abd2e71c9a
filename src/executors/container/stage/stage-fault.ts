// What went wrong while files were moved, as a reason and a code that dialects can turn into their words.

import type { EndReason } from '../../../core/job-state.ts'

/** `fetch`, `unpack`: on the way in; `missing`, `pack`, `upload`: on the way out; `mount`: a volume. */
export type FaultCode = 'fetch' | 'unpack' | 'missing' | 'pack' | 'upload' | 'mount'

/** Files could not be moved. */
export class StageFault extends Error {
  readonly reason: EndReason
  readonly fault: FaultCode
  constructor(reason: EndReason, fault: FaultCode, text: string) {
    super(text)
    this.name = 'StageFault'
    this.reason = reason
    this.fault = fault
  }
}
