// Instants as the archive's metadata show them: `20260131T235959`, UTC.

/** An instant as the archive's metadata write it: `YYYYMMDDTHHMMSS`, in UTC. */
export function dicomTime(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace(/[-:]/g, '')
}

/** The instant that such a text tells; 0 when it is none. */
export function instantOf(text: string): number {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)$/.exec(text)?.map(Number) ?? []
  return year === undefined ? 0 : Date.UTC(year, month! - 1, day, hour, minute, second)
}
