import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'vitest'
import type { DataSet } from '../reading/data-set.ts'
import { find } from '../reading/data-set.ts'
import { syntaxes } from '../reading/syntax.ts'
import { textOf, valuesOf } from '../reading/value.ts'
import { type Tag, tags } from '../tag.ts'
import { aDicomFile, dictionary, read } from '../testing/sample.ts'
import { makeEncoder } from '../text/encode.ts'
import type { Piece } from '../writing/piece.ts'
import { writeFile } from '../writing/writer.ts'
import { mappedUid } from './mapped-uids.ts'
import { type Modification, plainModification } from './modification.ts'
import { makeModifier } from './modify.ts'
import { profileOf } from './profiles.ts'
import { readTagPath } from './tag-path.ts'

const seed = 'a seed'

function change(more: Partial<Modification> = {}): Modification {
  return { ...plainModification({ seed, level: 'instance', defaultTerm: 'ISO_IR 100' }), ...more }
}

function anonymization(more: Partial<Modification> = {}): Modification {
  const profile = profileOf('2021b')
  return change({
    isAnonymization: true,
    level: 'patient',
    removesPrivate: true,
    newUids: profile.newUids,
    removes: profile.removes,
    clears: profile.clears,
    removeRanges: profile.removeRanges,
    replaces: [[tags.PatientName, 'Anonymized1']],
    ...more,
  })
}

function modified(file: Uint8Array, how: Modification, parent?: Uint8Array): DataSet {
  const modifier = makeModifier(how, { dictionary })
  return read(writeFile(modifier(read(file), parent && read(parent))))
}

function text(set: DataSet, tag: Tag): string | undefined {
  return textOf(set.elements, tag, valuesOf(set, 'ISO_IR 100').values)
}

/** The text at a path of sequences, the first item of each. */
function inner(set: DataSet, ...path: Tag[]): string | undefined {
  let { elements } = set
  for (const tag of path.slice(0, -1)) elements = find(elements, tag)?.items?.[0]?.elements ?? []
  return textOf(elements, path.at(-1)!, valuesOf(set, 'ISO_IR 100').values)
}

const encoder = makeEncoder(['ISO_IR 100'])
const value = (tag: Tag, vr: string, content: string): Piece => ({
  tag,
  vr,
  bytes: encoder.encode(content.length % 2 === 0 ? content : `${content}${vr === 'UI' ? '\0' : ' '}`),
})
const sequence = (tag: Tag, pieces: Piece[], isOpen = false): Piece => ({
  tag,
  isOpen,
  items: [{ isOpen, pieces }],
})
const contentSequence = 0x0040a730
const referencedStudies = 0x00081110
const referencedImages = 0x00081140
const referencedUid = 0x00081155

for (const [name, transferSyntax] of Object.entries(syntaxes)) {
  test(`${name}: what nobody asks to change stays byte for byte as it was`, () => {
    const nested = sequence(referencedImages, [value(referencedUid, 'UI', '1.2.3')], true)
    const file = aDicomFile({ transferSyntax, pieces: [nested] })
    const before = read(file)
    const keepsAll = change({ keeps: [tags.SOPInstanceUID] })
    const after = modified(file, keepsAll)
    assert.equal(after.transferSyntax, before.transferSyntax)
    const bytes = ({ source, dataSetAt }: DataSet): Uint8Array =>
      source.read(dataSetAt, source.sizeBytes - dataSetAt)
    assert.deepEqual(Buffer.from(bytes(after)), Buffer.from(bytes(before)))
  })

  test(`${name}: values are replaced, inserted and removed, also inside sequences`, () => {
    const nested = sequence(contentSequence, [value(tags.PatientName, 'PN', 'Doe^Jane')])
    const after = modified(
      aDicomFile({ transferSyntax, pieces: [nested] }),
      change({
        removes: [tags.StudyDate],
        replaces: [
          [tags.PatientName, 'Müller^Jörg'],
          [tags.Rows, '7'],
          [referencedImages, [{ ReferencedSOPInstanceUID: '1.2' }]],
        ],
        removePaths: [readTagPath('ContentSequence[0].PatientName', dictionary)],
        replacePaths: [[readTagPath('ContentSequence[*].TextValue', dictionary), 'said']],
      }),
    )
    assert.equal(text(after, tags.StudyDate), undefined)
    assert.equal(text(after, tags.PatientName), 'Müller^Jörg')
    assert.equal(text(after, tags.Rows), '7')
    assert.equal(inner(after, referencedImages, referencedUid), '1.2')
    assert.equal(inner(after, contentSequence, tags.PatientName), undefined)
    assert.equal(inner(after, contentSequence, 0x0040a160), 'said')
    assert.equal(text(after, tags.SOPInstanceUID), mappedUid(seed, '1.2.3.4.5.1'))
  })
}

test('references in every file of a job agree with the identifiers that were given to what they name', () => {
  const first = modified(aDicomFile({ tags: { SOPInstanceUID: '1.2.9.1' } }), anonymization())
  const second = modified(
    aDicomFile({
      tags: { SOPInstanceUID: '1.2.9.2' },
      pieces: [
        sequence(referencedImages, [
          value(referencedUid, 'UI', '1.2.9.1'),
          sequence(referencedStudies, [value(tags.StudyInstanceUID, 'UI', '1.2.3.4.5.2')]),
        ]),
      ],
    }),
    anonymization({ removes: [] }),
  )
  assert.equal(inner(second, referencedImages, referencedUid), text(first, tags.SOPInstanceUID))
  assert.equal(
    inner(second, referencedImages, referencedStudies, tags.StudyInstanceUID),
    text(first, tags.StudyInstanceUID),
  )
  assert.equal(text(second, tags.SeriesInstanceUID), text(first, tags.SeriesInstanceUID))
  assert.equal(text(second, tags.PatientID), text(first, tags.PatientID))
})

test('names of the patient inside public sequences are replaced, in kept private ones they stay', () => {
  const name = value(tags.PatientName, 'PN', 'Doe^Jane')
  const file = aDicomFile({
    pieces: [
      sequence(referencedImages, [name]),
      value(0x00110010, 'LO', 'SOMEBODY'),
      sequence(0x00111001, [name]),
    ],
  })
  const after = modified(file, anonymization({ removes: [], removesPrivate: false }))
  assert.equal(inner(after, referencedImages, tags.PatientName), 'Anonymized1')
  assert.equal(inner(after, 0x00111001, tags.PatientName), 'Doe^Jane')
})

test('private elements go from every depth, but for those that are kept, which keep their creator', () => {
  const file = aDicomFile({
    pieces: [
      value(0x00110010, 'LO', 'SOMEBODY'),
      value(0x00111001, 'LO', 'kept'),
      value(0x00111002, 'LO', 'gone'),
      value(0x00130010, 'LO', 'OTHERS'),
      sequence(referencedImages, [value(0x00150010, 'LO', 'INNER'), value(tags.Modality, 'CS', 'CT')]),
    ],
  })
  const after = modified(file, anonymization({ removes: [], keeps: [0x00111001] }))
  assert.deepEqual(
    [0x00110010, 0x00111001, 0x00111002, 0x00130010].map(tag => text(after, tag)),
    ['SOMEBODY', 'kept', undefined, undefined],
  )
  assert.equal(inner(after, referencedImages, 0x00150010), undefined)
  assert.equal(inner(after, referencedImages, tags.Modality), 'CT')
})

test('elements of the profile inside sequences go, UIDs are new, and a kept path is left alone', () => {
  const items = [value(tags.StudyDescription, 'LO', 'secret'), value(referencedUid, 'UI', '1.2.9')]
  const file = aDicomFile({ pieces: [sequence(contentSequence, items), sequence(0x00081115, items)] })
  const after = modified(
    file,
    anonymization({ clears: [], keepPaths: [readTagPath('ContentSequence', dictionary)] }),
  )
  assert.equal(inner(after, contentSequence, tags.StudyDescription), 'secret')
  assert.equal(inner(after, contentSequence, referencedUid), '1.2.9')
  assert.equal(inner(after, 0x00081115, tags.StudyDescription), undefined)
  assert.equal(inner(after, 0x00081115, referencedUid), mappedUid(seed, '1.2.9'))
})

test('replacing the character set turns all text into it', () => {
  const file = aDicomFile({
    tags: { PatientName: 'Müller^Jörg' },
    pieces: [sequence(referencedImages, [value(tags.StudyDescription, 'LO', 'Größe')])],
  })
  const after = modified(
    file,
    change({
      replaces: [
        [tags.SpecificCharacterSet, 'ISO_IR 192'],
        [tags.SeriesDescription, 'żółw'],
      ],
    }),
  )
  assert.equal(text(after, tags.PatientName), 'Müller^Jörg')
  assert.equal(text(after, tags.SeriesDescription), 'żółw')
  assert.equal(inner(after, referencedImages, tags.StudyDescription), 'Größe')
  assert.throws(
    () => modified(file, change({ replaces: [[tags.SpecificCharacterSet, 'ISO_IR 999']] })),
    /Unknown specific character set: ISO_IR 999/,
  )
})

test('modules are taken from another file, in the character set of the one that takes them', () => {
  const target = aDicomFile({
    terms: ['ISO_IR 192'],
    tags: { PatientName: 'Müller^Jörg', StudyInstanceUID: '1.2.77', Rows: '99' },
  })
  const how = change({
    level: 'series',
    inherits: {
      hash: '',
      tags: [tags.PatientName, tags.StudyInstanceUID, tags.StudyDate, tags.StudyDescription],
    },
  })
  const file = aDicomFile({ transferSyntax: syntaxes.explicitBig, tags: { StudyDescription: 'old' } })
  const after = modified(file, how, target)
  assert.equal(text(after, tags.PatientName), 'Müller^Jörg')
  assert.equal(text(after, tags.StudyInstanceUID), '1.2.77')
  assert.equal(text(after, tags.StudyDescription), undefined)
  assert.equal(text(after, tags.SeriesInstanceUID), mappedUid(seed, '1.2.3.4.5.3'))
  assert.equal(text(after, tags.Rows), '8')
})

test('group lengths that stand in a file are true afterwards', () => {
  const length: Piece = { tag: 0x00100000, vr: 'UL', bytes: Uint8Array.of(18, 0, 0, 0) }
  const after = modified(
    aDicomFile({ pieces: [length] }),
    change({ replaces: [[tags.PatientName, 'A much longer name']] }),
  )
  const group = after.elements.filter(({ tag }) => tag > 0x00100000 && tag < 0x00110000)
  assert.equal(text(after, 0x00100000), String(group.at(-1)!.end - group[0]!.at))
})

test('a sequence that is written as UN is treated like any other, and stays as it is written', () => {
  const nested: Piece = {
    tag: referencedImages,
    isOpen: true,
    isUnknown: true,
    items: [
      { isOpen: true, pieces: [value(referencedUid, 'UI', '1.2.9'), value(tags.Modality, 'CS', 'CT')] },
    ],
  }
  const after = modified(aDicomFile({ pieces: [nested] }), anonymization({ removes: [] }))
  const element = find(after.elements, referencedImages)!
  assert.equal(element.isUnknown, true)
  assert.equal(inner(after, referencedImages, referencedUid), mappedUid(seed, '1.2.9'))
  assert.equal(inner(after, referencedImages, tags.Modality), 'CT')
})

for (const [what, path, sentence] of [
  ['a sequence without an index', 'ContentSequence.TextValue', /doesn't contain an index/],
  ['an index that is no number', 'ContentSequence[x].TextValue', /doesn't contain an index/],
  ['an unknown tag', 'ContentSequence[0].Nope', /no DICOM tag called "Nope"/],
  ['too many steps', `${'ContentSequence[0].'.repeat(100)}TextValue`, /at most 64 parts/],
] as const) {
  test(`a path with ${what} is refused`, () => {
    assert.throws(() => readTagPath(path, dictionary), sentence)
  })
}

test('new UIDs are valid, depend on the seed, and differ where the old ones do', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (one, other) => {
      const uid = mappedUid(seed, one)
      assert.match(uid, /^2\.25\.[1-9]\d{0,38}$/)
      assert.ok(uid.length <= 64)
      assert.equal(uid, mappedUid(seed, one))
      assert.notEqual(uid, mappedUid('another seed', one))
      assert.equal(uid === mappedUid(seed, other), one === other)
    }),
    { seed: 7 },
  )
})

test('whatever is removed, cleared and replaced, the file can be read and is modified again to the same', () => {
  const some = fc.subarray([tags.StudyDate, tags.Modality, tags.PatientName, tags.Rows, tags.PixelData])
  fc.assert(
    fc.property(
      some,
      some,
      fc.string(),
      fc.constantFrom(...Object.values(syntaxes)),
      (gone, cleared, name, syntax) => {
        const file = aDicomFile({ transferSyntax: syntax })
        const how = anonymization({
          removes: gone,
          clears: cleared,
          replaces: [[0x00104000, name.replace(/[^\x20-\x5b\x5d-\x7e]/g, '')]],
        })
        const modifier = makeModifier(how, { dictionary })
        const [once, twice] = [writeFile(modifier(read(file))), writeFile(modifier(read(file)))]
        assert.deepEqual(once, twice)
        const after = read(once)
        for (const tag of gone) if (!cleared.includes(tag)) assert.equal(find(after.elements, tag), undefined)
        for (const tag of cleared) assert.equal(find(after.elements, tag)?.length, 0)
        const order = after.elements.map(({ tag }) => tag)
        assert.deepEqual(
          order,
          [...order].sort((a, b) => a - b),
        )
      },
    ),
    { seed: 11, numRuns: 60 },
  )
})
