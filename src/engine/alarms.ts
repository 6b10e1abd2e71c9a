// All instants the engine waits for, in one heap with one alarm at the clock. An entry is only a reminder to look
// at a job: whether something is due is read from the job itself, so entries need never be taken back. While the engine
// recovers nothing rings: what became due meanwhile rings when it wakes them.

import type { Clock } from '../core/clock.ts'
import { Heap } from '../core/heap.ts'

export type AlarmKind = 'due' | 'queue' | 'run' | 'retain'

export interface Alarm {
  readonly at: number
  readonly kind: AlarmKind
  readonly n: number
}

export class Alarms {
  readonly #clock: Clock
  readonly #ring: (due: Alarm[]) => void
  readonly #heap = new Heap<Alarm>((a, b) => a.at < b.at)
  #isAwake = false
  #armed: { at: number; takeBack: () => void } | undefined

  constructor(clock: Clock, ring: (due: Alarm[]) => void) {
    this.#clock = clock
    this.#ring = ring
  }

  set(alarm: Alarm): void {
    this.#heap.push(alarm)
    this.#arm()
  }

  /** From now on they ring, those first that are due already. */
  wake(): void {
    this.#isAwake = true
    this.#arm()
  }

  /** Forgets all of them; none rings before they are woken again. */
  clear(): void {
    this.#isAwake = false
    this.#armed?.takeBack()
    this.#armed = undefined
    this.#heap.prune(() => false)
  }

  #arm(): void {
    const first = this.#heap.peek()
    if (!this.#isAwake || first === undefined) return
    if (this.#armed !== undefined && this.#armed.at <= first.at) return
    this.#armed?.takeBack()
    this.#armed = { at: first.at, takeBack: this.#clock.alarm(first.at, () => this.#rang()) }
  }

  #rang(): void {
    this.#armed = undefined
    const now = this.#clock.now()
    const due: Alarm[] = []
    for (let first = this.#heap.peek(); first !== undefined && first.at <= now; first = this.#heap.peek()) {
      due.push(this.#heap.pop()!)
    }
    this.#arm()
    if (due.length > 0) this.#ring(due)
  }
}
