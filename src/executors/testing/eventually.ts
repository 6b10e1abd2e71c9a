// Waits for what becomes true by itself.

import { setTimeout as sleep } from 'node:timers/promises'

/** Tries until it holds; the test's own time-out is the limit. */
export async function eventually(claim: () => void | Promise<void>): Promise<void> {
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
