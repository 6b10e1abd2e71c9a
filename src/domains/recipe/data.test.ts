import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../core/json.ts'
import { fitData, readData, showData } from './data.ts'
import { gatherInput } from './data-flow.ts'
import { readStoredDefinition } from './definition.ts'
import { aNode, anInterface, around } from './testing.ts'

const declared = anInterface({
  files: [{ name: 'src', media_types: ['text/plain'] }],
  json: [
    { name: 'label', type: 'string', required: false },
    { name: 'n', type: 'number', required: false },
  ],
})

function refusal(document: JsonObject): string | undefined {
  const reading = readData(document)
  if (!reading.ok) return `Invalid data: ${reading.problems[0]!.description.split('\n')[0]}`
  return fitData(reading.value, declared).problems[0]?.description
}

describe('data for a recipe', () => {
  test.each<[JsonObject, string | undefined]>([
    [{}, "Parameter 'src' is required"],
    [{ files: { src: [1, 2] } }, "Parameter 'src' cannot accept multiple files"],
    [{ json: { src: 'x' } }, "Parameter 'src' of type 'file' cannot accept data of type 'json'"],
    [{ files: { src: [1] }, json: { label: 5 } }, "Parameter 'label' must receive a string"],
    [{ files: { src: [1] }, json: { n: true } }, "Parameter 'n' must receive a number"],
    [{ files: { src: [1] }, json: { n: 1 } }, undefined],
    [{ files: { src: ['a'] } }, "Invalid data: 'a' is not of type 'integer'"],
    [{ files: { src: [] } }, 'Invalid data: [] is too short'],
    [{ version: '9' }, 'Invalid data: 9 is an unsupported version number'],
    [{ files: { s: [1] }, json: { s: 1 } }, 'Invalid data: s cannot be defined more than once'],
    [
      { version: '1.0', input_data: [{ value: 1 }] },
      'Invalid data: Every data input must have a "name" field',
    ],
    [{ colour: 1 }, "Invalid data: Additional properties are not allowed ('colour' was unexpected)"],
  ])('%j is answered with %s', (document, expected) => {
    expect(refusal(document)).toBe(expected)
  })

  test('the old list form is converted, and its outputs are dropped', () => {
    const reading = readData({
      version: '1.0',
      input_data: [
        { name: 'src', file_id: 2 },
        { name: 'label', value: 'old' },
      ],
      output_data: [{ name: 'COUNT', workspace_id: 2 }],
    })
    expect(reading.ok && showData(reading.value)).toEqual({ files: { src: [2] }, json: { label: 'old' } })
  })

  test('values for parameters that are not declared are gone', () => {
    const reading = readData({ files: { src: [1], other: [2] }, json: { more: 1 } })
    expect(reading.ok && showData(fitData(reading.value, declared).data)).toEqual({
      files: { src: [1] },
      json: {},
    })
  })

  test('anything can be read without throwing', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), document => {
        refusal(document as JsonObject)
      }),
      { seed: 8, numRuns: 500 },
    )
  })
})

test('a node gets each input from where it is connected, and lacks what its source did not bring', () => {
  const definition = readStoredDefinition(
    around({
      a: aNode(),
      b: aNode(['a'], {
        input: {
          src: { type: 'dependency', node: 'a', output: 'OUT' },
          label: { type: 'recipe', input: 'v' },
          n: { type: 'dependency', node: 'a', output: 'ABSENT' },
        },
      }),
    }),
  )
  const outputs = new Map([['a', { files: new Map([['OUT', [7]]]), json: new Map() }]])
  const recipeInput = { files: new Map(), json: new Map([['v', 'x']]) }
  const { data, problems } = gatherInput(
    definition.nodes.get('b')!,
    { recipeInput, outputOf: name => outputs.get(name) },
    declared,
  )
  expect(problems).toEqual([])
  expect(showData(data)).toEqual({ files: { src: [7] }, json: { label: 'x' } })
})
