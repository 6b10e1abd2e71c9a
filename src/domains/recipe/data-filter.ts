// The filter of a condition node: reading it, and deciding whether data passes it (contracts/scale.md §6.3).

import { isObject, type Json, type JsonObject } from '../../core/json.ts'
import { member, type Shape } from './json-shape.ts'
import { type Problem, problem } from './problem.ts'
import { pythonText } from './python-text.ts'

const stringConditions = ['==', '!=', 'in', 'not in', 'contains'] as const
const numberConditions = ['<', '<=', '>', '>=', '==', '!=', 'between', 'in', 'not in'] as const
const objectConditions = ['subset of', 'superset of'] as const

/** Which conditions each filter type may use. */
export const conditionsOfType: Readonly<Record<string, readonly string[]>> = {
  string: stringConditions,
  filename: stringConditions,
  'media-type': stringConditions,
  'data-type': stringConditions,
  integer: numberConditions,
  number: numberConditions,
  boolean: ['==', '!='],
  object: objectConditions,
  'meta-data': objectConditions,
}
const fileTypes = new Set(['filename', 'media-type', 'data-type', 'meta-data'])

/** One test on one parameter. */
export interface Filter {
  readonly name: string
  readonly type: string
  readonly condition: string
  readonly values: readonly Json[]
  readonly fields?: readonly (readonly string[])[]
  readonly allFields?: boolean
  readonly allFiles?: boolean
}

/** A condition's whole filter: every test must pass, or any one of them. */
export interface DataFilter {
  readonly filters: readonly Filter[]
  readonly all: boolean
}

/** What a filter may ask about a file. */
export interface FilteredFile {
  readonly fileName: string
  readonly mediaType: string
  readonly dataTypes: readonly string[]
  readonly metaData: Json
}

/** The values a filter looks at. */
export interface FilteredData {
  readonly json: ReadonlyMap<string, Json>
  readonly files: ReadonlyMap<string, readonly FilteredFile[]>
}

/** The shape of a filter document. */
export const dataFilterShape: Shape = {
  type: 'object',
  members: {
    version: { type: 'string' },
    all: { type: 'boolean' },
    filters: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name', 'type', 'condition', 'values'],
        members: {
          name: { type: 'string' },
          type: { type: 'string', oneOfWords: Object.keys(conditionsOfType) },
          condition: { type: 'string' },
          values: { type: 'array', minItems: 1 },
          fields: { type: 'array', items: { type: 'array', items: { type: 'string' } } },
          all_fields: { type: 'boolean' },
          all_files: { type: 'boolean' },
        },
        others: false,
      },
    },
  },
  others: false,
}

/** Builds a filter from a document that fits its shape; values of number filters are converted. */
export function buildDataFilter(
  document: JsonObject,
  path: readonly string[],
): { value: DataFilter; problems: Problem[] } {
  const problems: Problem[] = []
  const filters: Filter[] = []
  const items = (member(document, 'filters') as JsonObject[] | undefined) ?? []
  for (const [index, item] of items.entries()) {
    const { filter, problem: refusal } = buildFilter(item, [...path, 'filters', index])
    if (refusal) problems.push(refusal)
    else filters.push(filter)
  }
  return { value: { filters, all: member(document, 'all') !== false }, problems }
}

/** A filter as clients read it, with only the members that were given. */
export function showDataFilter(filter: DataFilter): JsonObject {
  const filters = filter.filters.map(({ name, type, condition, values, fields, allFields, allFiles }) => ({
    name,
    type,
    condition,
    values: [...values],
    ...(fields && { fields: fields.map(field => [...field]) }),
    ...(allFields !== undefined && { all_fields: allFields }),
    ...(allFiles !== undefined && { all_files: allFiles }),
  }))
  return { filters, all: filter.all }
}

/** Whether data passes; a filter without tests lets everything through. */
export function passesDataFilter(filter: DataFilter, data: FilteredData): boolean {
  if (filter.filters.length === 0) return true
  const passes = (one: Filter): boolean => passesFilter(one, data)
  return filter.all ? filter.filters.every(passes) : filter.filters.some(passes)
}

function buildFilter(
  item: JsonObject,
  path: readonly (string | number)[],
): { filter: Filter; problem?: Problem } {
  const name = String(item['name'])
  const type = String(item['type'])
  const condition = String(item['condition'])
  const given = item['values'] as Json[]
  const fields = member(item, 'fields') as string[][] | undefined
  const allFields = member(item, 'all_fields') as boolean | undefined
  const allFiles = member(item, 'all_files') as boolean | undefined
  const values = type === 'integer' || type === 'number' ? given.map(value => convert(value, type)) : given
  const filter: Filter = {
    name,
    type,
    condition,
    values: values as Json[],
    ...(fields && { fields }),
    ...(allFields !== undefined && { allFields }),
    ...(allFiles !== undefined && { allFiles }),
  }
  const wrong = values.indexOf(undefined as never)
  if (wrong >= 0) {
    const expected = type === 'integer' ? 'int' : 'float'
    const found = given[wrong]
    const shown = typeof found === 'string' ? found : pythonText(found)
    return {
      filter,
      problem: problem('VALUE_ERROR', `Expected ${expected} for '${name}', found ${shown}`, path),
    }
  }
  const allowed = conditionsOfType[type]!
  // With fields an object filter compares plain values found inside, so any condition makes sense there.
  const isFree =
    (type === 'object' || type === 'meta-data') && fields !== undefined && isKnownCondition(condition)
  if (!allowed.includes(condition) && !isFree) {
    const words = `Invalid condition '${condition}' for '${name}'. Valid conditions for type '${type}' are: `
    return { filter, problem: problem('INVALID_CONDITION', `${words}${allowed.join(', ')}`, path) }
  }
  if (fields && fields.length !== values.length)
    return {
      filter,
      problem: problem('INVALID_FIELDS', 'Fields property must be same length as values', path),
    }
  return { filter }
}

function isKnownCondition(condition: string): boolean {
  return Object.values(conditionsOfType).some(conditions => conditions.includes(condition))
}

function convert(value: Json, type: string): Json | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isFinite(number)) return undefined
  return type === 'integer' && !Number.isInteger(number) ? undefined : number
}

function passesFilter(filter: Filter, data: FilteredData): boolean {
  const files = data.files.get(filter.name)
  if (!files) return data.json.has(filter.name) && passesValue(filter, data.json.get(filter.name)!)
  if (files.length === 0 || !fileTypes.has(filter.type)) return false
  const passes = (file: FilteredFile): boolean => passesFile(filter, file)
  return filter.allFiles ? files.every(passes) : files.some(passes)
}

function passesFile(filter: Filter, file: FilteredFile): boolean {
  switch (filter.type) {
    case 'filename':
      return passesValue(filter, file.fileName)
    case 'media-type':
      return passesValue(filter, file.mediaType)
    case 'meta-data':
      return passesValue(filter, file.metaData)
    default: {
      // A file has many tags: "is not" must hold for all of them, everything else for any.
      const isDenial = filter.condition === '!=' || filter.condition === 'not in'
      return isDenial
        ? file.dataTypes.every(tag => passesValue(filter, tag))
        : file.dataTypes.some(tag => passesValue(filter, tag))
    }
  }
}

function passesValue(filter: Filter, value: Json): boolean {
  if (!filter.fields) return compare(value, filter.condition, filter.values)
  const passes = (field: readonly string[], index: number): boolean => {
    const wanted = filter.values[index]!
    return compare(lookUp(value, field), filter.condition, Array.isArray(wanted) ? wanted : [wanted])
  }
  return filter.allFields ? filter.fields.every(passes) : filter.fields.some(passes)
}

function lookUp(value: Json, field: readonly string[]): Json {
  let found: Json = value
  for (const name of field) {
    if (!isObject(found) || !Object.hasOwn(found, name)) return null
    found = found[name]!
  }
  return found
}

function compare(value: Json, condition: string, values: readonly Json[]): boolean {
  const first = values[0]!
  switch (condition) {
    case '==':
      return isEqual(value, first)
    case '!=':
      return !isEqual(value, first)
    case 'in':
      return values.some(wanted => isEqual(value, wanted))
    case 'not in':
      return !values.some(wanted => isEqual(value, wanted))
    case 'contains':
      return values.some(wanted => contains(value, wanted))
    case 'subset of':
      return isWithin(value, first)
    case 'superset of':
      return isWithin(first, value)
    case 'between':
      return values.length >= 2 && isOrdered(first, value) && isOrdered(value, values[1]!)
    case '<':
      return isOrdered(value, first) && value !== first
    case '<=':
      return isOrdered(value, first)
    case '>':
      return isOrdered(first, value) && value !== first
    default:
      return isOrdered(first, value)
  }
}

function isOrdered(low: Json, high: Json): boolean {
  if (typeof low === 'number' && typeof high === 'number') return low <= high
  return typeof low === 'string' && typeof high === 'string' && low <= high
}

function contains(value: Json, wanted: Json): boolean {
  if (typeof value === 'string') return typeof wanted === 'string' && value.includes(wanted)
  return Array.isArray(value) && value.some(item => isEqual(item, wanted))
}

function isWithin(part: Json, whole: Json): boolean {
  if (Array.isArray(part))
    return Array.isArray(whole) && part.every(item => whole.some(other => isEqual(item, other)))
  if (!isObject(part) || !isObject(whole)) return false
  return Object.entries(part).every(
    ([name, item]) => Object.hasOwn(whole, name) && isEqual(item, whole[name]!),
  )
}

/** Whether two JSON values are the same, whatever the order of members. */
export function isEqual(one: Json | undefined, other: Json | undefined): boolean {
  if (one === other) return true
  if (Array.isArray(one))
    return (
      Array.isArray(other) &&
      one.length === other.length &&
      one.every((item, index) => isEqual(item, other[index]))
    )
  if (!isObject(one) || !isObject(other)) return false
  const names = Object.keys(one)
  return (
    names.length === Object.keys(other).length &&
    names.every(name => Object.hasOwn(other, name) && isEqual(one[name], other[name]))
  )
}
