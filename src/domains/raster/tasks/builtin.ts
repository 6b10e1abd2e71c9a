// The built-in raster tasks: expressions applied to arrays, and arrays out of datasets.

import { realpathSync } from 'node:fs'
import { resolve, sep } from 'node:path'
import { evaluate, placedAmong } from '../expression/evaluate.ts'
import { maskWhere } from '../expression/functions.ts'
import { freeNames, parseExpression } from '../expression/parse.ts'
import type { Node } from '../expression/tree.ts'
import { openDataset } from '../netcdf/open-dataset.ts'
import type { NdArray } from '../values/nd-array.ts'
import { parameters } from './parameter.ts'
import type { RasterDataset } from './raster-dataset.ts'
import type { Task } from './task.ts'

type Args = Readonly<Record<string, unknown>>

/** The tasks of the original under their names. Without a root folder no file can be loaded by its path. */
export function builtinTasks({ rasterRoot }: { rasterRoot: string | undefined }): readonly Task[] {
  return [
    {
      name: 'raster:load_dataset',
      inputs: [parameters.string('path')],
      outputs: [parameters.rasterDataset('dataset_out')],
      execute: async ({ path }) => openDataset(pathWithin(rasterRoot, path as string)),
    },
    {
      name: 'raster:array_from_dataset',
      inputs: [parameters.rasterDataset('dataset'), parameters.string('variable')],
      outputs: [parameters.array('array_out')],
      execute: ({ dataset, variable }) => (dataset as RasterDataset).read(variable as string),
    },
    applyExpression,
    maskByExpression,
    mapByExpression,
    reduceByExpression,
  ]
}

function pathWithin(root: string | undefined, path: string): string {
  if (root === undefined) throw new Error('datasets cannot be loaded by path: no rasterRoot is configured')
  const folder = realpathSync(root)
  const file = realpathSync(resolve(folder, path))
  if (!file.startsWith(folder + sep)) throw new Error(`${path} is not below the folder for rasters`)
  return file
}

const applyExpression: Task = {
  name: 'raster:apply_expression',
  inputs: [parameters.array('array_in'), parameters.string('expression')],
  outputs: [parameters.array('array_out')],
  allowExtraArgs: true,
  keepsFloats: true,
  execute(args) {
    const { node, name, extras } = oneVariable(args, ['array_in', 'expression'])
    return applied(node, name, args['array_in'], extras)
  },
}

const maskByExpression: Task = {
  name: 'raster:mask_by_expression',
  inputs: [parameters.array('array_in'), parameters.string('expression')],
  outputs: [parameters.array('array_out')],
  allowExtraArgs: true,
  keepsFloats: true,
  execute(args) {
    const { node, name, extras } = oneVariable(args, ['array_in', 'expression'])
    const array = args['array_in'] as NdArray
    return maskWhere(array, evaluate(node, new Map([...extras, [name, array]])))
  },
}

const mapByExpression: Task = {
  name: 'raster:map_by_expression',
  inputs: [
    parameters.list(parameters.array(''), 'arrays_in'),
    parameters.string('expression'),
    parameters.bool('generator', { required: false }),
  ],
  outputs: [parameters.list(parameters.array(''), 'arrays_out')],
  allowExtraArgs: true,
  keepsFloats: true,
  execute(args, tools) {
    const { node, name, extras } = oneVariable(args, ['arrays_in', 'expression', 'generator'])
    return (args['arrays_in'] as NdArray[]).map((array, index) => {
      tools.signal.throwIfAborted()
      return applied(node, name, array, new Map([...extras, ['i', index]]))
    })
  },
}

const reduceByExpression: Task = {
  name: 'raster:reduce_by_expression',
  inputs: [
    parameters.list(parameters.array(''), 'arrays_in'),
    parameters.string('expression'),
    parameters.array('initial_array', { required: false }),
  ],
  outputs: [parameters.array('array_out')],
  allowExtraArgs: true,
  keepsFloats: true,
  execute(args, tools) {
    const node = parseExpression(args['expression'] as string)
    const extras = extrasOf(args, ['arrays_in', 'expression', 'initial_array'])
    const names = freeNames(node).filter(name => !extras.has(name))
    const [whole, next] = names
    if (whole === undefined || next === undefined || names.length !== 2)
      throw new Error('The expression must have exactly two variables.')
    const arrays = [...(args['arrays_in'] as NdArray[])]
    let result: unknown = args['initial_array'] ?? arrays.shift()
    if (result === undefined) throw new TypeError('an empty list cannot be reduced without an initial array')
    for (const array of arrays) {
      tools.signal.throwIfAborted()
      const names = new Map<string, unknown>([...extras, [whole, result], [next, array]])
      result = placedAmong(evaluate(node, names), [result, array])
    }
    return result
  },
}

function applied(node: Node, name: string, array: unknown, extras: ReadonlyMap<string, unknown>): unknown {
  return placedAmong(evaluate(node, new Map([...extras, [name, array]])), [array])
}

function extrasOf(args: Args, own: readonly string[]): Map<string, unknown> {
  return new Map(Object.entries(args).filter(([name]) => !own.includes(name)))
}

function oneVariable(args: Args, own: readonly string[]) {
  const node = parseExpression(args['expression'] as string)
  const extras = extrasOf(args, own)
  const names = freeNames(node).filter(name => name !== 'i' && !extras.has(name))
  if (names.length !== 1) throw new Error('The expression must have exactly one variable.')
  return { node, name: names[0]!, extras }
}
