// Usage of the past and resources of the present: GET /accounting and GET /resources.

import type { FastifyInstance } from 'fastify'
import type { Job } from '../../core/job.ts'
import { refuse } from '../../core/refusal.ts'
import { type Call, send, serve } from './call.ts'
import { cpuSecondsOf, wallSecondsOf } from './execution.ts'
import type { Parts } from './parts.ts'
import { gigabyte } from './resources.ts'
import { dialectName, jobKind } from './spec.ts'

const dayMs = 86_400_000
const hourSeconds = 3600
const pageSize = 500

interface Usage {
  cpuTime: number
  wallTime: number
  numberOfJobs: number
}

/** Serves /accounting and /resources. */
export function accountingRoutes(app: FastifyInstance, parts: Parts): void {
  serve(app, parts, '/accounting', { GET: call => account(call, parts) })
  serve(app, parts, '/resources', { GET: call => send(call, { existing: existing(parts) }) })
}

async function account(call: Call, parts: Parts): Promise<unknown> {
  const start = readDay(call.query.get('start'), 'Start date must be provided')
  const end = readDay(call.query.get('end'), 'End date must be provided') + dayMs
  const byGroup = call.query.get('by_group') === 'true'
  const allUsers = call.query.get('show_all_users') === 'true'
  const { name, groups } = call.who
  const sums = new Map<string, Usage>()
  for await (const job of jobsCreated(parts, { start, end, owner: byGroup || allUsers ? undefined : name })) {
    const ofJob = groupsOf(job)
    const shared = groups.filter(group => ofJob.includes(group))
    if (byGroup) for (const group of shared) add(sums, group, job)
    else if (job.owner === name || (allUsers && shared.length > 0)) add(sums, job.owner, job)
  }
  const told = Object.fromEntries(sums)
  return send(call, { usage: { users: byGroup ? {} : told, groups: byGroup ? told : {} } })
}

async function* jobsCreated(
  { kit }: Parts,
  { start, end, owner }: { start: number; end: number; owner: string | undefined },
): AsyncGenerator<Job> {
  let after: string | undefined
  do {
    const page = await kit.engine.history.jobs({
      dialect: dialectName,
      kind: jobKind,
      ...(owner === undefined ? {} : { owner }),
      createdFrom: start,
      createdTo: end - 1,
      order: 'newest',
      limit: pageSize,
      ...(after === undefined ? {} : { after }),
    })
    yield* page.items
    after = page.next
  } while (after !== undefined)
}

function add(sums: Map<string, Usage>, name: string, job: Job): void {
  const sum = sums.get(name) ?? { cpuTime: 0, wallTime: 0, numberOfJobs: 0 }
  sum.cpuTime += cpuSecondsOf(job) / hourSeconds
  sum.wallTime += (wallSecondsOf(job) * (job.needs?.cpus ?? 1)) / hourSeconds
  sum.numberOfJobs++
  sums.set(name, sum)
}

function groupsOf(job: Job): readonly unknown[] {
  const groups = job.detail?.['groups']
  return Array.isArray(groups) ? groups : []
}

function readDay(text: string | null, absent: string): number {
  if (text === null || text === '') refuse('bad-field', absent)
  const day = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN
  return Number.isNaN(day) ? refuse('bad-field', 'Unable to retrieve usage data') : day
}

/** The one site that there is: its capacity as declared, and what is free of it. */
function existing({ kit, settings }: Parts) {
  const pool = kit.engine.poolState().find(({ name }) => name === settings.pool)
  const cpus = pool?.resources?.cpus ?? pool?.slots ?? 0
  const memory = (pool?.resources?.memoryBytes ?? 0) / gigabyte
  const usedCpus = pool?.resources?.cpus === undefined ? (pool?.slotsUsed ?? 0) : pool.used.cpus
  return [
    {
      capacity: { cpus, memory },
      free: {
        cpus: Math.max(0, cpus - usedCpus),
        memory: Math.max(0, memory - (pool?.used.memoryBytes ?? 0) / gigabyte),
      },
      site: settings.site,
    },
  ]
}
