import assert from 'node:assert/strict'
import { test } from 'vitest'
import { dataSetOffset } from '../reading/data-set-offset.ts'
import { syntaxes } from '../reading/syntax.ts'
import { showTags } from '../show-tags.ts'
import { tags } from '../tag.ts'
import { aDicomFile, dictionary, read } from '../testing/sample.ts'
import { readIdentifier, writeIdentifier } from './identifier.ts'

test.each([syntaxes.implicitLittle, syntaxes.explicitLittle, syntaxes.explicitBig])(
  'a question comes through %s as it was asked',
  transferSyntax => {
    const query = [
      [tags.SpecificCharacterSet, 'ISO_IR 192'],
      [tags.PatientName, '*Żółw?'],
      [tags.StudyDate, '20240101-'],
      [tags.StudyInstanceUID, '1.2\\3.4'],
      [0x00081115, ''],
      [tags.Rows, ''],
    ] as const
    const options = { dictionary, transferSyntax, terms: ['ISO_IR 192'] }
    const set = readIdentifier(writeIdentifier(query, options), options)
    assert.deepEqual(showTags(set, { dictionary, form: 'short', defaultTerm: 'ISO_IR 100' }), {
      '0008,0005': 'ISO_IR 192',
      '0008,0020': '20240101-',
      '0008,1115': [],
      '0010,0010': '*Żółw?',
      '0020,000d': '1.2\\3.4',
      '0028,0010': null,
    })
  },
)

test('a text that a tag cannot hold is refused with the tag', () => {
  const options = { dictionary, transferSyntax: syntaxes.implicitLittle, terms: ['ISO_IR 100'] }
  assert.throws(() => writeIdentifier([[tags.Rows, 'many']], options), /0028,0010/)
})

test('the data set of a file is found without reading it', () => {
  for (const transferSyntax of Object.values(syntaxes)) {
    const bytes = aDicomFile({ transferSyntax })
    assert.equal(dataSetOffset(bytes), read(bytes).fileDataSetAt)
  }
  assert.equal(dataSetOffset(new Uint8Array(200)), undefined)
  assert.equal(dataSetOffset(aDicomFile().subarray(0, 150)), undefined)
})
