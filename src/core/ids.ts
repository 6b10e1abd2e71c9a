// Time-ordered unique ids (UUID version 7, RFC 9562 §5.7), made from a clock and random bytes that are handed in.

export type JobId = string
export type AttemptId = string

/** Fills the given bytes with randomness; crypto.getRandomValues in the product, a seeded stream in tests. */
export type Random = (bytes: Uint8Array) => void

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/**
 * A maker of ids that sort in the order in which they were made, also within one millisecond: the 12 bits after
 * the version count up within a millisecond, and the clock is never followed backwards.
 */
export function idMaker(random: Random): (now: number) => string {
  const pool = new Uint8Array(8 * 512)
  let used = pool.length
  let lastMs = 0
  let counter = 0
  return now => {
    if (used === pool.length) {
      random(pool)
      used = 0
    }
    const at = used
    used += 8
    if (now > lastMs) {
      lastMs = now
      counter = 0
    } else if (++counter > 0xfff) {
      lastMs++
      counter = 0
    }
    const time = lastMs.toString(16).padStart(12, '0')
    const count = counter.toString(16).padStart(3, '0')
    const variant = hex[0x80 | (pool[at]! & 0x3f)]!
    return (
      `${time.slice(0, 8)}-${time.slice(8)}-7${count}-${variant}${hex[pool[at + 1]!]}-` +
      `${hex[pool[at + 2]!]}${hex[pool[at + 3]!]}${hex[pool[at + 4]!]}${hex[pool[at + 5]!]}${hex[pool[at + 6]!]}${hex[pool[at + 7]!]}`
    )
  }
}

/** The id of a job's k-th attempt (k from 1). It is derived, so that writing down k writes down the id. */
export function attemptIdOf(job: JobId, number: number): AttemptId {
  return `${job}.${number}`
}

/** The job that an attempt belongs to, and which of its attempts it is; undefined for anything else. */
export function readAttemptId(id: AttemptId): { job: JobId; number: number } | undefined {
  const dot = id.lastIndexOf('.')
  const number = Number(id.slice(dot + 1))
  if (dot < 1 || !Number.isSafeInteger(number) || number < 1) return undefined
  return { job: id.slice(0, dot), number }
}
