// Instants and durations on the wire: ISO-8601 in UTC with microseconds, and "now minus a duration" in queries.

/** An instant as clients read it; null stays null. */
export function showTime(at: number): string
export function showTime(at: number | null | undefined): string | null
export function showTime(at: number | null | undefined): string | null {
  if (at === null || at === undefined) return null
  const text = new Date(at).toISOString()
  // The original prints microseconds, and nothing at all when there is no fraction.
  return at % 1000 === 0 ? text.replace('.000Z', 'Z') : text.replace('Z', '000Z')
}

const isoPattern = /^(\d{4})-(\d{2})-(\d{2})T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})$/
const durationPattern = /^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/

/** Reads an instant, or a duration before `now`; undefined when it is neither. */
export function readTime(text: string, now: number): number | undefined {
  const date = isoPattern.exec(text)
  if (date) {
    const [year, month, day] = date.slice(1).map(Number)
    const at = Date.parse(text)
    // What parses the text takes the 30th of February for a day in March.
    const isDay = day! <= new Date(Date.UTC(year!, month!, 0)).getUTCDate()
    return Number.isNaN(at) || !isDay ? undefined : at
  }
  const match = durationPattern.exec(text)
  if (!match || text === 'P' || text.endsWith('T')) return undefined
  const [weeks, days, hours, minutes, seconds] = match.slice(1).map(part => Number(part ?? 0))
  return now - ((((weeks! * 7 + days!) * 24 + hours!) * 60 + minutes!) * 60 + seconds!) * 1000
}

/** A duration in milliseconds as ISO-8601. */
export function showDuration(durationMs: number): string {
  const seconds = Math.round(durationMs / 1000)
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  return `PT${hours ? `${hours}H` : ''}${minutes ? `${minutes}M` : ''}${seconds % 60 || seconds === 0 ? `${seconds % 60}S` : ''}`
}
