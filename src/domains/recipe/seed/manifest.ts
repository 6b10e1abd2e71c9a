// Seed manifests: the description of one containerised program (contracts/scale.md §6.4 and §7.2). Reads and checks
// them, fills in defaults, and gives the parts the rest of the room works with.

import { isObject, type Json, type JsonObject } from '../../../core/json.ts'
import { buildInterface, type Interface, jsonTypes } from '../interface.ts'
import { faultText, findFaults, member, type Shape } from '../json-shape.ts'
import { type Problem, problem, type Verdict } from '../problem.ts'

/** A file output and how it is found in the output directory. */
export interface FileOutput {
  readonly name: string
  readonly mediaType: string
  readonly pattern: string
  readonly multiple: boolean
  readonly required: boolean
}

/** A JSON output and the key under which the program writes it. */
export interface JsonOutput {
  readonly name: string
  readonly type: (typeof jsonTypes)[number]
  readonly key: string
  readonly required: boolean
}

/** A resource the program asks for; it may grow with the size of the input. */
export interface ResourceWish {
  readonly name: string
  readonly value: number
  readonly inputMultiplier: number
}

/** An exit code with a meaning. */
export interface ManifestError {
  readonly code: number
  readonly name: string
  readonly title: string
  readonly description: string
  readonly category: 'job' | 'data'
}

/** A manifest with everything spelled out. */
export interface Manifest {
  readonly name: string
  readonly version: string
  readonly title: string
  readonly description: string
  readonly tags: readonly string[]
  readonly timeoutMs: number
  readonly command: string
  readonly input: Interface
  readonly output: Interface
  readonly partialInputs: ReadonlySet<string>
  readonly fileOutputs: readonly FileOutput[]
  readonly jsonOutputs: readonly JsonOutput[]
  readonly mounts: readonly { readonly name: string; readonly path: string; readonly mode: 'ro' | 'rw' }[]
  readonly settings: readonly { readonly name: string; readonly secret: boolean }[]
  readonly resources: readonly ResourceWish[]
  readonly errors: readonly ManifestError[]
  /** The document with defaults filled in, as it is stored and shown. */
  readonly document: JsonObject
}

const text: Shape = { type: 'string' }
const flag: Shape = { type: 'boolean' }
const namePattern = /^[a-zA-Z0-9_-]+$/
const named: Shape = { type: 'string', pattern: namePattern }
const versionPattern =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/
const version: Shape = { type: 'string', pattern: versionPattern }
const only = (members: Readonly<Record<string, Shape>>, ...required: string[]): Shape => ({
  type: 'object',
  required,
  members,
  others: false,
})
const list = (items: Shape): Shape => ({ type: 'array', items })
const jsonType: Shape = { type: 'string', oneOfWords: jsonTypes }

const inputsShape = only({
  files: list(
    only({ name: named, required: flag, mediaTypes: list(text), multiple: flag, partial: flag }, 'name'),
  ),
  json: list(only({ name: named, type: jsonType, required: flag }, 'name', 'type')),
})
const outputsShape = only({
  files: list(
    only({ name: named, mediaType: text, pattern: text, multiple: flag, required: flag }, 'name', 'pattern'),
  ),
  json: list(only({ name: named, type: jsonType, key: text, required: flag }, 'name', 'type')),
})
const interfaceShape = only({
  command: text,
  inputs: inputsShape,
  outputs: outputsShape,
  mounts: list(
    only({ name: named, path: text, mode: { type: 'string', oneOfWords: ['ro', 'rw'] } }, 'name', 'path'),
  ),
  settings: list(only({ name: named, secret: flag }, 'name')),
})
const jobShape = only(
  {
    name: { type: 'string', pattern: /^[a-zA-Z0-9-]+$/ },
    jobVersion: version,
    packageVersion: version,
    title: text,
    description: text,
    tags: list(text),
    maintainer: only(
      { name: text, organization: text, email: text, url: text, phone: text },
      'name',
      'email',
    ),
    timeout: { type: 'integer', minimum: 0 },
    interface: interfaceShape,
    resources: only({
      scalar: list(
        only(
          { name: named, value: { type: 'number' }, inputMultiplier: { type: 'number' } },
          'name',
          'value',
        ),
      ),
    }),
    errors: list(
      only(
        {
          code: { type: 'integer' },
          name: named,
          title: text,
          description: text,
          category: { type: 'string', oneOfWords: ['job', 'data'] },
        },
        'code',
        'name',
      ),
    ),
  },
  'name',
  'jobVersion',
  'packageVersion',
  'title',
  'description',
  'maintainer',
  'timeout',
)
const manifestShape = only(
  { seedVersion: { type: 'string', oneOfWords: ['1.0.0'] }, job: jobShape },
  'seedVersion',
  'job',
)

const standardResources = new Set(['cpus', 'mem', 'disk', 'gpus', 'sharedmem'])

/** Reads a manifest; `manifest` is there exactly when there are no errors. */
export function readManifest(document: JsonObject): Verdict & { readonly manifest?: Manifest } {
  const faults = findFaults(document, manifestShape)
  if (faults.length > 0) {
    const errors = faults.map(fault =>
      problem('JSON_VALIDATION_ERROR', `Error validating against schema: ${faultText(fault)}`, fault.path),
    )
    return { errors, warnings: [] }
  }
  const manifest = buildManifest(document)
  const errors = findContradictions(manifest)
  const warnings = manifest.resources
    .filter(resource => !standardResources.has(resource.name))
    .map(({ name }) =>
      // The misspelling is the original's; clients show the text as it is.
      problem(
        'NONSTANDARD_RESOURCE',
        `'${name}' is not a standard resouce. This job type might not be schedulable.`,
      ),
    )
  return errors.length > 0 ? { errors, warnings } : { errors, warnings, manifest }
}

/** Reads a manifest this server stored itself. */
export function readStoredManifest(document: JsonObject): Manifest {
  const { manifest, errors } = readManifest(document)
  if (!manifest) throw new Error(`a stored Seed manifest is broken: ${errors[0]?.description}`)
  return manifest
}

/** The name under which a program finds an input or setting in its environment. */
export function environmentName(name: string): string {
  return name.toUpperCase().replaceAll('-', '_')
}

function findContradictions(manifest: Manifest): Problem[] {
  const errors: Problem[] = []
  const names = [
    'OUTPUT_DIR',
    ...[...manifest.input.keys()].map(environmentName),
    ...manifest.settings.map(setting => environmentName(setting.name)),
    ...manifest.resources.map(resource => environmentName(`ALLOCATED_${resource.name}`)),
  ]
  if (hasDoubles(names) || hasDoubleInputs(manifest.document))
    // Sic: the missing blank is part of the text clients know.
    errors.push(
      problem(
        'NAME_COLLISION_ERROR',
        'Collisions are not allowed between reserved keywords, resources, settingsand input names.',
      ),
    )
  if (hasDoubles(manifest.mounts.map(mount => mount.name)))
    errors.push(problem('DUPLICATE_MOUNT_NAMES', 'Mount names must be unique.'))
  if (hasDoubles(manifest.errors.map(error => error.name)))
    errors.push(problem('DUPLICATE_ERROR_NAMES', 'Error names must be unique.'))
  for (const mount of manifest.mounts)
    if (!mount.path.startsWith('/'))
      errors.push(problem('INVALID_MOUNT_PATH', `${mount.name} mount must have an absolute path`))
  const gpus = manifest.resources.find(resource => resource.name === 'gpus')
  if (gpus && !Number.isInteger(gpus.value))
    errors.push(
      problem(
        'JSON_VALIDATION_ERROR',
        `Error validating against schema: gpus must be a whole number, not ${gpus.value}`,
      ),
    )
  if (hasDoubles([...manifest.fileOutputs, ...manifest.jsonOutputs].map(output => output.name)))
    errors.push(
      problem('JSON_VALIDATION_ERROR', 'Error validating against schema: output names must be unique'),
    )
  return errors
}

// The interface keeps one parameter per name, so doubles can only be seen in the document.
function hasDoubleInputs(document: JsonObject): boolean {
  const inputs = objectAt(objectAt(objectAt(document, 'job'), 'interface'), 'inputs')
  return hasDoubles(
    [...listAt(inputs, 'files'), ...listAt(inputs, 'json')].map(input => String(input['name'])),
  )
}

function hasDoubles(names: readonly string[]): boolean {
  return new Set(names).size < names.length
}

function buildManifest(given: JsonObject): Manifest {
  const document = withDefaults(given)
  const job = objectAt(document, 'job')
  const face = objectAt(job, 'interface')
  const [inputs, outputs] = [objectAt(face, 'inputs'), objectAt(face, 'outputs')]
  const fileOutputs = listAt(outputs, 'files') as unknown as FileOutput[]
  const jsonOutputs = listAt(outputs, 'json').map(output => ({
    ...(output as unknown as JsonOutput),
    key: String(member(output, 'key') ?? output['name']),
  }))
  const input = buildInterface(
    {
      files: listAt(inputs, 'files').map(({ name, mediaTypes, required, multiple }) => ({
        name: name!,
        media_types: mediaTypes!,
        required: required!,
        multiple: multiple!,
      })),
      json: listAt(inputs, 'json'),
    },
    [],
  ).value
  const output = buildInterface(
    {
      files: fileOutputs.map(({ name, mediaType, required, multiple }) => ({
        name,
        media_types: [mediaType],
        required,
        multiple,
      })),
      json: jsonOutputs.map(({ name, type, required }) => ({ name, type, required })),
    },
    [],
  ).value
  const partial = listAt(inputs, 'files').filter(file => file['partial'] === true)
  return {
    name: String(job['name']),
    version: String(job['jobVersion']),
    title: String(job['title']),
    description: String(job['description']),
    tags: (member(job, 'tags') as string[] | undefined) ?? [],
    timeoutMs: Number(job['timeout']) * 1000,
    command: String(member(face, 'command') ?? ''),
    input,
    output,
    partialInputs: new Set(partial.map(file => String(file['name']))),
    fileOutputs,
    jsonOutputs,
    mounts: listAt(face, 'mounts') as unknown as Manifest['mounts'],
    settings: listAt(face, 'settings') as unknown as Manifest['settings'],
    resources: listAt(objectAt(job, 'resources'), 'scalar').map(({ name, value, inputMultiplier }) => ({
      name: String(name),
      value: Number(value),
      inputMultiplier: Number(inputMultiplier ?? 0),
    })),
    errors: listAt(job, 'errors') as unknown as ManifestError[],
    document,
  }
}

// Only lists that were given get their members' defaults: what a manifest leaves out stays out, as clients expect.
function withDefaults(document: JsonObject): JsonObject {
  const job = { ...objectAt(document, 'job') }
  if (isObject(job['interface'])) job['interface'] = interfaceWithDefaults(objectAt(job, 'interface'))
  if (Array.isArray(job['errors']))
    job['errors'] = listAt(job, 'errors').map(error => ({
      title: error['name']!,
      category: 'job',
      description: '',
      ...error,
    }))
  return { ...document, job }
}

function interfaceWithDefaults(face: JsonObject): JsonObject {
  const filled = { ...face }
  const fill = (holder: string, name: string, defaults: JsonObject): void => {
    if (!isObject(filled[holder]) || !Array.isArray(member(objectAt(filled, holder), name))) return
    const items: Json[] = listAt(objectAt(filled, holder), name).map(item => ({ ...defaults, ...item }))
    filled[holder] = { ...objectAt(filled, holder), [name]: items }
  }
  fill('inputs', 'files', { required: true, mediaTypes: [], multiple: false, partial: false })
  fill('inputs', 'json', { required: true })
  fill('outputs', 'files', { mediaType: 'application/octet-stream', multiple: false, required: true })
  fill('outputs', 'json', { required: true })
  if (Array.isArray(filled['mounts']))
    filled['mounts'] = listAt(filled, 'mounts').map(item => ({ mode: 'ro', ...item }))
  if (Array.isArray(filled['settings']))
    filled['settings'] = listAt(filled, 'settings').map(item => ({ secret: false, ...item }))
  return filled
}

function objectAt(document: JsonObject, name: string): JsonObject {
  return (member(document, name) as JsonObject | undefined) ?? {}
}

function listAt(document: JsonObject, name: string): JsonObject[] {
  return (member(document, name) as JsonObject[] | undefined) ?? []
}
