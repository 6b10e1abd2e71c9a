// A small seeded random stream (mulberry32): the same seed plays the same day again.

export interface Dice {
  /** From 0 up to and without `n`. */
  below(n: number): number
  chance(probability: number): boolean
  pick<T>(items: readonly T[]): T | undefined
}

export function diceOf(seed: number): Dice {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    below: n => Math.floor(next() * n),
    chance: probability => next() < probability,
    pick: items => items[Math.floor(next() * items.length)],
  }
}
