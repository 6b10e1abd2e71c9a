import assert from 'node:assert/strict'
import { deflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { Refused } from '../../../core/refusal.ts'
import { makeDictionary } from '../dictionary/dictionary.ts'
import { showTags } from '../show-tags.ts'
import { tags } from '../tag.ts'
import { aDicomFile, dictionary, read } from '../testing/sample.ts'
import { find } from './data-set.ts'
import { readDataSet } from './reader.ts'
import { type ByteSource, memorySource } from './source.ts'
import { syntaxes } from './syntax.ts'
import { textOf, valuesOf } from './value.ts'

function textIn(bytes: Uint8Array, tag: number): string | undefined {
  const set = read(bytes)
  return textOf(set.elements, tag, valuesOf(set, 'ISO_IR 100').values)
}

function refusesAsNotDicom(bytes: Uint8Array, why?: RegExp): void {
  assert.throws(
    () => read(bytes),
    error =>
      error instanceof Refused &&
      error.refusal.facts?.['fault'] === 'not-dicom' &&
      (why?.test(error.message) ?? true),
  )
}

/** A header in front of a data set that is written by hand, in implicit little endian. */
function implicitFile(dataSet: Uint8Array): Uint8Array {
  const whole = aDicomFile({ transferSyntax: syntaxes.implicitLittle })
  return Buffer.concat([whole.subarray(0, read(whole).fileDataSetAt), dataSet])
}

function element(tag: number, length: number, value: Uint8Array = new Uint8Array(0)): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt16LE(Math.floor(tag / 0x10000), 0)
  header.writeUInt16LE(tag % 0x10000, 2)
  header.writeUInt32LE(length, 4)
  return Buffer.concat([header, value])
}

const sequenceTag = 0x00081140

describe('reading', () => {
  for (const [name, transferSyntax] of Object.entries(syntaxes)) {
    test(`${name}: values come back as they were written`, () => {
      const bytes = aDicomFile({ transferSyntax, tags: { PatientName: 'Müller^Jürgen', Rows: '513' } })
      assert.equal(textIn(bytes, tags.PatientName), 'Müller^Jürgen')
      assert.equal(textIn(bytes, tags.Rows), '513')
    })
  }

  test('zeros behind the last element are padding, not elements', () => {
    const set = read(Buffer.concat([aDicomFile(), new Uint8Array(1_000)]))
    assert.equal(set.elements.at(-1)?.tag, tags.PixelData)
  })

  test('many elements of zeros before something else are walked once', () => {
    const zeros = new Uint8Array(900_000)
    refusesAsNotDicom(Buffer.concat([aDicomFile(), zeros, Buffer.from('last')]), /header at/)
  })

  test('an identifier is read without the blanks around and within it', () => {
    const bytes = aDicomFile({ tags: { StudyInstanceUID: ' 1.2. 3 ', SOPInstanceUID: '1.2.4 ' } })
    assert.equal(textIn(bytes, tags.StudyInstanceUID), '1.2.3')
    assert.equal(textIn(bytes, tags.SOPInstanceUID), '1.2.4')
  })

  test('of a tag that is there twice, the first one is shown', () => {
    const twice = [element(tags.Rows, 2, Uint8Array.of(1, 0)), element(tags.Rows, 2, Uint8Array.of(2, 0))]
    const set = read(implicitFile(Buffer.concat(twice)))
    assert.equal(showTags(set, { dictionary, form: 'short', defaultTerm: 'ISO_IR 100' })['0028,0010'], '1')
  })

  test('a private value of unknown VR is text where the dictionary knows it as text', () => {
    const own = makeDictionary([
      { tag: 0x00091001, vr: 'LO', vm: '1', keyword: 'AcmeText', creator: 'ACME' },
      { tag: 0x00091002, vr: 'US', vm: '1', keyword: 'AcmeNumber', creator: 'ACME' },
    ])
    const bytes = aDicomFile({
      pieces: [
        { tag: 0x00090010, vr: 'LO', bytes: Buffer.from('ACME') },
        { tag: 0x00091001, vr: 'UN', bytes: Buffer.from('text') },
        { tag: 0x00091002, vr: 'UN', bytes: Uint8Array.of(1, 0) },
      ],
    })
    const set = readDataSet(memorySource(bytes), { dictionary: own })
    const shown = showTags(set, { dictionary: own, form: 'simplified', defaultTerm: 'ISO_IR 100' })
    assert.deepEqual([shown['AcmeText'], shown['AcmeNumber']], ['text', null])
  })

  test('a text is too long by its bytes in UTF-8', () => {
    const comments = (text: string) => {
      const set = read(aDicomFile({ tags: { PatientComments: text } }))
      return showTags(set, { dictionary, form: 'short', defaultTerm: 'ISO_IR 100' })['0010,4000']
    }
    assert.equal(comments('e'.repeat(256)), 'e'.repeat(256))
    assert.equal(comments('é'.repeat(129)), null)
  })

  test('a file without preamble and meta group is read by what its first element looks like', () => {
    for (const transferSyntax of [syntaxes.explicitLittle, syntaxes.implicitLittle, syntaxes.explicitBig]) {
      const whole = aDicomFile({ transferSyntax })
      const set = read(whole.subarray(read(whole).fileDataSetAt))
      assert.equal(set.transferSyntax, transferSyntax)
      assert.ok(find(set.elements, tags.PixelData))
    }
  })

  test('a file is refused wherever it is cut off, but not between two elements', () => {
    const whole = aDicomFile()
    const { elements, fileDataSetAt } = read(whole)
    const ends = new Set(elements.map(({ end }) => end))
    for (let length = fileDataSetAt + 1; length < whole.length; length++) {
      if (!ends.has(length)) refusesAsNotDicom(whole.subarray(0, length))
    }
  })

  test('only the headers of a large file are read', () => {
    const whole = aDicomFile({ pixelBytes: 4_000_000 })
    let bytesRead = 0
    const source: ByteSource = {
      sizeBytes: whole.length,
      read: (at, length) => {
        bytesRead += length
        return whole.subarray(at, at + length)
      },
      window: (at, least) => {
        bytesRead += Math.max(least, 4096)
        return whole.subarray(at, at + Math.max(least, 4096))
      },
    }
    assert.ok(find(readDataSet(source, { dictionary, keep: 'top' }).elements, tags.PixelData))
    assert.ok(bytesRead < 100_000, `${bytesRead} bytes were read`)
  })

  test('nesting is read without recursion, down to the limit and no further', () => {
    const nested = (depth: number): Buffer =>
      Buffer.concat(
        Array.from({ length: depth }, () => [
          element(sequenceTag, 0xffffffff),
          element(tags.Item, 0xffffffff),
        ]).flat(),
      )
    refusesAsNotDicom(implicitFile(nested(5000)), /nested/)
    const depth = 400
    const closing = Array.from({ length: depth }, () => [
      element(tags.ItemEnd, 0),
      element(tags.SequenceEnd, 0),
    ]).flat()
    const set = read(implicitFile(Buffer.concat([nested(depth), ...closing])))
    assert.equal(set.elements.length, 1)
  })

  test('lengths beyond the file, beyond their sequence, and of two gigabytes are refused', () => {
    refusesAsNotDicom(implicitFile(element(tags.PatientName, 0x7fffffff, Buffer.from('Doe '))), /cut off/)
    refusesAsNotDicom(implicitFile(element(sequenceTag, 0x7fffffff)), /cut off|passes/)
    const item = element(tags.Item, 100, element(tags.PatientName, 4, Buffer.from('Doe ')))
    refusesAsNotDicom(implicitFile(element(sequenceTag, item.length, item)), /passes/)
  })

  test('a delimiter where an element should be is refused', () => {
    refusesAsNotDicom(implicitFile(element(tags.ItemEnd, 0)), /delimiter/)
    refusesAsNotDicom(
      implicitFile(Buffer.concat([element(sequenceTag, 8), element(tags.PatientName, 0)])),
      /no item/,
    )
  })

  test('more elements than allowed are refused', () => {
    const many = Buffer.concat(Array.from({ length: 2000 }, () => element(0x00091001, 0)))
    assert.throws(
      () => readDataSet(memorySource(implicitFile(many)), { dictionary, elementsMax: 1000 }),
      /more than 1000 elements/,
    )
  })

  test('a deflated data set may not unfold to more than allowed', () => {
    const whole = aDicomFile({ transferSyntax: syntaxes.deflated })
    const bomb = Buffer.concat([
      whole.subarray(0, read(whole).fileDataSetAt),
      deflateRawSync(Buffer.alloc(20_000_000)),
    ])
    assert.throws(
      () => readDataSet(memorySource(bomb), { dictionary, inflatedBytesMax: 1_000_000 }),
      /inflates to more/,
    )
  })

  test('broken deflation is refused', () => {
    const whole = aDicomFile({ transferSyntax: syntaxes.deflated })
    refusesAsNotDicom(Buffer.concat([whole.subarray(0, read(whole).fileDataSetAt), Buffer.alloc(40, 0xff)]))
  })

  test('an open UN holds a sequence in implicit little endian', () => {
    const inner = Buffer.concat([
      element(tags.Item, 0xffffffff),
      element(tags.PatientName, 4, Buffer.from('Doe ')),
      element(tags.ItemEnd, 0),
      element(tags.SequenceEnd, 0),
    ])
    const head = Buffer.from([0x09, 0x00, 0x02, 0x10, 0x55, 0x4e, 0, 0, 0xff, 0xff, 0xff, 0xff])
    const plain = aDicomFile()
    const opening = plain.subarray(0, read(plain).fileDataSetAt)
    const set = read(Buffer.concat([opening, element(0x00080060, 0).fill('CS', 4, 6), head, inner]))
    const shown = showTags(set, { dictionary, form: 'short', defaultTerm: 'ISO_IR 100' })
    assert.deepEqual(shown['0009,1002'], [{ '0010,0010': 'Doe' }])
  })

  test('whatever is changed in a file, reading it ends with a data set or a refusal', () => {
    const whole = aDicomFile({
      pieces: [
        {
          tag: sequenceTag,
          isOpen: true,
          items: [
            { isOpen: true, pieces: [{ tag: tags.PatientName, vr: 'PN', bytes: Buffer.from('Doe ') }] },
          ],
        },
      ],
    })
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 12 }),
        fc.nat(whole.length),
        (changes, length) => {
          const bytes = Uint8Array.from(whole.subarray(0, Math.max(140, length)))
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
          try {
            const set = read(bytes)
            showTags(set, { dictionary, form: 'full', defaultTerm: 'ISO_IR 100' })
          } catch (error) {
            assert.ok(error instanceof Refused, String(error))
          }
        },
      ),
      { seed: 20261122, numRuns: 1500 },
    )
  })

  test('random bytes behind a header end with a data set or a refusal', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (noise, isImplicit) => {
        const plain = aDicomFile(isImplicit ? { transferSyntax: syntaxes.implicitLittle } : {})
        try {
          read(Buffer.concat([plain.subarray(0, read(plain).fileDataSetAt), noise]))
        } catch (error) {
          assert.ok(error instanceof Refused, String(error))
        }
      }),
      { seed: 20261122, numRuns: 1500 },
    )
  })
})
