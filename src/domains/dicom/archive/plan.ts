// What goes into an archive, as the job that makes it is told: series with their folders, and files by blob hash.

import type { MainTags } from '../summary.ts'
import { fileName, folderName, makeUnique, type NameOptions } from '../zip/member-name.ts'

/** Everything that an archive or a medium is made of; plain JSON, kept as the spec of its job. */
export type ArchivePlan = {
  readonly kind: 'archive' | 'media'
  /** Media: with descriptions of series in the DICOMDIR. */
  readonly isExtended: boolean
  /** Absent when the server is asked for them, one part after the other (`PartsQuestion`). */
  readonly series?: PlannedSeries[]
  /** How many instances there are. */
  readonly count: number
  /** Deflate level, 0 to 9. */
  readonly level: number
  /** The term of the encoding for files that name none. */
  readonly defaultTerm: string
  /** Files whose syntax can be turned into this one are; the others go as they are. */
  readonly transcode?: string
  /** Where the bytes go: kept as a blob, or streamed to a local socket that somebody listens on. */
  readonly target: { readonly type: 'blob' } | { readonly type: 'socket'; readonly path: string }
}

/** A series, or a part of one. */
export type PlannedSeries = {
  /** `patient/study/series`, unique in the archive. */
  readonly folder: string
  readonly modality: string
  /** The number of the first file within its series; 0 when absent. */
  readonly from?: number
  readonly files: PlannedFile[]
}

/** What the thread that makes a streamed archive asks: the next parts of the plan with this key. */
export type PartsQuestion = { readonly plan: string }
/** The answer; the thread asks again unless these are the last. */
export type PartsAnswer = { readonly parts: readonly PlannedSeries[]; readonly isLast: boolean }

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
}

/** Orders series by patient, study and series, and names their folders. */
export function nameSeries<Entry extends SeriesEntry>(
  entries: Iterable<Entry>,
  options: NameOptions,
): { readonly entry: Entry; readonly folder: string; readonly modality: string }[] {
  const ordered = [...entries].sort(
    (a, b) =>
      compare(a.patient.id, b.patient.id) ||
      compare(a.study.id, b.study.id) ||
      compare(a.series.id, b.series.id),
  )
  const patients = makeFolders()
  const studies = makeFolders()
  const seriesFolders = makeFolders()
  return ordered.map(entry => {
    const { patient, study, series } = entry
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
    return { entry, folder: seriesFolders(studyFolder, series.id, seriesName), modality }
  })
}

/** The name of a file of a series, or of a part of one. */
export function plannedName({ folder, modality, from = 0 }: PlannedSeries, index: number): string {
  return `${folder}/${fileName(modality, from + index)}`
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
