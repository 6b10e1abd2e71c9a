// Why a job is not running: what it waits for, since when, and its place in the queue.

import type { Job } from '../core/job.ts'
import { isFinal } from '../core/job-state.ts'
import type { Why } from './engine.ts'
import type { Model } from './model.ts'
import { findNode, openParents, type Plan } from './planners/dag/plan.ts'

/** How many upstream nodes are named. */
const upstreamMax = 20

/** Undefined when the job runs or has ended. */
export function explainJob(model: Model, plans: ReadonlyMap<number, Plan>, job: Job): Why | undefined {
  if (isFinal(job.state) || job.state === 'running') return undefined
  const sinceAt = job.readyAt ?? job.createdAt
  const base = { state: job.state, sinceAt }
  if (job.state === 'starting') return { ...base, waitsFor: 'starting', text: 'its executor is starting it' }
  if (job.state === 'delayed') {
    const untilAt = job.dueAt ?? sinceAt
    return { ...base, waitsFor: 'delayed', untilAt, text: job.message ?? 'it waits for its time' }
  }
  if (job.state === 'blocked') return { ...base, ...explainBlocked(plans, job) }
  if (job.held) return { ...base, waitsFor: 'held', text: 'it is held until somebody releases it' }
  const pool = model.pool(job.pool)
  const unfit = job.needs === null ? undefined : pool.fits(job.needs)
  if (unfit !== undefined) return { ...base, waitsFor: 'resources', text: unfit.text }
  const place = pool.ahead(job) + 1
  const short = pool.short(job.needs)
  if (place > 1) {
    return {
      ...base,
      waitsFor: 'behind',
      place,
      text: `${place - 1} jobs are before it in pool ${pool.name}${short === undefined ? '' : `, which is short of ${short}`}`,
    }
  }
  const label = pool.shortLabel(job)
  if (short === undefined && label !== undefined) {
    return { ...base, waitsFor: 'slots', place, text: `as many jobs ${label} as may be live are live` }
  }
  if (short === undefined && pool.isOwnerFull(job))
    return {
      ...base,
      waitsFor: 'slots',
      place,
      text: `${job.owner} has as many live jobs as one owner may have`,
    }
  if (short === undefined) return { ...base, waitsFor: 'starting', place, text: 'it is about to be started' }
  const { slots, slotsUsed } = pool.state()
  const text =
    short === 'slots'
      ? `all ${slots} slots of pool ${pool.name} are taken (${slotsUsed} jobs are live)`
      : `pool ${pool.name} has not enough free resources for it at the moment`
  return { ...base, waitsFor: short, place, text }
}

/** Why a node that has no job yet waits. */
export function explainNode(plan: Plan, key: string, now: number): Why | undefined {
  const node = findNode(plan, key)
  if (node === undefined || (node.state !== 'waiting' && node.state !== 'blocked')) return undefined
  const open = openParents(plan, key)
  const sinceAt = plan.flow.createdAt
  if (open.length === 0) {
    const idleMax = plan.flow.plan.idleMax
    const text =
      idleMax !== undefined && plan.idleCount >= idleMax
        ? `the flow has ${plan.idleCount} jobs waiting to start, which is as many as it may`
        : 'it is about to be released'
    return { state: 'blocked', waitsFor: 'flow', text, sinceAt, untilAt: now }
  }
  return { state: 'blocked', sinceAt, ...namedUpstream(open) }
}

function explainBlocked(
  plans: ReadonlyMap<number, Plan>,
  job: Job,
): Pick<Why, 'waitsFor' | 'text' | 'upstream'> {
  const plan = job.flow === null ? undefined : plans.get(job.flow)
  if (plan === undefined || job.node === null)
    return { waitsFor: 'upstream', text: job.message ?? 'it waits for something upstream' }
  return namedUpstream(openParents(plan, job.node))
}

function namedUpstream(
  open: readonly { key: string; state: string; job: number }[],
): Pick<Why, 'waitsFor' | 'text' | 'upstream'> {
  const failed = open.filter(node => node.state === 'failed' || node.state === 'blocked').length
  const names = open.slice(0, 3).map(node => `${node.key} (${node.state})`)
  const more = open.length > names.length ? ` and ${open.length - names.length} more` : ''
  return {
    waitsFor: 'upstream',
    text: `it waits for ${names.join(', ')}${more}${failed > 0 ? `; ${failed} of them cannot end well as things are` : ''}`,
    upstream: open
      .slice(0, upstreamMax)
      .map(node => ({ node: node.key, state: node.state, ...(node.job === 0 ? {} : { job: node.job }) })),
  }
}
