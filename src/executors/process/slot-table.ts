// The table of attempts on disk: one fixed place (slot) for each, written by keepers (launcher.pl), read by us.
// Its first half says that an attempt was started and by whom it is kept, its second half how it ended.

import { closeSync, fstatSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { type Ending, readEnding } from './ending.ts'

const slotBytes = 512
const halfBytes = 256
const blankSlot = Buffer.alloc(slotBytes, ' ')
const growCount = 256

/** What a slot says of an attempt. */
export interface SlotEntry {
  readonly slot: number
  readonly key: string
  readonly keeperPid: number
  /** When it claimed the attempt, in kernel ticks: tells it from a later process with the same number. */
  readonly keeperTicks: number
  readonly startedAt: number
  readonly ending: Ending | undefined
}

export class SlotTable {
  readonly path: string
  #fd = -1
  #slotCount = 0
  #free: number[] = []

  constructor(path: string) {
    this.path = path
  }

  /** Opens or makes the table and tells what it holds, and whether that is from before a restart of the machine. */
  open(): { entries: SlotEntry[]; sameBoot: boolean } {
    this.#fd = openSync(this.path, 'a+', 0o600)
    closeSync(this.#fd)
    this.#fd = openSync(this.path, 'r+')
    const { size } = fstatSync(this.#fd)
    this.#slotCount = Math.floor(size / slotBytes)
    const header = `switchyard attempts 1 ${bootId()}`.padEnd(slotBytes - 1) + '\n'
    const bytes = Buffer.alloc(this.#slotCount * slotBytes)
    if (bytes.length > 0) readSync(this.#fd, bytes, 0, bytes.length, 0)
    const sameBoot = bytes.toString('latin1', 0, slotBytes) === header
    writeSync(this.#fd, header, 0, 'latin1')
    if (this.#slotCount === 0) this.#slotCount = 1
    const entries: SlotEntry[] = []
    for (let slot = this.#slotCount - 1; slot > 0; slot--) {
      const entry = readSlot(slot, bytes.toString('utf8', slot * slotBytes, (slot + 1) * slotBytes))
      if (entry) entries.push(entry)
      else this.#free.push(slot)
    }
    return { entries, sameBoot }
  }

  /** A place for one more attempt. Its bytes are on disk before it is used, so a full disk is told here. */
  take(): number {
    if (this.#free.length === 0) {
      const first = this.#slotCount
      const blank = Buffer.alloc(growCount * slotBytes, ' ')
      const written = writeSync(this.#fd, blank, 0, blank.length, first * slotBytes)
      if (written < blank.length) throw new Error('no space for the table of attempts')
      this.#slotCount += growCount
      for (let slot = this.#slotCount - 1; slot >= first; slot--) this.#free.push(slot)
    }
    return this.#free.pop()!
  }

  /** The attempt of this slot is forgotten. */
  free(slot: number): void {
    writeSync(this.#fd, blankSlot, 0, slotBytes, slot * slotBytes)
    this.#free.push(slot)
  }

  read(slot: number): SlotEntry | undefined {
    const bytes = Buffer.alloc(slotBytes)
    readSync(this.#fd, bytes, 0, slotBytes, slot * slotBytes)
    return readSlot(slot, bytes.toString('utf8'))
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd)
    this.#fd = -1
  }
}

/** Reads a slot's text: `S key pid ticks startedAt`, and from its middle on `E …` once the attempt has ended. */
function readSlot(slot: number, text: string): SlotEntry | undefined {
  const [mark, key, pid, ticks, startedAt] = text.slice(0, halfBytes).trimEnd().split(' ')
  if (mark !== 'S' || !key || !startedAt) return undefined
  const end = text.slice(halfBytes)
  return {
    slot,
    key,
    keeperPid: Number(pid),
    keeperTicks: Number(ticks),
    startedAt: Number(startedAt),
    ending: end.startsWith('E ') ? readEnding(end.slice(2)) : undefined,
  }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return 'unknown' // an unusual /proc: then a restart of the machine is told by the keepers' start times alone
  }
}
