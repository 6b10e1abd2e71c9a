// Sizes and durations as people write them: `512MiB`, `1.5GB`, `90s`, `1h30m`.

import { z } from 'zod'

const byteUnits: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

const msUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/** Bytes of `64MiB`, `1.5GB` or a bare number; undefined when it is neither. */
export function readBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim())
  const unit = match === null ? undefined : byteUnits[match[2]!.toLowerCase() || 'b']
  const bytes = unit === undefined ? undefined : Math.round(Number(match![1]) * unit)
  return bytes !== undefined && Number.isSafeInteger(bytes) ? bytes : undefined
}

/** Milliseconds of `90s`, `1h30m`, `2d` or `0`; undefined otherwise: a bare number does not say what it counts. */
export function readDuration(text: string): number | undefined {
  const trimmed = text.trim()
  if (trimmed === '0') return 0
  if (!/^(?:\d+(?:\.\d+)?\s*(?:ms|s|m|h|d|w)\s*)+$/.test(trimmed)) return undefined
  let ms = 0
  for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)/g)) {
    ms += Number(amount) * msUnits[unit!]!
  }
  return Number.isSafeInteger(Math.round(ms)) ? Math.round(ms) : undefined
}

/** A setting that is a size; bytes once read. */
export const size = quantity(readBytes, 'a size such as "64MiB", "1.5GB" or a number of bytes')

/** A setting that is a duration; milliseconds once read. */
export const duration = quantity(readDuration, 'a duration such as "30s", "10m" or "1h30m"')

function quantity(read: (text: string) => number | undefined, wanted: string) {
  return z.union([z.string(), z.number()], `must be ${wanted}`).transform((value, context) => {
    const amount = read(String(value))
    if (amount !== undefined) return amount
    context.addIssue({ code: 'custom', message: `must be ${wanted}, not ${JSON.stringify(value)}` })
    return z.NEVER
  })
}
