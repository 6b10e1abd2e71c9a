// Watches over keepers that cannot tell us what became of their programs: those that an earlier launcher made, by reading
// the table, and those that were killed, by asking the kernel.

import { isStillAlive, killMarked } from './processes.ts'
import type { SlotTable } from './slot-table.ts'
import { type Entry, endEntry, isOver, loseEntry, type SpawnNews } from './spawn-entry.ts'

const pollMs = 100
const livenessMs = 2000
const checkedAtOnceMax = 500

/** What a watch looks at, and whom it tells. */
export interface KeeperWatchParts {
  readonly entries: ReadonlyMap<string, Entry>
  readonly table: SlotTable
  tell(news: readonly SpawnNews[]): void
}

/** The watch of one spawner: between `open` and `close` it looks from time to time. */
export class KeeperWatch {
  readonly #parts: KeeperWatchParts
  #isOpen = false
  #pollTimer: NodeJS.Timeout | undefined
  #livenessTimer: NodeJS.Timeout | undefined
  #checkedCount = 0
  #isSweeping = false

  constructor(parts: KeeperWatchParts) {
    this.#parts = parts
  }

  open(): void {
    this.#isOpen = true
    this.#livenessTimer = setInterval(() => void this.#checkKeepers(), livenessMs)
    this.#livenessTimer.unref()
  }

  close(): void {
    this.#isOpen = false
    clearInterval(this.#livenessTimer)
    clearTimeout(this.#pollTimer)
  }

  /** Reads the table for this one, too, until it has ended. */
  poll(entry: Entry): void {
    entry.isPolled = true
    this.#schedulePoll()
  }

  #schedulePoll(): void {
    const { entries, table, tell } = this.#parts
    this.#pollTimer ??= setTimeout(() => {
      this.#pollTimer = undefined
      const news: SpawnNews[] = []
      let left = 0
      for (const entry of entries.values()) {
        if (!entry.isPolled) continue
        const found = table.read(entry.slot)
        if (found?.ending) news.push(endEntry(entry, found.ending))
        else left++
      }
      if (left > 0) this.#schedulePoll()
      tell(news)
    }, pollMs)
  }

  /** A keeper that was killed cannot tell. The kernel is asked now and then, about some of them each time. */
  async #checkKeepers(): Promise<void> {
    if (this.#isSweeping) return
    const { entries, table, tell } = this.#parts
    const live = [...entries.values()].filter(
      entry => !entry.isUnasked && entry.keeperPid !== 0 && !isOver(entry),
    )
    if (this.#checkedCount >= live.length) this.#checkedCount = 0
    const some = live.slice(this.#checkedCount, this.#checkedCount + checkedAtOnceMax)
    this.#checkedCount += some.length
    const gone = some.filter(({ keeperPid, keeperTicks }) => !isStillAlive(keeperPid, keeperTicks))
    if (gone.length === 0) return
    this.#isSweeping = true
    try {
      const unrecorded = gone.filter(({ slot }) => !table.read(slot)?.ending)
      // Before anybody hears that it is lost and starts another in its place.
      if (unrecorded.length > 0) await killMarked(new Set(unrecorded.map(({ key }) => key)))
    } finally {
      this.#isSweeping = false
    }
    if (!this.#isOpen) return
    tell(gone.filter(entry => !isOver(entry)).map(entry => loseEntry(entry, table.read(entry.slot))))
  }
}
