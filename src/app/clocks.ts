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
      // A timer can wait 24.8 days at most; one that is set for later is wound up again.
      const wind = () => {
        const ms = at - Date.now()
        timer = ms > timerMsMax ? setTimeout(wind, timerMsMax) : setTimeout(ring, Math.max(0, ms))
      }
      wind()
      return () => clearTimeout(timer)
    },
  }
}

const timerMsMax = 2 ** 31 - 1

export const systemRandom: Random = bytes => {
  getRandomValues(bytes)
}
