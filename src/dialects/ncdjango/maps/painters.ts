// The painters: threads that draw maps, started when there is something to draw and let go after a minute without.

import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { refuse } from '../../../core/refusal.ts'
import type { FactsOrder } from '../../../domains/raster/drawing/facts.ts'
import type { PainterAnswer, PainterOrder } from '../../../domains/raster/drawing/painter-thread.ts'
import type { Kit } from '../../dialect.ts'

const idleMs = 60_000
/** Orders that may wait; more are refused, so that a rush cannot pile up without bound. */
const waitingMax = 2000
/** Longer than any map or answer takes: a file that keeps a library busy for ever must not keep the thread. */
const orderMsMax = 120_000

interface Order {
  readonly order: PainterOrder
  readonly done: (answer: PainterAnswer) => void
  cancelLimit?: () => void
}

export class Painters {
  readonly #kit: Kit
  readonly #threadsMax: number
  readonly #waiting: Order[] = []
  readonly #idle: Worker[] = []
  readonly #busy = new Map<Worker, Order>()
  #cancelIdle: (() => void) | undefined

  constructor(kit: Kit, threads?: number) {
    this.#kit = kit
    this.#threadsMax = threads ?? Math.max(1, availableParallelism())
  }

  /** Draws; the bytes of the image. */
  async image(order: Omit<Extract<PainterOrder, { type: 'image' }>, 'type'>): Promise<Uint8Array> {
    return (await this.#ask({ type: 'image', ...order })).bytes!
  }

  /** Answers a question about values. */
  async facts(facts: FactsOrder): Promise<Record<string, unknown>> {
    return (await this.#ask({ type: 'facts', facts })).facts!
  }

  async close(): Promise<void> {
    this.#cancelIdle?.()
    const threads = [...this.#idle.splice(0), ...this.#busy.keys()]
    for (const { done } of this.#waiting.splice(0)) done({ ok: false, message: 'the server stops' })
    await Promise.all(threads.map(thread => thread.terminate()))
  }

  async #ask(order: PainterOrder): Promise<Extract<PainterAnswer, { ok: true }>> {
    if (this.#waiting.length >= waitingMax) refuse('unavailable', 'Too many maps are waiting to be drawn')
    const answer = await new Promise<PainterAnswer>(done => {
      this.#waiting.push({ order, done })
      this.#next()
    })
    if (answer.ok) return answer
    // The file went with its service while the order waited: to the client there is no such service.
    if (answer.code === 'ENOENT') refuse('not-found', 'The service is not there any more')
    return refuse('bad-request', answer.message)
  }

  #next(): void {
    const order = this.#waiting[0]
    if (!order) {
      this.#letGoLater()
      return
    }
    const thread = this.#idle.pop() ?? (this.#busy.size < this.#threadsMax ? this.#start() : undefined)
    if (!thread) return
    this.#waiting.shift()
    this.#busy.set(thread, order)
    const { clock } = this.#kit
    // Its end answers the order, and another thread takes its place.
    order.cancelLimit = clock.alarm(clock.now() + orderMsMax, () => void thread.terminate())
    thread.postMessage(order.order)
    if (this.#waiting.length > 0) this.#next()
  }

  #start(): Worker {
    // Built, the module has another ending.
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    const url = new URL(`../../../domains/raster/drawing/painter-thread.${ending}`, import.meta.url)
    const thread = new Worker(url, { name: 'painter', resourceLimits: { maxOldGenerationSizeMb: 1024 } })
    thread.on('message', (answer: PainterAnswer) => {
      const order = this.#busy.get(thread)
      this.#busy.delete(thread)
      order?.cancelLimit?.()
      if (!answer.ok && answer.isLast === true) void thread.terminate()
      else this.#idle.push(thread)
      order?.done(answer)
      this.#next()
    })
    thread.on('error', error => this.#kit.log.warn({ err: error }, 'a painter broke'))
    thread.on('exit', () => {
      const order = this.#busy.get(thread)
      this.#busy.delete(thread)
      order?.cancelLimit?.()
      const at = this.#idle.indexOf(thread)
      if (at !== -1) this.#idle.splice(at, 1)
      order?.done({ ok: false, message: 'the image could not be drawn' })
      this.#next()
    })
    return thread
  }

  #letGoLater(): void {
    this.#cancelIdle?.()
    if (this.#idle.length === 0) return
    const { clock } = this.#kit
    this.#cancelIdle = clock.alarm(clock.now() + idleMs, () => {
      for (const thread of this.#idle.splice(0)) void thread.terminate()
    })
  }
}
