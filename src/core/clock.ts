// Time as the core sees it: handed in, so that tests and the simulation can move it by hand.

export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number
  /** Calls `ring` once, not before `at` (epoch ms). The returned function takes the alarm back. */
  alarm(at: number, ring: () => void): () => void
}
