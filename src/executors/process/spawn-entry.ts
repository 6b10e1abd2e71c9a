// What a spawner knows of one attempt: how it comes to know it, what becomes of it, and the news of that.

import type { Ending } from './ending.ts'
import { isStillAlive } from './processes.ts'
import type { SlotEntry } from './slot-table.ts'

/** What became of an attempt. */
export type SpawnNews =
  | { readonly key: string; readonly type: 'began'; readonly at: number }
  | { readonly key: string; readonly type: 'ended'; readonly ending: Ending }
  /** It is gone and left no exit record: its keeper was killed, or the machine restarted. */
  | { readonly key: string; readonly type: 'lost'; readonly message: string }

/** An attempt that is not forgotten. */
export interface Entry {
  readonly key: string
  readonly slot: number
  state: 'sent' | 'running' | 'ended' | 'lost'
  keeperPid: number
  keeperTicks: number
  startedAt: number
  ending: Ending | undefined
  message: string
  /** Found at open; its news is told only after somebody looked for it. */
  isUnasked: boolean
  /** Its keeper cannot tell us: the table is read from time to time. */
  isPolled: boolean
  frame: Buffer | undefined
  /** Stops that were asked before its keeper was known. */
  readonly stopSignals: number[]
}

/** An attempt whose order goes to the launcher. */
export function sentEntry(key: string, slot: number, frame: Buffer): Entry {
  return {
    key,
    slot,
    state: 'sent',
    keeperPid: 0,
    keeperTicks: 0,
    startedAt: 0,
    ending: undefined,
    message: '',
    isUnasked: false,
    isPolled: false,
    frame,
    stopSignals: [],
  }
}

/** An attempt that an earlier server left in the table. */
export function foundEntry(found: SlotEntry, sameBoot: boolean): Entry {
  return {
    key: found.key,
    slot: found.slot,
    state: found.ending ? 'ended' : sameBoot ? 'running' : 'lost',
    keeperPid: found.keeperPid,
    keeperTicks: found.keeperTicks,
    startedAt: found.startedAt,
    ending: found.ending,
    message: sameBoot ? '' : 'the machine was restarted while it ran',
    isUnasked: true,
    isPolled: false,
    frame: undefined,
    stopSignals: [],
  }
}

/** Whether nothing more will become of it. */
export function isOver({ state }: Entry): boolean {
  return state === 'ended' || state === 'lost'
}

/** What is to be told of it as it stands. */
export function currentNews(entry: Entry): SpawnNews {
  if (entry.state === 'ended') return { key: entry.key, type: 'ended', ending: entry.ending! }
  if (entry.state === 'lost') return { key: entry.key, type: 'lost', message: entry.message }
  return { key: entry.key, type: 'began', at: entry.startedAt }
}

/** It runs. Stops that were asked before its keeper was known reach it now. */
export function beginEntry(entry: Entry, at: number): SpawnNews {
  entry.state = 'running'
  entry.startedAt = at
  entry.frame = undefined
  for (const signal of entry.stopSignals) signalKeeper(entry, signal)
  return { key: entry.key, type: 'began', at }
}

/** It has ended, and this is its record. */
export function endEntry(entry: Entry, ending: Ending): SpawnNews {
  entry.state = 'ended'
  entry.ending = ending
  entry.frame = undefined
  entry.isPolled = false
  return { key: entry.key, type: 'ended', ending }
}

/** Its keeper is gone. `found` is read then: its record may have been written in the last instant. */
export function loseEntry(entry: Entry, found: SlotEntry | undefined): SpawnNews {
  if (found?.key === entry.key && found.ending) return endEntry(entry, found.ending)
  entry.state = 'lost'
  entry.isPolled = false
  entry.frame = undefined
  entry.message = 'its keeper is gone without an exit record'
  return currentNews(entry)
}

/** Only to the process that it was: its number may belong to another by now. */
export function signalKeeper({ keeperPid, keeperTicks }: Entry, signal: number): void {
  if (!isStillAlive(keeperPid, keeperTicks)) return
  try {
    process.kill(keeperPid, signal)
  } catch {
    // It has just ended; its record tells.
  }
}

/** The record of an attempt that never reached a launcher. */
export function launchEnding(problem: string): Ending {
  const at = Date.now()
  return {
    exitCode: 0,
    signal: 0,
    startedAt: at,
    endedAt: at,
    cpuMs: 0,
    maxRssBytes: 0,
    outBytes: 0,
    errBytes: 0,
    stop: undefined,
    why: undefined,
    outOfMemory: false,
    over: [],
    unkept: false,
    launchProblem: problem,
  }
}
