// Writes a DICOMDIR: the directory of a medium, as linked records of patients, studies, series and images whose
// offsets every reader follows. Which tags a record has, and when: contracts/orthanc.md §4.8.

import { dicomInstant } from '../instant.ts'
import { type Tag, tags } from '../tag.ts'
import { padded } from '../writing/encode-value.ts'
import type { Piece } from '../writing/piece.ts'
import { writeDataSet, writeOpening } from '../writing/writer.ts'

/** One instance on the medium: where it lies, and the values of its tags (by number) that records show. */
export interface DirectoryEntry {
  /** `IMAGES\IM0` */
  readonly file: string
  readonly transferSyntax: string
  /** Absent tags are absent; empty ones are ''. */
  readonly values: ReadonlyMap<Tag, string>
}

export interface DirectoryOptions {
  readonly isExtended: boolean
  readonly now: number
  /** The UID of the directory itself. */
  readonly uid: string
}

const directoryClass = '1.2.840.10008.1.3.10'
const explicitLittle = '1.2.840.10008.1.2.1'
const layout = { isExplicit: true, isLittleEndian: true, isDeflated: false }

/** 1: always there, empty if need be. 1C: when it has a value. 3: when the file has it. */
type Rule = readonly [tag: Tag, vr: string, type: '1' | '1C' | '3']

const patientRules: readonly Rule[] = [
  [tags.PatientName, 'PN', '1'],
  [tags.PatientID, 'LO', '1C'],
]
const studyRules: readonly Rule[] = [
  [tags.StudyDate, 'DA', '1'],
  [tags.StudyTime, 'TM', '1'],
  [tags.AccessionNumber, 'SH', '1'],
  [tags.StudyDescription, 'LO', '1'],
  [tags.StudyInstanceUID, 'UI', '1'],
  [tags.StudyID, 'SH', '1C'],
]
const seriesRules: readonly Rule[] = [
  [tags.Modality, 'CS', '1'],
  [tags.SeriesInstanceUID, 'UI', '1'],
  [tags.SeriesNumber, 'IS', '1C'],
]
const extendedSeriesRules: readonly Rule[] = [
  seriesRules[0]!,
  [tags.SeriesDescription, 'LO', '3'],
  ...seriesRules.slice(1),
]
const imageRules: readonly Rule[] = [[tags.InstanceNumber, 'IS', '1']]

/** Tags whose values a record may show: what to read from each file. */
export const directoryTags: readonly Tag[] = [
  ...[...patientRules, ...studyRules, ...extendedSeriesRules, ...imageRules].map(rule => rule[0]),
  ...[tags.SOPClassUID, tags.SOPInstanceUID],
  ...[tags.SeriesDate, tags.AcquisitionDate, tags.ContentDate],
  ...[tags.SeriesTime, tags.AcquisitionTime, tags.ContentTime],
]

interface Node {
  readonly head: Uint8Array
  readonly body: Uint8Array
  readonly children: Map<string, Node>
  at: number
}

/** The bytes of the DICOMDIR of these instances, in their order. */
export function writeDicomDir(entries: readonly DirectoryEntry[], options: DirectoryOptions): Uint8Array {
  const roots = new Map<string, Node>()
  for (const entry of entries) addEntry(roots, entry, options)

  const opening = writeOpening({
    sopClassUid: directoryClass,
    sopInstanceUid: options.uid,
    transferSyntax: explicitLittle,
  })
  // Records begin after the file-set's own elements, whose length does not depend on the offsets in them.
  const recordsAt = opening.length + fileSet(0, 0).length
  const order: Node[] = []
  let at = recordsAt
  place(roots, node => {
    node.at = at
    at += node.head.length + offsetsBytes + node.body.length + 8
    order.push(node)
  })
  const next = new Map<Node, number>()
  linkSiblings(roots, next)

  const tops = [...roots.values()]
  const chunks: Uint8Array[] = [opening, fileSet(tops[0]?.at ?? 0, tops.at(-1)?.at ?? 0)]
  for (const node of order) {
    const lower = node.children.values().next().value
    chunks.push(node.head, offsets(next.get(node) ?? 0, lower?.at ?? 0), node.body, delimiter(0xe00d))
  }
  chunks.push(delimiter(0xe0dd))
  return Buffer.concat(chunks)
}

function addEntry(roots: Map<string, Node>, entry: DirectoryEntry, options: DirectoryOptions): void {
  const { values } = entry
  const text = (tag: Tag): string => values.get(tag) ?? ''
  const patient = child(roots, text(tags.PatientID), () => record('PATIENT', patientRules, values))
  const study = child(patient.children, text(tags.StudyInstanceUID), () =>
    record('STUDY', studyRules, withStudyTime(values, options.now)),
  )
  const series = child(study.children, text(tags.SeriesInstanceUID), () =>
    record('SERIES', options.isExtended ? extendedSeriesRules : seriesRules, values),
  )
  child(series.children, `${text(tags.SOPInstanceUID)}\n${entry.file}`, () =>
    record('IMAGE', imageRules, values, [
      value(0x00041500, 'CS', entry.file),
      value(0x00041510, 'UI', text(tags.SOPClassUID)),
      value(0x00041511, 'UI', text(tags.SOPInstanceUID)),
      value(0x00041512, 'UI', entry.transferSyntax),
    ]),
  )
}

function child(nodes: Map<string, Node>, key: string, make: () => Node): Node {
  let node = nodes.get(key)
  if (!node) nodes.set(key, (node = make()))
  return node
}

/** The study's date and time must not be empty: those of series, acquisition or content stand in, else now. */
function withStudyTime(values: ReadonlyMap<Tag, string>, now: number): ReadonlyMap<Tag, string> {
  const first = (...candidates: Tag[]): string | undefined =>
    candidates.map(tag => values.get(tag)).find(Boolean)
  const instant = dicomInstant(now)
  const date = first(tags.StudyDate, tags.SeriesDate, tags.AcquisitionDate, tags.ContentDate) ?? instant.date
  const time = first(tags.StudyTime, tags.SeriesTime, tags.AcquisitionTime, tags.ContentTime) ?? instant.time
  return new Map([...values, [tags.StudyDate, date], [tags.StudyTime, time]])
}

function record(
  type: string,
  rules: readonly Rule[],
  values: ReadonlyMap<Tag, string>,
  more: readonly Piece[] = [],
): Node {
  const pieces: Piece[] = [
    value(0x00041430, 'CS', type),
    ...more,
    value(tags.SpecificCharacterSet, 'CS', 'ISO_IR 100'),
  ]
  for (const [tag, vr, kind] of rules) {
    const text = values.get(tag)
    if (kind === '1' || (kind === '1C' && text) || (kind === '3' && text !== undefined)) {
      pieces.push(value(tag, vr, text ?? ''))
    }
  }
  pieces.sort((a, b) => a.tag - b.tag)
  const body = Buffer.concat(writeDataSet(pieces, layout))
  return { head: item(), body, children: new Map(), at: 0 }
}

/** A text value in ASCII: other characters are left out, as the original does. */
function value(tag: Tag, vr: string, text: string): Piece {
  const ascii = text.replace(/[^\x20-\x7e]/g, '')
  return { tag, vr, bytes: padded(Buffer.from(ascii, 'latin1'), vr === 'UI' ? 0 : 0x20) }
}

/** Calls `visit` for each node before its children, down first: the order in which records lie in the file. */
function place(nodes: ReadonlyMap<string, Node>, visit: (node: Node) => void): void {
  for (const node of nodes.values()) {
    visit(node)
    place(node.children, visit)
  }
}

function linkSiblings(nodes: ReadonlyMap<string, Node>, next: Map<Node, number>): void {
  let before: Node | undefined
  for (const node of nodes.values()) {
    if (before) next.set(before, node.at)
    before = node
    linkSiblings(node.children, next)
  }
}

const offsetsBytes = offsets(0, 0).length

/** Where the next record of the same level and the first one below begin; 0 when there is none. */
function offsets(next: number, lower: number): Uint8Array {
  return Buffer.concat(
    writeDataSet(
      [
        { tag: 0x00041400, vr: 'UL', bytes: number32(next) },
        { tag: 0x00041410, vr: 'US', bytes: Uint8Array.of(0xff, 0xff) },
        { tag: 0x00041420, vr: 'UL', bytes: number32(lower) },
      ],
      layout,
    ),
  )
}

/** The elements of the file-set up to the records, which an open sequence holds. */
function fileSet(first: number, last: number): Uint8Array {
  const chunks = writeDataSet(
    [
      value(0x00041130, 'CS', 'ORTHANC_MEDIA'),
      { tag: 0x00041200, vr: 'UL', bytes: number32(first) },
      { tag: 0x00041202, vr: 'UL', bytes: number32(last) },
      { tag: 0x00041212, vr: 'US', bytes: Uint8Array.of(0, 0) },
    ],
    layout,
  )
  const sequence = writeDataSet([{ tag: 0x00041220, items: [], isOpen: true }], layout)
  return Buffer.concat([...chunks, sequence[0]!])
}

function item(): Uint8Array {
  return Uint8Array.of(0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff)
}

function delimiter(element: number): Uint8Array {
  return Uint8Array.of(0xfe, 0xff, element & 0xff, element >> 8, 0, 0, 0, 0)
}

function number32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}
