import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { loadJobs } from './registration.ts'

/** A module as its author writes it: in TypeScript, far from the product. */
const module = `
import { Color, classified, outputs, parameters, stretched, unique, type Raster, type Task } from 'switchyard/ncdjango'

export class Scaled implements Task {
  readonly name = 'mine:scaled'
  readonly inputs = [parameters.number('value'), parameters.int('factor', { required: false })]
  readonly outputs = [parameters.number('scaled'), parameters.string('note')]
  #calls = 0
  execute({ value, factor = 3 }: { value: number, factor?: number }) {
    return outputs({ scaled: value * factor, note: 'call ' + ++this.#calls })
  }
}

export function double({ value }: { value: number }) {
  return value * 2
}
double.inputs = [{ name: 'value', type: 'int' }]
double.outputs = [{ name: 'doubled', type: 'int' }]
double.taskName = 'mine:double'

export const ramp = (raster: Raster) => stretched([[raster.min(), Color(255, 0, 0)], [raster.max(), '#00f']], { colorSpace: 'rgb' })

export const registeredJobs = {
  by_class: { type: 'task', task: Scaled, results_renderer: ramp },
  by_place: { type: 'task', task: './jobs.ts#Scaled', resultsRenderer: './jobs.ts#ramp' },
  by_function: { type: 'task', task: double, resultsRenderer: classified([[1, '#111'], [2, Color(1, 2, 3, 4)]]) },
  by_name: { type: 'task', task: 'mine:double', resultsRenderer: unique([[2, '#222'], [1, '#111']], { labels: ['one', 'two'] }) },
  by_old_name: { type: 'task', task: 'ncdjango.geoprocessing.tasks.raster.ApplyExpression', publish_raster_results: true },
  flow: { type: 'workflow', workflow: {
    inputs: [{ name: 'n', type: 'int' }],
    workflow: [
      { id: 'b', task: 'mine:double', inputs: { value: { source: 'dependency', node: ['a', 'scaled'] } } },
      { id: 'a', task: 'mine:scaled', inputs: { value: { source: 'input', input: 'n' } } },
    ],
    outputs: [{ name: 'last', node: ['b', 'doubled'] }],
  } },
}
`

describe('a module of jobs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-jobs-'))
  beforeAll(() => {
    writeFileSync(join(folder, 'jobs.ts'), module)
    writeFileSync(join(folder, 'empty.mjs'), 'export const one = 1\n')
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  const load = (jobs: Record<string, unknown>) =>
    loadJobs({ jobs, hasDemoJobs: false, folder, rasterRoot: undefined })

  // In a Node of its own: the tests' runner resolves modules its own way.
  test('registers classes, functions, places and names, and each runs; renderers are objects, functions and places', () => {
    const room = (file: string) => JSON.stringify(new URL(file, import.meta.url).href)
    const script = `
      const { loadJobs } = await import(${room('./registration.ts')})
      const { runTask } = await import(${room('./task.ts')})
      const { makeRaster } = await import(${room('./demo.ts')})
      const { readRenderer } = await import(${room('../drawing/renderer.ts')})
      const jobs = await loadJobs({ jobs: 'jobs.ts', hasDemoJobs: false, folder: ${JSON.stringify(folder)} })
      const tools = { signal: new AbortController().signal, progress() {}, log() {}, scratchDir: '' }
      const run = async (name, args) => {
        try {
          return Object.fromEntries(await runTask(jobs.get(name).task, new Map(Object.entries(args)), tools))
        } catch (error) {
          return error.message
        }
      }
      const raster = makeRaster({ width: 2, height: 2 })
      const renderers = Object.fromEntries(
        ['by_class', 'by_place', 'by_function', 'by_name'].map(name => [name, readRenderer(jobs.get(name).rendererFor(raster))]))
      console.log(JSON.stringify({
        ran: [
          await run('by_class', { value: '2' }), await run('by_class', { value: 2, factor: '5.9' }),
          await run('by_place', { value: 1 }), await run('by_function', { value: 4.7 }), await run('by_name', { value: 3 }),
          await run('flow', { n: 7 }), await run('by_function', { nothing: 1 }), await run('by_function', {}),
        ],
        publishes: [...jobs].filter(([, job]) => job.publishes).map(([name]) => name),
        renderers,
        strangers: ['__proto__', 'constructor', 'toString'].filter(name => jobs.get(name) !== undefined),
      }))`
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
    const { ran, publishes, renderers, strangers } = JSON.parse(out)
    assert.deepEqual(ran, [
      { scaled: 6, note: 'call 1' },
      { scaled: 10, note: 'call 2' },
      { scaled: 3, note: 'call 1' },
      { doubled: 8 },
      { doubled: 6 },
      { last: 42 },
      'Unrecognized parameter: nothing',
      'Missing required parameters: (value)',
    ])
    assert.deepEqual(publishes, ['by_old_name'])
    assert.deepEqual(strangers, [])
    for (const name of ['by_class', 'by_place']) {
      const { type, colourSpace, entries } = renderers[name]
      assert.deepEqual(
        [type, colourSpace, entries[1]],
        ['stretched', 'rgb', { value: 3, colour: [0, 0, 255, 255] }],
      )
    }
    assert.deepEqual(renderers.by_function.entries[1].colour, [1, 2, 3, 4])
    const labels = renderers.by_name.entries.map(({ value, label }: { value: number; label: string }) => [
      value,
      label,
    ])
    assert.deepEqual(labels, [
      [1, 'one'],
      [2, 'two'],
    ])
  })

  const task = { inputs: [], outputs: [], execute() {} }
  const node = { id: 'a', task: 'demo:sum', inputs: {} }
  for (const [what, entry, expected] of [
    ['no object', 5, /must be an object/],
    ['an unknown type', { type: 'thing' }, /thing is no type of job/],
    ['an unknown task', { type: 'task', task: 'no:such' }, /there is no task no:such/],
    [
      'a task without execute',
      { type: 'task', task: { inputs: [], outputs: [] } },
      /must have inputs, outputs and execute/,
    ],
    ['an arrow that is no class', { type: 'task', task: () => 1 }, /./],
    ['a module that is not there', { type: 'task', task: './none.ts#x' }, /none\.ts/],
    ['a place that is not exported', { type: 'task', task: './empty.mjs#none' }, /does not export none/],
    [
      'a parameter of no type',
      { type: 'task', task: { ...task, inputs: [{ kind: 'integer', name: 'x' }] } },
      /integer is no type/,
    ],
    [
      'a list of nothing',
      { type: 'task', task: { ...task, inputs: [{ kind: 'list', name: 'x' }] } },
      /what its elements are/,
    ],
    ['a workflow without a file', { type: 'workflow', path: './none.json' }, /none\.json/],
    ['a workflow of nothing', { type: 'workflow' }, /must have a path/],
    ['a node that is there twice', { type: 'workflow', workflow: { workflow: [node, node] } }, /./],
    [
      'an output of no node',
      { type: 'workflow', workflow: { outputs: [{ name: 'o', node: ['a', 'b'] }] } },
      /node a/,
    ],
    [
      'an input of no type',
      { type: 'workflow', workflow: { inputs: [{ name: 'i', type: 'whole' }] } },
      /whole is no type/,
    ],
    ['a renderer of no kind', { type: 'task', task, results_renderer: 5 }, /./],
    [
      'a renderer without colours',
      { type: 'task', task, results_renderer: { type: 'stretched' } },
      /must have colors/,
    ],
    ['a command of no words', { type: 'command', command: 'ls' }, /must be a list of words/],
  ] as const) {
    test(`with ${what} stops the start, and the job is named`, async () => {
      await assert.rejects(load({ broken: entry }), error => {
        assert.match((error as Error).message, /^job broken: /)
        assert.match((error as Error).message, expected)
        return true
      })
    })
  }
})
