import fc from 'fast-check'
import { expect, test } from 'vitest'
import { splitWords } from './command-words.ts'

const words = (command: string) => {
  const split = splitWords(command)
  return split.ok ? split.words : split.fault
}

test('quotes hold words together and vanish', () => {
  expect(words('/bin/sh -c "echo one; echo \'two\'"')).toEqual(['/bin/sh', '-c', "echo one; echo 'two'"])
  expect(words(`a'b'"c"d`)).toEqual(['abcd'])
  expect(words(`x '' ""`)).toEqual(['x', '', ''])
})

test('white space between words is dropped, also at the ends', () => {
  expect(words('  a\t b\n c\r')).toEqual(['a', 'b', 'c'])
  expect(words('')).toEqual([])
})

test('a backslash takes the next character as it is', () => {
  expect(words('a\\ b \\"c\\\\')).toEqual(['a b', '"c\\'])
})

test('in double quotes a backslash escapes only a quote and a backslash', () => {
  expect(words('"a\\"b\\\\c\\nd\\$e"')).toEqual(['a"b\\c\\nd\\$e'])
})

test('in single quotes nothing is special', () => {
  expect(words("'a\\b\"c$d'")).toEqual(['a\\b"c$d'])
})

test('an open quote and a lone last backslash are faults', () => {
  expect(words("echo 'a")).toBe('a single quote is not closed')
  expect(words('echo "a\\"')).toBe('a double quote is not closed')
  expect(words('echo \\')).toBe('nothing follows the last backslash')
})

test('words quoted by the shell rule come back unchanged', () => {
  const quote = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' })), list => {
      expect(splitWords(list.map(quote).join(' '))).toEqual({ ok: true, words: list })
    }),
    { seed: 1, numRuns: 300 },
  )
})
