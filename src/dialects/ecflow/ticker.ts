// The poll: each one, suite clocks advance by a minute and times are looked at. It is aligned to the interval, so that
// a minute of suite time begins with a minute of the wall.

import type { Clock } from '../../core/clock.ts'

/** Calls `tick` at each multiple of the interval, one at a time. The returned function ends it. */
export function startTicker(parts: {
  clock: Clock
  intervalMs: number
  tick: () => Promise<void>
}): () => void {
  const { clock, intervalMs } = parts
  let isEnded = false
  let cancel = () => {}
  const plan = () => {
    if (isEnded) return
    const now = clock.now()
    cancel = clock.alarm((Math.floor(now / intervalMs) + 1) * intervalMs, () => {
      void parts.tick().finally(plan)
    })
  }
  plan()
  return () => {
    isEnded = true
    cancel()
  }
}
