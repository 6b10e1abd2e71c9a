// The original's metrics by their names: gauges over the archive and the jobs, and the longest durations of late.

import { newestSeq } from '../../domains/dicom/store/change-log.ts'
import type { House } from './house.ts'
import { stateWord } from './words.ts'

const windowMs = 10_000

/** The longest of the durations seen in the last seconds. */
class Longest {
  #before = 0
  #now = 0
  #since = 0

  add(durationMs: number, at: number): void {
    this.#turn(at)
    this.#now = Math.max(this.#now, durationMs)
  }

  read(at: number): number {
    this.#turn(at)
    return Math.round(Math.max(this.#before, this.#now))
  }

  #turn(at: number): void {
    if (at - this.#since < windowMs) return
    this.#before = at - this.#since < 2 * windowMs ? this.#now : 0
    this.#now = 0
    this.#since = at
  }
}

export const durations = [
  'orthanc_find_scp_duration_ms',
  'orthanc_get_scp_duration_ms',
  'orthanc_move_scp_duration_ms',
  'orthanc_rest_api_duration_ms',
  'orthanc_storage_create_duration_ms',
  'orthanc_storage_read_duration_ms',
  'orthanc_storage_remove_duration_ms',
  'orthanc_store_dicom_duration_ms',
] as const
export type DurationName = (typeof durations)[number]

export class Meters {
  readonly #durations = new Map<DurationName, Longest>(durations.map(name => [name, new Longest()]))
  readonly #steady: () => number
  activeRequests = 0

  /** `steady`: a clock in ms for durations. */
  constructor(steady: () => number) {
    this.#steady = steady
  }

  /** Begins to measure; call the answer at the end. */
  time(name: DurationName): () => void {
    const from = this.#steady()
    return () => this.#durations.get(name)!.add(this.#steady() - from, this.#steady())
  }

  longest(name: DurationName): number {
    return this.#durations.get(name)!.read(this.#steady())
  }
}

/** The metrics as text: `name value epoch_ms`, sorted by name. */
export async function showMetrics(house: House): Promise<string> {
  const { archive, kit, meters } = house
  const { now } = archive.totals
  const jobs = await house.history.all()
  const count = (...words: string[]): number => jobs.filter(job => words.includes(stateWord(job))).length
  const success = count('Success')
  const failed = count('Failure')
  const at = kit.clock.now()
  const values: Record<string, number> = {
    orthanc_count_instances: now.instance,
    orthanc_count_patients: now.patient,
    orthanc_count_series: now.series,
    orthanc_count_studies: now.study,
    orthanc_dicom_cache_count: 0,
    orthanc_dicom_cache_size: 0,
    orthanc_disk_size_mb: now.bytes / 1_048_576,
    orthanc_jobs_completed: success + failed,
    orthanc_jobs_failed: failed,
    orthanc_jobs_pending: count('Pending', 'Retry'),
    orthanc_jobs_running: count('Running', 'Paused'),
    orthanc_jobs_success: success,
    orthanc_last_change: await newestSeq(house.kit.records),
    orthanc_rest_api_active_requests: meters.activeRequests,
    orthanc_uncompressed_size_mb: now.bytes / 1_048_576,
    orthanc_up_time_s: Math.floor((at - house.startedAt) / 1000),
  }
  for (const name of durations) values[name] = meters.longest(name)
  return Object.keys(values)
    .sort()
    .map(name => `${name} ${showNumber(values[name]!)} ${at}\n`)
    .join('')
}

/** Whole numbers as they are, others with nine significant digits. */
function showNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(9)))
}
