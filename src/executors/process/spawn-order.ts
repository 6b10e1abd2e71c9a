// What a spawner is asked to start, whether that can be, and the order in the launcher's terms.

import { join } from 'node:path'
import { isFileKey, streamPath } from '../stream-files.ts'
import { orderFrame } from './launcher-link.ts'
import type { MemoryLimiter } from './memory-limit.ts'
import { markName } from './processes.ts'

const graceMsDefault = 10_000

/** A program to start, and all that it is given. */
export interface SpawnOrder {
  /** Names the attempt for ever: the same key never starts a second program. Letters, digits, `-`, `_`, `.`. */
  readonly key: string
  /** The program, looked up in the PATH of `env` unless it has a slash, and its arguments. */
  readonly argv: readonly string[]
  /** The whole environment; only the mark SWITCHYARD_ATTEMPT is added. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Nothing to read unless given. */
  readonly stdinFile?: string
  /** Where the streams go, if not to the spawner's own folder (read with `read`, removed with `forget`). */
  readonly outFile?: string
  readonly errFile?: string
  /** Files that the program finds open for reading as descriptors 3, 4 … */
  readonly files?: readonly string[]
  readonly limits?: SpawnLimits
  /** From the asking signal (TERM) to the end by force; 10 s unless given. */
  readonly graceMs?: number
  /** What becomes of processes it leaves behind when it ends by itself: ended, unless said. */
  readonly leftovers?: 'end' | 'leave'
}

/** What a program may use; what is absent is not limited. */
export interface SpawnLimits {
  readonly memoryBytes?: number
  readonly cpuSeconds?: number
  /** The largest file it may write, streams included. */
  readonly fileBytes?: number
  /** The largest stream; it is ended when one grows beyond. */
  readonly streamBytes?: number
}

/** Why an order could never be started, as a sentence; undefined when it can be tried. */
export function orderProblem(order: SpawnOrder): string | undefined {
  if (!isFileKey(order.key)) return `${JSON.stringify(order.key)} cannot name an attempt`
  if (order.argv.length === 0 || order.argv[0] === '') return 'there is no program to run'
  const { cwd, stdinFile = '', outFile = '', errFile = '', files = [], argv, env } = order
  const texts = [cwd, stdinFile, outFile, errFile, ...files, ...argv, ...Object.entries(env).flat()]
  if (texts.some(text => text.includes('\0'))) return 'an argument, variable or path contains a NUL character'
  if (Object.keys(env).some(name => name === '' || name.includes('=')))
    return 'an environment variable has no proper name'
  return undefined
}

/** The order of a program whose attempt has this slot. `folder` is the spawner's; `memory` how memory is limited, if it is. */
export function launcherFrame(
  order: SpawnOrder,
  { slot, folder, memory }: { slot: number; folder: string; memory: MemoryLimiter | undefined },
): Buffer {
  const { limits = {} } = order
  return orderFrame({
    key: order.key,
    slot,
    cwd: order.cwd,
    stdinFile: order.stdinFile ?? '',
    outFile: order.outFile ?? streamPath(folder, order.key, 'out'),
    errFile: order.errFile ?? streamPath(folder, order.key, 'err'),
    spare: order.outFile === undefined && order.errFile === undefined ? join(folder, 'spare', `${slot}`) : '',
    graceMs: order.graceMs ?? graceMsDefault,
    leftovers: order.leftovers ?? 'end',
    memoryHow: memory?.how ?? '',
    memoryFolder: memory && memory.how !== 'rlimit' ? join(memory.folder, order.key) : '',
    memoryBytes: limits.memoryBytes ?? 0,
    cpuSeconds: limits.cpuSeconds ?? 0,
    fileBytes: limits.fileBytes ?? 0,
    streamBytes: limits.streamBytes ?? 0,
    files: order.files ?? [],
    argv: order.argv,
    env: [
      ...Object.entries(order.env).map(([name, value]) => `${name}=${value}`),
      `${markName}=${order.key}`,
    ],
  })
}
