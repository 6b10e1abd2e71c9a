// Bytes that nothing names any more are removed now and then: a crash between a file and its row leaves some.

import type { Logger } from 'pino'
import type { Store } from '../store/store.ts'

const sweepFirstMs = 60_000
const sweepEveryMs = 6 * 3_600_000

/** Begins to sweep, a minute from now and then every six hours; the returned function stops it. */
export function sweepBlobs(store: Store, log: Logger): () => Promise<void> {
  let isStopped = false
  let sweeping: Promise<void> = Promise.resolve()
  const isNamed = async (hash: string) => {
    if (isStopped) throw new Error('the server is stopping')
    return (await store.blobCount(hash)) > 0
  }
  const sweep = async () => {
    try {
      const { removed } = await store.blobs.sweep(isNamed)
      if (removed > 0) log.info({ removed }, 'removed blobs that nothing names')
    } catch (error) {
      if (!isStopped) log.warn({ err: error }, 'blobs that nothing names could not be removed')
    }
    if (!isStopped) wait(sweepEveryMs)
  }
  let timer: NodeJS.Timeout
  const wait = (ms: number) => {
    timer = setTimeout(() => {
      sweeping = sweep()
    }, ms).unref()
  }
  wait(sweepFirstMs)
  return async () => {
    isStopped = true
    clearTimeout(timer)
    await sweeping
  }
}
