import assert from 'node:assert/strict'
import { test } from 'vitest'
import { layoutOf, syntaxes } from '../reading/syntax.ts'
import { tags } from '../tag.ts'
import { aDicomFile, read } from '../testing/sample.ts'
import { makeEncoder } from '../text/encode.ts'
import { encodeValue } from './encode-value.ts'
import { copyPieces, openSequence, putPiece } from './piece.ts'
import { writeDataSet } from './writer.ts'

const sequence = {
  tag: 0x00081140,
  isOpen: true,
  items: [
    { isOpen: true, pieces: [{ tag: tags.PatientName, vr: 'PN', bytes: Buffer.from('Doe ') }] },
    { isOpen: false, pieces: [{ tag: tags.PatientID, vr: 'LO', bytes: Buffer.from('P2') }] },
  ],
}
const options = { encoder: makeEncoder(['ISO_IR 100']), isLittleEndian: true }

for (const [name, transferSyntax] of Object.entries(syntaxes)) {
  test(`${name}: a data set that nobody changed is written byte for byte`, () => {
    const set = read(aDicomFile({ transferSyntax, pieces: [sequence] }))
    const written = Buffer.concat(writeDataSet(copyPieces(set), layoutOf(transferSyntax), set.source))
    assert.deepEqual(written, Buffer.from(set.source.read(set.dataSetAt, written.length)))
  })
}

test('a changed value leaves everything around it as it was', () => {
  const bytes = aDicomFile({ pieces: [sequence] })
  const set = read(bytes)
  const pieces = copyPieces(set)
  putPiece(pieces, {
    tag: tags.PatientID,
    vr: 'LO',
    bytes: encodeValue(tags.PatientID, 'LO', 'other', options),
  })
  const written = Buffer.concat(writeDataSet(pieces, layoutOf(set.transferSyntax), set.source))
  const before = Buffer.from(bytes.subarray(set.dataSetAt)).toString('latin1')
  assert.equal(written.toString('latin1'), before.replace('LO\x02\0P1', 'LO\x06\0other '))
})

test('an opened sequence keeps the style of its lengths', () => {
  const set = read(aDicomFile({ pieces: [sequence] }))
  const element = set.elements.find(({ tag }) => tag === sequence.tag)!
  const opened = openSequence({ ...element, items: element.items! })
  const written = Buffer.concat(writeDataSet([opened], layoutOf(set.transferSyntax), set.source))
  assert.deepEqual(written, Buffer.from(set.source.read(element.at, element.end - element.at)))
})

test('numbers that a VR cannot hold are refused with the tag and the text', () => {
  for (const [vr, text] of [
    ['US', 'abc'],
    ['US', '65536'],
    ['SS', '-32769'],
    ['UL', '1.5'],
    ['FD', ''.padEnd(3, 'x')],
    ['AT', '0010'],
  ] as const) {
    assert.throws(() => encodeValue(tags.Rows, vr, text, options), /tag \(0028,0010\) has out-of-range value/)
  }
})
