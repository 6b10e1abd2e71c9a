// Who sees what in the native API: operators and viewers everything, submitters what is their own.

import type { Flow } from '../../core/flow.ts'
import type { Job } from '../../core/job.ts'
import { mayChange, type Principal } from '../../core/principal.ts'
import { refuse } from '../../core/refusal.ts'
import type { Engine } from '../../engine/engine.ts'

/** The owner that a principal's lists are narrowed to; undefined for those who see everything. */
export function ownerSeen(principal: Principal): string | undefined {
  return principal.role === 'submitter' ? principal.name : undefined
}

/** A job by `id`, by its place `n`, or by `dialect:ref`; what a caller may not see does not exist for it. */
export async function findJob(engine: Engine, principal: Principal, key: string): Promise<Job> {
  const job = await engine.job(readKey(key))
  const owner = ownerSeen(principal)
  if (job === undefined || (owner !== undefined && job.owner !== owner))
    refuse('not-found', `There is no job ${key.slice(0, 200)}`)
  return job
}

/** The flow of a key, as far as the caller may see it; not found otherwise. */
export async function findFlow(engine: Engine, principal: Principal, key: string): Promise<Flow> {
  const flow = await engine.flow(readKey(key))
  const owner = ownerSeen(principal)
  if (flow === undefined || (owner !== undefined && flow.owner !== owner))
    refuse('not-found', `There is no flow ${key.slice(0, 200)}`)
  return flow
}

/** Refuses those who may see a thing and not change it. */
export function demandChange(principal: Principal, owner: string): void {
  if (!mayChange(principal, owner))
    refuse('not-allowed', `${principal.name} may not change what belongs to ${owner}`)
}

function readKey(key: string): { n: number } | { id: string } | { dialect: string; ref: string } {
  if (/^\d{1,15}$/.test(key)) return { n: Number(key) }
  const colon = key.indexOf(':')
  return colon < 0 ? { id: key } : { dialect: key.slice(0, colon), ref: key.slice(colon + 1) }
}
