// How an attempt ended, as its keeper wrote it down, and what that means to the engine.

import type { Outcome } from '../../core/job.ts'
import type { StopRequest } from '../../core/job-state.ts'

/** The exit record of a process. */
export interface Ending {
  readonly exitCode: number
  /** The signal that ended it; 0 when it ended by itself. */
  readonly signal: number
  readonly startedAt: number
  readonly endedAt: number
  readonly cpuMs: number
  readonly maxRssBytes: number
  readonly outBytes: number
  readonly errBytes: number
  /** How it was asked to end before it did, if it was. */
  readonly stop: 'ask' | 'kill' | undefined
  readonly why: StopRequest | undefined
  /** The kernel ended something of it for using too much memory. */
  readonly outOfMemory: boolean
  /** The stream that grew over its limit, for which it was ended. */
  readonly fullStream: 'out' | 'err' | undefined
  /** Why the program could not be started at all. */
  readonly launchProblem: string | undefined
}

/** Reads a keeper's `code signal startedAt endedAt userUs systemUs maxRssKb outBytes errBytes stop why flags text`. */
export function readEnding(text: string): Ending {
  const words = text.split(' ', 12)
  const [code, signal, startedAt, endedAt, userUs, systemUs, rssKb, outBytes, errBytes] = words.map(Number)
  const [stop, why, flagList] = words.slice(9) as [string, string, string]
  const flags = (flagList ?? '').trimEnd().split(',')
  const launchText = text.slice(words.join(' ').length).trim()
  return {
    exitCode: code!,
    signal: signal!,
    startedAt: startedAt!,
    endedAt: endedAt!,
    cpuMs: Math.round((userUs! + systemUs!) / 1000),
    maxRssBytes: rssKb! * 1024,
    outBytes: outBytes!,
    errBytes: errBytes!,
    stop: stop === 'ask' || stop === 'kill' ? stop : undefined,
    why: why === '-' ? undefined : (why as StopRequest),
    outOfMemory: flags.includes('oom'),
    fullStream: flags.includes('full-out') ? 'out' : flags.includes('full-err') ? 'err' : undefined,
    launchProblem: flags.includes('launch') ? launchText : undefined,
  }
}

/** What was limited, for telling the limits that a signal stands for. */
export interface LimitsInForce {
  readonly memoryBytes?: number
  readonly cpuSeconds?: number
  readonly fileBytes?: number
  readonly streamBytes?: number
}

const signalNames: Readonly<Record<number, string>> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  3: 'SIGQUIT',
  4: 'SIGILL',
  5: 'SIGTRAP',
  6: 'SIGABRT',
  7: 'SIGBUS',
  8: 'SIGFPE',
  9: 'SIGKILL',
  10: 'SIGUSR1',
  11: 'SIGSEGV',
  12: 'SIGUSR2',
  13: 'SIGPIPE',
  14: 'SIGALRM',
  15: 'SIGTERM',
  24: 'SIGXCPU',
  25: 'SIGXFSZ',
}

/** The engine's view of an exit record. A success counts even when a stop was asked: the first final fact wins. */
export function outcomeOf(ending: Ending, limits: LimitsInForce = {}): Outcome {
  const { exitCode, signal, startedAt, endedAt } = ending
  const facts = {
    startedAt,
    endedAt,
    usage: { wallMs: endedAt - startedAt, cpuMs: ending.cpuMs, maxRssBytes: ending.maxRssBytes },
  }
  if (ending.launchProblem !== undefined)
    return { result: 'failed', reason: 'launch', message: ending.launchProblem, startedAt, endedAt }
  if (signal === 0 && exitCode === 0 && !ending.fullStream) return { result: 'succeeded', exitCode, ...facts }
  // Shells tell a signal as 128 + its number; so do we where one number must hold both.
  const code = signal === 0 ? exitCode : 128 + signal
  const failed = { result: 'failed', exitCode: code, ...facts } as const
  if (ending.outOfMemory || nearMemoryLimit(ending, limits))
    return {
      ...failed,
      reason: 'memory',
      message: `it used more memory than its limit of ${limits.memoryBytes} bytes`,
    }
  if (ending.fullStream) {
    const limit = limits.streamBytes === undefined ? '' : ` of ${limits.streamBytes} bytes`
    return {
      ...failed,
      reason: 'exit',
      message: `its stream ${ending.fullStream} grew over the limit${limit}`,
    }
  }
  if (ending.stop) {
    const reason = ending.why === 'expire' ? 'timeout' : 'user'
    return {
      ...failed,
      result: 'stopped',
      reason,
      message: `stopped; it ended ${describe(exitCode, signal)}`,
    }
  }
  if (
    limits.cpuSeconds !== undefined &&
    (signal === 24 || (signal === 9 && ending.cpuMs >= limits.cpuSeconds * 1000))
  )
    return { ...failed, reason: 'timeout', message: `it used its ${limits.cpuSeconds} s of CPU time` }
  if (limits.fileBytes !== undefined && signal === 25)
    return { ...failed, reason: 'exit', message: `it wrote a file larger than ${limits.fileBytes} bytes` }
  return { ...failed, reason: 'exit', message: `it ended ${describe(exitCode, signal)}` }
}

function describe(exitCode: number, signal: number): string {
  return signal === 0 ? `with exit code ${exitCode}` : `by ${signalNames[signal] ?? `signal ${signal}`}`
}

/**
 * Without a memory cgroup a program only sees failing allocations, and no record tells. That it came near its limit
 * before it failed is the best sign there is.
 */
function nearMemoryLimit(ending: Ending, { memoryBytes }: LimitsInForce): boolean {
  return memoryBytes !== undefined && !ending.stop && ending.maxRssBytes >= 0.8 * memoryBytes
}
