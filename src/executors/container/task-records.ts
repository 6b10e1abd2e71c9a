// What became of the tasks of an attempt, read from the files that the runner and GNU time left behind.
import { open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { CgroupUsage } from './cgroup.ts'

/** One ordinary task that was reached. A task whose image could not be had has only the image's facts. */
export interface TaskRecord {
  /** Negative: it ended by this signal. Null: it was ended before it could. */
  exitCode?: number | null
  /** How often it was run again. */
  retries?: number
  /** Of a task that ran on several nodes: how each copy ended, null for one that was not reached. */
  exitCodes?: (number | null)[]
  wallMs?: number
  cpuMs?: number
  maxRssBytes?: number
  imagePullStatus?: 'completed' | 'cached' | 'failed'
  imageDigest?: string
  imagePullMs?: number
}

/** What was known about the image before the task ran; a CLI driver only knows it afterwards. */
export interface ImageFacts {
  readonly status: 'completed' | 'cached' | 'failed'
  readonly digest: string
  readonly pullMs: number
}

const RETRY_COUNT_MAX = 100

/** The records of all tasks that were reached, in their order. */
export async function readTaskRecords(
  dir: string,
  options: {
    taskCount: number
    /** How many copies of each task ran at once; one where nothing is said. */
    copyCounts?: readonly number[]
    usageOf: (task: number) => Promise<CgroupUsage | undefined>
    endedAt: number
  },
): Promise<TaskRecord[]> {
  const records: TaskRecord[] = []
  for (let n = 1; n <= options.taskCount; n++) {
    const taskDir = join(dir, 'tasks', String(n))
    const image = await readImageFacts(taskDir)
    const copies = await readCopies(taskDir, options.copyCounts?.[n - 1] ?? 1, options.endedAt)
    const isReached = copies.some(tries => tries.length > 0)
    if (!isReached && image?.status !== 'failed') break
    const usage = await options.usageOf(n)
    const run = copies.length === 1 ? showTries(copies[0]!, usage) : await showCopies(taskDir, copies, usage)
    records.push({ ...(isReached ? run : {}), ...showImage(image) })
  }
  return records
}

async function readCopies(taskDir: string, copyCount: number, endedAt: number): Promise<Try[][]> {
  const copies: Try[][] = []
  for (let node = 0; node < copyCount; node++)
    copies.push(await readTries(node === 0 ? taskDir : join(taskDir, `node.${node}`), endedAt))
  return copies
}

/**
 * Copies as one record: they ran side by side, so the longest tells the time, and together they took memory and
 * processors. The exit code is that of the first that failed: those it took with it only say that they were ended.
 */
async function showCopies(
  taskDir: string,
  copies: readonly (readonly Try[])[],
  usage: CgroupUsage | undefined,
): Promise<TaskRecord> {
  const shown = copies.map(tries => showTries(tries, undefined))
  const exitCodes = shown.map(({ exitCode = null }) => exitCode)
  const first = await readFile(join(taskDir, 'first-failed'), 'utf8').catch(() => undefined)
  const node = Number.parseInt(first ?? '', 10)
  const sum = (values: readonly (number | undefined)[]) =>
    values.reduce<number>((all, each = 0) => all + each, 0)
  const isMeasured = shown.some(({ cpuMs }) => cpuMs !== undefined)
  return {
    exitCode: exitCodes[node] ?? exitCodes.find(code => code !== 0) ?? (exitCodes.includes(null) ? null : 0),
    exitCodes,
    retries: sum(shown.map(({ retries }) => retries)),
    wallMs: Math.max(...shown.map(({ wallMs = 0 }) => wallMs)),
    ...(isMeasured ? { cpuMs: sum(shown.map(({ cpuMs }) => cpuMs)) } : {}),
    ...(isMeasured ? { maxRssBytes: sum(shown.map(({ maxRssBytes }) => maxRssBytes)) } : {}),
    ...figuresOf(usage),
  }
}

/** What a control group says of its task. */
function figuresOf(usage: CgroupUsage | undefined): Pick<TaskRecord, 'cpuMs' | 'maxRssBytes'> {
  return {
    ...(usage?.cpuMs == null ? {} : { cpuMs: Math.round(usage.cpuMs) }),
    ...(usage?.maxMemoryBytes == null ? {} : { maxRssBytes: usage.maxMemoryBytes }),
  }
}

/** The exit code of a try as a task's record shows it: shells and sandboxes tell a signal as 128 + its number. */
export function signedExitCode(code: number): number {
  return code > 128 && code <= 128 + 64 ? 128 - code : code
}

interface Try {
  readonly code: number | null
  readonly wallMs: number
  readonly usage: { cpuMs: number; maxRssBytes: number } | undefined
}

async function readTries(taskDir: string, endedAt: number): Promise<Try[]> {
  const tries: Try[] = []
  for (let k = 0; k <= RETRY_COUNT_MAX; k++) {
    const begun = await mtimeOf(join(taskDir, `begin.${k}`))
    if (begun === undefined) break
    const codeText = await readFile(join(taskDir, `code.${k}`), 'utf8').catch(() => undefined)
    const ended = (await mtimeOf(join(taskDir, `code.${k}`))) ?? endedAt
    const code = codeText === undefined ? null : signedExitCode(Number.parseInt(codeText, 10))
    const usage = await readUsage(join(taskDir, `usage.${k}`))
    tries.push({ code, wallMs: Math.max(0, Math.round(ended - begun)), usage })
  }
  return tries
}

/** The figures of a task over all its tries: times add up, the exit code is the last one's. */
function showTries(tries: readonly Try[], cgroup: CgroupUsage | undefined): TaskRecord {
  const last = tries.at(-1)
  if (last === undefined) return {}
  const record: TaskRecord = {
    exitCode: last.code,
    retries: tries.length - 1,
    wallMs: tries.reduce((sum, each) => sum + each.wallMs, 0),
  }
  const usages = tries.flatMap(each => (each.usage === undefined ? [] : [each.usage]))
  if (usages.length > 0) {
    record.cpuMs = usages.reduce((sum, each) => sum + each.cpuMs, 0)
    record.maxRssBytes = Math.max(...usages.map(each => each.maxRssBytes))
  }
  return { ...record, ...figuresOf(cgroup) }
}

/** The last line is GNU time's; a task has no way to the file, but it is read as if it had. */
async function readUsage(path: string): Promise<Try['usage']> {
  const handle = await open(path, 'r').catch(() => undefined)
  if (handle === undefined) return undefined
  try {
    const { size } = await handle.stat()
    const buffer = Buffer.alloc(Math.min(size, 200))
    await handle.read(buffer, 0, buffer.length, size - buffer.length)
    const words = /(?:^|\n)([\d.]+) ([\d.]+) (\d+)\n$/.exec(buffer.toString('latin1'))
    if (words === null) return undefined
    const [user, system, rssKb] = words.slice(1).map(Number) as [number, number, number]
    return {
      cpuMs: Math.round((user + system) * 1000),
      maxRssBytes: rssKb * 1024,
    }
  } finally {
    await handle.close()
  }
}

async function readImageFacts(taskDir: string): Promise<ImageFacts | undefined> {
  const text = await readFile(join(taskDir, 'image.status'), 'utf8').catch(() => undefined)
  const [status, digest = '', pullMs = '0'] = (text ?? '').trim().split(' ')
  if (status !== 'completed' && status !== 'cached' && status !== 'failed') return undefined
  return { status, digest, pullMs: Number.parseInt(pullMs, 10) || 0 }
}

function showImage(image: ImageFacts | undefined): TaskRecord {
  if (image === undefined) return {}
  const record: TaskRecord = { imagePullStatus: image.status }
  if (image.digest !== '') record.imageDigest = image.digest
  if (image.status === 'completed') record.imagePullMs = image.pullMs
  return record
}

async function mtimeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    info => info.mtimeMs,
    () => undefined,
  )
}
