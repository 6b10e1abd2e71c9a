import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { systemClock } from './clocks.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const minuteMs = 60_000
const hourMs = 60 * minuteMs

test('an alarm rings at its instant, also where that is months away, and not when it was taken back', () => {
  const ring = vi.fn()
  const clock = systemClock()
  clock.alarm(clock.now() + 100 * 24 * hourMs, ring)
  clock.alarm(clock.now() + hourMs, ring)()
  vi.advanceTimersByTime(100 * 24 * hourMs - 1)
  expect(ring).not.toHaveBeenCalled()
  vi.advanceTimersByTime(1)
  expect(ring).toHaveBeenCalledTimes(1)
})

test('a clock that was set forward, or stood still with its machine, makes no alarm later than a minute', () => {
  const ring = vi.fn()
  const clock = systemClock()
  clock.alarm(clock.now() + 8 * hourMs, ring)
  vi.setSystemTime(clock.now() + 9 * hourMs)
  vi.advanceTimersByTime(minuteMs)
  expect(ring).toHaveBeenCalledTimes(1)
})
