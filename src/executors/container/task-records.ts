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
    usageOf: (task: number) => Promise<CgroupUsage | undefined>
    endedAt: number
  },
): Promise<TaskRecord[]> {
  const records: TaskRecord[] = []
  for (let n = 1; n <= options.taskCount; n++) {
    const taskDir = join(dir, 'tasks', String(n))
    const image = await readImageFacts(taskDir)
    const tries = await readTries(taskDir, options.endedAt)
    if (tries.length === 0 && image?.status !== 'failed') break
    records.push({ ...showTries(tries, await options.usageOf(n)), ...showImage(image) })
  }
  return records
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
  if (cgroup?.cpuMs != null) record.cpuMs = Math.round(cgroup.cpuMs)
  if (cgroup?.maxMemoryBytes != null) record.maxRssBytes = cgroup.maxMemoryBytes
  return record
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
