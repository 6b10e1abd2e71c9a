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
  for await (const some of crowdsOf(jobs)) {
    const told = await parts.specs.jobs(some)
    for (const job of some) {
      const said = told.get(job.n)
      if (said === undefined) continue
      if (!detail) yield showJob({ job, told: said })
      else {
        const outputs = await shownOutputs(parts, { job, told: said, request })
        yield showJobDetail({ job, told: said, outputs, site: parts.settings.site })
      }
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
    const told = detail ? await parts.specs.workflows(some) : undefined
    for (const flow of some) {
      if (told === undefined) yield showWorkflow(flow)
      else if (told.has(flow.n)) yield showWorkflowDetail(flow, told.get(flow.n)!.document)
    }
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
