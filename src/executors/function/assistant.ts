// Our end of an assistant, in the work thread that asks it: a thread of its own for parts of one kind of work. It ends
// with the thread that made it.

import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { WorkAssistant, WorkModule } from '../../core/work.ts'
import type { AssistantSettings, FromAssistant, ThreadSettings, ToAssistant } from './messages.ts'

/** The largest heap of an assistant in MiB: it holds parts of a work, never a whole. */
const heapMbMax = 512

/** The assistants of one work thread, one for each kind of part. */
export class Assistants {
  readonly #settings: Pick<ThreadSettings, 'blobsDir' | 'blobFinder'>
  readonly #coreCount: number
  readonly #threads = new Map<string, AssistantThread>()

  constructor(settings: Pick<ThreadSettings, 'blobsDir' | 'blobFinder'>, coreCount = availableParallelism()) {
    this.#settings = settings
    this.#coreCount = coreCount
  }

  /** An assistant for one run of a function; undefined where there is but one core. */
  get(part: WorkModule): WorkAssistant | undefined {
    if (this.#coreCount < 2) return undefined
    const key = `${part.url}#${part.export ?? 'default'}`
    let thread = this.#threads.get(key)
    if (!thread || thread.isGone) {
      const { blobsDir, blobFinder } = this.#settings
      thread = new AssistantThread({ part, blobsDir, blobFinder })
      this.#threads.set(key, thread)
    }
    return forOneRun(thread)
  }
}

/** Counts what one run has asked: what an earlier one left behind is answered, and nobody listens. */
function forOneRun(thread: AssistantThread): WorkAssistant {
  let waiting = 0
  return {
    get isReady() {
      return thread.isReady && !thread.isGone
    },
    get waiting() {
      return waiting
    },
    ask(question) {
      waiting++
      return thread.ask(question).finally(() => waiting--)
    },
  }
}

class AssistantThread {
  readonly #worker: Worker
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  #asked = 0
  #failure = 'the assistant ended'
  isReady = false
  isGone = false

  constructor(settings: AssistantSettings) {
    // Built, the file beside this one has another ending.
    const file = import.meta.url.endsWith('.ts') ? './assistant-thread.ts' : './assistant-thread.js'
    this.#worker = new Worker(new URL(file, import.meta.url), {
      workerData: settings,
      resourceLimits: { maxOldGenerationSizeMb: heapMbMax },
      execArgv: [],
      stdin: false,
    })
    // It must not keep the thread that made it.
    this.#worker.unref()
    this.#worker.on('message', (message: FromAssistant) => this.#hear(message))
    this.#worker.on('error', (error: Error) => (this.#failure = error?.message ?? String(error)))
    this.#worker.on('exit', () => this.#leave())
  }

  ask(body: unknown): Promise<unknown> {
    if (this.isGone) return Promise.reject(new Error(this.#failure))
    const waiting = Promise.withResolvers<unknown>()
    const question = this.#asked++
    this.#worker.postMessage({ question, body } satisfies ToAssistant)
    this.#waiting.set(question, waiting)
    return waiting.promise
  }

  #hear(message: FromAssistant): void {
    if (message.type === 'ready') {
      this.isReady = true
      return
    }
    const waiting = this.#waiting.get(message.question)
    this.#waiting.delete(message.question)
    if (message.type === 'answer') waiting?.resolve(message.value)
    else waiting?.reject(new Error(message.error))
  }

  #leave(): void {
    this.isGone = true
    for (const waiting of this.#waiting.values()) waiting.reject(new Error(this.#failure))
    this.#waiting.clear()
  }
}
