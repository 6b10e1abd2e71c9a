// Instants as DICOM dates and times, in UTC.

export interface DicomInstant {
  /** `20260131` */
  readonly date: string
  /** `235959.000000` */
  readonly time: string
}

/** An instant as the values of a date and a time, in UTC. */
export function dicomInstant(now: number): DicomInstant {
  const iso = new Date(now).toISOString()
  return {
    date: iso.slice(0, 10).replaceAll('-', ''),
    time: `${iso.slice(11, 19).replaceAll(':', '')}.000000`,
  }
}
