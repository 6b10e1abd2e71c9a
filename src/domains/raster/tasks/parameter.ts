// Parameters of tasks: what each type accepts, and what becomes of it. The rules are Python's, because clients and
// workflow files rely on them: see contracts/ncdjango.md §3.3.

import { truth } from '../expression/evaluate.ts'
import { Float, numberOf, pythonNumber } from '../values/float.ts'
import { Geometry, readGeometry } from '../values/geometry.ts'
import { fromLists, NdArray } from '../values/nd-array.ts'
import { Raster } from '../values/raster.ts'
import { RasterDataset } from './raster-dataset.ts'

export type ParameterKind =
  | 'any'
  | 'string'
  | 'number'
  | 'int'
  | 'float'
  | 'bool'
  | 'dict'
  | 'list'
  | 'multiple'
  | 'array'
  | 'raster'
  | 'feature'
  | 'feature_collection'
  | 'raster_dataset'
  | 'feature_dataset'

/** A declared input or output of a task. */
export interface Parameter {
  readonly kind: ParameterKind
  readonly name: string
  readonly isRequired: boolean
  /** For `list`: what its elements are. */
  readonly element?: Parameter
  /** For `multiple`: the types, tried in order. */
  readonly choices?: readonly Parameter[]
}

export interface ParameterOptions {
  readonly required?: boolean
}

/** A value that a parameter does not accept. */
export class ParameterNotValidError extends Error {
  constructor(name: string, text: string) {
    super(`The parameter ${name} is not valid: ${text}`)
    this.name = 'ParameterNotValidError'
  }
}

function simple(kind: ParameterKind) {
  return (name: string, options: ParameterOptions = {}): Parameter => ({
    kind,
    name,
    isRequired: options.required ?? true,
  })
}

/** Makers of parameters: `parameters.int('count', { required: false })`. */
export const parameters = {
  any: simple('any'),
  string: simple('string'),
  number: simple('number'),
  int: simple('int'),
  float: simple('float'),
  bool: simple('bool'),
  dict: simple('dict'),
  array: simple('array'),
  raster: simple('raster'),
  feature: simple('feature'),
  featureCollection: simple('feature_collection'),
  rasterDataset: simple('raster_dataset'),
  featureDataset: simple('feature_dataset'),
  list: (element: Parameter, name: string, options: ParameterOptions = {}): Parameter => ({
    kind: 'list',
    name,
    isRequired: options.required ?? true,
    element,
  }),
  multiple: (choices: readonly Parameter[], name: string, options: ParameterOptions = {}): Parameter => ({
    kind: 'multiple',
    name,
    isRequired: options.required ?? true,
    choices,
  }),
}

/** What a value becomes for this parameter; throws a ParameterNotValidError. */
export function cleanValue(parameter: Parameter, value: unknown): unknown {
  const fail = (text: string): never => {
    throw new ParameterNotValidError(parameter.name, text)
  }
  switch (parameter.kind) {
    case 'any':
      return value
    case 'string':
      if (typeof value === 'string') return value
      if (typeof value === 'boolean') return value ? 'True' : 'False'
      return numberOf(value) === undefined ? fail('it must be a string') : pythonNumber(value as number)
    case 'number':
      return cleanNumber(value) ?? fail('it must be a number')
    case 'int': {
      const cleaned = cleanNumber(value)
      if (cleaned === undefined) return fail('it must be a whole number')
      const number = Number(numberOf(cleaned) ?? cleaned)
      return Number.isFinite(number) ? Math.trunc(number) + 0 : fail('it must be a finite number')
    }
    case 'float': {
      const cleaned = cleanNumber(value)
      return cleaned === undefined
        ? fail('it must be a number')
        : new Float(Number(numberOf(cleaned) ?? cleaned))
    }
    case 'bool':
      return typeof value === 'string' && value.toLowerCase() === 'false' ? false : truth(value)
    case 'dict':
      return typeof value === 'object' && value !== null && !(value instanceof NdArray)
        ? value
        : fail('it must be an object or a list')
    case 'list':
      return (Array.isArray(value) ? value : [value]).map(item => cleanValue(parameter.element!, item))
    case 'multiple':
      return cleanByFirst(parameter, value)
    case 'array':
      if (value instanceof NdArray) return value
      return Array.isArray(value) ? arrayOf(value, fail) : fail('it must be an array')
    case 'raster':
      return value instanceof Raster ? value : fail('it must be a raster')
    case 'feature':
      return value instanceof Geometry ? value : fail('it must be a geometry')
    case 'feature_collection':
    case 'feature_dataset':
      return Array.isArray(value) && value.every(item => item instanceof Geometry)
        ? value
        : fail('it must be a list of geometries')
    case 'raster_dataset':
      return value instanceof RasterDataset ? value : fail('it must be a dataset')
  }
}

function arrayOf(value: unknown[], fail: (text: string) => never): NdArray {
  try {
    return fromLists(value)
  } catch (error) {
    return fail((error as Error).message)
  }
}

function cleanByFirst(parameter: Parameter, value: unknown): unknown {
  for (const choice of parameter.choices ?? []) {
    try {
      return cleanValue(choice, value)
    } catch (error) {
      if (!(error instanceof ParameterNotValidError)) throw error
    }
  }
  throw new ParameterNotValidError(parameter.name, 'it fits none of the types')
}

const floatText = /^[+-]?(\d+(_?\d)*\.?(\d+(_?\d)*)?|\.\d+(_?\d)*)(e[+-]?\d+(_?\d)*)?$/i
const specialText = /^([+-]?)(nan|inf|infinity)$/i

/** Numbers and booleans as they are; texts as Python's float() reads them, whole ones becoming whole numbers. */
function cleanNumber(value: unknown): number | Float | boolean | undefined {
  if (typeof value === 'boolean') return value
  if (numberOf(value) !== undefined) return value as number | Float
  if (typeof value !== 'string') return undefined
  const text = value.trim()
  const special = specialText.exec(text)
  if (special) {
    if (special[2]!.toLowerCase() === 'nan') return new Float(Number.NaN)
    return new Float(special[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY)
  }
  if (!floatText.test(text)) return undefined
  return Number(text.replaceAll('_', '')) + 0
}

/** What comes over the web, before cleaning: references become rasters, GeoJSON becomes geometries. */
export async function fromWeb(
  parameter: Parameter,
  value: unknown,
  resolve: (reference: string, kind: 'array' | 'dataset') => unknown | Promise<unknown>,
): Promise<unknown> {
  switch (parameter.kind) {
    case 'raster':
    case 'raster_dataset':
    case 'array': {
      if (typeof value === 'string')
        return resolve(value, parameter.kind === 'raster_dataset' ? 'dataset' : 'array')
      if (parameter.kind === 'array' && Array.isArray(value)) return value
      throw new ParameterNotValidError(parameter.name, 'it must be a service:// reference')
    }
    case 'feature':
      return geometryOf(parameter, value)
    case 'feature_collection':
    case 'feature_dataset':
      return geometriesOf(parameter, value)
    case 'list': {
      const items: unknown[] = []
      for (const item of Array.isArray(value) ? value : [value])
        items.push(await fromWeb(parameter.element!, item, resolve))
      return items
    }
    default:
      return value
  }
}

function geometryOf(parameter: Parameter, value: unknown): Geometry {
  try {
    return readGeometry(value)
  } catch (error) {
    throw new ParameterNotValidError(parameter.name, (error as Error).message)
  }
}

/** A list of geometries or Features, or a FeatureCollection. */
function geometriesOf(parameter: Parameter, value: unknown): Geometry[] {
  const list =
    typeof value === 'object' && value !== null && 'features' in value
      ? (value as { features: unknown }).features
      : value
  if (!Array.isArray(list))
    throw new ParameterNotValidError(parameter.name, 'it must be a list of geometries')
  return list.map(item => {
    const isFeature =
      typeof item === 'object' && item !== null && (item as { type?: unknown }).type === 'Feature'
    return geometryOf(parameter, isFeature ? (item as { geometry: unknown }).geometry : item)
  })
}

const kinds: ReadonlySet<string> = new Set<ParameterKind>([
  ...(['any', 'string', 'number', 'int', 'float', 'bool', 'dict', 'list', 'multiple', 'array'] as const),
  ...(['raster', 'feature', 'feature_collection', 'raster_dataset', 'feature_dataset'] as const),
])

/** A parameter that a module wrote down as an object; throws with what is wrong. */
export function checkedParameter(given: Readonly<Record<string, unknown>>): Parameter {
  const { kind, name, isRequired = true, element, choices } = given
  if (typeof kind !== 'string' || !kinds.has(kind)) throw new Error(`${String(kind)} is no type of parameter`)
  if (typeof name !== 'string') throw new Error('a parameter must have a name')
  const nested = (value: unknown): Parameter =>
    checkedParameter(asObject(value, `the types within ${name} must be parameters`))
  if (kind === 'list' && element === undefined)
    throw new Error(`the list ${name} must say what its elements are`)
  if (kind === 'multiple' && !Array.isArray(choices)) throw new Error(`${name} must list its types`)
  return {
    ...{ kind: kind as ParameterKind, name, isRequired: isRequired !== false },
    ...(element === undefined ? {} : { element: nested(element) }),
    ...(Array.isArray(choices) ? { choices: choices.map(nested) } : {}),
  }
}

/** A parameter as workflow files declare one: `{name, type, args: [positional, keyword]}`. */
export function readParameter(declared: unknown): Parameter {
  const { name, type, args } = asObject(declared, 'an input must be an object')
  if (typeof name !== 'string' || name === '') throw new Error('an input must have a name')
  return build(type, args, name, 0)
}

function build(type: unknown, args: unknown, name: string, depth: number): Parameter {
  if (typeof type !== 'string' || !kinds.has(type)) throw new Error(`${String(type)} is no type of parameter`)
  if (depth > 8) throw new Error('parameter types are nested more than 8 levels deep')
  const [positional, keyword] = Array.isArray(args) ? args : [[], {}]
  const list = Array.isArray(positional) ? positional : []
  const words = asObject(keyword ?? {}, `the args of ${name} must be [positional, keyword]`)
  const options = words['required'] === undefined ? {} : { required: truth(words['required']) }
  const nested = (value: unknown): Parameter => {
    if (!Array.isArray(value)) throw new Error(`the element type of ${name} must be [type, args]`)
    return build(value[0], value[1], name, depth + 1)
  }
  if (type === 'list') return parameters.list(nested(list[0]), name, options)
  if (type === 'multiple') {
    const choices = list[0]
    if (!Array.isArray(choices) || choices.length === 0) throw new Error(`${name} must list its types`)
    return parameters.multiple(choices.map(nested), name, options)
  }
  return simple(type as ParameterKind)(name, options)
}

function asObject(value: unknown, text: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(text)
  return value as Record<string, unknown>
}
