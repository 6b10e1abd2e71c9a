// The inside of a work thread: runs the functions of a batch one after another, and tells how each ended.
// One at a time, so that a function that never ends can be ended with its thread and takes no other with it.

import { closeSync, fdatasyncSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import type { Work, WorkBlobs, WorkModule, WorkResult, WorkTools } from '../../core/work.ts'
import { streamPath } from '../stream-files.ts'
import { Assistants } from './assistant.ts'
import { Board, done, told } from './board.ts'
import { lateBlobs } from './late-blobs.ts'
import type { FromThread, ThreadOrder, ThreadSettings, ToThread } from './messages.ts'
import { scratchPath } from './scratch.ts'

runThread(workerData as ThreadSettings, parentPort!)

function runThread(settings: ThreadSettings, port: NonNullable<typeof parentPort>): void {
  const board = new Board(settings.board)
  const works = new Map<string, Work>()
  const blobs = lateBlobs(settings)
  const assistants = new Assistants(settings)
  let current: { index: number; run: Run } | undefined

  const tell = (message: FromThread, give?: readonly ArrayBuffer[]) => port.postMessage(message, give)

  port.on('message', (message: ToThread) => {
    if (message.type === 'batch') runFrom(message.orders, 0)
    else if (current?.run.order.id !== message.id) return
    else if (message.type === 'answer') current.run.noticeAnswer(message)
    else if (current.index === message.index) current.run.noticeStop()
  })
  tell({ type: 'ready' })

  /** A loop as long as functions return at once, continued by a promise's end where one does not. */
  function runFrom(orders: readonly ThreadOrder[], first: number): void {
    for (let index = first; index < orders.length; index++) {
      if (!board.begin(index, Date.now())) continue
      const order = orders[index]!
      const run = new Run({ order, index, board, settings, tell, blobs, assistants })
      current = { index, run }
      const next = index + 1
      const work = works.get(order.function)
      if (!work) {
        load(order.function).then(
          loaded => {
            works.set(order.function, loaded)
            board.beginAnew(index, Date.now())
            if (attempt(run, loaded, order, () => runFrom(orders, next))) runFrom(orders, next)
          },
          (error: unknown) => {
            run.fail('launch', new Error(`function ${order.function} cannot be loaded: ${messageOf(error)}`))
            runFrom(orders, next)
          },
        )
        return
      }
      if (!attempt(run, work, order, () => runFrom(orders, next))) return
    }
    current = undefined
    tell({ type: 'idle' })
  }

  /** True when it has ended at once; else `goOn` is called at its end. */
  function attempt(run: Run, work: Work, order: ThreadOrder, goOn: () => void): boolean {
    let result: ReturnType<Work>
    try {
      result = work(order.input, run)
    } catch (error) {
      run.fail('exit', error)
      return true
    }
    if (!(result instanceof Promise)) {
      run.succeed(result ?? undefined)
      return true
    }
    result
      .then(
        value => run.succeed(value ?? undefined),
        (error: unknown) => run.fail('exit', error),
      )
      .then(goOn)
    return false
  }

  async function load(name: string): Promise<Work> {
    const module = settings.modules[name]
    if (!module) throw new Error('it is not registered')
    const exports = (await import(module.url)) as Record<string, unknown>
    const work = exports[module.export ?? 'default']
    if (typeof work !== 'function')
      throw new Error(`its module does not export ${module.export ?? 'default'} as a function`)
    return work as Work
  }
}

interface RunParts {
  readonly order: ThreadOrder
  readonly index: number
  readonly board: Board
  readonly settings: ThreadSettings
  readonly tell: (message: FromThread, give?: readonly ArrayBuffer[]) => void
  readonly blobs: () => Promise<WorkBlobs>
  readonly assistants: Assistants
}

/** One run of a function: the tools it is given, and the telling of its end. */
class Run implements WorkTools {
  readonly order: ThreadOrder
  readonly #parts: RunParts
  readonly #cpuBefore = process.threadCpuUsage()
  /** Made when asked for: most functions never do. */
  #controller: AbortController | undefined
  #log: number | undefined
  #scratchDir: string | undefined
  #hasFiles = false
  #progressAt = 0
  #progressTimer: NodeJS.Timeout | undefined
  #ended = false
  #questions = 0
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()

  constructor(parts: RunParts) {
    this.#parts = parts
    this.order = parts.order
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    this.stopReason()
    return this.#controller.signal
  }

  /** Reads the board, so that a function that never waits can ask, too. */
  stopReason(): 'cancel' | 'pause' | 'kill' | 'expire' | undefined {
    const why = this.#parts.board.stopAsked(this.#parts.index)
    if (why === 'none') return undefined
    if (this.#controller && !this.#controller.signal.aborted)
      this.#controller.abort(new DOMException(`the job was asked to stop (${why})`, 'AbortError'))
    return why
  }

  noticeStop(): void {
    this.stopReason()
  }

  ask(body: unknown, give?: readonly ArrayBuffer[]): Promise<unknown> {
    const waiting = Promise.withResolvers<unknown>()
    const question = this.#questions++
    const { index, tell } = this.#parts
    tell({ type: 'ask', index, id: this.order.id, question, body }, give)
    this.#waiting.set(question, waiting)
    return waiting.promise
  }

  noticeAnswer({ question, value, error }: Extract<ToThread, { type: 'answer' }>): void {
    const waiting = this.#waiting.get(question)
    this.#waiting.delete(question)
    if (error === undefined) waiting?.resolve(value)
    else waiting?.reject(new Error(error))
  }

  get blobsDir(): string {
    return this.#parts.settings.blobsDir
  }

  blobs(): Promise<WorkBlobs> {
    return this.#parts.blobs()
  }

  assistant(part: WorkModule) {
    return this.#parts.assistants.get(part)
  }

  get scratchDir(): string {
    if (this.#scratchDir === undefined) {
      this.#scratchDir = scratchPath(this.#parts.settings.folder, this.order.id)
      this.#tellFiles()
      mkdirSync(this.#scratchDir, { recursive: true, mode: 0o700 })
    }
    return this.#scratchDir
  }

  log(line: string): void {
    if (this.#ended) return
    if (this.#log === undefined) {
      const path = streamPath(this.#parts.settings.folder, this.order.id, 'out')
      this.#tellFiles()
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      this.#log = openSync(path, 'a', 0o600)
    }
    writeSync(this.#log, line.endsWith('\n') ? line : `${line}\n`)
  }

  /** At most one message in progressMs, and always the newest figure. */
  progress(fraction: number, detail?: Parameters<WorkTools['progress']>[1]): void {
    if (this.#ended) return
    clearTimeout(this.#progressTimer)
    const { index, settings, tell } = this.#parts
    const now = Date.now()
    const send = () => {
      this.#progressAt = Date.now()
      tell({
        type: 'progress',
        index,
        id: this.order.id,
        fraction,
        ...(detail === undefined ? {} : { detail }),
      })
    }
    const waitMs = this.#progressAt + settings.progressMs - now
    if (waitMs <= 0) send()
    else this.#progressTimer = setTimeout(send, waitMs).unref()
  }

  succeed(result: WorkResult | undefined): void {
    const { index, board, tell } = this.#parts
    try {
      this.#close()
      if (result === undefined && !this.#hasFiles) {
        board.end(index, done, Date.now())
        return
      }
      tell({ type: 'succeeded', index, cpuMs: this.#cpuMs(), ...result })
    } catch (error) {
      // The log could not be kept, or the result is nothing that can be sent.
      this.fail('exit', error)
      return
    }
    board.end(index, told, Date.now())
  }

  fail(reason: 'exit' | 'launch', error: unknown): void {
    const { index, board, tell } = this.#parts
    try {
      this.#close()
    } catch {
      // It fails already, and that reason is the better one.
    }
    const exitCode = (error as { exitCode?: unknown } | null | undefined)?.exitCode
    tell({
      type: 'failed',
      index,
      cpuMs: this.#cpuMs(),
      reason,
      message: messageOf(error),
      ...(typeof exitCode === 'number' && Number.isSafeInteger(exitCode) ? { exitCode } : {}),
    })
    board.end(index, told, Date.now())
  }

  #cpuMs(): number {
    const { user, system } = process.threadCpuUsage(this.#cpuBefore)
    return Math.round((user + system) / 1000)
  }

  #tellFiles(): void {
    if (!this.#hasFiles) this.#parts.tell({ type: 'files', id: this.order.id })
    this.#hasFiles = true
  }

  /** What is reported is kept: the log reaches the disk before the end is told. */
  #close(): void {
    this.#ended = true
    clearTimeout(this.#progressTimer)
    if (this.#log === undefined) return
    const log = this.#log
    this.#log = undefined
    try {
      fdatasyncSync(log)
    } finally {
      closeSync(log)
    }
  }
}

function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message || error.name
  return typeof error === 'string' ? error : 'it failed without a message'
}
