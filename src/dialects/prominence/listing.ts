// Which jobs and workflows a list has, and in which order: ended ones first, newest end first, then active ones by id.

import type { Flow } from '../../core/flow.ts'
import type { Job } from '../../core/job.ts'
import type { Page } from '../../store/store.ts'
import { leftInQueue } from './left-in-queue.ts'
import type { Parts } from './parts.ts'
import type { ListQuery, StretchQuery } from './query.ts'
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

/** What a list is made of: ended ones, a page of history at a time, and active ones by id. */
interface Source<T> {
  readonly ended:
    | { fetch(after: string | undefined, limit: number): Promise<Page<T>>; wanted(item: T): boolean }
    | undefined
  active(): Promise<T[]>
}

/** The jobs of a list. */
export async function* listJobs(parts: Parts, owner: string, query: ListQuery): AsyncGenerator<Job> {
  if (query.ids === undefined) {
    yield* everyOne(await jobSource(parts, owner, query), query)
    return
  }
  const found = await Promise.all(query.ids.map(id => ownJob(parts, owner, id)))
  yield* inOrder(found.filter(job => job !== undefined && isWantedJob(job, query)) as Job[])
}

/** The workflows of a list. */
export async function* listFlows(parts: Parts, owner: string, query: ListQuery): AsyncGenerator<Flow> {
  if (query.ids === undefined) {
    yield* everyOne(await flowSource(parts, owner, query), query)
    return
  }
  const found = await Promise.all(query.ids.map(id => ownFlow(parts, owner, id)))
  yield* inOrder(found.filter(flow => flow !== undefined && matches(flow, query)) as Flow[])
}

/** A stretch of a list, and where the next one begins; undefined after the last. */
export interface Stretch<T> {
  readonly items: readonly T[]
  readonly next: string | undefined
}

/** Some jobs of a list, from a place in it. */
export async function someJobs(
  parts: Parts,
  owner: string,
  { query, stretch }: { query: ListQuery; stretch: StretchQuery },
): Promise<Stretch<Job>> {
  return stretchOf(await jobSource(parts, owner, query), stretch)
}

/** Some workflows of a list, from a place in it. */
export async function someFlows(
  parts: Parts,
  owner: string,
  { query, stretch }: { query: ListQuery; stretch: StretchQuery },
): Promise<Stretch<Flow>> {
  return stretchOf(await flowSource(parts, owner, query), stretch)
}

async function jobSource(parts: Parts, owner: string, query: ListQuery): Promise<Source<Job>> {
  if (query.workflow !== undefined && (await ownFlow(parts, owner, query.workflow)) === undefined)
    return { ended: undefined, active: async () => [] }
  const { engine } = parts.kit
  const ofWorkflow = query.workflow === undefined ? {} : { flow: query.workflow }
  const left = await leftInQueue(parts, owner, 'job')
  return {
    ended: query.ended && {
      fetch: (after, limit) =>
        engine.history.jobs({
          ...{ dialect: dialectName, owner, kind: jobKind },
          ...historyFilter(query),
          ...ofWorkflow,
          ...{ order: 'ended', limit },
          ...(after === undefined ? {} : { after }),
        }),
      wanted: job => isWantedJob(job, query) && !left.has(job.n),
    },
    async active() {
      if (!query.active) return []
      const active: Job[] = []
      for (const job of engine.liveJobs({ dialect: dialectName, owner, ...ofWorkflow }))
        if (job.kind === jobKind && isWantedJob(job, query) && !isEnded(job) && hasStatus(job, query.status))
          active.push(job)
      if (query.status === undefined && query.workflow === undefined)
        for (const id of left) {
          const job = await ownJob(parts, owner, id)
          if (job !== undefined && isEnded(job) && isWantedJob(job, query)) active.push(job)
        }
      return active.sort((a, b) => a.n - b.n)
    },
  }
}

async function flowSource(parts: Parts, owner: string, query: ListQuery): Promise<Source<Flow>> {
  const { engine } = parts.kit
  const left = await leftInQueue(parts, owner, 'workflow')
  return {
    ended: query.ended && {
      fetch: (after, limit) =>
        engine.history.flows({
          ...{ dialect: dialectName, owner, kind: workflowKind },
          ...historyFilter(query),
          ...{ order: 'ended', limit },
          ...(after === undefined ? {} : { after }),
        }),
      wanted: flow => matches(flow, query) && !left.has(flow.n),
    },
    async active() {
      if (!query.active) return []
      const active: Flow[] = []
      for (const flow of engine.liveFlows({ dialect: dialectName, owner }))
        if (matches(flow, query) && flow.stop === 'none' && hasFlowStatus(flow, query.status))
          active.push(flow)
      if (query.status === undefined)
        for (const id of left) {
          const flow = await ownFlow(parts, owner, id)
          if (flow !== undefined && flow.state !== 'running' && matches(flow, query)) active.push(flow)
        }
      return active.sort((a, b) => a.n - b.n)
    },
  }
}

async function* everyOne<T>({ ended, active }: Source<T>, query: ListQuery): AsyncGenerator<T> {
  let room = query.ended?.num ?? Number.POSITIVE_INFINITY
  let after: string | undefined
  while (ended !== undefined && room > 0) {
    const page = await ended.fetch(after, pageSize)
    for (const item of page.items) {
      if (room === 0) break
      if (!ended.wanted(item)) continue
      room--
      yield item
    }
    after = page.next
    if (after === undefined) break
  }
  yield* await active()
}

/** Places are `e` and the store's own word for one among the ended, or `a` and the last active id that was told. */
async function stretchOf<T extends { readonly n: number }>(
  { ended, active }: Source<T>,
  { limit, after }: StretchQuery,
): Promise<Stretch<T>> {
  const items: T[] = []
  let told = 0
  if (after?.startsWith('a')) told = Number(after.slice(1))
  else if (ended !== undefined) {
    let place = after?.slice(1)
    do {
      const page = await ended.fetch(place, limit - items.length)
      items.push(...page.items.filter(ended.wanted))
      place = page.next
      if (place !== undefined && items.length === limit) return { items, next: `e${place}` }
    } while (place !== undefined)
  }
  const rest = (await active()).filter(({ n }) => n > told)
  const taken = rest.slice(0, limit - items.length)
  items.push(...taken)
  return { items, next: rest.length > taken.length ? `a${taken.at(-1)?.n ?? told}` : undefined }
}

function isWantedJob(job: Job, query: ListQuery): boolean {
  return (
    matches(job, query) &&
    (query.workflow === undefined || job.flow === query.workflow) &&
    (!query.exitNonzero || endedNonzero(job))
  )
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
