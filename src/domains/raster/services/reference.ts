// References to services as inputs of jobs: `service://name:variable@seconds`.

export interface Reference {
  readonly service: string
  readonly variable: string | undefined
  /** Seconds since 1970. */
  readonly timestamp: number | undefined
}

/** Takes a reference apart; throws with what is wrong. */
export function readReference(text: string): Reference {
  const split = text.indexOf('://')
  if (split === -1 || text.slice(0, split) !== 'service')
    throw new Error(`Invalid source: ${text.slice(0, 200)}`)
  const path = text.slice(split + 3)
  const at = path.indexOf('@')
  const place = at === -1 ? path : path.slice(0, at)
  const stamp = at === -1 ? undefined : path.slice(at + 1).trim()
  if (stamp !== undefined && !/^[+-]?\d+$/.test(stamp)) throw new Error(`${stamp} is no timestamp in seconds`)
  const colon = place.indexOf(':')
  return {
    service: colon === -1 ? place : place.slice(0, colon),
    variable: colon === -1 ? undefined : place.slice(colon + 1),
    timestamp: stamp === undefined ? undefined : Number(stamp),
  }
}

/** The names of all services that are referred to anywhere in a value; a bounded number of them. */
export function referredServices(value: unknown): string[] {
  const found = new Set<string>()
  const visit = (item: unknown, depth: number): void => {
    if (found.size >= 1000 || depth > 64) return
    if (typeof item === 'string' && item.startsWith('service://')) {
      try {
        found.add(readReference(item).service)
      } catch {
        // It is refused, with its reason, when the parameter that it is meant for is cleaned.
      }
    } else if (Array.isArray(item)) for (const part of item) visit(part, depth + 1)
    else if (typeof item === 'object' && item !== null)
      for (const part of Object.values(item)) visit(part, depth + 1)
  }
  visit(value, 0)
  return [...found]
}
