// Real time and real randomness: the only place where the product meets them.

import { getRandomValues } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import type { Random } from '../core/ids.ts'

/** The machine's clock. */
export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    alarm(at, ring) {
      let timer: NodeJS.Timeout
      const wind = () => {
        const ms = at - Date.now()
        if (ms > 0) timer = setTimeout(wind, Math.min(ms, timerMsMax))
        else ring()
      }
      // Never at once: whoever sets it has not got what takes it back yet.
      timer = setTimeout(wind, Math.max(0, Math.min(at - Date.now(), timerMsMax)))
      return () => clearTimeout(timer)
    },
  }
}

/**
 * A timer counts on while the clock is set, and stands still while the machine sleeps: it is wound up again this often, so
 * that what became due by such a step is not late for longer. (One timer can wait 24.8 days at most in any case.)
 */
const timerMsMax = 60_000

export const systemRandom: Random = bytes => {
  getRandomValues(bytes)
}
