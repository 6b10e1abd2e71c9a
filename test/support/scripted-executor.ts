// An executor whose attempts do what the test says, and nothing by themselves. Its world survives the engine when
// asked to: that is how crashes of the server beside a living executor are played.

import type { Outcome } from '../../src/core/job.ts'
import type { StopRequest } from '../../src/core/job-state.ts'
import type { Abilities, Chunk, Executor, Report, StartOrder } from '../../src/executors/executor.ts'

/** What there is outside the server: attempts that were really started, and what became of them. */
export interface OutsideWorld {
  readonly attempts: Map<
    string,
    { order: StartOrder; began: boolean; outcome: Outcome | undefined; starts: number }
  >
  readonly stops: { id: string; how: 'ask' | 'kill'; why: StopRequest }[]
}

export function outsideWorld(): OutsideWorld {
  return { attempts: new Map(), stops: [] }
}

export class ScriptedExecutor implements Executor {
  readonly name: string
  readonly can: Abilities
  readonly world: OutsideWorld
  readonly forgotten: string[] = []
  #report: ((reports: readonly Report[]) => void) | undefined
  readonly #now: () => number

  constructor(parts: { now: () => number; name?: string; world?: OutsideWorld; can?: Partial<Abilities> }) {
    this.name = parts.name ?? 'scripted'
    this.world = parts.world ?? outsideWorld()
    this.#now = parts.now
    this.can = { survivesRestart: true, pause: true, progress: true, reportsItself: false, ...parts.can }
  }

  async open(report: (reports: readonly Report[]) => void): Promise<void> {
    this.#report = report
    if (!this.can.survivesRestart) this.world.attempts.clear()
  }

  check(spec: unknown): string | undefined {
    return typeof spec === 'object' && spec !== null && 'impossible' in spec
      ? 'spec.impossible can never run'
      : undefined
  }

  start(orders: readonly StartOrder[]): void {
    for (const order of orders) {
      const known = this.world.attempts.get(order.id)
      if (known === undefined)
        this.world.attempts.set(order.id, { order, began: false, outcome: undefined, starts: 1 })
    }
  }

  async look(ids: readonly string[]): Promise<Report[]> {
    return ids.map((id): Report => {
      const attempt = this.world.attempts.get(id)
      if (attempt === undefined) return { id, type: 'unknown' }
      if (attempt.outcome !== undefined) return { id, type: 'ended', outcome: attempt.outcome }
      return { id, type: 'began', at: this.#now() }
    })
  }

  stop(id: string, how: 'ask' | 'kill', why: StopRequest): void {
    this.world.stops.push({ id, how, why })
  }

  async read(id: string, stream: string, from: number): Promise<Chunk | undefined> {
    if (!this.world.attempts.has(id) || stream !== 'out') return undefined
    const bytes = new TextEncoder().encode(id)
    return { bytes: bytes.subarray(from), sizeBytes: bytes.length }
  }

  forget(ids: readonly string[]): void {
    this.forgotten.push(...ids)
    for (const id of ids) this.world.attempts.delete(id)
  }

  async close(): Promise<void> {
    this.#report = undefined
  }

  // ---- what the test plays ----

  /** Attempts that are started and have not ended. */
  get running(): string[] {
    return [...this.world.attempts].filter(([, attempt]) => attempt.outcome === undefined).map(([id]) => id)
  }

  begin(id: string): void {
    const attempt = this.world.attempts.get(id)
    if (attempt === undefined) throw new Error(`attempt ${id} was never started`)
    attempt.began = true
    this.#report?.([{ id, type: 'began', at: this.#now() }])
  }

  end(id: string, outcome: Outcome): void {
    const attempt = this.world.attempts.get(id)
    if (attempt === undefined) throw new Error(`attempt ${id} was never started`)
    attempt.outcome ??= outcome
    this.#report?.([{ id, type: 'ended', outcome: attempt.outcome }])
  }

  say(reports: readonly Report[]): void {
    this.#report?.(reports)
  }
}
