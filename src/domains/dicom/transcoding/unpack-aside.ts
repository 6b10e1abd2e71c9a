// Decodes large pixels on a thread of its own, so that nobody else waits for them; small ones are decoded in place.

import { Worker } from 'node:worker_threads'
import { type NativePixels, type PackedPixels, packedSamples, unpackPixels } from './native-pixels.ts'

/** Fewer samples than this take less time than a thread needs to begin. */
const asideFrom = 100_000

/** A thread that is started when it is first needed, and used until it is closed. */
export class Unpacker {
  #worker: Worker | undefined
  /** Who waits, in the order of what they asked. */
  #waiting: { resolve: (found: NativePixels | undefined) => void; reject: (error: Error) => void }[] = []

  /** As unpackPixels. */
  unpack(packed: PackedPixels): Promise<NativePixels | undefined> | NativePixels | undefined {
    if (packedSamples(packed) < asideFrom) return unpackPixels(packed)
    const worker = (this.#worker ??= this.#start())
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      worker.postMessage(packed)
    })
  }

  async close(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }

  #start(): Worker {
    // Built, the file beside this one has another ending.
    const file = import.meta.url.endsWith('.ts') ? './unpack-worker.ts' : './unpack-worker.js'
    const worker = new Worker(new URL(file, import.meta.url))
    worker.on('message', (found: NativePixels | undefined) => this.#waiting.shift()?.resolve(found))
    const fail = (error: Error): void => {
      if (this.#worker === worker) this.#worker = undefined
      for (const { reject } of this.#waiting.splice(0)) reject(error)
    }
    worker.on('error', fail)
    worker.on('exit', code => fail(new Error(`the decoder ended with code ${code}`)))
    return worker
  }
}
