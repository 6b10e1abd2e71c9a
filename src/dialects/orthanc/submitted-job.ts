// Calls that run a job: the options that they share, and the answer, at once or when the job has ended.

import type { Job } from '../../core/job.ts'
import type { JsonObject } from '../../core/json.ts'
import { type Answer, json } from './call.ts'
import { codes, fail, OrthancError } from './errors.ts'
import type { House } from './house.ts'
import { flag, integer } from './read-json.ts'
import { contentOf } from './shapes.ts'
import { errorCode, errorDetails } from './words.ts'

export interface JobOptions {
  readonly isAsynchronous: boolean
  /** Higher is sooner. */
  readonly priority: number
  /** Instances that fail are counted, and the job goes on. */
  readonly isPermissive: boolean
}

/** The members that every call has which runs a job: contracts/orthanc.md §2.1. */
export function readJobOptions(body: Readonly<Record<string, unknown>>): JobOptions {
  const synchronous = flag(body, 'Synchronous')
  const asynchronous = flag(body, 'Asynchronous')
  return {
    isAsynchronous: synchronous === undefined ? (asynchronous ?? false) : !synchronous,
    priority: integer(body, 'Priority') ?? 0,
    isPermissive: flag(body, 'Permissive') ?? false,
  }
}

/** The handle of the job, or what it came to: its content, or its error. */
export async function answerJob(
  house: House,
  job: Job,
  { isAsynchronous }: Pick<JobOptions, 'isAsynchronous'>,
): Promise<Answer> {
  if (isAsynchronous) return json({ ID: job.id, Path: `/jobs/${job.id}` })
  const ended = await house.kit.engine.settled(job.n)
  if (!ended) return fail(codes.internal, 'The job did not end')
  if (house.settings.jobsHistorySize === 0) {
    const why = 'Cannot retrieve the status of the job, make sure that "JobsHistorySize" is not 0'
    return fail(codes.inexistentItem, why)
  }
  if (ended.state === 'succeeded') return json(contentOf(ended))
  throw new OrthancError(errorCode(ended), errorDetails(ended) || undefined)
}

/** What a job forgets that is resubmitted: it begins with its first instance again. Its progress is shown until it runs. */
export const startingOver: JsonObject = {
  done: null,
  failed: null,
  spared: null,
  made: null,
  errorCode: null,
}
