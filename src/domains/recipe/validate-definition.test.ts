import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../core/json.ts'
import { readStoredDefinition, showDefinition } from './definition.ts'
import { aCatalog, acyclicNodes, aNode, anyGraph, around, jobType } from './testing.ts'
import { validateDefinition } from './validate-definition.ts'

const text = { json: [{ name: 'VALUE', type: 'string' }] }
const catalog = aCatalog(
  {
    'count-lines': {
      input: {
        files: [{ name: 'IN_FILE', media_types: ['text/plain'] }],
        json: [{ name: 'LABEL', type: 'string', required: false }],
      },
      output: {
        files: [{ name: 'COUNT', media_types: ['text/plain'] }],
        json: [{ name: 'LINES', type: 'integer' }],
      },
    },
    'echo-value': { input: text, output: { json: [{ name: 'OUT', type: 'string' }] } },
  },
  {
    inner: { input: { json: [{ name: 'word', type: 'string' }] }, contains: ['deep'] },
    deep: { contains: ['outer'] },
  },
)

function errorsOf(document: JsonObject, name?: string): string[] {
  return validateDefinition(document, catalog, name).errors.map(
    error => `${error.name}: ${error.description}`,
  )
}

const count = (from = 'src'): JsonObject =>
  aNode([], { input: { IN_FILE: { type: 'recipe', input: from } }, type: jobType('count-lines') })
const src = { files: [{ name: 'src', media_types: ['text/plain'] }] }

describe('what a definition can be wrong about', () => {
  test.each<[string, JsonObject, string[]]>([
    [
      'a parent that does not exist',
      { nodes: { a: aNode(['b']) } },
      ["UNKNOWN_NODE: Node 'b' is not defined"],
    ],
    [
      'a connection to a recipe input that does not exist',
      { nodes: { a: count('nope') } },
      ["UNKNOWN_INPUT: Recipe input 'nope' is not defined"],
    ],
    [
      'a connection to an output of a sub-recipe',
      {
        nodes: {
          s: aNode([], { type: { node_type: 'recipe', recipe_type_name: 'deep', recipe_type_revision: 1 } }),
          b: aNode(['s'], { input: { VALUE: { type: 'dependency', node: 's', output: 'X' } } }),
        },
      },
      ["CONNECTION_INVALID_NODE: Node 'b' cannot have a connection to a recipe node"],
    ],
    [
      'a cycle',
      { nodes: { a: aNode(['b']), b: aNode(['a']) } },
      ["CIRCULAR_DEPENDENCY: Recipe node 'a' has a circular dependency on itself"],
    ],
    [
      'a node that depends on itself',
      { nodes: { a: aNode(['a']) } },
      ["CIRCULAR_DEPENDENCY: Recipe node 'a' has a circular dependency on itself"],
    ],
    [
      'an unknown job type',
      { nodes: { a: aNode([], { type: jobType('missing') }) } },
      [
        'JOB_TYPE_DOES_NOT_EXIST: Recipe definition contains a job type that does not exist: JobType matching query does not exist.',
      ],
    ],
    [
      'an unknown job type revision',
      { nodes: { a: aNode([], { type: jobType('noop', '1.0.0', 42) }) } },
      [
        'JOB_TYPE_DOES_NOT_EXIST: Recipe definition contains a job type that does not exist: JobTypeRevision matching query does not exist.',
      ],
    ],
    [
      'a required input without a connection',
      { nodes: { a: aNode([], { type: jobType('count-lines') }) } },
      ["NODE_INTERFACE: input 'IN_FILE' is missing for a"],
    ],
    [
      'a file where a value is wanted',
      {
        input: src,
        nodes: {
          a: count(),
          b: aNode(['a'], {
            input: { VALUE: { type: 'dependency', node: 'a', output: 'COUNT' } },
            type: jobType('echo-value'),
          }),
        },
      },
      [
        "NODE_INTERFACE: Node 'b' interface error: Parameter 'VALUE' of type 'json' cannot accept type 'file'",
      ],
    ],
    [
      'a value of another JSON type',
      {
        input: src,
        nodes: {
          a: count(),
          b: aNode(['a'], {
            input: { VALUE: { type: 'dependency', node: 'a', output: 'LINES' } },
            type: jobType('echo-value'),
          }),
        },
      },
      [
        "NODE_INTERFACE: Node 'b' interface error: Parameter 'VALUE' of JSON type 'string' cannot accept JSON type 'integer'",
      ],
    ],
    [
      'an output that does not exist',
      {
        input: src,
        nodes: {
          a: count(),
          b: aNode(['a'], {
            input: { VALUE: { type: 'dependency', node: 'a', output: 'NOPE' } },
            type: jobType('echo-value'),
          }),
        },
      },
      [
        "NODE_INTERFACE: Node 'b' interface error: Input VALUE cannot be connected to output NOPE; no output exists with that name",
      ],
    ],
    [
      'an output of a node that is no ancestor',
      {
        input: { json: [{ name: 'v', type: 'string' }] },
        nodes: {
          a: aNode([], { input: { VALUE: { type: 'recipe', input: 'v' } }, type: jobType('echo-value') }),
          b: aNode([], {
            input: { VALUE: { type: 'dependency', node: 'a', output: 'OUT' } },
            type: jobType('echo-value'),
          }),
        },
      },
      ["NODE_INTERFACE: Node 'b' interface error: Cannot get output 'OUT' without dependency on node 'a'"],
    ],
    [
      'several files for an input that takes one',
      {
        input: { files: [{ name: 'src', media_types: ['text/plain'], multiple: true }] },
        nodes: { a: count() },
      },
      ["NODE_INTERFACE: Node 'a' interface error: Parameter 'IN_FILE' cannot accept multiple files"],
    ],
    [
      'an optional value for a required input',
      {
        input: { files: [{ name: 'src', media_types: ['text/plain'], required: false }] },
        nodes: { a: count() },
      },
      [
        "NODE_INTERFACE: Node 'a' interface error: Parameter 'IN_FILE' is required and cannot accept an optional value",
      ],
    ],
    [
      'a parameter name with a digit',
      { input: { files: [{ name: 'f1' }] }, nodes: {} },
      ["INVALID_DEFINITION: Issue with f1: 'f1' does not match '^[a-zA-Z_-]+$'"],
    ],
    [
      'a node without input',
      { nodes: { a: { dependencies: [], node_type: jobType() } } },
      ["INVALID_DEFINITION: Issue with nodes: 'input' is a required property"],
    ],
    [
      'an unknown version',
      { version: '5', nodes: {} },
      ['INVALID_DEFINITION: 5 is an unsupported version number'],
    ],
    [
      'the same parameter twice',
      { input: { files: [{ name: 'f' }], json: [{ name: 'f', type: 'string' }] }, nodes: {} },
      ["DUPLICATE_INPUT: Duplicate parameter 'f'"],
    ],
    [
      'a member nobody knows',
      { nodes: {}, colour: 'red' },
      [
        "INVALID_DEFINITION: Issue with definition: Additional properties are not allowed ('colour' was unexpected)",
      ],
    ],
    [
      'two jobs of one name in the old form',
      {
        version: '1.0',
        jobs: [
          { name: 'a', job_type: { name: 'noop', version: '1.0.0' } },
          { name: 'a', job_type: { name: 'noop', version: '1.0.0' } },
        ],
      },
      ["DUPLICATE_NODE: Node 'a' is already defined"],
    ],
  ])('%s is said', (_, document, expected) => {
    expect(errorsOf(document)).toEqual(expected)
  })

  test('a node type that fits no alternative is answered with one line per mismatch, as JSON text', () => {
    const [error] = validateDefinition(
      { nodes: { a: { dependencies: [], input: {}, node_type: { node_type: 'job' } } } },
      catalog,
    ).errors
    expect(error?.name).toBe('INVALID_DEFINITION_JSON')
    expect(JSON.parse(error!.description).toSorted()).toEqual(
      [
        "Issue with a: 'interface' is a required property",
        "Issue with a: 'data_filter' is a required property",
        "Issue with a: 'job' is not one of ['condition']",
        "Issue with a: 'job_type_name' is a required property",
        "Issue with a: 'job_type_version' is a required property",
        "Issue with a: 'job_type_revision' is a required property",
        "Issue with a: 'recipe_type_name' is a required property",
        "Issue with a: 'recipe_type_revision' is a required property",
        "Issue with a: 'job' is not one of ['recipe']",
      ].toSorted(),
    )
  })

  test.each<[string, JsonObject, string]>([
    [
      'a condition that the type does not have',
      { name: 's', type: 'string', condition: '<', values: ['a'] },
      "INVALID_CONDITION: Invalid condition '<' for 's'.",
    ],
    [
      'a value that is no number',
      { name: 'j', type: 'integer', condition: '==', values: ['a'] },
      "VALUE_ERROR: Expected int for 'j', found a",
    ],
    [
      'fields without as many values',
      { name: 's', type: 'string', condition: '==', values: ['a'], fields: [['x'], ['y']] },
      'INVALID_FIELDS: Fields property must be same length as values',
    ],
    [
      'an object compared as a whole with ==',
      { name: 'o', type: 'object', condition: '==', values: [{}] },
      "INVALID_CONDITION: Invalid condition '==' for 'o'.",
    ],
  ])('a filter with %s is refused', (_, filter, expected) => {
    const gate = {
      node_type: 'condition',
      interface: { files: [], json: [] },
      data_filter: { filters: [filter] },
    }
    const [error] = errorsOf({ nodes: { gate: aNode([], { type: gate }) } })
    expect(error?.slice(0, expected.length)).toBe(expected)
  })

  test('all problems of one kind are reported at once, each with its place', () => {
    const { errors } = validateDefinition({ nodes: { a: aNode(['x']), b: aNode(['y', 'z']) } }, catalog)
    expect(errors.map(error => error.pointer)).toEqual([
      '/nodes/a/dependencies/0',
      '/nodes/b/dependencies/0',
      '/nodes/b/dependencies/1',
    ])
  })

  test('a recipe type that contains itself through others is refused, naming where it was met', () => {
    const inner = { node_type: 'recipe', recipe_type_name: 'inner', recipe_type_revision: 1 }
    const document = {
      input: { json: [{ name: 'w', type: 'string' }] },
      nodes: { s: aNode([], { input: { word: { type: 'recipe', input: 'w' } }, type: inner }) },
    }
    expect(errorsOf(document, 'outer')).toEqual([
      'RECURSIVE_SUBRECIPES: Recipe type outer contains sub-recipes of itself. Found within recipe type deep.',
    ])
    expect(errorsOf(document, 'somebody-else')).toEqual([])
  })

  test('what a condition filters on counts as given below it', () => {
    const gate = (all: boolean): JsonObject =>
      aNode([], {
        input: { v: { type: 'recipe', input: 'v' } },
        type: {
          node_type: 'condition',
          interface: { files: [], json: [{ name: 'v', type: 'string', required: false }] },
          data_filter: { filters: [{ name: 'v', type: 'string', condition: '==', values: ['x'] }], all },
        },
      })
    const say = aNode(['gate'], {
      input: { VALUE: { type: 'dependency', node: 'gate', output: 'v' } },
      type: jobType('echo-value'),
    })
    expect(errorsOf(around({ gate: gate(true), say }))).toEqual([])
    expect(errorsOf(around({ gate: gate(false), say }))).toEqual([
      "NODE_INTERFACE: Node 'say' interface error: Parameter 'VALUE' is required and cannot accept an optional value",
    ])
  })

  test('media types that are not listed only warn, in the order of the source', () => {
    const input = { files: [{ name: 'src', media_types: ['image/tiff', 'text/plain', 'a/b'] }] }
    const verdict = validateDefinition({ input, nodes: { a: count() } }, catalog)
    expect(verdict.errors).toEqual([])
    expect(verdict.warnings).toMatchObject([
      {
        name: 'MISMATCHED_MEDIA_TYPES',
        description: "Parameter 'IN_FILE' might not accept [image/tiff, a/b]",
      },
    ])
  })

  test('the old form becomes the current one, with the current revision of its job types', () => {
    const verdict = validateDefinition(
      {
        version: '1.0',
        input_data: [
          { name: 'src', type: 'file', media_types: ['text/plain'] },
          { name: 'note', type: 'property', required: false },
        ],
        jobs: [
          {
            name: 'count',
            job_type: { name: 'count-lines', version: '1.0.0' },
            recipe_inputs: [
              { recipe_input: 'src', job_input: 'IN_FILE' },
              { recipe_input: 'note', job_input: 'LABEL' },
            ],
          },
          { name: 'then', job_type: { name: 'noop', version: '1.0.0' }, dependencies: [{ name: 'count' }] },
        ],
      },
      catalog,
    )
    expect(verdict.errors).toEqual([])
    expect(verdict.definition?.nodes.get('count')?.type).toEqual({
      kind: 'job',
      name: 'count-lines',
      version: '1.0.0',
      revision: 1,
    })
  })
})

describe('whatever is sent', () => {
  test('validation answers and never throws', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })), document => {
        const verdict = validateDefinition(document as JsonObject, catalog, 'x')
        expect(Array.isArray(verdict.errors)).toBe(true)
      }),
      { seed: 8, numRuns: 500 },
    )
  })

  test('validation answers on documents that are nearly right', () => {
    const anything = fc.jsonValue({ maxDepth: 2 })
    const nearly = (good: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
      fc.oneof({ weight: 6, arbitrary: good }, anything)
    const node = fc.record(
      {
        dependencies: nearly(fc.array(fc.record({ name: nearly(fc.constantFrom('a', 'b', '__proto__')) }))),
        input: nearly(fc.dictionary(fc.string(), nearly(fc.constant({ type: 'recipe', input: 'v' })))),
        node_type: nearly(fc.constant(jobType())),
      },
      { requiredKeys: [] },
    )
    const document = fc.record({
      version: nearly(fc.constantFrom('6', '7', '1.0')),
      input: nearly(fc.constant({ json: [{ name: 'v', type: 'string' }] })),
      nodes: nearly(fc.dictionary(fc.constantFrom('a', 'b', 'constructor', '__proto__'), nearly(node))),
    })
    fc.assert(
      fc.property(document, candidate => {
        validateDefinition(candidate as JsonObject, catalog, 'a')
      }),
      { seed: 8, numRuns: 500 },
    )
  })

  test('an order of the nodes exists exactly when no cycle is reported', () => {
    fc.assert(
      fc.property(anyGraph, nodes => {
        const { errors, graph } = validateDefinition({ nodes }, catalog)
        const hasCycle = errors.some(error => error.name === 'CIRCULAR_DEPENDENCY')
        expect(graph === undefined).toBe(hasCycle)
        if (!graph) return
        const place = new Map(graph.order.map((name, index) => [name, index]))
        expect(place.size).toBe(Object.keys(nodes).length)
        for (const [name, node] of Object.entries(
          nodes as Record<string, { dependencies: { name: string }[] }>,
        ))
          for (const parent of node.dependencies)
            expect(place.get(parent.name)!).toBeLessThan(place.get(name)!)
      }),
      { seed: 8, numRuns: 500 },
    )
  })

  test('a definition shown and read again is the same definition', () => {
    fc.assert(
      fc.property(acyclicNodes, nodes => {
        const shown = showDefinition(readStoredDefinition(around(nodes)))
        expect(showDefinition(readStoredDefinition(shown))).toEqual(shown)
        expect(Object.keys(shown['nodes'] as JsonObject)).toEqual(Object.keys(nodes))
      }),
      { seed: 8 },
    )
  })
})
