// What every executor must do: each sentence of the port, tried on a real one. An adapter's test calls
// executorConformance with samples of its own kind of spec; see process/process-executor.test.ts.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, type TestContext, test } from 'vitest'
import { type AttemptId, attemptIdOf } from '../core/ids.ts'
import type { Outcome } from '../core/job.ts'
import type { Json } from '../core/json.ts'
import type { Executor, Report, StartOrder } from './executor.ts'

export interface ConformanceSubject {
  readonly name: string
  /** A module that exports `makeExecutor(folder)`; killed servers of the tests load it, too. */
  readonly moduleUrl: string
  /** Specs of the adapter's own language; `folder` is a place for files of the test. */
  samples(folder: string): ConformanceSamples
  /** How many attempts the crowd has; 1 000 unless given. */
  readonly crowdCount?: number
  /** Why the whole suite cannot run here, if it cannot. */
  readonly skip?: string
}

export interface ConformanceSamples {
  /** Ends well and at once. */
  readonly succeeds: Json
  readonly fails: { readonly spec: Json; readonly exitCode: number }
  /** Runs for minutes unless asked to stop, and then ends at once. */
  readonly runsLong: Json
  /** Does not end when asked; its grace time is short (below a second). */
  readonly ignoresAsking: Json
  /** Writes `text` to `stream`, and ends once the file `until` exists, which the test makes. */
  readonly prints: {
    readonly spec: Json
    readonly stream: string
    readonly text: string
    readonly until: string
  }
  /** Appends one line to the file `path` each time it is run, then ends well. */
  marks(path: string): Json
  /** A spec that can never run. */
  readonly impossible: Json
  /** Leaves a process behind that would append to `path` for ever; absent where there are no processes. */
  leavesProcess?(path: string): Json
}

/** Runs the suite as tests of the calling file. */
export function executorConformance(subject: ConformanceSubject): void {
  describe.skipIf(subject.skip !== undefined)(
    `executor ${subject.name}${subject.skip ? ` (${subject.skip})` : ''}`,
    { concurrent: true },
    () => {
      /** A world of its own for one test: an open executor on an empty folder. */
      async function setup({ onTestFinished }: TestContext) {
        const undo: (() => Promise<void> | void)[] = []
        onTestFinished(async () => {
          for (const step of undo.reverse()) await step()
        })
        const folder = mkdtempSync(join(tmpdir(), 'switchyard-executor-'))
        undo.push(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
        const { makeExecutor } = (await import(subject.moduleUrl)) as {
          makeExecutor(folder: string): Executor
        }
        const open = async () => {
          const watched = new Watched(makeExecutor(join(folder, 'spool')))
          undo.push(() => watched.close())
          await watched.open()
          return watched
        }
        const serve = async () => {
          const server = await Server.start(subject.moduleUrl, join(folder, 'spool'))
          undo.push(() => server.kill({ helpers: true }))
          return server
        }
        return { folder, samples: subject.samples(folder), open, serve }
      }

      test('an attempt that ends well is reported as succeeded, once', async context => {
        const { open, samples } = await setup(context)
        const yard = await open()
        const order = orderOf(samples.succeeds)
        yard.executor.start([order])
        const outcome = await yard.end(order.id)
        expect(outcome.result).toBe('succeeded')
        expect(outcome.endedAt).toBeGreaterThanOrEqual(outcome.startedAt!)
        expect(outcome.usage?.wallMs).toBeGreaterThanOrEqual(0)
        await yard.quiet()
        expect(yard.endsOf(order.id)).toHaveLength(1)
      })

      test('an attempt that fails is reported with its exit code', async context => {
        const { open, samples } = await setup(context)
        const yard = await open()
        const order = orderOf(samples.fails.spec)
        yard.executor.start([order])
        const outcome = await yard.end(order.id)
        expect(outcome).toMatchObject({ result: 'failed', reason: 'exit', exitCode: samples.fails.exitCode })
        expect(outcome.message).toBeTruthy()
      })

      test('an attempt that runs is reported to have begun, before its end', async context => {
        const { open, samples } = await setup(context)
        const yard = await open()
        const order = orderOf(samples.runsLong)
        yard.executor.start([order])
        await yard.begin(order.id)
        yard.executor.stop(order.id, 'kill', 'kill')
        await yard.end(order.id)
        expect(
          yard
            .reportsOf(order.id)
            .map(({ type }) => type)
            .filter(type => type !== 'progress'),
        ).toEqual(['began', 'ended'])
      })

      test('starting the same attempt again starts nothing: together, while it runs, and after its end', async context => {
        const { open, samples, folder } = await setup(context)
        const yard = await open()
        const path = join(folder, 'marks')
        const order = orderOf(samples.marks(path))
        yard.executor.start([order, order])
        yard.executor.start([order])
        await yard.end(order.id)
        yard.executor.start([order])
        await yard.quiet()
        expect(linesOf(path)).toBe(1)
        expect(yard.endsOf(order.id)).toHaveLength(1)
      })

      test('no orders, no looks and nothing to forget are no work', async context => {
        const { open } = await setup(context)
        const yard = await open()
        yard.executor.start([])
        yard.executor.forget([], { streams: true })
        expect(await yard.executor.look([])).toEqual([])
        await yard.quiet()
        expect(yard.reports).toEqual([])
      })

      test('a spec that can never run is refused with a sentence; started all the same, it fails to launch', async context => {
        const { open, samples } = await setup(context)
        const yard = await open()
        expect(yard.executor.check(samples.impossible)).toMatch(/\w+ \w+/)
        for (const good of [samples.succeeds, samples.runsLong, samples.prints.spec, samples.fails.spec])
          expect(yard.executor.check(good)).toBeUndefined()
        const order = orderOf(samples.impossible)
        yard.executor.start([order])
        expect(await yard.end(order.id)).toMatchObject({ result: 'failed', reason: 'launch' })
      })

      test('checking survives whatever is not a spec at all', async context => {
        const { open } = await setup(context)
        const yard = await open()
        for (const spec of [
          null,
          true,
          0,
          '',
          [],
          {},
          [[]],
          { argv: null },
          { function: {} },
        ] satisfies Json[])
          expect(yard.executor.check(spec)).toMatch(/\w+ \w+/)
      })

      test('an attempt that is asked to stop ends as stopped, by a user', async context => {
        const { open, samples } = await setup(context)
        const yard = await open()
        const order = orderOf(samples.runsLong)
        yard.executor.start([order])
        await yard.begin(order.id)
        yard.executor.stop(order.id, 'ask', 'cancel')
        expect(await yard.end(order.id)).toMatchObject({ result: 'stopped', reason: 'user' })
      })

      test('an attempt whose time ran out ends as stopped, for its time-out', async context => {
        const { open, samples } = await setup(context)
        const yard = await open()
        const order = orderOf(samples.runsLong)
        yard.executor.start([order])
        await yard.begin(order.id)
        yard.executor.stop(order.id, 'ask', 'expire')
        expect(await yard.end(order.id)).toMatchObject({ result: 'stopped', reason: 'timeout' })
      })

      test('an attempt that does not listen is ended after its grace time', async context => {
        const { open, samples } = await setup(context)
        const yard = await open()
        const order = orderOf(samples.ignoresAsking)
        yard.executor.start([order])
        await yard.begin(order.id)
        await sleep(300) // until it has closed its ears
        yard.executor.stop(order.id, 'ask', 'cancel')
        expect(await yard.end(order.id)).toMatchObject({ result: 'stopped', reason: 'user' })
      })

      test('an attempt is killed at once when that is wanted', async context => {
        const { open, samples } = await setup(context)
        const yard = await open()
        const order = orderOf(samples.ignoresAsking)
        yard.executor.start([order])
        await yard.begin(order.id)
        yard.executor.stop(order.id, 'kill', 'kill')
        expect(await yard.end(order.id)).toMatchObject({ result: 'stopped', reason: 'user' })
      })

      test('a stop right behind the start stops it, and the end is told', async context => {
        const { open, samples } = await setup(context)
        const yard = await open()
        const orders = Array.from({ length: 20 }, () => orderOf(samples.runsLong))
        yard.executor.start(orders)
        for (const { id } of orders) yard.executor.stop(id, 'ask', 'cancel')
        for (const { id } of orders) expect((await yard.end(id)).result).toBe('stopped')
        await yard.quiet()
        for (const { id } of orders) expect(yard.endsOf(id)).toHaveLength(1)
      })

      test('stopping twice, harder, and after the end, still ends once', async context => {
        const { open, samples } = await setup(context)
        const yard = await open()
        const order = orderOf(samples.runsLong)
        yard.executor.start([order])
        await yard.begin(order.id)
        yard.executor.stop(order.id, 'ask', 'cancel')
        yard.executor.stop(order.id, 'ask', 'cancel')
        yard.executor.stop(order.id, 'kill', 'kill')
        await yard.end(order.id)
        yard.executor.stop(order.id, 'ask', 'cancel')
        yard.executor.stop(order.id, 'kill', 'kill')
        await yard.quiet()
        expect(yard.endsOf(order.id)).toHaveLength(1)
      })

      test('an attempt that nobody knows can be stopped, forgotten, read and looked for', async context => {
        const { open } = await setup(context)
        const yard = await open()
        const ids = [orderOf(null).id, '../../etc/passwd', '', 'a b']
        for (const id of ids) {
          yard.executor.stop(id, 'ask', 'cancel')
          yard.executor.stop(id, 'kill', 'kill')
          yard.executor.forget([id], { streams: true })
          expect(await yard.executor.read(id, 'out', 0, 10)).toBeUndefined()
        }
        expect(await yard.executor.look(ids)).toEqual(ids.map(id => ({ id, type: 'unknown' })))
        await yard.quiet()
        expect(yard.reports).toEqual([])
      })

      test('a look tells of each attempt in the order of asking: one that runs, one that ended, one unknown', async context => {
        const { open, samples } = await setup(context)
        const yard = await open()
        const [runs, ended, unknown] = [orderOf(samples.runsLong), orderOf(samples.fails.spec), orderOf(null)]
        yard.executor.start([runs, ended])
        await yard.begin(runs.id)
        const outcome = await yard.end(ended.id)
        const seen = await yard.executor.look([unknown.id, ended.id, runs.id])
        expect(seen).toEqual([
          { id: unknown.id, type: 'unknown' },
          { id: ended.id, type: 'ended', outcome },
          { id: runs.id, type: 'began', at: expect.any(Number) },
        ])
        expect(yard.endsOf(ended.id)).toHaveLength(1)
        yard.executor.stop(runs.id, 'kill', 'kill')
        await yard.end(runs.id)
      })

      test('streams are read by offset while it runs and after its end', async context => {
        const { open, samples, folder } = await setup(context)
        const yard = await open()
        const { spec, stream, text, until } = samples.prints
        const size = Buffer.byteLength(text)
        const order = orderOf(spec)
        yard.executor.start([order])
        const whole = async () => {
          const chunk = await yard.executor.read(order.id, stream, 0, 1_000_000)
          return Buffer.from(chunk?.bytes ?? []).toString()
        }
        await eventually(async () => expect(await whole()).toBe(text))
        expect(yard.endsOf(order.id)).toHaveLength(0)
        await import('node:fs/promises').then(fs => fs.writeFile(join(folder, until), ''))
        expect((await yard.end(order.id)).result).toBe('succeeded')
        expect(await whole()).toBe(text)
        const read = async (from: number, maxBytes: number) => {
          const chunk = (await yard.executor.read(order.id, stream, from, maxBytes))!
          return { text: Buffer.from(chunk.bytes).toString(), sizeBytes: chunk.sizeBytes }
        }
        expect(await read(2, 3)).toEqual({ text: text.slice(2, 5), sizeBytes: size })
        expect(await read(size - 1, 100)).toEqual({ text: text.slice(-1), sizeBytes: size })
        expect(await read(size, 100)).toEqual({ text: '', sizeBytes: size })
        expect(await read(size + 100, 100)).toEqual({ text: '', sizeBytes: size })
        expect(await yard.executor.read(order.id, 'no-such-stream', 0, 10)).toBeUndefined()
        expect(await yard.executor.read(order.id, '../out', 0, 10)).toBeUndefined()
      })

      test('what is forgotten is unknown; its streams stay until they are forgotten, too', async context => {
        const { open, samples, folder } = await setup(context)
        const yard = await open()
        const { spec, stream, text, until } = samples.prints
        await import('node:fs/promises').then(fs => fs.writeFile(join(folder, until), ''))
        const order = orderOf(spec)
        yard.executor.start([order])
        await yard.end(order.id)
        yard.executor.forget([order.id], { streams: false })
        expect(await yard.executor.look([order.id])).toEqual([{ id: order.id, type: 'unknown' }])
        expect((await yard.executor.read(order.id, stream, 0, 1000))?.sizeBytes).toBe(Buffer.byteLength(text))
        yard.executor.forget([order.id], { streams: true })
        yard.executor.forget([order.id], { streams: true })
        await eventually(async () =>
          expect(await yard.executor.read(order.id, stream, 0, 1000)).toBeUndefined(),
        )
      })

      test('forgetting an attempt that runs does not lose it', async context => {
        const { open, samples } = await setup(context)
        const yard = await open()
        const order = orderOf(samples.runsLong)
        yard.executor.start([order])
        await yard.begin(order.id)
        yard.executor.forget([order.id], { streams: true })
        yard.executor.stop(order.id, 'ask', 'cancel')
        expect((await yard.end(order.id)).result).toBe('stopped')
      })

      test('of a crowd, each is run once and told once', async context => {
        const { open, samples, folder } = await setup(context)
        const yard = await open()
        const path = join(folder, 'crowd')
        const crowd = Array.from({ length: subject.crowdCount ?? 1000 }, () => orderOf(samples.marks(path)))
        const atOnce = 50
        let next = atOnce
        yard.onEnd = () => {
          const order = crowd[next++]
          if (order) yard.executor.start([order])
        }
        yard.executor.start(crowd.slice(0, atOnce))
        for (const { id } of crowd) expect((await yard.end(id)).result).toBe('succeeded')
        await yard.quiet()
        expect(linesOf(path)).toBe(crowd.length)
        expect(crowd.every(({ id }) => yard.endsOf(id).length === 1)).toBe(true)
      }, 120_000)

      test('after close nothing is reported; what survives is found by the next, the rest is unknown to it', async context => {
        const { open, samples } = await setup(context)
        const first = await open()
        const [runs, ended] = [orderOf(samples.runsLong), orderOf(samples.fails.spec)]
        first.executor.start([runs, ended])
        await first.begin(runs.id)
        await first.end(ended.id)
        const count = first.reports.length
        await first.close()
        const second = await open()
        await second.quiet()
        expect(first.reports).toHaveLength(count)
        expect(second.reports).toEqual([])
        const seen = await second.executor.look([runs.id, ended.id])
        if (!second.executor.can.survivesRestart) {
          expect(seen.map(({ type }) => type)).toEqual(['unknown', 'unknown'])
          return
        }
        expect(seen[0]).toMatchObject({ type: 'began' })
        expect(seen[1]).toMatchObject({
          type: 'ended',
          outcome: { result: 'failed', exitCode: samples.fails.exitCode },
        })
        second.executor.stop(runs.id, 'ask', 'cancel')
        expect((await second.end(runs.id)).result).toBe('stopped')
      })

      describe.each([{ helpers: false }, { helpers: true }])(
        'when the server is killed (its helpers too: $helpers)',
        how => {
          test('what ran is found running or ended, with its exit code, and is never run again', async context => {
            const { open, serve, samples, folder } = await setup(context)
            const server = await serve()
            const path = join(folder, 'marks')
            const [runs, prints, fails, marks] = [
              orderOf(samples.runsLong),
              orderOf(samples.prints.spec),
              orderOf(samples.fails.spec),
              orderOf(samples.marks(path)),
            ]
            server.start([runs, prints, fails, marks])
            await server.saw(runs.id, 'began')
            await server.saw(prints.id, 'began')
            await server.saw(fails.id, 'ended')
            await server.saw(marks.id, 'ended')
            await server.kill(how)
            const yard = await open()
            if (!yard.executor.can.survivesRestart) {
              const seen = await yard.executor.look([runs.id, prints.id, fails.id])
              expect(seen.map(({ type }) => type)).toEqual(['unknown', 'unknown', 'unknown'])
              return
            }
            await import('node:fs/promises').then(fs => fs.writeFile(join(folder, samples.prints.until), ''))
            const seen = await yard.executor.look([runs.id, fails.id, marks.id])
            expect(seen[0]).toMatchObject({ type: 'began' })
            expect(seen[1]).toMatchObject({ type: 'ended', outcome: { exitCode: samples.fails.exitCode } })
            expect(seen[2]).toMatchObject({ type: 'ended', outcome: { result: 'succeeded' } })
            yard.executor.start([runs, prints, marks])
            expect((await yard.end(prints.id)).result).toBe('succeeded')
            const chunk = await yard.executor.read(prints.id, samples.prints.stream, 0, 1_000_000)
            expect(Buffer.from(chunk!.bytes).toString()).toBe(samples.prints.text)
            expect(linesOf(path)).toBe(1)
            yard.executor.stop(runs.id, 'ask', 'cancel')
            expect((await yard.end(runs.id)).result).toBe('stopped')
          })

          test('at any instant, every attempt is run exactly once in the end', async context => {
            const { open, serve, samples, folder } = await setup(context)
            const rounds = 4
            const orders: { order: StartOrder; path: string }[] = []
            const endsSeen = new Set<AttemptId>()
            for (let round = 0; round < rounds; round++) {
              const server = await serve()
              for (let i = 0; i < 25; i++) {
                const path = join(folder, `once-${round}-${i}`)
                orders.push({ order: orderOf(samples.marks(path)), path })
              }
              // As an engine does: everything whose end is not known is looked for by starting it again.
              server.start(orders.map(({ order }) => order).filter(({ id }) => !endsSeen.has(id)))
              await sleep([5, 60, 20, 120][round]!) // a kill before, while and after programs begin
              await server.kill(how)
              for (const id of server.ends()) endsSeen.add(id)
            }
            const yard = await open()
            if (!yard.executor.can.survivesRestart) return
            const left = orders.map(({ order }) => order).filter(({ id }) => !endsSeen.has(id))
            const seen = await yard.executor.look(left.map(({ id }) => id))
            yard.executor.start(left.filter((_, index) => seen[index]!.type === 'unknown'))
            for (const [index, { id }] of left.entries())
              if (seen[index]!.type !== 'ended') expect((await yard.end(id)).result).toBe('succeeded')
            for (const { path } of orders) expect(linesOf(path)).toBe(1)
          }, 120_000)
        },
      )

      test('nothing of an attempt is left running after its end or its stop', async context => {
        const { open, samples, folder } = await setup(context)
        if (!samples.leavesProcess) return context.skip('it runs no processes')
        const yard = await open()
        const path = join(folder, 'ticks')
        const order = orderOf(samples.leavesProcess(path))
        yard.executor.start([order])
        await eventually(() => expect(linesOf(path)).toBeGreaterThan(0))
        yard.executor.stop(order.id, 'ask', 'cancel')
        await yard.end(order.id)
        const count = linesOf(path)
        await sleep(400)
        expect(linesOf(path)).toBe(count)
      })
    },
  )
}

/** An executor with its reports, and ways to wait for them. */
class Watched {
  readonly executor: Executor
  readonly reports: Report[] = []
  onEnd: ((id: AttemptId) => void) | undefined
  readonly #waiters = new Set<() => void>()
  #closed = false

  constructor(executor: Executor) {
    this.executor = executor
  }

  async open(): Promise<void> {
    await this.executor.open(reports => {
      expect(reports.length).toBeGreaterThan(0)
      for (const report of reports) {
        this.reports.push(report)
        if (report.type === 'ended') this.onEnd?.(report.id)
      }
      for (const waiter of this.#waiters) waiter()
    })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.executor.close()
  }

  reportsOf(id: AttemptId): Report[] {
    return this.reports.filter(report => report.id === id)
  }

  endsOf(id: AttemptId): Report[] {
    return this.reportsOf(id).filter(({ type }) => type === 'ended')
  }

  async begin(id: AttemptId): Promise<void> {
    await this.#first(id, report => report.type === 'began' || report.type === 'ended')
  }

  async end(id: AttemptId): Promise<Outcome> {
    const report = await this.#first(id, ({ type }) => type === 'ended')
    return (report as Extract<Report, { type: 'ended' }>).outcome
  }

  /** Long enough for a report that should not come. */
  async quiet(): Promise<void> {
    await sleep(150)
  }

  #first(id: AttemptId, wanted: (report: Report) => boolean): Promise<Report> {
    return new Promise(resolve => {
      let seen = 0
      const look = () => {
        for (; seen < this.reports.length; seen++) {
          const report = this.reports[seen]!
          if (report.id !== id || !wanted(report)) continue
          this.#waiters.delete(look)
          resolve(report)
          return
        }
      }
      this.#waiters.add(look)
      look()
    })
  }
}

/** Another server process with the same executor, made to be killed. */
class Server {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #reports: Report[] = []
  readonly #exit: Promise<void>
  #children: number[] = []
  #heard: () => void = () => {}

  static async start(moduleUrl: string, folder: string): Promise<Server> {
    const server = new Server(moduleUrl, folder)
    await eventually(() => expect(server.#children).not.toEqual([-1]))
    return server
  }

  private constructor(moduleUrl: string, folder: string) {
    this.#children = [-1]
    const host = fileURLToPath(new URL('./testing/conformance-host.ts', import.meta.url))
    this.#child = spawn(process.execPath, [host, moduleUrl, folder], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child.stdin.on('error', () => {}) // it is killed while we write
    this.#exit = new Promise(resolve => this.#child.once('close', () => resolve()))
    createInterface({ input: this.#child.stdout }).on('line', line => {
      const { report, ready } = JSON.parse(line) as { report?: Report; ready?: { children: number[] } }
      if (report) this.#reports.push(report)
      if (ready) this.#children = ready.children
      this.#heard()
    })
  }

  start(orders: readonly StartOrder[]): void {
    this.#child.stdin.write(`${JSON.stringify(orders)}\n`)
  }

  async saw(id: AttemptId, type: Report['type']): Promise<void> {
    await new Promise<void>(resolve => {
      this.#heard = () => {
        if (this.#reports.some(report => report.id === id && report.type === type)) resolve()
      }
      this.#heard()
    })
  }

  ends(): AttemptId[] {
    return this.#reports.filter(({ type }) => type === 'ended').map(({ id }) => id)
  }

  async kill({ helpers }: { helpers: boolean }): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGKILL')
    if (helpers) for (const pid of this.#children) killQuietly(pid)
    await this.#exit
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended with its server.
  }
}

function orderOf(spec: Json): StartOrder {
  const job = randomUUID()
  return { id: attemptIdOf(job, 1), job, kind: 'test', owner: '', spec, needs: null, runMsMax: null }
}

function linesOf(path: string): number {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0
}

/** Tries until it holds; the test's own time-out is the limit. */
async function eventually(claim: () => void | Promise<void>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await claim()
      return
    } catch (error) {
      if (tries > 2000) throw error
      await sleep(10)
    }
  }
}
