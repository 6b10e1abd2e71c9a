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
  /** The kernel ended something of it for using too much memory, or it came near an address space limit. */
  readonly outOfMemory: boolean
  /** Other limits that it ran into. */
  readonly over: readonly ('cpu' | 'file' | 'out' | 'err')[]
  /** Its streams could not be written to disk. */
  readonly unkept: boolean
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
    outOfMemory: flags.includes('memory'),
    over: limitFlags.filter(([flag]) => flags.includes(flag)).map(([, limit]) => limit),
    unkept: flags.includes('unkept'),
    launchProblem: flags.includes('launch') ? launchText : undefined,
  }
}

const limitFlags = [
  ['cpu', 'cpu'],
  ['file', 'file'],
  ['full-out', 'out'],
  ['full-err', 'err'],
] as const

/** What was limited, for the sentence that tells which limit it was. */
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
  const { exitCode, signal, startedAt, endedAt, over } = ending
  if (ending.launchProblem !== undefined)
    return { result: 'failed', reason: 'launch', message: ending.launchProblem, startedAt, endedAt }
  const wallMs = Math.max(0, endedAt - startedAt)
  const facts = {
    startedAt,
    endedAt,
    usage: { wallMs, cpuMs: ending.cpuMs, maxRssBytes: ending.maxRssBytes },
  }
  const full = over.find(limit => limit === 'out' || limit === 'err')
  if (signal === 0 && exitCode === 0 && !full && !ending.unkept)
    return { result: 'succeeded', exitCode, ...facts }
  // Shells tell a signal as 128 + its number; so do we where one number must hold both.
  const failed = { result: 'failed', exitCode: signal === 0 ? exitCode : 128 + signal, ...facts } as const
  const of = (limit: number | undefined, unit: string) => (limit === undefined ? '' : ` of ${limit} ${unit}`)
  if (ending.outOfMemory)
    return {
      ...failed,
      reason: 'memory',
      message: `it used more memory than its limit${of(limits.memoryBytes, 'bytes')}`,
    }
  if (full)
    return {
      ...failed,
      reason: 'exit',
      message: `its stream ${full} grew over the limit${of(limits.streamBytes, 'bytes')}`,
    }
  const ended = `it ended ${describe(exitCode, signal)}`
  if (ending.stop) {
    const reason = ending.why === 'expire' ? 'timeout' : 'user'
    return { ...failed, result: 'stopped', reason, message: `stopped; ${ended}` }
  }
  if (over.includes('cpu'))
    return { ...failed, reason: 'timeout', message: `it used up its CPU time${of(limits.cpuSeconds, 's')}` }
  if (over.includes('file'))
    return {
      ...failed,
      reason: 'exit',
      message: `it wrote a file larger than its limit${of(limits.fileBytes, 'bytes')}`,
    }
  if (ending.unkept)
    return { ...failed, reason: 'stage-out', message: `its streams could not be written to disk; ${ended}` }
  return { ...failed, reason: 'exit', message: ended }
}

function describe(exitCode: number, signal: number): string {
  return signal === 0 ? `with exit code ${exitCode}` : `by ${signalNames[signal] ?? `signal ${signal}`}`
}
