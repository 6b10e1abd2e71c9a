// A whole engine in a test's own world: memory store, a clock that is moved by hand, a scripted executor.

import type { Job, JobDraft, Outcome } from '../../src/core/job.ts'
import type { Completer, PoolSettings, Tx } from '../../src/engine/engine.ts'
import { YardEngine } from '../../src/engine/yard-engine.ts'
import { MemoryDisk } from '../../src/store/memory/disk.ts'
import { MemoryStore, type MemoryStoreOptions } from '../../src/store/memory/memory-store.ts'
import { diceOf } from '../simulation/random.ts'
import { FakeClock } from './fake-clock.ts'
import { type OutsideWorld, outsideWorld, ScriptedExecutor } from './scripted-executor.ts'

export interface SetupOptions {
  readonly slots?: number
  readonly pools?: Record<string, PoolSettings>
  readonly can?: ConstructorParameters<typeof ScriptedExecutor>[0]['can']
  readonly onCommit?: MemoryStoreOptions['onCommit']
  readonly disk?: MemoryDisk
  readonly world?: OutsideWorld
  readonly clock?: FakeClock
  readonly retainMs?: number
  readonly completers?: Readonly<Record<string, Completer>>
}

export type TestYard = Awaited<ReturnType<typeof setup>>

/** A started engine. `settle()` lets everything happen that can happen without time passing. */
export async function setup(options: SetupOptions = {}) {
  const clock = options.clock ?? new FakeClock()
  const disk = options.disk ?? new MemoryDisk()
  const world = options.world ?? outsideWorld()
  const executor = new ScriptedExecutor({
    now: () => clock.now(),
    world,
    ...(options.can ? { can: options.can } : {}),
  })
  const store = new MemoryStore({ disk, ...(options.onCommit ? { onCommit: options.onCommit } : {}) })
  const engine = new YardEngine({
    store,
    executors: [executor],
    clock,
    random: randomFrom(disk.events.size + 1),
    pools: options.pools ?? { default: options.slots === undefined ? {} : { slots: options.slots } },
    defer: run => queueMicrotask(run),
    steady: () => clock.now(),
    ...(options.retainMs === undefined ? {} : { retainMs: options.retainMs }),
  })
  engine.drafter('test.flow', {
    job: (_flow, spec, place, run) => {
      const drafts = spec as Record<string, Partial<JobDraft>>
      return aJob({ name: `${place.key}#${run}`, ...drafts[place.step] })
    },
    flow: (_flow, spec, place) => (spec as Record<string, never>)[place.step]!,
    gate: (_flow, spec, place) => (spec as Record<string, boolean>)[place.step] ?? true,
  })
  for (const [kind, complete] of Object.entries(options.completers ?? {}))
    engine.completer('native', kind, complete)
  const start = engine.start()
  await start

  // Everything in this world happens in microtasks: some hundred turns are more than any chain of them is long.
  // A commit that never resolves (a server that was killed) must not hold the test up, so nothing is awaited.
  const settle = async () => {
    for (let turn = 0; turn < 300; turn++) await Promise.resolve()
  }
  await settle()

  return {
    engine,
    clock,
    disk,
    world,
    executor,
    store,
    settle,
    submit: async (...drafts: JobDraft[]): Promise<Job[]> => {
      const jobs = await engine.write(tx => drafts.map(draft => tx.submit(draft)))
      await settle()
      return jobs
    },
    tell: async <T>(fn: (tx: Tx) => T): Promise<T> => {
      const value = await engine.write(fn)
      await settle()
      return value
    },
    begin: async (job: Job) => {
      executor.begin(`${job.id}.${job.attempts}`)
      await settle()
    },
    end: async (job: Job, outcome: Outcome = { result: 'succeeded', exitCode: 0 }) => {
      executor.end(`${job.id}.${job.attempts}`, outcome)
      await settle()
    },
    fail: async (job: Job, exitCode = 1) => {
      executor.end(`${job.id}.${job.attempts}`, { result: 'failed', reason: 'exit', exitCode })
      await settle()
    },
    advance: async (ms: number) => {
      clock.advance(ms)
      await settle()
    },
    /** The job as anybody would see it now. */
    see: async (job: Job): Promise<Job> => (await engine.job({ n: job.n }))!,
    /** Kills the server: what was not committed is gone; the outside world lives on. */
    crash: () => {
      store.crash()
      clock.crash()
      return { disk, world, clock }
    },
  }
}

/** Bytes that differ from one start of a yard to the next, and are the same each time the test runs. */
function randomFrom(seed: number): (bytes: Uint8Array) => void {
  const dice = diceOf(seed)
  return bytes => {
    for (let at = 0; at < bytes.length; at++) bytes[at] = dice.below(256)
  }
}

/** A job with everything that does not matter filled in. */
export function aJob(facts: Partial<JobDraft> = {}): JobDraft {
  return { dialect: 'native', executor: 'scripted', kind: 'test', spec: { do: 'nothing' }, ...facts }
}
