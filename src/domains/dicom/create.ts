// Makes new instances: from tags, optionally below a parent whose modules they inherit, with an image or a PDF inside.

import type { Random } from '../../core/ids.ts'
import { refuse } from '../../core/refusal.ts'
import { readDataUri } from './content/data-uri.ts'
import { decodeAside } from './content/decode-aside.ts'
import type { Pixels } from './content/image.ts'
import type { Dictionary } from './dictionary/dictionary.ts'
import { dicomInstant } from './instant.ts'
import { type Level, levels, moduleTags } from './levels.ts'
import type { DataSet } from './reading/data-set.ts'
import { find } from './reading/data-set.ts'
import { syntaxes } from './reading/syntax.ts'
import { textOf, valuesOf } from './reading/value.ts'
import { elementOf, type Tag, tags } from './tag.ts'
import { isKnownTerm, makeDecoder } from './text/decode.ts'
import { type Encoder, makeEncoder } from './text/encode.ts'
import { makeUid, makeUuid } from './uid.ts'
import { padded } from './writing/encode-value.ts'
import { dropPiece, type Piece, putPiece } from './writing/piece.ts'
import { transferElement } from './writing/transfer.ts'
import { addCreator, isWriterOwned, type PieceWriter, readPiece, valuePiece } from './writing/value-piece.ts'
import { writeFile } from './writing/writer.ts'

export interface Parent {
  readonly level: Exclude<Level, 'instance'>
  /** An instance of it. */
  readonly set: DataSet
}

/** A new instance, as the caller describes it. Values of `tags` are texts, or lists of objects for sequences. */
export interface Draft {
  readonly tags: Readonly<Record<string, unknown>>
  /** A data URI of a PDF, PNG or JPEG file. */
  readonly content?: string
  readonly parent?: Parent
  readonly privateCreator?: string
  /** Data URIs in values of binary VRs stand for their bytes. */
  readonly readsBinary: boolean
  /** The caller may set UIDs. */
  readonly force: boolean
  /** The old form: neither dates nor a character set are added. */
  readonly isBare: boolean
  /** Values that win over everything: what makes instances of one series belong together. */
  readonly fixed?: readonly (readonly [Tag, string])[]
}

export interface CreateTools {
  readonly dictionary: Dictionary
  readonly random: Random
  readonly now: number
  /** The term of the encoding used when neither tags nor parent say one. */
  readonly defaultTerm: string
}

/** The class that files get whose tags name none. */
const noClass = '1.2.276.0.7230010.3.1.0.1'
const pdfClass = '1.2.840.10008.5.1.4.1.1.104.1'
const dates = [
  tags.InstanceCreationDate,
  tags.StudyDate,
  tags.SeriesDate,
  tags.AcquisitionDate,
  tags.ContentDate,
]
const times = [
  tags.InstanceCreationTime,
  tags.StudyTime,
  tags.SeriesTime,
  tags.AcquisitionTime,
  tags.ContentTime,
]
const ownUids: readonly Tag[] = [tags.StudyInstanceUID, tags.SeriesInstanceUID, tags.SOPInstanceUID]
/** Inherited tags that may still be set: contracts/orthanc.md §3.8. */
const overridable: ReadonlySet<Tag> = new Set([tags.PatientID, ...dates, ...times])

/** The bytes of a new DICOM file, in explicit little endian. */
export async function createInstance(draft: Draft, tools: CreateTools): Promise<Uint8Array> {
  const pieces: Piece[] = []
  const term = chooseTerm(draft, tools)
  const encoder = makeEncoder(makeDecoder(term, tools.defaultTerm).terms)
  const write: Write = {
    draft,
    dictionary: tools.dictionary,
    encoder,
    isLittleEndian: true,
    readsBinary: draft.readsBinary,
    ...(draft.privateCreator === undefined ? {} : { privateCreator: draft.privateCreator }),
  }
  const put = (tag: Tag, text: string): void => putPiece(pieces, valuePiece(tag, text, write))

  if (!draft.isBare) {
    put(tags.SpecificCharacterSet, term)
    const { date, time } = dicomInstant(tools.now)
    for (const tag of dates) put(tag, date)
    for (const tag of times) put(tag, time)
  }
  put(tags.PatientID, makeUuid(tools.random))
  for (const tag of ownUids) put(tag, makeUid(tools.random))
  const inherited = inherit(draft, encoder, pieces, tools)
  for (const [name, value] of Object.entries(draft.tags)) setTag(name, value, inherited, pieces, write)
  if (draft.content !== undefined) await putContent(draft.content, pieces, write)
  for (const [tag, text] of draft.fixed ?? []) put(tag, text)

  return writeFile({
    sopClassUid: plainText(pieces, tags.SOPClassUID) ?? noClass,
    sopInstanceUid: plainText(pieces, tags.SOPInstanceUID)!,
    transferSyntax: syntaxes.explicitLittle,
    pieces,
  })
}

interface Write extends PieceWriter {
  readonly draft: Draft
}

/** The character set: of the tags, else of the parent, else the default. */
function chooseTerm(draft: Draft, tools: CreateTools): string {
  for (const [name, value] of Object.entries(draft.tags)) {
    if (tools.dictionary.readTag(name) !== tags.SpecificCharacterSet || typeof value !== 'string') continue
    const unknown = value.split('\\').find(term => term !== '' && !isKnownTerm(term.trim()))
    if (unknown !== undefined) {
      refuse('bad-field', `Unknown specific character set: ${unknown}`, {
        field: name,
        facts: { fault: 'out-of-range' },
      })
    }
    return value
  }
  if (!draft.parent) return tools.defaultTerm
  const { values } = valuesOf(draft.parent.set, tools.defaultTerm)
  return textOf(draft.parent.set.elements, tags.SpecificCharacterSet, values) || tools.defaultTerm
}

/** Copies the modules of the parent's levels; the answer holds the tags that are now not the caller's to set. */
function inherit(draft: Draft, encoder: Encoder, pieces: Piece[], tools: CreateTools): ReadonlySet<Tag> {
  const taken = new Set<Tag>()
  if (!draft.parent) return taken
  const { set } = draft.parent
  const { values } = valuesOf(set, tools.defaultTerm)
  for (const level of levels.slice(0, levels.indexOf(draft.parent.level) + 1)) {
    for (const tag of moduleTags[level]) {
      taken.add(tag)
      const element = find(set.elements, tag)
      if (element) putPiece(pieces, transferElement(element, values, encoder))
      // A date of today would contradict the parent, which has none.
      else dropPiece(pieces, tag)
    }
  }
  return taken
}

function setTag(
  name: string,
  value: unknown,
  inherited: ReadonlySet<Tag>,
  pieces: Piece[],
  write: Write,
): void {
  const { draft, dictionary } = write
  const tag = dictionary.readTag(name)
  if (tag === tags.PixelData && !draft.isBare) {
    refuse('bad-field', 'Use "Content" to inject an image into a new DICOM instance', {
      field: name,
      facts: { fault: 'pixels-in-tags' },
    })
  }
  const isUid = ownUids.includes(tag) && !draft.force
  if (!draft.isBare && (isUid || (inherited.has(tag) && !overridable.has(tag)))) {
    refuse('bad-field', 'Trying to override a value inherited from a parent module', {
      field: dictionary.nameOf(tag),
      facts: { fault: 'inherited' },
    })
  }
  if (isWriterOwned(tag) || elementOf(tag) === 0) return
  if (tag === tags.PixelData) return // The old form gives its image here; the caller has made it the content.
  putPiece(pieces, readPiece(tag, value, write))
  addCreator(tag, pieces, write)
}

async function putContent(content: string, pieces: Piece[], write: Write): Promise<void> {
  const uri = readDataUri(content)
  if (!uri) {
    refuse('bad-field', 'The content is not a data URI', {
      field: 'Content',
      facts: { fault: 'bad-content' },
    })
  }
  const { mediaType, bytes } = uri
  if (mediaType === 'application/pdf') putPdf(bytes, pieces, write)
  else if (mediaType === 'image/png') putPixels(await decodeAside(mediaType, bytes), pieces)
  else if (mediaType === 'image/jpeg' || mediaType === 'image/jpg') {
    putPixels(await decodeAside('image/jpeg', bytes), pieces)
  } else {
    refuse('not-supported', `Unsupported MIME type for the content of a new DICOM file: ${mediaType}`, {
      field: 'Content',
      facts: { fault: 'content-type' },
    })
  }
}

function putPdf(bytes: Uint8Array, pieces: Piece[], write: Write): void {
  if (Buffer.from(bytes.subarray(0, 5)).toString('latin1') !== '%PDF-') {
    refuse('bad-field', 'Not a PDF file', { field: 'Content', facts: { fault: 'not-pdf' } })
  }
  const put = (tag: Tag, text: string): void => putPiece(pieces, valuePiece(tag, text, write))
  put(tags.SOPClassUID, pdfClass)
  put(tags.ConversionType, 'WSD')
  put(tags.MIMETypeOfEncapsulatedDocument, 'application/pdf')
  if (!pieces.some(piece => piece.tag === tags.Modality)) put(tags.Modality, 'OT')
  putPiece(pieces, { tag: tags.EncapsulatedDocument, vr: 'OB', bytes: padded(bytes, 0) })
}

function putPixels(pixels: Pixels, pieces: Piece[]): void {
  const short = (tag: Tag, value: number): void => {
    putPiece(pieces, { tag, vr: 'US', bytes: Uint8Array.of(value & 0xff, value >> 8) })
  }
  const { bits } = pixels
  short(tags.SamplesPerPixel, pixels.samples)
  const photometric = pixels.samples === 1 ? 'MONOCHROME2' : 'RGB'
  putPiece(pieces, {
    tag: tags.PhotometricInterpretation,
    vr: 'CS',
    bytes: padded(Buffer.from(photometric), 0x20),
  })
  if (pixels.samples === 3) short(tags.PlanarConfiguration, 0)
  short(tags.Rows, pixels.rows)
  short(tags.Columns, pixels.columns)
  short(tags.BitsAllocated, bits)
  short(tags.BitsStored, bits)
  short(tags.HighBit, bits - 1)
  short(tags.PixelRepresentation, 0)
  putPiece(pieces, { tag: tags.PixelData, vr: bits === 16 ? 'OW' : 'OB', bytes: padded(pixels.bytes, 0) })
}

function plainText(pieces: readonly Piece[], tag: Tag): string | undefined {
  const piece = pieces.find(other => other.tag === tag)
  if (!piece || !('bytes' in piece)) return undefined
  return Buffer.from(piece.bytes)
    .toString('latin1')
    .replace(/[\0 ]+$/, '')
}
