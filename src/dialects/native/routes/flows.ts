// Flows: submit a DAG, look at it and its nodes, cancel it, run its failed part again.

import { type FlowState, flowStates, nodeStates } from '../../../core/flow.ts'
import { must, refuse } from '../../../core/refusal.ts'
import type { Engine } from '../../../engine/engine.ts'
import type { Kit } from '../../dialect.ts'
import { checkFlow, judgeOf } from '../flow-check.ts'
import { definedOf, draftFlow } from '../flow-drafter.ts'
import type { Idempotency } from '../idempotency.ts'
import { base, type Call, type NativeRoute, route } from '../route.ts'
import { flowIn, flowOut, flowsQuery, nodeOut, nodesQuery, pageOf, waitQuery, whyOut } from '../shapes.ts'
import { showFlow, showNode, showWhy } from '../show.ts'
import { demandChange, findFlow, ownerSeen } from '../visible.ts'
import { leaves, ownerFilter, readLabels, stillThere } from './jobs.ts'

/** Routes of flows and their nodes. */
export function flowRoutes(kit: Kit, keys: Idempotency): NativeRoute[] {
  const { engine } = kit
  const find = (call: Call) => findFlow(engine, call.principal, call.params['id']!)
  const findMine = async (call: Call) => {
    const flow = await find(call)
    demandChange(call.principal, flow.owner)
    return flow
  }
  const judge = judgeOf(engine)

  return [
    route({
      method: 'POST',
      path: '/flows',
      id: 'submitFlow',
      summary:
        'Submit a flow: steps that need each other, each a job or a flow, with fan-out. Durable when answered.',
      right: 'submit',
      body: flowIn,
      idempotent: true,
      answers: { 201: flowOut },
      handle: ({ body, principal, request }) =>
        keys.once(request, principal, tx => {
          checkFlow(body, judge)
          const flow = tx.startFlow(draftFlow(body, principal.name))
          return { status: 201, headers: { location: `${base}/flows/${flow.id}` }, json: showFlow(flow) }
        }),
    }),
    route({
      method: 'GET',
      path: '/flows',
      id: 'listFlows',
      summary: 'Flows of all dialects, newest first. Submitters see their own.',
      right: 'read',
      query: flowsQuery,
      answers: { 200: pageOf(flowOut) },
      handle: async ({ query, principal }) => {
        const { state, label, order, limit, owner, ...rest } = query
        const page = await engine.history.flows({
          ...definedOf(rest),
          ...ownerFilter(owner, ownerSeen(principal)),
          ...(state !== undefined ? { states: readFlowStates(state) } : {}),
          ...(label !== undefined ? { labels: readLabels(label) } : {}),
          order: order ?? 'newest',
          limit: limit ?? 100,
        })
        return {
          json: { items: page.items.map(showFlow), ...(page.next !== undefined ? { next: page.next } : {}) },
        }
      },
    }),
    route({
      method: 'GET',
      path: '/flows/:id',
      id: 'getFlow',
      summary: 'One flow. With `wait`, when it has ended or the time is over.',
      right: 'read',
      query: waitQuery,
      answers: { 200: flowOut },
      handle: async call => {
        const flow = await find(call)
        if (call.query.wait === undefined || flow.state !== 'running') return { json: showFlow(flow) }
        await engine.settledFlow(flow.n, { timeoutMs: call.query.wait, signal: leaves(call) })
        return { json: showFlow((await engine.flow({ n: flow.n })) ?? flow) }
      },
    }),
    route({
      method: 'GET',
      path: '/flows/:id/nodes',
      id: 'listNodes',
      summary: 'Its nodes, in the order of its steps.',
      right: 'read',
      query: nodesQuery,
      answers: { 200: pageOf(nodeOut) },
      handle: async call => {
        const flow = await find(call)
        const { after, limit = 1_000, state } = call.query
        const states = state?.split(',')
        const odd = states?.find(word => !nodeStates.some(known => known === word))
        if (odd !== undefined)
          refuse('bad-field', `state: ${odd} is none of ${nodeStates.join(', ')}`, { field: 'state' })
        const [step, index] =
          after === undefined ? [-1, -1] : (after.split('.').map(Number) as [number, number])
        const rest = (await engine.nodes(flow.n)).filter(
          node =>
            (node.step > step || (node.step === step && node.index > index)) &&
            states?.includes(node.state) !== false,
        )
        const items = rest.slice(0, limit)
        const last = rest.length > items.length ? items.at(-1) : undefined
        return {
          json: {
            items: items.map(showNode),
            ...(last !== undefined ? { next: `${last.step}.${last.index}` } : {}),
          },
        }
      },
    }),
    route({
      method: 'GET',
      path: '/flows/:id/nodes/*',
      id: 'whyNode',
      summary: 'Why a node does not run. The path ends in the node’s key and /why.',
      right: 'read',
      answers: { 200: whyOut },
      handle: async call => {
        const flow = await find(call)
        const rest = call.params['*']!
        const key = rest.endsWith('/why')
          ? rest.slice(0, -4)
          : refuse('not-found', `There is nothing at nodes/${rest.slice(0, 200)}`)
        const node = (await engine.nodes(flow.n)).find(other => other.key === key)
        if (node === undefined) refuse('not-found', `Flow ${flow.id} has no node ${key.slice(0, 200)}`)
        return { json: showWhy(node.state, await engine.whyNode(flow.n, key)) }
      },
    }),
    route({
      method: 'POST',
      path: '/flows/:id/cancel',
      id: 'cancelFlow',
      summary: 'Starts nothing more and stops what runs.',
      right: 'submit',
      answers: { 200: flowOut },
      handle: async call => {
        const flow = await findMine(call)
        stillThere(await engine.write(tx => tx.cancelFlow(flow.n)), `flow ${flow.id}`)
        return { json: showFlow((await engine.flow({ n: flow.n }))!) }
      },
    }),
    route({
      method: 'POST',
      path: '/flows/:id/rerun',
      id: 'rerunFlow',
      summary:
        'Runs what failed, was blocked or skipped again; what is done stays done. Also of a flow that stays open after a failure.',
      right: 'submit',
      answers: { 200: flowOut },
      handle: async call => {
        const flow = await findMine(call)
        if (flow.state !== 'running') return { json: showFlow(must(await engine.rerunFlow(flow.n))) }
        if ((await retryFailed(engine, flow.n)) === 0)
          refuse('illegal-move', `flow ${flow.id} has not ended, and nothing of it has failed`)
        return { json: showFlow((await engine.flow({ n: flow.n }))!) }
      },
    }),
    route({
      method: 'DELETE',
      path: '/flows/:id',
      id: 'forgetFlow',
      summary: 'Takes an ended flow out of history. Its jobs stay.',
      right: 'submit',
      answers: { 204: 'nothing' },
      handle: async call => {
        const flow = await findMine(call)
        if (flow.state === 'running') refuse('illegal-move', `flow ${flow.id} has not ended`)
        await engine.forget({ flows: [flow.n] })
        return { status: 204, json: undefined }
      },
    }),
  ]
}

/** Puts the failed jobs of a flow that has not ended back, those of the flows inside it too; gives how many. */
async function retryFailed(engine: Engine, flow: number): Promise<number> {
  const nodes = await engine.nodes(flow)
  const counts = await Promise.all(
    nodes.map(async ({ state, job, child }) => {
      if (state === 'failed' && job !== 0) return (await engine.resubmit(job)).ok ? 1 : 0
      if (child === 0 || (state !== 'live' && state !== 'failed')) return 0
      if ((await engine.flow({ n: child }))?.state === 'running') return retryFailed(engine, child)
      return state === 'failed' && (await engine.rerunFlow(child)).ok ? 1 : 0
    }),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}

function readFlowStates(text: string): FlowState[] {
  return text.split(',').map(word => {
    const state = flowStates.find(known => known === word)
    return (
      state ?? refuse('bad-field', `state: ${word} is none of ${flowStates.join(', ')}`, { field: 'state' })
    )
  })
}
