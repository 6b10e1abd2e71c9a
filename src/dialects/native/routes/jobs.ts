// Jobs: submit one or many, list, look at, steer.

import { z } from 'zod'
import type { Job, JobDraft } from '../../../core/job.ts'
import { isFinal, type JobState, jobStates } from '../../../core/job-state.ts'
import { must, refuse, type Verdict } from '../../../core/refusal.ts'
import type { Tx } from '../../../engine/engine.ts'
import type { Kit } from '../../dialect.ts'
import { definedOf } from '../flow-drafter.ts'
import type { Idempotency } from '../idempotency.ts'
import { checkBatch, checkPlace } from '../job-check.ts'
import { base, type Call, type NativeRoute, route } from '../route.ts'
import {
  attemptOut,
  batchIn,
  cancelIn,
  eventOut,
  jobIn,
  jobOut,
  jobsQuery,
  outputOut,
  pageOf,
  rankIn,
  submittedOut,
  waitQuery,
  whyOut,
} from '../shapes.ts'
import { showAttempt, showEvent, showJob, showOutput, showWhy } from '../show.ts'
import { demandChange, findJob, ownerSeen } from '../visible.ts'

/** How many events of one job are shown. */
const historyMax = 1_000

/** Routes of jobs: submitting, looking at and steering them. */
export function jobRoutes(kit: Kit, keys: Idempotency): NativeRoute[] {
  const { engine } = kit
  const show = (job: Job) => showJob(job, engine.progress(job.n)?.fraction)
  const find = (call: Call) => findJob(engine, call.principal, call.params['id']!)
  const findMine = async (call: Call) => {
    const job = await find(call)
    demandChange(call.principal, job.owner)
    return job
  }
  /** A move of a job that lives; one that has ended refuses as the engine does. */
  const steer = async (call: Call, move: (tx: Tx, n: number) => Verdict<Job>) => {
    const job = await findMine(call)
    if (isFinal(job.state))
      refuse('illegal-move', `job ${job.id} has ended: it ${job.state}`, { facts: { state: job.state } })
    stillThere(await engine.write(tx => move(tx, job.n)), `job ${job.id}`)
    return { json: show((await engine.job({ n: job.n }))!) }
  }

  return [
    route({
      method: 'POST',
      path: '/jobs',
      id: 'submitJob',
      summary: 'Submit a job. Durable when answered.',
      right: 'submit',
      body: jobIn,
      idempotent: true,
      answers: { 201: jobOut },
      handle: ({ body, principal, request }) =>
        keys.once(request, principal, tx => {
          checkPlace(engine, body)
          const job = tx.submit(draftOf(body, principal.name))
          return { status: 201, headers: { location: `${base}/jobs/${job.id}` }, json: show(job) }
        }),
    }),
    route({
      method: 'POST',
      path: '/jobs/batch',
      id: 'submitJobs',
      summary: 'Submit up to 10 000 jobs: all of them, or none.',
      right: 'submit',
      body: batchIn,
      idempotent: true,
      answers: { 201: z.object({ jobs: z.array(submittedOut) }) },
      handle: ({ body, principal, request }) => {
        const drafts = body.jobs.map(job => draftOf(job, principal.name))
        return keys.once(request, principal, tx => {
          checkBatch(engine, drafts)
          const jobs = drafts.map(draft => {
            const { id, n } = tx.submit(draft)
            return { id, n }
          })
          return { status: 201, json: { jobs } }
        })
      },
    }),
    route({
      method: 'GET',
      path: '/jobs',
      id: 'listJobs',
      summary: 'Jobs of all dialects, newest first. Submitters see their own.',
      right: 'read',
      query: jobsQuery,
      answers: { 200: pageOf(jobOut) },
      handle: async ({ query, principal }) => {
        const { state, label, from, to, order, limit, owner, ...rest } = query
        const page = await engine.history.jobs({
          ...definedOf(rest),
          ...ownerFilter(owner, ownerSeen(principal)),
          ...(state !== undefined ? { states: readStates(state) } : {}),
          ...(label !== undefined ? { labels: readLabels(label) } : {}),
          ...(from !== undefined ? { createdFrom: from } : {}),
          ...(to !== undefined ? { createdTo: to } : {}),
          order: order ?? 'newest',
          limit: limit ?? 100,
        })
        return {
          json: { items: page.items.map(show), ...(page.next !== undefined ? { next: page.next } : {}) },
        }
      },
    }),
    route({
      method: 'GET',
      path: '/jobs/:id',
      id: 'getJob',
      summary:
        'One job, by id, by its place n, or by dialect:ref. With `wait`, when it has ended or the time is over.',
      right: 'read',
      query: waitQuery,
      answers: { 200: jobOut },
      handle: async call => {
        const job = await find(call)
        if (call.query.wait === undefined || isFinal(job.state)) return { json: show(job) }
        await engine.settled(job.n, { timeoutMs: call.query.wait, signal: leaves(call) })
        return { json: show((await engine.job({ n: job.n })) ?? job) }
      },
    }),
    route({
      method: 'GET',
      path: '/jobs/:id/spec',
      id: 'getJobSpec',
      summary: 'What was submitted for the executor.',
      right: 'read',
      answers: { 200: z.json() },
      handle: async call => ({ json: await engine.spec((await find(call)).n) }),
    }),
    route({
      method: 'GET',
      path: '/jobs/:id/why',
      id: 'whyJob',
      summary: 'Why it does not run: what it waits for, since when, its place in the queue.',
      right: 'read',
      answers: { 200: whyOut },
      handle: async call => {
        const job = await find(call)
        return { json: showWhy(job.state, await engine.why(job.n)) }
      },
    }),
    route({
      method: 'GET',
      path: '/jobs/:id/attempts',
      id: 'listAttempts',
      summary: 'Its ended attempts, oldest first.',
      right: 'read',
      answers: { 200: z.object({ items: z.array(attemptOut) }) },
      handle: async call => ({
        json: { items: (await engine.history.attempts((await find(call)).n)).map(showAttempt) },
      }),
    }),
    route({
      method: 'GET',
      path: '/jobs/:id/events',
      id: 'listJobEvents',
      summary: `Its newest ${historyMax} events, oldest first.`,
      right: 'read',
      answers: { 200: z.object({ items: z.array(eventOut) }) },
      handle: async call => {
        const job = await find(call)
        const chain = await engine.history.chain(job.lastEvent, historyMax)
        return { json: { items: chain.reverse().map(showEvent) } }
      },
    }),
    route({
      method: 'GET',
      path: '/jobs/:id/outputs',
      id: 'listOutputs',
      summary: 'Its results: values, and files with their addresses.',
      right: 'read',
      answers: { 200: z.object({ items: z.array(outputOut) }) },
      handle: async call => {
        const job = await find(call)
        return {
          json: { items: (await engine.history.outputs(job.n)).map(output => showOutput(job, output)) },
        }
      },
    }),
    route({
      method: 'POST',
      path: '/jobs/:id/cancel',
      id: 'cancelJob',
      summary: 'Cancel: at once while it waits; a running one is asked to stop, with `kill` ended.',
      right: 'submit',
      body: cancelIn,
      bodyOptional: true,
      answers: { 200: jobOut },
      handle: call => steer(call, (tx, n) => tx.cancel(n, definedOf(call.body))),
    }),
    route({
      method: 'POST',
      path: '/jobs/:id/hold',
      id: 'holdJob',
      summary: 'A waiting job does not start until released; a running one is paused where its executor can.',
      right: 'submit',
      answers: { 200: jobOut },
      handle: call => steer(call, (tx, n) => tx.pause(n)),
    }),
    route({
      method: 'POST',
      path: '/jobs/:id/release',
      id: 'releaseJob',
      summary: 'Takes a hold back.',
      right: 'submit',
      answers: { 200: jobOut },
      handle: call => steer(call, (tx, n) => tx.release(n)),
    }),
    route({
      method: 'POST',
      path: '/jobs/:id/retry',
      id: 'retryJob',
      summary: 'Puts a failed or cancelled job back into its queue.',
      right: 'submit',
      answers: { 200: jobOut },
      handle: async call => {
        const job = await findMine(call)
        return { json: show(must(await engine.resubmit(job.n))) }
      },
    }),
    route({
      method: 'PATCH',
      path: '/jobs/:id',
      id: 'rerankJob',
      summary: 'Gives it another place in its pool; lower ranks start first.',
      right: 'submit',
      body: rankIn,
      answers: { 200: jobOut },
      handle: call => steer(call, (tx, n) => tx.rerank(n, call.body.rank)),
    }),
    route({
      method: 'DELETE',
      path: '/jobs/:id',
      id: 'forgetJob',
      summary: 'Takes an ended job out of history, with its outputs and logs.',
      right: 'submit',
      answers: { 204: 'nothing' },
      handle: async call => {
        const job = await findMine(call)
        if (!isFinal(job.state)) refuse('illegal-move', `job ${job.id} has not ended: it is ${job.state}`)
        if (job.flow !== null && (await engine.flow({ n: job.flow }))?.state === 'running')
          refuse('illegal-move', `job ${job.id} belongs to flow ${job.flow}, which has not ended`)
        await engine.forget({ jobs: [job.n] })
        return { status: 204, json: undefined }
      },
    }),
  ]
}

/** The value of a move of what was found a moment ago: if it is not among the living any more, it has ended. */
export function stillThere<T>(verdict: Verdict<T>, what: string): T {
  if (!verdict.ok && verdict.refusal.kind === 'not-found') refuse('illegal-move', `${what} has ended`)
  return must(verdict)
}

/** Aborted when the client goes away, or the server begins to stop: there is nobody, or no time, left to wait for. */
export function leaves({ reply, request }: Pick<Call, 'reply' | 'request'>): AbortSignal {
  const gone = new AbortController()
  const leave = () => gone.abort()
  const { draining } = request.server
  if (draining.aborted) leave()
  else draining.addEventListener('abort', leave, { once: true })
  // The answer's own end, not the connection's: that one goes on to carry other requests.
  reply.raw.once('close', () => {
    draining.removeEventListener('abort', leave)
    leave()
  })
  return gone.signal
}

function draftOf(body: z.output<typeof jobIn>, owner: string): JobDraft {
  return {
    ...definedOf(body),
    dialect: 'native',
    kind: body.kind ?? kindOf(body),
    owner,
    spec: body.spec,
  }
}

/** A function job is known by its function, any other by its executor. */
function kindOf({ executor, spec }: z.output<typeof jobIn>): string {
  const name = executor === 'function' ? (spec as { function?: unknown } | null)?.function : undefined
  return typeof name === 'string' ? name : executor
}

/** `state=ready,running`: refuses words that are none. */
export function readStates(text: string): JobState[] {
  return text.split(',').map(word => {
    const state = jobStates.find(known => known === word)
    return (
      state ?? refuse('bad-field', `state: ${word} is none of ${jobStates.join(', ')}`, { field: 'state' })
    )
  })
}

/** `label=KEY=VALUE`, any number of them. */
export function readLabels(given: string | string[]): [string, string][] {
  return [given].flat().map(text => {
    const equals = text.indexOf('=')
    if (equals < 1) refuse('bad-field', `label: ${text} is not KEY=VALUE`, { field: 'label' })
    return [text.slice(0, equals), text.slice(equals + 1)]
  })
}

/** A submitter's lists are its own, whatever it asks for. */
export function ownerFilter(asked: string | undefined, seen: string | undefined): { owner?: string } {
  const owner = seen ?? asked
  return owner === undefined ? {} : { owner }
}
