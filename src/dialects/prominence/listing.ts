// Which jobs and workflows a list has, and in which order: ended ones first, newest end first, then active ones by id.

import type { Flow } from '../../core/flow.ts'
import type { Job } from '../../core/job.ts'
import type { Page } from '../../store/store.ts'
import { leftInQueue } from './left-in-queue.ts'
import type { Parts } from './parts.ts'
import type { ListQuery } from './query.ts'
import { dialectName, jobKind, workflowKind } from './spec.ts'
import { isEnded, jobStatus } from './words.ts'

const pageSize = 500

/** The caller's job of this id, in whatever state; undefined when there is none, or it is somebody else's. */
export async function ownJob(parts: Parts, owner: string, id: number | undefined): Promise<Job | undefined> {
  const job = await anyJob(parts, id)
  return job?.owner === owner ? job : undefined
}

/** The job of this id, whoever owns it. */
export async function anyJob({ kit }: Parts, id: number | undefined): Promise<Job | undefined> {
  const job = id === undefined ? undefined : await kit.engine.job({ n: id })
  return job?.dialect === dialectName && job.kind === jobKind ? job : undefined
}

/** The caller's workflow of this id. */
export async function ownFlow(
  parts: Parts,
  owner: string,
  id: number | undefined,
): Promise<Flow | undefined> {
  const flow = await anyFlow(parts, id)
  return flow?.owner === owner ? flow : undefined
}

/** The workflow of this id, whoever owns it. */
export async function anyFlow({ kit }: Parts, id: number | undefined): Promise<Flow | undefined> {
  const flow = id === undefined ? undefined : await kit.engine.flow({ n: id })
  return flow?.dialect === dialectName && flow.kind === workflowKind ? flow : undefined
}

/** The jobs of a list. */
export async function* listJobs(parts: Parts, owner: string, query: ListQuery): AsyncGenerator<Job> {
  if (query.workflow !== undefined && (await ownFlow(parts, owner, query.workflow)) === undefined) return
  const wanted = (job: Job) =>
    matches(job, query) &&
    (query.workflow === undefined || job.flow === query.workflow) &&
    (!query.exitNonzero || endedNonzero(job))
  if (query.ids !== undefined) {
    const found = await Promise.all(query.ids.map(id => ownJob(parts, owner, id)))
    yield* inOrder(found.filter(job => job !== undefined && wanted(job)) as Job[])
    return
  }
  const { engine } = parts.kit
  const left = await leftInQueue(parts, owner, 'job')
  if (query.ended !== undefined) {
    const fetch = (after: string | undefined) =>
      engine.history.jobs({
        dialect: dialectName,
        owner,
        kind: jobKind,
        ...historyFilter(query),
        ...(query.workflow === undefined ? {} : { flow: query.workflow }),
        order: 'ended',
        limit: pageSize,
        ...(after === undefined ? {} : { after }),
      })
    yield* endedOnes(fetch, job => wanted(job) && !left.has(job.n), query.ended.num)
  }
  if (!query.active) return
  const active: Job[] = []
  const live = {
    dialect: dialectName,
    owner,
    ...(query.workflow === undefined ? {} : { flow: query.workflow }),
  }
  for (const job of engine.liveJobs(live))
    if (job.kind === jobKind && wanted(job) && !isEnded(job) && hasStatus(job, query.status)) active.push(job)
  if (query.status === undefined && query.workflow === undefined)
    for (const id of left) {
      const job = await ownJob(parts, owner, id)
      if (job !== undefined && isEnded(job) && wanted(job)) active.push(job)
    }
  yield* active.sort((a, b) => a.n - b.n)
}

/** The workflows of a list. */
export async function* listFlows(parts: Parts, owner: string, query: ListQuery): AsyncGenerator<Flow> {
  const wanted = (flow: Flow) => matches(flow, query)
  if (query.ids !== undefined) {
    const found = await Promise.all(query.ids.map(id => ownFlow(parts, owner, id)))
    yield* inOrder(found.filter(flow => flow !== undefined && wanted(flow)) as Flow[])
    return
  }
  const { engine } = parts.kit
  const left = await leftInQueue(parts, owner, 'workflow')
  if (query.ended !== undefined) {
    const fetch = (after: string | undefined) =>
      engine.history.flows({
        dialect: dialectName,
        owner,
        kind: workflowKind,
        ...historyFilter(query),
        order: 'ended',
        limit: pageSize,
        ...(after === undefined ? {} : { after }),
      })
    yield* endedOnes(fetch, flow => wanted(flow) && !left.has(flow.n), query.ended.num)
  }
  if (!query.active) return
  const active: Flow[] = []
  for (const flow of engine.liveFlows({ dialect: dialectName, owner }))
    if (wanted(flow) && flow.stop === 'none' && hasFlowStatus(flow, query.status)) active.push(flow)
  if (query.status === undefined)
    for (const id of left) {
      const flow = await ownFlow(parts, owner, id)
      if (flow !== undefined && flow.state !== 'running' && wanted(flow)) active.push(flow)
    }
  yield* active.sort((a, b) => a.n - b.n)
}

async function* endedOnes<T>(
  fetch: (after: string | undefined) => Promise<Page<T>>,
  wanted: (item: T) => boolean,
  num: number | undefined,
): AsyncGenerator<T> {
  let room = num ?? Number.POSITIVE_INFINITY
  let after: string | undefined
  while (room > 0) {
    const page = await fetch(after)
    for (const item of page.items) {
      if (room === 0) return
      if (!wanted(item)) continue
      room--
      yield item
    }
    after = page.next
    if (after === undefined) return
  }
}

function matches(thing: Job | Flow, { labels, name }: ListQuery): boolean {
  if (name !== undefined && thing.name !== name) return false
  return labels.every(([key, value]) => thing.labels?.[key.toLowerCase()] === value)
}

function historyFilter({ labels, name }: ListQuery) {
  return {
    ...(name === undefined ? {} : { name }),
    ...(labels.length === 0
      ? {}
      : { labels: labels.map(([key, value]) => [key.toLowerCase(), value] as const) }),
  }
}

function hasStatus(job: Job, status: ListQuery['status']): boolean {
  return status === undefined || jobStatus(job) === (status === 'idle' ? 'pending' : 'running')
}

function hasFlowStatus({ progress }: Flow, status: ListQuery['status']): boolean {
  if (status === undefined) return true
  return progress.live + progress.done + progress.failed > 0 === (status === 'running')
}

function endedNonzero(job: Job): boolean {
  return job.state === 'failed' && job.reason === 'exit'
}

function inOrder<T extends { readonly n: number; readonly endedAt: number | null }>(things: T[]): T[] {
  const ended = things
    .filter(({ endedAt }) => endedAt !== null)
    .sort((a, b) => b.endedAt! - a.endedAt! || b.n - a.n)
  return [...ended, ...things.filter(({ endedAt }) => endedAt === null).sort((a, b) => a.n - b.n)]
}
