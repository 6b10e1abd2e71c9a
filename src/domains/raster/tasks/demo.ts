// The demonstration tasks that ship with the product: small ones for clients to try their connection with.

import { evaluate } from '../expression/evaluate.ts'
import { parseExpression } from '../expression/parse.ts'
import { Float, isFloat, numberOf } from '../values/float.ts'
import { Geometry } from '../values/geometry.ts'
import { castArray, type Dtype, dtypes, fromLists, NdArray } from '../values/nd-array.ts'
import { lonLat, Raster } from '../values/raster.ts'
import { type Parameter, parameters } from './parameter.ts'
import { outputs, type Task, type TaskTools } from './task.ts'

const optional = { required: false }

const someTask: Task = {
  name: 'demo:echo',
  inputs: [parameters.any('in')],
  outputs: [parameters.any('out')],
  keepsFloats: true,
  execute: args => args['in'],
}

const sum: Task = {
  name: 'demo:sum',
  inputs: [parameters.int('int1'), parameters.int('int2')],
  outputs: [parameters.int('sum')],
  execute: ({ int1, int2 }) => (int1 as number) + (int2 as number),
}

const divide: Task = {
  name: 'demo:divide',
  inputs: [parameters.int('numerator'), parameters.int('denominator')],
  outputs: [parameters.int('result'), parameters.int('remainder')],
  execute(args) {
    const [numerator, denominator] = [args['numerator'] as number, args['denominator'] as number]
    if (denominator === 0) throw new Error('integer division or modulo by zero')
    const result = Math.floor(numerator / denominator)
    return outputs({ result, remainder: numerator - result * denominator })
  },
}

const scale: Task = {
  name: 'demo:scale',
  inputs: [parameters.number('value'), parameters.number('factor', optional)],
  outputs: [parameters.number('scaled')],
  keepsFloats: true,
  execute({ value, factor = 5 }) {
    const product = Number(numberOf(value) ?? value) * Number(numberOf(factor) ?? factor)
    return isFloat(value) || isFloat(factor) ? new Float(product) : product
  },
}

const sleep: Task = {
  name: 'demo:sleep',
  inputs: [parameters.number('seconds')],
  outputs: [parameters.number('slept')],
  keepsFloats: true,
  async execute({ seconds }, tools) {
    const ms = Math.max(0, Number(numberOf(seconds) ?? seconds) * 1000)
    if (!(ms <= 86_400_000)) throw new Error('seconds must be at most a day')
    await pause(ms, tools)
    return seconds
  },
}

/** Waits in small steps: the stop is asked for through shared memory, which nothing announces. */
async function pause(ms: number, tools: TaskTools): Promise<void> {
  const stepMs = 50
  for (let slept = 0; slept < ms; slept += stepMs) {
    tools.signal.throwIfAborted()
    tools.progress(slept / ms)
    await new Promise(resolve => setTimeout(resolve, Math.min(stepMs, ms - slept)))
  }
}

const fail: Task = {
  name: 'demo:fail',
  inputs: [parameters.string('message', optional)],
  outputs: [],
  execute({ message = 'boom' }) {
    throw new Error(message as string)
  },
}

const params: Task = {
  name: 'demo:params',
  inputs: [
    parameters.string('str', optional),
    parameters.number('num', optional),
    parameters.int('int', optional),
    parameters.float('float', optional),
    parameters.bool('bool', optional),
    parameters.dict('dict', optional),
    parameters.list(parameters.int(''), 'list', optional),
    parameters.multiple([parameters.int(''), parameters.string('')], 'multi', optional),
    parameters.any('any', optional),
    parameters.feature('feature', optional),
    parameters.featureCollection('features', optional),
    parameters.list(parameters.feature(''), 'feature_list', optional),
  ],
  outputs: [parameters.dict('cleaned')],
  keepsFloats: true,
  execute: args => Object.fromEntries(Object.entries(args).map(([name, value]) => [name, describe(value)])),
}

function describe(value: unknown): unknown {
  if (value instanceof Geometry) {
    return {
      type: value.type,
      bounds: value.bounds.map(edge => new Float(edge)),
      area: new Float(value.area),
    }
  }
  return Array.isArray(value) ? value.map(describe) : value
}

const evalTask: Task = {
  name: 'demo:eval',
  inputs: [
    parameters.string('expression'),
    parameters.dict('context', optional),
    parameters.dict('arrays', optional),
  ],
  outputs: [parameters.any('result'), parameters.string('kind'), parameters.string('dtype')],
  keepsFloats: true,
  execute({ expression, context = {}, arrays = {} }) {
    const names = new Map<string, unknown>(Object.entries(context as object))
    for (const [name, lists] of Object.entries(arrays as object)) names.set(name, fromLists(lists))
    const value = evaluate(parseExpression(expression as string), names)
    const isArray = value instanceof NdArray
    return outputs({
      kind: isArray ? 'array' : 'scalar',
      dtype: isArray ? value.dtype : typeWord(value),
      result: isArray ? value.toLists() : value,
    })
  },
}

function typeWord(value: unknown): string {
  if (isFloat(value)) return 'float'
  if (typeof value === 'number') return 'int'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'string') return 'str'
  return Array.isArray(value) ? 'list' : 'dict'
}

const rasterInputs: readonly Parameter[] = [
  parameters.int('width', optional),
  parameters.int('height', optional),
  parameters.list(parameters.number(''), 'extent', optional),
  parameters.string('projection', optional),
  parameters.bool('y_increasing', optional),
  parameters.string('pattern', optional),
  parameters.number('scale', optional),
  parameters.number('offset', optional),
  parameters.string('dtype', optional),
  parameters.number('mask_above', optional),
]

const raster: Task = {
  name: 'demo:raster',
  inputs: rasterInputs,
  outputs: [parameters.raster('raster_out')],
  execute: args => makeRaster(args),
}

/** A raster that follows a pattern, for trying out maps. */
export function makeRaster(args: Readonly<Record<string, unknown>>): Raster {
  const {
    width = 10,
    height = 10,
    pattern = 'index',
    scale = 1,
    offset = 0,
    dtype = 'float64',
  } = args as {
    width?: number
    height?: number
    pattern?: string
    scale?: number
    offset?: number
    dtype?: string
  }
  const edges = (args['extent'] as number[] | undefined) ?? [0, 0, 10, 10]
  const [xmin, ymin, xmax, ymax] = edges
  if (xmin === undefined || ymin === undefined || xmax === undefined || ymax === undefined)
    throw new Error('extent must be [xmin, ymin, xmax, ymax]')
  if (!(xmax > xmin && ymax > ymin)) throw new Error('extent must have a width and a height')
  if (!(width > 0 && height > 0)) throw new Error('width and height must be greater than 0')
  if (!(dtypes as readonly string[]).includes(dtype)) throw new Error(`${dtype} is no type of cells`)
  const yIncreasing = args['y_increasing'] === true
  const limit = args['mask_above'] as number | undefined
  const size = width * height
  if (size > 67_108_864) throw new Error('a demonstration raster has at most 67108864 cells')
  const data = new Float64Array(size)
  const mask = limit === undefined ? undefined : new Uint8Array(size)
  const cellWidth = (xmax - xmin) / width
  const cellHeight = (ymax - ymin) / height
  const value = patternOf(pattern, { width, cellWidth, cellHeight, xmin, ymin, ymax, yIncreasing })
  for (let row = 0, at = 0; row < height; row++) {
    for (let column = 0; column < width; column++, at++) {
      data[at] = value(row, column) * scale + offset
      if (mask && data[at]! > limit!) mask[at] = 1
    }
  }
  const cells = castArray(new NdArray('float64', [height, width], data, mask), dtype as Dtype)
  const projection = (args['projection'] as string | undefined) ?? lonLat
  return new Raster(cells.dtype, [height, width], cells.data, {
    extent: { xmin, ymin, xmax, ymax, projection },
    yIncreasing,
    mask: mask?.includes(1) ? mask : undefined,
  })
}

function patternOf(
  name: string,
  grid: {
    width: number
    cellWidth: number
    cellHeight: number
    xmin: number
    ymin: number
    ymax: number
    yIncreasing: boolean
  },
): (row: number, column: number) => number {
  switch (name) {
    case 'index':
      return (row, column) => row * grid.width + column
    case 'x':
      return (_, column) => grid.xmin + (column + 0.5) * grid.cellWidth
    case 'y':
      return row =>
        grid.yIncreasing
          ? grid.ymin + (row + 0.5) * grid.cellHeight
          : grid.ymax - (row + 0.5) * grid.cellHeight
    case 'const':
      return () => 0
    case 'checker':
      return (row, column) => (row + column) % 2
    default:
      throw new Error(`${name} is no pattern; there are index, x, y, const and checker`)
  }
}

const twoRasters: Task = {
  name: 'demo:two_rasters',
  inputs: [parameters.number('factor', optional)],
  outputs: [parameters.raster('first'), parameters.raster('second'), parameters.string('note')],
  execute: ({ factor = 2 }) =>
    outputs({ first: makeRaster({}), second: makeRaster({ scale: factor }), note: 'two' }),
}

const rasterInfo: Task = {
  name: 'demo:raster_info',
  inputs: [parameters.raster('data')],
  outputs: [parameters.dict('info')],
  execute({ data }) {
    const source = data as Raster
    const { valid, masked, min, max, sum } = source.summary()
    const { xmin, ymin, xmax, ymax } = source.extent
    const show = (value: number) => (valid === 0 ? null : new Float(value))
    return {
      shape: [...source.shape],
      extent: [xmin, ymin, xmax, ymax].map(edge => new Float(edge)),
      y_increasing: source.yIncreasing,
      valid,
      masked,
      min: show(min),
      max: show(max),
      sum: show(sum),
    }
  },
}

const rasterValues: Task = {
  name: 'demo:raster_values',
  inputs: [parameters.raster('data')],
  outputs: [parameters.array('values')],
  execute: ({ data }) => data,
}

const clip: Task = {
  name: 'demo:clip',
  inputs: [
    parameters.raster('data'),
    parameters.int('row_start'),
    parameters.int('row_stop'),
    parameters.int('col_start'),
    parameters.int('col_stop'),
  ],
  outputs: [parameters.raster('raster_out')],
  execute(args) {
    const { row_start, row_stop, col_start, col_stop } = args as Record<string, number>
    return (args['data'] as Raster).slice({ rows: [row_start!, row_stop!], columns: [col_start!, col_stop!] })
  },
}

export const demoTasks: readonly Task[] = [
  ...[someTask, sum, divide, scale, sleep, fail, params, evalTask],
  ...[raster, twoRasters, rasterInfo, rasterValues, clip],
]
