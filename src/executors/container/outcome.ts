// What an ended attempt came to: its tasks' records and the runner's exit, put together once and kept.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Outcome } from '../../core/job.ts'
import type { Json } from '../../core/json.ts'
import { type Ending, outcomeOf } from '../process/ending.ts'
import { type AttemptFolder, type AttemptNote, writeWhole } from './attempt-folder.ts'
import { type CgroupRoot, type CgroupUsage, cgroupAt } from './cgroup.ts'
import { isOver } from './disk-watch.ts'
import { readTaskRecords, type TaskRecord } from './task-records.ts'

/** What is known of an attempt that has ended. */
export interface EndedAttempt {
  readonly folder: AttemptFolder
  readonly note: AttemptNote | undefined
  /** Undefined when the attempt was lost without an exit record. */
  readonly ending: Ending | undefined
  readonly lostMessage: string
  readonly cgroups: CgroupRoot | undefined
  /** Takes the outputs out, and adds them to the outcome. */
  readonly takeOut?: ((outcome: Outcome) => Promise<Outcome>) | undefined
  /** Whether a kept outcome is still good. */
  readonly isWhole?: ((outcome: Outcome) => Promise<boolean>) | undefined
}

/** The exit code of the runner when an image could not be had (run-tasks.sh). */
const IMAGE_EXIT_CODE = 120

/** Notes that an attempt has grown past its disk space, just before it is stopped for that. */
export async function markOverDisk(folder: AttemptFolder): Promise<void> {
  await writeFile(overDiskFile(folder), '')
}

/** Notes that the streams of an attempt's further nodes have grown too large, just before it is stopped for that. */
export async function markOverStream({ dir }: AttemptFolder): Promise<void> {
  await writeFile(join(dir, 'over-stream'), '')
}

function overDiskFile({ dir }: AttemptFolder): string {
  return join(dir, 'over-disk')
}

/** The outcome; the same again when asked again, though the control groups are gone by then. */
export async function outcomeOfAttempt(attempt: EndedAttempt): Promise<Outcome> {
  const file = join(attempt.folder.dir, 'outcome.json')
  const kept = await readFile(file, 'utf8').catch(() => undefined)
  if (kept !== undefined) {
    const outcome = JSON.parse(kept) as Outcome
    if (attempt.isWhole === undefined || (await attempt.isWhole(outcome))) return outcome
  }
  const made = await makeOutcome(attempt)
  const outcome = attempt.takeOut === undefined ? made : await attempt.takeOut(made)
  if (attempt.note !== undefined) await writeWhole(file, outcome)
  return outcome
}

async function makeOutcome(attempt: EndedAttempt): Promise<Outcome> {
  const { folder, note, ending, cgroups } = attempt
  const names = cgroups === undefined ? [] : (note?.cgroups ?? [])
  const groups = names.map(name => cgroupAt(cgroups!, name))
  const usages = await Promise.all(groups.map(group => group.readUsage()))
  const isOutOfMemory = usages.some(usage => usage.oomKillCount > 0)
  const records =
    note === undefined
      ? []
      : await readTaskRecords(folder.dir, {
          taskCount: note.taskCount,
          copyCounts: note.copyCounts,
          // Only podman and docker have a group for each task; elsewhere GNU time knows better.
          usageOf: async n => (note.driver === 'rootfs' ? undefined : usageOfTask(n, { names, usages })),
          endedAt: ending?.endedAt ?? Date.now(),
        })
  for (const group of groups) await group.remove()
  // An earlier attempt may have left a fault in the job's detail: this one's is told, also when it has none.
  const detail = { tasks: records as unknown as Json[], fault: null }
  if (ending === undefined) return { result: 'lost', reason: 'lost', message: attempt.lostMessage, detail }
  const memoryBytes = note?.memoryBytes ?? undefined
  const told = outcomeOf(ending, memoryBytes === undefined ? {} : { memoryBytes })
  const message = `it used more memory than its limit${memoryBytes === undefined ? '' : ` of ${memoryBytes} bytes`}`
  const outcome: Outcome =
    isOutOfMemory && told.result === 'failed' && told.reason === 'exit'
      ? { ...told, reason: 'memory', message }
      : told
  const shown = {
    ...outcome,
    ...(await judge(attempt, outcome, records)),
    ...usageOf(outcome, records),
    detail,
  }
  return { ...shown, ...(await judgeDisk(attempt, shown)), ...(await judgeStreams(attempt, shown)) }
}

/** The keeper sees to the streams of the first node by itself, and tells so in its record. */
async function judgeStreams({ folder }: EndedAttempt, outcome: Outcome): Promise<Partial<Outcome>> {
  if (outcome.result === 'succeeded' || !(await isThere(join(folder.dir, 'over-stream')))) return {}
  return { result: 'failed', reason: 'exit', message: 'the streams of its nodes grew over the limit' }
}

/** What the groups of a task's copies used together; undefined where there are none. */
function usageOfTask(
  n: number,
  { names, usages }: { names: readonly string[]; usages: readonly CgroupUsage[] },
): CgroupUsage | undefined {
  const own = usages.filter((_, at) => Number(/\.t(\d+)(?:\.n\d+)?$/.exec(names[at] ?? '')?.[1]) === n)
  if (own.length === 0) return undefined
  const sum = (values: readonly (number | null)[]) =>
    values.includes(null) ? null : values.reduce<number>((all, each) => all + (each ?? 0), 0)
  return {
    cpuMs: sum(own.map(({ cpuMs }) => cpuMs)),
    maxMemoryBytes: sum(own.map(({ maxMemoryBytes }) => maxMemoryBytes)),
    oomKillCount: own.reduce((all, { oomKillCount }) => all + oomKillCount, 0),
  }
}

/** An attempt that was stopped for its disk space, or that has ended with too much of it before it was measured. */
async function judgeDisk({ folder, note }: EndedAttempt, outcome: Outcome): Promise<Partial<Outcome>> {
  const diskBytes = note?.diskBytes
  if (diskBytes == null) return {}
  const isStopped = outcome.result === 'stopped'
  // A stop that somebody else asked for says more than what the disk looks like after it.
  if (isStopped && outcome.reason === 'timeout') return {}
  const isMarked = await isThere(overDiskFile(folder))
  if (!isMarked && (isStopped || !(await isOver(folder.dir, diskBytes)))) return {}
  return {
    result: 'failed',
    reason: 'exit',
    message: `it used more disk space than its limit of ${diskBytes} bytes`,
    detail: { ...outcome.detail, fault: 'disk' },
  }
}

/** What the tasks' records say beyond the runner's exit. */
async function judge(
  { folder, note, ending }: EndedAttempt,
  outcome: Outcome,
  records: readonly TaskRecord[],
): Promise<Partial<Outcome>> {
  if (outcome.result !== 'failed') return {}
  if (ending?.exitCode === IMAGE_EXIT_CODE && (await isThere(join(folder.dir, 'image-failed')))) {
    const at = records.findIndex(record => record.imagePullStatus === 'failed')
    return {
      reason: 'image',
      message:
        at === -1 ? "a sidecar's image could not be had" : `the image of task ${at + 1} could not be had`,
    }
  }
  const failed = records.findLastIndex(record => record.exitCode !== undefined && record.exitCode !== 0)
  const exitCode = records[failed]?.exitCode
  if (failed === -1 || exitCode == null) return {}
  if (outcome.reason !== 'exit') return { exitCode }
  if (note?.succeedOnTaskFailure) return { result: 'succeeded', exitCode, message: '' }
  const how = exitCode < 0 ? `by signal ${-exitCode}` : `with exit code ${exitCode}`
  return { exitCode, message: records.length > 1 ? `task ${failed + 1} ended ${how}` : `it ended ${how}` }
}

/** The tasks' own figures, where they have any: the runner and the sandboxes around them are our affair. */
function usageOf(outcome: Outcome, records: readonly TaskRecord[]): Partial<Outcome> {
  const cpus = records.flatMap(record => (record.cpuMs === undefined ? [] : [record.cpuMs]))
  const sizes = records.flatMap(record => (record.maxRssBytes === undefined ? [] : [record.maxRssBytes]))
  if (cpus.length === 0 || outcome.usage === undefined) return {}
  const cpuMs = cpus.reduce((sum, each) => sum + each, 0)
  return { usage: { ...outcome.usage, cpuMs, maxRssBytes: Math.max(...sizes) } }
}

async function isThere(path: string): Promise<boolean> {
  return readFile(path).then(
    () => true,
    () => false,
  )
}
