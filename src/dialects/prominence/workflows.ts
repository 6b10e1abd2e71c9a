// The workflow endpoints: submit, list, describe, delete, remove, clone, rerun.

import type { FastifyInstance } from 'fastify'
import type { Flow, FlowDraft } from '../../core/flow.ts'
import { refuse } from '../../core/refusal.ts'
import { type Call, idIn, send, serve } from './call.ts'
import { actsFor, draftWorkflow, kept } from './draft.ts'
import { confirmMsMax } from './jobs.ts'
import { isLeftInQueue, leaveChange, removeChange } from './left-in-queue.ts'
import { anyFlow, listFlows, ownFlow, someFlows } from './listing.ts'
import { withDocument } from './long-body.ts'
import { checkObjects } from './objects-check.ts'
import { objectsOfWorkflow } from './objects-needed.ts'
import type { Parts } from './parts.ts'
import { readIds, readListQuery, readStretch } from './query.ts'
import { checkQuota } from './quota.ts'
import { linkNext, sendList } from './send-list.ts'
import { showWorkflows } from './show-many.ts'
import type { WorkflowSpec } from './spec.ts'
import { readWorkflow } from './validate/workflow.ts'

/** Serves /workflows, but for streams. */
export function workflowRoutes(app: FastifyInstance, parts: Parts): void {
  serve(app, parts, '/workflows', {
    POST: call => submit(call, parts),
    GET: call => list(call, parts),
    DELETE: call => {
      if (!call.query.has('id')) refuse('bad-field', 'a workflow id or list of workflow ids must be provided')
      return drop(call, parts, readIds(call.query.get('id')!))
    },
  })
  serve(app, parts, '/workflows/:id(\\d+)', {
    GET: call => describe(call, parts),
    DELETE: call => drop(call, parts, [idIn(call.params) ?? 0]),
    PUT: call => rerun(call, parts),
  })
  serve(app, parts, '/workflows/:id(\\d+)/remove', { PUT: call => remove(call, parts) })
  serve(app, parts, '/workflows/:id(\\d+)/clone', { PUT: call => clone(call, parts) })
}

function submit(call: Call, parts: Parts): Promise<unknown> {
  return withDocument(call, parts, async body => {
    const document = readWorkflow(body, { instancesMax: parts.settings.workflowJobsMax })
    await checkObjects(parts, call.who, objectsOfWorkflow(document))
    const jobs = document.jobs.map(job => parts.seals.seal(keptNamed(job), call.who.name))
    const spec = { document: { ...document, jobs }, by: actsFor(call.who) }
    return send(call, { id: await startWorkflow(parts, call.who.name, spec) }, 201)
  })
}

function keptNamed<T extends { readonly name: string }>(job: T & Parameters<typeof kept>[0]) {
  return { ...kept(job), name: job.name }
}

/** Submits a stored or accepted workflow and gives its id. */
async function startWorkflow(
  parts: Parts,
  owner: string,
  spec: WorkflowSpec,
  done: readonly string[] = [],
): Promise<number> {
  const draft = draftWorkflow(spec, owner, parts.settings, done)
  checkQuota(parts, owner, soonWaiting(draft, parts))
  return parts.kit.engine.write(tx => {
    const { n } = tx.startFlow(draft)
    if (spec.document.policies?.leaveInQueue) tx.record(leaveChange('workflow', n, owner, tx.now))
    return n
  })
}

/** How many jobs of a workflow wait at once: no more than are released at a time. */
function soonWaiting({ plan }: FlowDraft, { settings }: Parts): number {
  const total = plan.steps.reduce((sum, { count = 1 }) => sum + count, 0)
  return settings.workflowPendingMax === 0 ? total : Math.min(total, settings.workflowPendingMax)
}

async function list(call: Call, parts: Parts): Promise<unknown> {
  const query = readListQuery(call.query)
  const form = { detail: query.detail }
  const stretch = readStretch(call.query, query)
  if (stretch === undefined)
    return sendList(call, showWorkflows(parts, listFlows(parts, call.who.name, query), form))
  const { items, next } = await someFlows(parts, call.who.name, { query, stretch })
  linkNext(call, next)
  return sendList(call, showWorkflows(parts, items, form))
}

async function describe(call: Call, parts: Parts): Promise<unknown> {
  const flow = await ownFlow(parts, call.who.name, idIn(call.params))
  const found = (async function* () {
    if (flow !== undefined) yield flow
  })()
  return sendList(call, showWorkflows(parts, found, { detail: true }))
}

async function drop(call: Call, parts: Parts, ids: readonly number[]): Promise<unknown> {
  const { engine } = parts.kit
  const found = await Promise.all(ids.map(id => ownFlow(parts, call.who.name, id)))
  const active = found.filter(flow => flow?.state === 'running' && flow.stop === 'none') as Flow[]
  if (active.length === 0) refuse('bad-field', 'No such workflow(s)')
  await engine.write(tx => {
    for (const { n } of active) tx.cancelFlow(n)
  })
  await Promise.all(active.map(({ n }) => engine.settledFlow(n, { timeoutMs: confirmMsMax })))
  return send(call, {})
}

async function remove(call: Call, parts: Parts): Promise<unknown> {
  const flow = await demandFlow(call, parts)
  const isLeft = await isLeftInQueue(parts, 'workflow', flow.n)
  if (flow.state !== 'running' && !isLeft) refuse('bad-field', 'Workflow is no longer in the queue')
  if (isLeft) await parts.kit.engine.write(tx => tx.record(removeChange('workflow', flow.n)))
  return send(call, {})
}

async function clone(call: Call, parts: Parts): Promise<unknown> {
  const flow = await demandFlow(call, parts)
  const workflow = await parts.specs.workflow(flow.n)
  if (workflow === undefined) refuse('bad-field', 'Unable to get JSON description of the specified workflow')
  const spec = { document: workflow.document, by: actsFor(call.who) }
  return send(call, { id: await startWorkflow(parts, call.who.name, spec) }, 201)
}

/** A new workflow with the same document, in which the nodes that are done need not run again. */
async function rerun(call: Call, parts: Parts): Promise<unknown> {
  const flow = await ownFlow(parts, call.who.name, idIn(call.params))
  // Left in the queue or not: contracts/prominence.md §3.3 allows it for every workflow that has ended.
  const hasEnded = flow !== undefined && flow.state !== 'running'
  const workflow = hasEnded ? await parts.specs.workflow(flow.n) : undefined
  if (flow === undefined || workflow === undefined)
    refuse(
      'illegal-move',
      'Unable to find re-run workflow as the original workflow is not in a suitable state',
    )
  const done = (await parts.kit.engine.nodes(flow.n))
    .filter(({ state }) => state === 'done')
    .map(({ key }) => key)
  const spec = { document: workflow.document, by: actsFor(call.who) }
  return send(call, { id: await startWorkflow(parts, call.who.name, spec, done) })
}

async function demandFlow(call: Call, parts: Parts): Promise<Flow> {
  const flow = await anyFlow(parts, idIn(call.params))
  if (flow === undefined) refuse('bad-field', 'Workflow does not exist')
  if (flow.owner !== call.who.name) refuse('not-allowed', 'Not authorized to access this workflow')
  return flow
}
