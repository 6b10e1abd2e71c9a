// DICOM files for tests, made by our own writer: facts that do not matter are filled in.

import { makeDictionary } from '../dictionary/dictionary.ts'
import { readDataSet } from '../reading/reader.ts'
import { memorySource } from '../reading/source.ts'
import { layoutOf, syntaxes } from '../reading/syntax.ts'
import { tags } from '../tag.ts'
import { makeEncoder } from '../text/encode.ts'
import { encodeValue } from '../writing/encode-value.ts'
import { type Piece, putPiece } from '../writing/piece.ts'
import { writeFile } from '../writing/writer.ts'

export const dictionary = makeDictionary()

export interface Sample {
  /** Texts by keyword. */
  readonly tags?: Readonly<Record<string, string>>
  readonly pieces?: readonly Piece[]
  readonly transferSyntax?: string
  readonly terms?: readonly string[]
  readonly pixelBytes?: number
}

/** The bytes of a file. */
export function aDicomFile(sample: Sample = {}): Uint8Array {
  const transferSyntax = sample.transferSyntax ?? syntaxes.explicitLittle
  const { isLittleEndian } = layoutOf(transferSyntax)
  const encoder = makeEncoder(sample.terms ?? ['ISO_IR 100'])
  const texts: Record<string, string> = {
    SpecificCharacterSet: (sample.terms ?? ['ISO_IR 100']).join('\\'),
    SOPClassUID: '1.2.840.10008.5.1.4.1.1.2',
    SOPInstanceUID: '1.2.3.4.5.1',
    StudyDate: '20240115',
    Modality: 'CT',
    PatientName: 'Doe^Jane',
    PatientID: 'P1',
    StudyInstanceUID: '1.2.3.4.5.2',
    SeriesInstanceUID: '1.2.3.4.5.3',
    InstanceNumber: '1',
    Rows: '8',
    Columns: '8',
    BitsAllocated: '16',
    SamplesPerPixel: '1',
    ...sample.tags,
  }
  const pieces: Piece[] = []
  for (const [keyword, text] of Object.entries(texts)) {
    const tag = dictionary.readTag(keyword)
    const vr = dictionary.vrOf(tag)
    putPiece(pieces, { tag, vr, bytes: encodeValue(tag, vr, text, { encoder, isLittleEndian }) })
  }
  putPiece(pieces, { tag: tags.PixelData, vr: 'OW', bytes: new Uint8Array(sample.pixelBytes ?? 128) })
  for (const piece of sample.pieces ?? []) putPiece(pieces, piece)
  return writeFile({
    sopClassUid: texts['SOPClassUID']!,
    sopInstanceUid: texts['SOPInstanceUID']!,
    transferSyntax,
    pieces,
  })
}

export function read(bytes: Uint8Array) {
  return readDataSet(memorySource(bytes), { dictionary })
}
