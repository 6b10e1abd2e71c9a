// The `execution` member of a description: what the executor recorded, in the client's names and units.

import { cpus } from 'node:os'
import type { Job } from '../../core/job.ts'
import { isFinal } from '../../core/job-state.ts'
import { isObject, type Json, type JsonObject } from '../../core/json.ts'
import type { TaskDocument } from './document.ts'
import { grantOf } from './resources.ts'

/** What the executor records of an ordinary task that was reached. Times in ms. */
interface TaskRecord {
  readonly exitCode?: number | null
  readonly retries?: number
  readonly exitCodes?: readonly (number | null)[]
  readonly wallMs?: number
  readonly cpuMs?: number
  readonly maxRssBytes?: number
  readonly imagePullStatus?: 'completed' | 'cached' | 'failed'
  readonly imageDigest?: string
  readonly imagePullMs?: number
}

/** Undefined as long as there is nothing to tell. */
export function showExecution(
  job: Job,
  { site, nodes, tasks }: { site: string; nodes: number; tasks: readonly TaskDocument[] },
): JsonObject | undefined {
  const commands = job.detail?.['commands']
  if (job.startedAt === null && recordsOf(job).length === 0 && !hasStaged(job)) return undefined
  const retries = Math.max(0, job.attempts - 1)
  const { cpus: grantedCpus, memory, disk } = grantOf(job.needs, nodes)
  return {
    site,
    provisionedResources: { cpus: grantedCpus, memory, disk, nodes },
    ...(retries > 0 ? { retries } : {}),
    ...(Array.isArray(commands) ? { commands: commands as Json } : {}),
    // A job that was deleted tells nothing of its end: its runner was not there any more to report it.
    ...(isFinal(job.state) && job.state !== 'cancelled' ? showEnd(job, tasks) : { runtimeVersion: {} }),
  }
}

/** Wall time of all tasks together, in seconds. */
export function wallSecondsOf(job: Job): number {
  return recordsOf(job).reduce((sum, { wallMs = 0 }) => sum + wallMs, 0) / 1000
}

/** Processor time of all tasks together, in seconds. */
export function cpuSecondsOf(job: Job): number {
  return recordsOf(job).reduce((sum, { cpuMs = 0 }) => sum + cpuMs, 0) / 1000
}

function showEnd(job: Job, tasks: readonly TaskDocument[]): JsonObject {
  const records = recordsOf(job)
  const peak = Math.max(0, ...records.map(({ maxRssBytes = 0 }) => maxRssBytes))
  const runtimes = [...new Set(tasks.map(({ runtime }) => runtime))]
  return {
    cpu: processor(),
    runtimeVersion: Object.fromEntries(
      records.length === 0 ? [] : runtimes.map(name => [name, runtimeText(job)]),
    ),
    ...(peak > 0 ? { maxMemoryUsageKB: Math.round(peak / 1024) } : {}),
    ...secondsOf(job, 'stageInMs', 'stageInTime'),
    ...secondsOf(job, 'stageOutMs', 'stageOutTime'),
    ...(records.length > 0 ? { tasks: showTasks(records, tasks) } : {}),
  }
}

/** What stands in for the runtimes that clients name. */
function runtimeText(job: Job): string {
  const driver = job.detail?.['driver']
  return `switchyard ${typeof driver === 'string' ? driver : job.executor}`
}

function showTasks(records: readonly TaskRecord[], tasks: readonly TaskDocument[]): JsonObject[] {
  const ordinary = tasks.filter(({ type }) => type !== 'sidecar')
  const seen = new Set(tasks.filter(({ type }) => type === 'sidecar').map(imageKey))
  return records.map((record, at) => {
    const task = ordinary[at]
    const key = task === undefined ? '' : imageKey(task)
    const isRepeated = seen.has(key)
    seen.add(key)
    return { ...showRun(record), ...showImage(record, isRepeated) }
  })
}

function imageKey({ image, runtime }: TaskDocument): string {
  return `${runtime} ${image}`
}

function showRun({ exitCode, exitCodes, retries = 0, wallMs, cpuMs, maxRssBytes }: TaskRecord): JsonObject {
  if (exitCode === undefined) return {}
  return {
    // A task that was ended from outside before it could end itself: as the original tells a kill.
    exitCode: exitCode ?? -9,
    // Ours: which of the nodes it was.
    ...(exitCodes === undefined ? {} : { exitCodes: exitCodes.map(code => code ?? -9) }),
    retries,
    wallTimeUsage: (wallMs ?? 0) / 1000,
    cpuTimeUsage: (cpuMs ?? 0) / 1000,
    ...(maxRssBytes === undefined ? {} : { maxResidentSetSizeKB: Math.round(maxRssBytes / 1024) }),
  }
}

/** An image that an earlier task had is cached, and has no time; contracts/prominence.md §3.2. */
function showImage(
  { imagePullStatus, imagePullMs, imageDigest }: TaskRecord,
  isRepeated: boolean,
): JsonObject {
  if (imagePullStatus === 'failed') return { imagePullStatus, imagePullTime: (imagePullMs ?? 0) / 1000 }
  if (isRepeated) return { imagePullStatus: 'cached' }
  return {
    imagePullStatus: 'completed',
    imagePullTime: (imagePullMs ?? 0) / 1000,
    ...(imageDigest === undefined ? {} : { imageSha256: imageDigest.replace(/^sha256:/, '') }),
  }
}

function secondsOf(job: Job, from: string, to: string): JsonObject {
  const ms = job.detail?.[from]
  return typeof ms === 'number' && ms > 0 ? { [to]: ms / 1000 } : {}
}

function hasStaged(job: Job): boolean {
  return job.detail?.['stageInMs'] !== undefined
}

function recordsOf(job: Job): TaskRecord[] {
  const tasks = job.detail?.['tasks']
  return Array.isArray(tasks) ? (tasks.filter(isObject) as TaskRecord[]) : []
}

function processor(): JsonObject {
  const [first] = cpus()
  const model = first?.model ?? ''
  const vendor = /intel/i.test(model) ? 'GenuineIntel' : /amd/i.test(model) ? 'AuthenticAMD' : 'unknown'
  return { vendor, model, clock: (first?.speed ?? 0).toFixed(3) }
}
