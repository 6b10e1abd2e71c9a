// Turns lists of jobs and workflows into what is shown of them, a crowd at a time, so that what was said about them
// is looked up together.

import type { FastifyRequest } from 'fastify'
import type { Flow } from '../../core/flow.ts'
import type { Job } from '../../core/job.ts'
import type { JsonObject } from '../../core/json.ts'
import { shownOutputs } from './job-outputs.ts'
import type { Parts } from './parts.ts'
import { showJob, showJobDetail, showWorkflow, showWorkflowDetail } from './shapes.ts'

const crowd = 100

/** Jobs as shown. Those of which nothing is known any more are left out. */
export async function* showJobs(
  parts: Parts,
  jobs: AsyncIterable<Job> | Iterable<Job>,
  { detail, request }: { detail: boolean; request: FastifyRequest },
): AsyncGenerator<JsonObject> {
  for await (const some of crowdsOf(jobs))
    for await (const [job, told] of parts.specs.jobs(some)) {
      if (!detail) yield showJob({ job, told })
      else {
        const outputs = await shownOutputs(parts, { job, told, request })
        yield showJobDetail({ job, told, outputs, site: parts.settings.site })
      }
    }
}

/** Workflows as shown. */
export async function* showWorkflows(
  parts: Parts,
  flows: AsyncIterable<Flow> | Iterable<Flow>,
  { detail }: { detail: boolean },
): AsyncGenerator<JsonObject> {
  for await (const some of crowdsOf(flows)) {
    if (!detail) for (const flow of some) yield showWorkflow(flow)
    else
      for await (const [flow, { document }] of parts.specs.workflows(some))
        yield showWorkflowDetail(flow, document)
  }
}

async function* crowdsOf<T>(items: AsyncIterable<T> | Iterable<T>): AsyncGenerator<T[]> {
  let some: T[] = []
  for await (const item of items) {
    some.push(item)
    if (some.length < crowd) continue
    yield some
    some = []
  }
  if (some.length > 0) yield some
}
