import fc from 'fast-check'
import { expect, test } from 'vitest'
import { depthOf, readJson } from './json.ts'

test('any JSON that is not too deep is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 10 }), text => {
      fc.pre(!text.includes('__proto__'))
      expect(readJson(text, { depthMax: 100 })).toEqual(JSON.parse(text))
    }),
    { seed: 20261122, numRuns: 300 },
  )
})

test('the depth of a text is the depth of its value, whatever its strings hold', () => {
  const depthOfValue = (value: unknown): number =>
    typeof value === 'object' && value !== null
      ? 1 + Math.max(0, ...Object.values(value).map(depthOfValue))
      : 0
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 8 }), value => {
      const padded = JSON.stringify({ pad: 'x".repeat[[[{\\"'.repeat(100), value })
      expect(depthOf(padded, 100)).toBe(1 + depthOfValue(value))
    }),
    { seed: 20261122, numRuns: 300 },
  )
})

test('a document that is nested too deeply is refused, in linear time and without recursion', () => {
  const deep = '['.repeat(5_000_000)
  expect(() => readJson(deep)).toThrow('nested more than 64 levels deep')
  expect(() => readJson(`${'['.repeat(65)}${']'.repeat(65)}`)).toThrow('nested more than 64')
  expect(readJson(`${'['.repeat(64)}${']'.repeat(64)}`)).toBeDefined()
})

test('a member that would set a prototype is refused, also when it is written in escapes', () => {
  for (const name of ['__proto__', '\\u005f_proto__', '__pro\\u0074o__', '__PROTO__'.toLowerCase()]) {
    expect(() => readJson(`{"a":{"${name}":{"admin":true}}}`)).toThrow('__proto__')
  }
  expect(readJson('{"text":"about __proto__ and \\u005f"}')).toEqual({ text: 'about __proto__ and _' })
})

test('bytes that are not UTF-8, and texts that are not JSON, are refused with a sentence', () => {
  expect(() => readJson(Buffer.from([0x22, 0xff, 0x22]))).toThrow('not valid UTF-8')
  for (const text of ['', '{', '{"a":1,}', 'undefined', '\0', '{"a":1}x']) {
    expect(() => readJson(text)).toThrow('not valid JSON')
  }
})
