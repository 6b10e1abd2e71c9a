// The inputs or outputs a recipe, a job type or a condition declares, and whether one interface can be fed from another
// (contracts/scale.md §5.2 and §6.1).

import type { Json, JsonObject } from '../../core/json.ts'
import { member, type Shape } from './json-shape.ts'
import { type Problem, problem } from './problem.ts'

/** The JSON types a parameter can have. */
export const jsonTypes = ['array', 'boolean', 'integer', 'number', 'object', 'string'] as const
/** One of the JSON types. */
export type JsonType = (typeof jsonTypes)[number]

/** A parameter that carries files. */
export interface FileParameter {
  readonly kind: 'file'
  readonly name: string
  readonly mediaTypes: readonly string[]
  readonly required: boolean
  readonly multiple: boolean
}

/** A parameter that carries a JSON value. */
export interface JsonParameter {
  readonly kind: 'json'
  readonly name: string
  readonly type: JsonType
  readonly required: boolean
}

/** One declared input or output. */
export type Parameter = FileParameter | JsonParameter

/** Parameters by name, in the order they were declared. */
export type Interface = ReadonlyMap<string, Parameter>

/** An interface that declares nothing. */
export const emptyInterface: Interface = new Map()

const namePattern = /^[a-zA-Z_-]+$/
const fileShape: Shape = {
  type: 'object',
  required: ['name'],
  members: {
    name: { type: 'string', pattern: namePattern },
    media_types: { type: 'array', items: { type: 'string' } },
    required: { type: 'boolean' },
    multiple: { type: 'boolean' },
  },
  others: false,
}
const jsonShape: Shape = {
  type: 'object',
  required: ['name', 'type'],
  members: {
    name: { type: 'string', pattern: namePattern },
    type: { type: 'string', oneOfWords: jsonTypes },
    required: { type: 'boolean' },
  },
  others: false,
}

/** The shape of an interface document; members that may be left out have defaults. */
export const interfaceShape: Shape = {
  type: 'object',
  members: {
    version: { type: 'string' },
    files: { type: 'array', items: fileShape },
    json: { type: 'array', items: jsonShape },
  },
  others: false,
}

/** The shape inside a condition node, where every member has to be spelled out. */
export const spelledOutInterfaceShape: Shape = {
  ...interfaceShape,
  members: {
    version: { type: 'string' },
    files: {
      type: 'array',
      items: { ...fileShape, required: ['name', 'media_types', 'required', 'multiple'] },
    },
    json: { type: 'array', items: { ...jsonShape, required: ['name', 'type', 'required'] } },
  },
}

/** Builds an interface from a document that fits its shape; a name used twice is left out and reported. */
export function buildInterface(
  document: JsonObject,
  path: readonly string[],
): { value: Interface; problems: Problem[] } {
  const parameters = new Map<string, Parameter>()
  const problems: Problem[] = []
  const add = (parameter: Parameter, list: string, index: number): void => {
    if (parameters.has(parameter.name))
      problems.push(
        problem('DUPLICATE_INPUT', `Duplicate parameter '${parameter.name}'`, [...path, list, index]),
      )
    else parameters.set(parameter.name, parameter)
  }
  for (const [index, item] of listOf(document, 'files').entries())
    add(
      {
        kind: 'file',
        name: String(item['name']),
        mediaTypes: ((member(item, 'media_types') as Json[] | undefined) ?? []).map(String),
        required: member(item, 'required') !== false,
        multiple: member(item, 'multiple') === true,
      },
      'files',
      index,
    )
  for (const [index, item] of listOf(document, 'json').entries())
    add(
      {
        kind: 'json',
        name: String(item['name']),
        type: item['type'] as JsonType,
        required: member(item, 'required') !== false,
      },
      'json',
      index,
    )
  return { value: parameters, problems }
}

/** An interface as clients read it: every member spelled out. */
export function showInterface(parameters: Interface): JsonObject {
  const files: Json[] = []
  const json: Json[] = []
  for (const { name, required, ...parameter } of parameters.values())
    if (parameter.kind === 'file')
      files.push({ name, media_types: [...parameter.mediaTypes], required, multiple: parameter.multiple })
    else json.push({ name, type: parameter.type, required })
  return { files, json }
}

/** Makes an interface from parameters. */
export function interfaceOf(parameters: Iterable<Parameter>): Interface {
  return new Map([...parameters].map(parameter => [parameter.name, parameter]))
}

/** Whether `receiver` can be fed from `provider`: the errors in the receiver's order, and doubts about media types. */
export function acceptInterface(
  receiver: Interface,
  provider: Interface,
): { errors: Problem[]; warnings: Problem[] } {
  const errors: Problem[] = []
  const warnings: Problem[] = []
  for (const parameter of receiver.values()) {
    const error = refuseParameter(parameter, provider.get(parameter.name))
    if (error) errors.push(error)
    else {
      const doubt = doubtMediaTypes(parameter, provider.get(parameter.name))
      if (doubt) warnings.push(doubt)
    }
  }
  return { errors, warnings }
}

/** Why a parameter cannot take what another provides; undefined when it can. */
export function refuseParameter(receiver: Parameter, provider: Parameter | undefined): Problem | undefined {
  const subject = `Parameter '${receiver.name}'`
  if (!provider) return receiver.required ? problem('PARAM_REQUIRED', `${subject} is required`) : undefined
  if (receiver.kind !== provider.kind)
    return problem(
      'MISMATCHED_PARAM_TYPE',
      `${subject} of type '${receiver.kind}' cannot accept type '${provider.kind}'`,
    )
  if (receiver.required && !provider.required)
    return problem('PARAM_REQUIRED', `${subject} is required and cannot accept an optional value`)
  if (receiver.kind === 'file' && provider.kind === 'file' && provider.multiple && !receiver.multiple)
    return problem('NO_MULTIPLE_FILES', `${subject} cannot accept multiple files`)
  if (receiver.kind === 'json' && provider.kind === 'json' && receiver.type !== provider.type)
    return problem(
      'MISMATCHED_JSON_TYPE',
      `${subject} of JSON type '${receiver.type}' cannot accept JSON type '${provider.type}'`,
    )
  return undefined
}

function doubtMediaTypes(receiver: Parameter, provider: Parameter | undefined): Problem | undefined {
  if (receiver.kind !== 'file' || provider?.kind !== 'file') return undefined
  const doubtful = provider.mediaTypes.filter(type => !receiver.mediaTypes.includes(type))
  if (doubtful.length === 0) return undefined
  return problem(
    'MISMATCHED_MEDIA_TYPES',
    `Parameter '${receiver.name}' might not accept [${doubtful.join(', ')}]`,
  )
}

function listOf(document: JsonObject, name: string): JsonObject[] {
  return (member(document, name) as JsonObject[] | undefined) ?? []
}
