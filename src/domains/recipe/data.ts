// The values given to a recipe or a job: file ids and JSON values by parameter name, and whether they fit an interface
// (contracts/scale.md §6.2 and §7.4). Knows nothing of the files themselves.

import { isObject, type Json, type JsonObject } from '../../core/json.ts'
import type { Interface, JsonType, Parameter } from './interface.ts'
import { faultText, findFaults, member, type Shape } from './json-shape.ts'
import { type Problem, problem, type Reading, read, unreadable } from './problem.ts'
import { pythonText } from './python-text.ts'

/** Values by parameter name. */
export interface Data {
  readonly files: ReadonlyMap<string, readonly number[]>
  readonly json: ReadonlyMap<string, Json>
}

/** No values at all. */
export const emptyData: Data = { files: new Map(), json: new Map() }

const dataShape: Shape = {
  type: 'object',
  members: {
    version: { type: 'string' },
    files: { type: 'object', others: { type: 'array', minItems: 1, items: { type: 'integer' } } },
    json: { type: 'object' },
  },
  others: false,
}

/** Reads a data document of any accepted version. */
export function readData(document: JsonObject): Reading<Data> {
  if (Object.keys(document).length === 0) return read(emptyData)
  const version = member(document, 'version') ?? '7'
  if (version === '1.0') return readOldData(document)
  if (version !== '6' && version !== '7')
    return unreadable('INVALID_DATA', `${asText(version)} is an unsupported version number`, ['version'])
  const faults = findFaults(document, dataShape)
  if (faults.length > 0)
    return { ok: false, problems: faults.map(fault => problem('INVALID_DATA', faultText(fault), fault.path)) }
  const files = new Map(Object.entries((member(document, 'files') ?? {}) as Record<string, number[]>))
  const json = new Map(Object.entries((member(document, 'json') ?? {}) as JsonObject))
  for (const name of files.keys())
    if (json.has(name))
      return unreadable('INVALID_DATA', `${name} cannot be defined more than once`, ['json', name])
  return read({ files, json })
}

/** Data as clients read it. */
export function showData(data: Data): { files: Record<string, number[]>; json: JsonObject } {
  const files = Object.fromEntries([...data.files].map(([name, ids]) => [name, [...ids]]))
  return { files, json: Object.fromEntries(data.json) }
}

/** Checks data against an interface and keeps only what is declared; the problems come in the interface's order. */
export function fitData(data: Data, parameters: Interface): { data: Data; problems: Problem[] } {
  const problems: Problem[] = []
  const files = new Map<string, readonly number[]>()
  const json = new Map<string, Json>()
  for (const parameter of parameters.values()) {
    const { name } = parameter
    const refusal = refuseValue(parameter, data)
    if (refusal) problems.push(refusal)
    else if (parameter.kind === 'file' && data.files.has(name)) files.set(name, data.files.get(name)!)
    else if (parameter.kind === 'json' && data.json.has(name)) json.set(name, data.json.get(name)!)
  }
  return { data: { files, json }, problems }
}

/** Every file id the data names, each once. */
export function fileIdsOf(data: Data): number[] {
  return [...new Set([...data.files.values()].flat())]
}

function refuseValue(parameter: Parameter, data: Data): Problem | undefined {
  const { name, kind } = parameter
  const subject = `Parameter '${name}'`
  const given = data.files.has(name) ? 'file' : data.json.has(name) ? 'json' : undefined
  if (!given) return parameter.required ? problem('PARAM_REQUIRED', `${subject} is required`) : undefined
  if (given !== kind)
    return problem(
      'MISMATCHED_PARAM_TYPE',
      `${subject} of type '${kind}' cannot accept data of type '${given}'`,
    )
  if (kind === 'file') {
    const count = data.files.get(name)!.length
    if (count === 0) return problem('NO_FILES', `${subject} cannot accept zero files`)
    if (count > 1 && !parameter.multiple)
      return problem('MULTIPLE_FILES', `${subject} cannot accept multiple files`)
    return undefined
  }
  if (isOfType(data.json.get(name), parameter.type)) return undefined
  return problem('INVALID_JSON_TYPE', `${subject} must receive ${articled[parameter.type]}`)
}

const articled: Record<JsonType, string> = {
  array: 'an array',
  boolean: 'a boolean',
  integer: 'an integer',
  number: 'a number',
  object: 'a JSON object',
  string: 'a string',
}

/** Whether a value is of a JSON type; an integer is a number, null is nothing. */
export function isOfType(value: Json | undefined, type: JsonType): boolean {
  switch (type) {
    case 'array':
      return Array.isArray(value)
    case 'object':
      return isObject(value)
    case 'integer':
      return Number.isInteger(value)
    default:
      return typeof value === type
  }
}

// The form before Scale 6: a list of inputs. Outputs named there belong to other documents and are dropped;
// a stored job result has only outputs, which then are the data.
function readOldData(document: JsonObject): Reading<Data> {
  const inputs = member(document, 'input_data')
  const list = inputs !== undefined ? inputs : (member(document, 'output_data') ?? [])
  const listName = inputs !== undefined ? 'input_data' : 'output_data'
  if (!Array.isArray(list))
    return unreadable('INVALID_DATA', `${pythonText(list)} is not of type 'array'`, [listName])
  const files = new Map<string, readonly number[]>()
  const json = new Map<string, Json>()
  for (const [index, item] of list.entries()) {
    const path = [listName, index]
    if (!isObject(item))
      return unreadable('INVALID_DATA', `${pythonText(item)} is not of type 'object'`, path)
    const name = member(item, 'name')
    if (typeof name !== 'string')
      return unreadable('INVALID_DATA', 'Every data input must have a "name" field', path)
    if (files.has(name) || json.has(name))
      return unreadable('INVALID_DATA', `${name} cannot be defined more than once`, path)
    const ids = Object.hasOwn(item, 'file_id') ? [item['file_id']] : member(item, 'file_ids')
    if (ids !== undefined) {
      if (!Array.isArray(ids) || ids.length === 0)
        return unreadable('INVALID_DATA', `${pythonText(ids)} is not a list of file ids for ${name}`, path)
      const wrong = ids.find(id => !Number.isInteger(id))
      if (wrong !== undefined)
        return unreadable('INVALID_DATA', `${pythonText(wrong)} is not of type 'integer'`, path)
      files.set(name, ids as number[])
    } else if (Object.hasOwn(item, 'value')) json.set(name, item['value'] as Json)
    else
      return unreadable(
        'INVALID_DATA',
        `Data input ${name} must have a "file_id", "file_ids" or "value" field`,
        path,
      )
  }
  return read({ files, json })
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : pythonText(value)
}
