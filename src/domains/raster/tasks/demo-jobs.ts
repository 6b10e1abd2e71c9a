// The demonstration jobs: what they are called, which tasks and workflows they run, and how their rasters are drawn.

import type { Raster } from '../values/raster.ts'
import type { JobEntry } from './registration.ts'

const literal = (input: number) => ({ source: 'literal', input })
const input = (name: string) => ({ source: 'input', input: name })
const from = (node: string, output: string) => ({ source: 'dependency', node: [node, output] })
const ints = (...names: string[]) => names.map(name => ({ name, type: 'int' }))

const total = {
  meta: { name: 'demo total', description: 'adds three integers' },
  inputs: ints('int1', 'int2', 'int3'),
  workflow: [
    { id: 'sum_1', task: 'demo:sum', inputs: { int1: input('int1'), int2: input('int2') } },
    { id: 'sum_2', task: 'demo:sum', inputs: { int1: input('int3'), int2: from('sum_1', 'sum') } },
  ],
  outputs: [{ name: 'total', node: ['sum_2', 'sum'] }],
}

const diamond = {
  meta: { name: 'demo diamond' },
  inputs: ints('n'),
  workflow: [
    { id: 'd', task: 'demo:sum', inputs: { int1: from('b', 'scaled'), int2: from('c', 'scaled') } },
    { id: 'a', task: 'demo:scale', inputs: { value: input('n'), factor: literal(2) } },
    { id: 'b', task: 'demo:scale', inputs: { value: from('a', 'scaled'), factor: literal(3) } },
    { id: 'c', task: 'demo:scale', inputs: { value: from('a', 'scaled') } },
  ],
  outputs: [
    { name: 'first', node: ['a', 'scaled'] },
    { name: 'last', node: ['d', 'sum'] },
  ],
}

const literals = {
  meta: { name: 'demo literals' },
  inputs: ints('numerator', 'denominator'),
  workflow: [
    {
      id: 'divide',
      task: 'demo:divide',
      inputs: { numerator: input('numerator'), denominator: input('denominator') },
    },
    {
      id: 'sum',
      task: 'demo:sum',
      inputs: { int1: from('divide', 'result'), int2: from('divide', 'remainder') },
    },
  ],
  outputs: [
    { name: 'q', node: ['divide', 'result'] },
    { name: 'q_plus_r', node: ['sum', 'sum'] },
  ],
}

const mapReduce = {
  meta: { name: 'demo map reduce' },
  inputs: [{ name: 'arrays_in', type: 'list', args: [[['array', [[''], {}]]], {}] }],
  workflow: [
    {
      id: 'map',
      task: 'raster:map_by_expression',
      inputs: { arrays_in: input('arrays_in'), expression: { source: 'literal', input: 'x / max(x)' } },
    },
    {
      id: 'reduce',
      task: 'raster:reduce_by_expression',
      inputs: { arrays_in: from('map', 'arrays_out'), expression: { source: 'literal', input: 'x + y' } },
    },
  ],
  outputs: [{ name: 'array_out', node: ['reduce', 'array_out'] }],
}

const task = (name: string): JobEntry => ({ type: 'task', task: name })
const published = (name: string, renderer?: JobEntry['resultsRenderer']): JobEntry => ({
  ...task(name),
  publishRasterResults: true,
  ...(renderer === undefined ? {} : { resultsRenderer: renderer }),
})
const workflow = (document: object): JobEntry => ({ type: 'workflow', workflow: document })
const renderer = (type: string, colors: [number, string][], options = {}) => ({ type, colors, options })

export const demoJobs: Readonly<Record<string, JobEntry>> = {
  some_job: task('demo:echo'),
  sum_numbers: task('demo:sum'),
  demo_divide: task('demo:divide'),
  demo_scale: task('demo:scale'),
  demo_sleep: task('demo:sleep'),
  demo_fail: task('demo:fail'),
  demo_params: task('demo:params'),
  demo_eval: task('demo:eval'),
  demo_raster: published('demo:raster'),
  demo_raster_unpublished: task('demo:raster'),
  demo_raster_stretched: published(
    'demo:raster',
    renderer('stretched', [
      [0, '#f00'],
      [100, '#00f'],
    ]),
  ),
  demo_raster_rgb: published(
    'demo:raster',
    renderer(
      'stretched',
      [
        [0, '#f00'],
        [50, '#ff0'],
        [100, '#00f'],
      ],
      { color_space: 'rgb' },
    ),
  ),
  demo_raster_fn: published('demo:raster', (raster: Raster) =>
    renderer('stretched', [
      [raster.min(), '#f00'],
      [raster.max(), '#00f'],
    ]),
  ),
  demo_raster_classified: published(
    'demo:raster',
    renderer('classified', [
      [25, '#f00'],
      [50, '#ff0'],
      [75, '#0f0'],
      [100, '#00f'],
    ]),
  ),
  demo_raster_unique: published(
    'demo:raster',
    renderer(
      'unique',
      [
        [0, '#f00'],
        [1, '#00f'],
      ],
      { labels: ['zero', 'one'] },
    ),
  ),
  demo_two_rasters: published('demo:two_rasters'),
  demo_raster_info: task('demo:raster_info'),
  demo_raster_values: task('demo:raster_values'),
  demo_clip: published('demo:clip'),
  demo_apply_expression: published('raster:apply_expression'),
  demo_mask_by_expression: published('raster:mask_by_expression'),
  demo_map_by_expression: published('raster:map_by_expression'),
  demo_reduce_by_expression: published('raster:reduce_by_expression'),
  demo_total: workflow(total),
  demo_diamond: workflow(diamond),
  demo_literals: workflow(literals),
  demo_map_reduce: { ...workflow(mapReduce), publishRasterResults: true },
}
