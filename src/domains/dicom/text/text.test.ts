import assert from 'node:assert/strict'
import { test } from 'vitest'
import { makeDecoder } from './decode.ts'
import { makeEncoder } from './encode.ts'

const samples: readonly (readonly [terms: string, text: string])[] = [
  ['ISO_IR 100', 'Müller^Jürgen'],
  ['ISO_IR 101', 'Wałęsa^Łukasz'],
  ['ISO_IR 126', 'Διονυσιος'],
  ['ISO_IR 127', 'قباني^لنزار'],
  ['ISO_IR 138', 'שרון^דבורה'],
  ['ISO_IR 144', 'Люкceмбypг'],
  ['ISO_IR 166', 'นามสกุล'],
  ['ISO_IR 192', 'Wang^XiaoDong=王^小东'],
  ['GB18030', 'Wang^XiaoDong=王^小东'],
  ['ISO_IR 13', 'ﾔﾏﾀﾞ^ﾀﾛｳ'],
  ['\\ISO 2022 IR 87', 'Yamada^Tarou=山田^太郎=やまだ^たろう'],
  ['\\ISO 2022 IR 58', 'Zhang^XiaoDong=张^小东'],
  ['\\ISO 2022 IR 159', 'Name=丂^丄'],
  ['ISO 2022 IR 6\\ISO 2022 IR 100', 'Buc^Jérôme'],
  ['ISO 2022 IR 100\\ISO 2022 IR 126', 'Müller^Διονυσιος'],
  ['\\ISO 2022 IR 149', 'Hong^Gildong=洪^吉洞=홍^길동'],
]

for (const [terms, text] of samples) {
  test(`${terms}: text comes back as it was written`, () => {
    const decoder = makeDecoder(terms, 'ISO_IR 100')
    assert.equal(decoder.decode(makeEncoder(decoder.terms).encode(text), 'PN'), text)
  })
}

test('the value of SpecificCharacterSet as it is written serves for writing text, too', () => {
  for (const [terms, text] of samples) {
    const bytes = makeEncoder(terms.split('\\')).encode(text)
    assert.equal(makeDecoder(terms, 'ISO_IR 100').decode(bytes, 'PN'), text, terms)
  }
})

test('beside sets that have to be announced, plain ASCII has no letters of Latin-1', () => {
  assert.equal(Buffer.from(makeEncoder(['', 'ISO 2022 IR 149']).encode('Nàm')).toString('latin1'), 'N?m')
})

test('a character that a set does not have becomes a question mark', () => {
  assert.equal(Buffer.from(makeEncoder(['ISO_IR 100']).encode('a王b')).toString('latin1'), 'a?b')
})

test('terms that nobody knows, and none at all, mean the default encoding', () => {
  assert.equal(makeDecoder('nope', 'ISO_IR 144').decode(Uint8Array.of(0xbb), 'LO'), 'Л')
  assert.equal(makeDecoder(undefined, 'ISO_IR 144').decode(Uint8Array.of(0xbb), 'LO'), 'Л')
  assert.equal(makeDecoder('ISO IR 100', 'ISO_IR 144').decode(Uint8Array.of(0xe9), 'LO'), 'é')
})

test('an escape that was not announced does not fail', () => {
  assert.equal(
    typeof makeDecoder('ISO 2022 IR 6\\ISO 2022 IR 87', 'ISO_IR 100').decode(Buffer.from('\x1b$)Cabc'), 'LO'),
    'string',
  )
})
