import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../core/json.ts'
import { expandCommand, programArguments, programEnvironment } from './command.ts'
import {
  checkConfiguration,
  overlayConfiguration,
  readConfiguration,
  showConfiguration,
} from './configuration.ts'
import { errorOfEnd } from './errors.ts'
import { compilePattern } from './file-pattern.ts'
import { readManifest, readStoredManifest } from './manifest.ts'
import { captureOutputs } from './outputs.ts'
import { resourcesFor } from './resources.ts'
import { mergeSources, readSideCar, wellKnownText } from './side-car.ts'

const face: JsonObject = {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a command template of Seed, which has this form
  command: 'run  ${IN_FILE} ${LABEL/#/--label=} $OUTPUT_DIR ${DB} $ALLOCATED_CPUS $HOME',
  inputs: {
    files: [{ name: 'in-file', mediaTypes: ['text/plain'] }],
    json: [
      { name: 'LABEL', type: 'string', required: false },
      { name: 'flag', type: 'boolean', required: false },
    ],
  },
  outputs: {
    files: [{ name: 'COUNT', pattern: 'count*.txt' }],
    json: [{ name: 'LINES', type: 'integer', key: 'lines' }],
  },
  settings: [{ name: 'DB', secret: true }],
}

function aManifest(job: JsonObject = {}): JsonObject {
  return {
    seedVersion: '1.0.0',
    job: {
      name: 'count-lines',
      jobVersion: '1.0.0',
      packageVersion: '1.0.0',
      title: 'Count lines',
      description: 'Counts',
      maintainer: { name: 'A', email: 'a (at) example.org' },
      timeout: 60,
      interface: face,
      ...job,
    },
  }
}

describe('a Seed manifest', () => {
  test('gets its defaults, and only where a list was given', () => {
    const { document } = readStoredManifest(aManifest({ errors: [{ code: 3, name: 'bad' }] }))
    expect(document).toMatchObject({
      job: {
        errors: [{ code: 3, name: 'bad', title: 'bad', category: 'job' }],
        interface: {
          inputs: {
            files: [
              {
                name: 'in-file',
                mediaTypes: ['text/plain'],
                required: true,
                multiple: false,
                partial: false,
              },
            ],
          },
          outputs: {
            files: [
              { name: 'COUNT', mediaType: 'application/octet-stream', multiple: false, required: true },
            ],
          },
        },
      },
    })
    expect(readStoredManifest(aManifest({ interface: { inputs: {} } })).document).toMatchObject({
      job: { interface: { inputs: {} } },
    })
    expect(readStoredManifest(document).document).toEqual(document)
  })

  test.each<[JsonObject, string, string]>([
    [
      { name: 'bad_name' },
      'JSON_VALIDATION_ERROR',
      "Error validating against schema: 'bad_name' does not match '^[a-zA-Z0-9-]+$'",
    ],
    [
      { interface: { inputs: { files: [{ name: 'A-B' }], json: [{ name: 'a_b', type: 'string' }] } } },
      'NAME_COLLISION_ERROR',
      'Collisions are not allowed between reserved keywords, resources, settingsand input names.',
    ],
    [
      { interface: { inputs: { json: [{ name: 'output-dir', type: 'string' }] } } },
      'NAME_COLLISION_ERROR',
      'Collisions are not allowed between reserved keywords, resources, settingsand input names.',
    ],
    [
      {
        interface: {
          mounts: [
            { name: 'M', path: '/a' },
            { name: 'M', path: '/b' },
          ],
        },
      },
      'DUPLICATE_MOUNT_NAMES',
      'Mount names must be unique.',
    ],
    [
      { interface: { mounts: [{ name: 'M', path: 'a' }] } },
      'INVALID_MOUNT_PATH',
      'M mount must have an absolute path',
    ],
    [
      {
        errors: [
          { code: 1, name: 'x' },
          { code: 2, name: 'x' },
        ],
      },
      'DUPLICATE_ERROR_NAMES',
      'Error names must be unique.',
    ],
    [{ colour: 'red' }, 'JSON_VALIDATION_ERROR', 'Error validating against schema: Additional properties'],
    [{ jobVersion: '1.0' }, 'JSON_VALIDATION_ERROR', "Error validating against schema: '1.0' does not match"],
  ])('with %j is refused', (job, name, text) => {
    const [error] = readManifest(aManifest(job)).errors
    expect(error?.name).toBe(name)
    expect(error?.description.slice(0, text.length)).toBe(text)
  })

  test('warns of resources nobody knows', () => {
    const { warnings } = readManifest(aManifest({ resources: { scalar: [{ name: 'cake', value: 1 }] } }))
    expect(warnings).toEqual([
      {
        name: 'NONSTANDARD_RESOURCE',
        description: "'cake' is not a standard resouce. This job type might not be schedulable.",
      },
    ])
  })

  test('of any shape is answered without throwing', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), fc.jsonValue({ maxDepth: 3 }), (job, inside) => {
        readManifest({ seedVersion: '1.0.0', job } as JsonObject)
        readManifest(aManifest({ interface: inside } as JsonObject))
      }),
      { seed: 8, numRuns: 300 },
    )
  })
})

describe('the command of a program', () => {
  const manifest = readStoredManifest(aManifest())
  const input = {
    filePaths: new Map([['in-file', '/in/in-file/a.txt']]),
    values: new Map<string, string | boolean>([['flag', true]]),
    settings: new Map([['DB', 'secret']]),
    outputDir: '/out',
    metadataPath: '/in/meta.json',
  }

  test('has its inputs and settings filled in, is split at blanks, and keeps what it does not know', () => {
    expect(programArguments(manifest, input)).toEqual([
      'run',
      '/in/in-file/a.txt',
      '',
      '/out',
      'secret',
      '$ALLOCATED_CPUS',
      '$HOME',
    ])
  })

  test('gets a prefix before a value that was given', () => {
    expect(
      expandCommand(
        // biome-ignore lint/suspicious/noTemplateCurlyInString: as above
        'a ${X/#/--x=} ${Y/#/-y }',
        new Map([
          ['X', '1'],
          ['Y', '2'],
        ]),
      ),
    ).toBe('a --x=1 -y 2')
  })

  test('with unbalanced braces is not run', () => {
    expect(programArguments({ ...manifest, command: 'echo {' }, input)).toBe(
      'the command has unequal numbers of { and }',
    )
  })

  test('finds its inputs, resources and identity in the environment', () => {
    const resources = resourcesFor([{ name: 'mem', value: 64, inputMultiplier: 0 }], 1)
    expect(programEnvironment(manifest, input, { jobId: 7, exeNumber: 2, recipeId: 3, resources })).toEqual({
      IN_FILE: '/in/in-file/a.txt',
      FLAG: 'True',
      DB: 'secret',
      OUTPUT_DIR: '/out',
      INPUT_METADATA: '/in/meta.json',
      SCALE_JOB_ID: '7',
      SCALE_EXE_NUM: '2',
      SCALE_RECIPE_ID: '3',
      ALLOCATED_CPUS: '0.25',
      ALLOCATED_MEM: '128.0',
      ALLOCATED_DISK: '1.0',
      ALLOCATED_GPUS: '0.0',
    })
  })
})

test('resources grow with the input and never fall below the floor', () => {
  const wishes = [
    { name: 'cpus', value: 1, inputMultiplier: 0 },
    { name: 'disk', value: 10, inputMultiplier: 2 },
  ]
  expect(Object.fromEntries(resourcesFor(wishes, 3))).toEqual({ cpus: 1, mem: 128, disk: 16, gpus: 0 })
})

describe('what a program brought', () => {
  const manifest = readStoredManifest(aManifest())
  const json = '{"lines": 3, "other": 1}'

  test('is assigned by pattern and key', () => {
    const outputs = captureOutputs(
      manifest,
      ['count1.txt', 'count1.txt.metadata.json', 'deep/count2.txt'],
      json,
    )
    expect(outputs).toEqual({ files: new Map([['COUNT', ['count1.txt']]]), json: new Map([['LINES', 3]]) })
  })

  test.each<[string[], string | undefined, string]>([
    [[], json, 'missing-required-output'],
    [['count1.txt', 'count2.txt'], json, 'unexpected-multiple-outputs'],
    [['count1.txt'], '{"lines": "3"}', 'unknown'],
    [['count1.txt'], '{}', 'unknown'],
    [['count1.txt'], 'no json', 'unknown'],
  ])('%j with %s is refused as %s', (paths, text, error) => {
    expect(captureOutputs(manifest, paths, text)).toMatchObject({ error })
  })

  test('may be without JSON outputs when it wrote none at all', () => {
    expect(captureOutputs(manifest, ['count1.txt'], undefined)).toMatchObject({ json: new Map() })
  })
})

describe('a file pattern', () => {
  test.each([
    ['*.txt', 'a.txt', true],
    ['*.txt', 'd/a.txt', false],
    ['d/*', 'd/a.txt', true],
    ['**/a.txt', 'x/y/a.txt', true],
    ['**/a.txt', 'a.txt', true],
    ['a?c[0-9]', 'abc5', true],
    ['a[!b]', 'ab', false],
    ['*', '.hidden', false],
    ['[', '[', true],
    ['a.b', 'axb', false],
  ])('%s against %s is %s', (pattern, path, expected) => {
    expect(compilePattern(pattern)(path)).toBe(expected)
  })

  test('with many stars stays quick', () => {
    expect(compilePattern(`${'*a'.repeat(30)}b`)('a'.repeat(2000))).toBe(false)
  })
})

test('a program’s exit code finds its error, anything else a built-in one', () => {
  const declared = readStoredManifest(
    aManifest({ errors: [{ code: 3, name: 'bad', category: 'data' }] }),
  ).errors
  expect(errorOfEnd('exit', 3, declared)).toMatchObject({ declared: { name: 'bad', category: 'data' } })
  expect(errorOfEnd('exit', 4, declared)).toEqual({ builtIn: 'algorithm-unknown' })
  expect(errorOfEnd('timeout', null, declared)).toEqual({ builtIn: 'timeout' })
})

describe('a configuration', () => {
  const read = (document: JsonObject): ReturnType<typeof readConfiguration> => readConfiguration(document)

  test('is checked against the program it is for', () => {
    const manifest = readStoredManifest(aManifest())
    const reading = read({ mounts: { M: { type: 'host', host_path: '/m' } } })
    if (!reading.ok) throw new Error('unreadable')
    expect(checkConfiguration(reading.value, manifest, () => 'active')).toEqual({
      errors: [{ name: 'MISSING_WORKSPACE', description: "Missing workspace for outputs '['COUNT']'" }],
      warnings: [
        { name: 'UNKNOWN_MOUNT', description: "Unknown mount 'M' ignored" },
        { name: 'MISSING_SETTING', description: "Missing configuration for setting 'DB'" },
      ],
    })
  })

  test('of a recipe overrides only what it says', () => {
    const [under, over] = [
      read({ priority: 50, output_workspaces: { default: 'a' } }),
      read({ settings: { DB: 'x' } }),
    ]
    if (!under.ok || !over.ok) throw new Error('unreadable')
    expect(showConfiguration(overlayConfiguration(under.value, over.value), new Set(['DB']))).toEqual({
      mounts: {},
      output_workspaces: { default: 'a', outputs: {} },
      priority: 50,
      settings: { DB: '*****' },
    })
  })

  test.each<[JsonObject, string]>([
    [{ version: '8' }, 'Invalid configuration version: 8'],
    [{ priority: 0 }, 'Invalid priority: the lowest number, and most urgent, is 1'],
    [
      { colour: 'red' },
      "Invalid configuration: Additional properties are not allowed ('colour' was unexpected)",
    ],
  ])('%j is refused', (document, text) => {
    const reading = read(document)
    expect(reading.ok ? '' : reading.problems[0]?.description.split('\n')[0]).toBe(text)
  })
})

describe('side-car metadata', () => {
  test('gives facts, geometry and the whole document', () => {
    const text = JSON.stringify({
      type: 'Feature',
      geometry: { type: 'Point', coordinates: [10, 20] },
      properties: { sourceStarted: '2018-11-01T00:00:00Z', sourceSensor: 'S1', colour: 'red' },
    })
    const sideCar = readSideCar(text)
    expect(sideCar?.facts).toEqual({ sourceStartedAt: Date.UTC(2018, 10, 1), sourceSensor: 'S1' })
    expect(wellKnownText(sideCar!.geometry!)).toBe('POINT (10 20)')
  })

  test('that is a collection, or no JSON, is ignored', () => {
    expect(readSideCar('{"type":"FeatureCollection","features":[]}')).toBeUndefined()
    expect(readSideCar('{')).toBeUndefined()
  })

  test('of several sources gives the earliest start, the latest end and the last word', () => {
    const merged = mergeSources([
      { sourceStartedAt: 5, sourceEndedAt: 6, sourceSensor: 'A' },
      { sourceStartedAt: 3, sourceEndedAt: 9, sourceSensor: 'B' },
    ])
    expect(merged).toEqual({ sourceStartedAt: 3, sourceEndedAt: 9, sourceSensor: 'B' })
  })
})
