// Submits a talk as a job of the original's kind, and answers as the client asked.

import type { JobDraft } from '../../../core/job.ts'
import type { Answer, Call } from '../call.ts'
import type { House } from '../house.ts'
import { answerJob, type JobOptions } from '../submitted-job.ts'

/** The handle of the job, or what it came to. */
export async function runTalk(
  house: House,
  call: Call,
  options: JobOptions,
  draft: Pick<JobDraft, 'kind' | 'labels' | 'triesMax' | 'backoffMs'> & {
    readonly input: NonNullable<JobDraft['spec']>
    readonly detail: NonNullable<JobDraft['detail']>
  },
): Promise<Answer> {
  const { kind, input, detail, ...rest } = draft
  const job = await house.kit.engine.write(tx =>
    tx.submit({
      dialect: 'orthanc',
      executor: 'talk',
      kind,
      spec: { talk: kind, input },
      owner: call.principal.name,
      pool: 'orthanc',
      rank: -options.priority,
      detail: { ...detail, isAsynchronous: options.isAsynchronous },
      ...rest,
    }),
  )
  return answerJob(house, job, options)
}
