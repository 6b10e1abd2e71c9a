// What goes into an archive, as the job that makes it is told: series with their folders, and files by blob hash.

import type { MainTags } from '../summary.ts'
import { fileName, folderName, makeUnique, type NameOptions } from '../zip/member-name.ts'

/** Everything that an archive or a medium is made of; plain JSON, kept as the spec of its job. */
export type ArchivePlan = {
  readonly kind: 'archive' | 'media'
  /** Media: with descriptions of series in the DICOMDIR. */
  readonly isExtended: boolean
  readonly series: PlannedSeries[]
  /** Deflate level, 0 to 9. */
  readonly level: number
  /** The term of the encoding for files that name none. */
  readonly defaultTerm: string
  /** Files whose syntax can be turned into this one are; the others go as they are. */
  readonly transcode?: string
  /** Where the bytes go: kept as a blob, or streamed to a local socket that somebody listens on. */
  readonly target: { readonly type: 'blob' } | { readonly type: 'socket'; readonly path: string }
}

export type PlannedSeries = {
  /** `patient/study/series`, unique in the archive. */
  readonly folder: string
  readonly modality: string
  readonly files: PlannedFile[]
}

export type PlannedFile = {
  readonly hash: string
  readonly sizeBytes: number
  /** Its pixels are compressed: deflating again gains nothing. */
  readonly isPacked?: boolean
}

/** One series of those to be archived, with what its folders are named for. */
export interface SeriesEntry {
  readonly patient: { readonly id: string; readonly main: MainTags }
  readonly study: { readonly id: string; readonly main: MainTags }
  readonly series: { readonly id: string; readonly main: MainTags }
  readonly files: readonly PlannedFile[]
}

/** Orders the series by patient, study and series, and names their folders. */
export function planSeries(entries: readonly SeriesEntry[], options: NameOptions): PlannedSeries[] {
  const ordered = [...entries].sort(
    (a, b) =>
      compare(a.patient.id, b.patient.id) ||
      compare(a.study.id, b.study.id) ||
      compare(a.series.id, b.series.id),
  )
  const patients = makeFolders()
  const studies = makeFolders()
  const planned: PlannedSeries[] = []
  const seriesFolders = makeFolders()
  for (const { patient, study, series, files } of ordered) {
    const patientName = folderName(
      [patient.main['0010,0020'], patient.main['0010,0010']],
      'Unknown Patient',
      options,
    )
    const patientFolder = patients('', patient.id, patientName)
    const studyName = folderName([study.main['0008,0050'], study.main['0008,1030']], 'Unknown Study', options)
    const studyFolder = studies(patientFolder, study.id, studyName)
    const modality = series.main['0008,0060'] ?? ''
    const seriesName = folderName([modality, series.main['0008,103e']], 'Unknown Series', options)
    const folder = seriesFolders(studyFolder, series.id, seriesName)
    planned.push({ folder, modality, files: [...files] })
  }
  return planned
}

/** The names of a series' files. */
export function plannedNames(series: PlannedSeries): string[] {
  return series.files.map((_, index) => `${series.folder}/${fileName(series.modality, index)}`)
}

/** How many instances a plan holds, and how many bytes they are. */
export function planTotals(plan: { readonly series: readonly PlannedSeries[] }): {
  count: number
  bytes: number
} {
  let count = 0
  let bytes = 0
  for (const series of plan.series) {
    count += series.files.length
    for (const file of series.files) bytes += file.sizeBytes
  }
  return { count, bytes }
}

/** Gives one folder to each id, telling equal names within one parent apart. */
function makeFolders(): (parent: string, id: string, name: string) => string {
  const known = new Map<string, string>()
  const unique = new Map<string, (name: string) => string>()
  return (parent, id, name) => {
    const before = known.get(id)
    if (before !== undefined) return before
    let within = unique.get(parent)
    if (!within) unique.set(parent, (within = makeUnique()))
    const folder = parent === '' ? within(name) : `${parent}/${within(name)}`
    known.set(id, folder)
    return folder
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
