// The state of a job in the original's words, and its error codes.

import type { Job } from '../../core/job.ts'
import { codes, messageOf } from './errors.ts'

export type StateWord = 'Pending' | 'Running' | 'Success' | 'Failure' | 'Paused' | 'Retry'

/** The state that a client is told. */
export function stateWord({ state, held }: Pick<Job, 'state' | 'held'>): StateWord {
  switch (state) {
    case 'blocked':
      return 'Pending'
    case 'ready':
      return held ? 'Paused' : 'Pending'
    case 'delayed':
      return 'Retry'
    case 'starting':
      return 'Pending'
    case 'running':
      return 'Running'
    case 'succeeded':
      return 'Success'
    case 'failed':
    case 'cancelled':
      return 'Failure'
  }
}

/** The error code of a job: 0 while there is none. */
export function errorCode({ state, reason, detail }: Pick<Job, 'state' | 'reason' | 'detail'>): number {
  switch (state) {
    case 'cancelled':
      return codes.cancelled
    case 'failed': {
      const told = detail?.['errorCode']
      if (typeof told === 'number') return told
      return reason === 'memory' ? 4 : reason === 'timeout' ? 13 : codes.internal
    }
    case 'blocked':
    case 'ready':
    case 'starting': {
      // A job that was resubmitted tells its last error until it runs: contracts/orthanc.md §3.1.
      const last = detail?.['lastErrorCode']
      return typeof last === 'number' ? last : 0
    }
    default:
      return 0
  }
}

/** What more an error says; nothing when its sentence is only that of its code. */
export function errorDetails(job: Pick<Job, 'state' | 'reason' | 'detail' | 'message'>): string {
  if (job.state !== 'failed' || job.message === null) return ''
  return job.message === messageOf(errorCode(job)) ? '' : job.message
}

/** The names of our kinds of work. */
export const jobTypes: Readonly<Record<string, string>> = {
  'dicom.archive': 'Archive',
  'dicom.media': 'Media',
  'dicom.modify': 'ResourceModification',
  'dicom.split': 'SplitStudy',
  'dicom.merge': 'MergeStudy',
  'dicom.modality-store': 'DicomModalityStore',
  'dicom.move-scu': 'DicomMoveScu',
  'dicom.peer-store': 'OrthancPeerStore',
  'dicom.transfer-pull': 'PullTransfer',
  'dicom.transfer-push': 'PushTransfer',
  'dicom.transfer-ask': 'PushTransfer',
}

/** Whether a job makes a file for download. */
export function makesArchive({ kind }: Pick<Job, 'kind'>): boolean {
  return kind === 'dicom.archive' || kind === 'dicom.media'
}
