// Converts a definition of version 1.0 (lists of inputs and jobs) to the current form. Scale stopped writing this form
// long ago, but installations still import it: contracts/scale.md §6.3.

import type { Json, JsonObject } from '../../core/json.ts'
import type { CurrentRevisions } from './definition.ts'
import { type Fault, findFaults, member, type Shape } from './json-shape.ts'
import { type Problem, problem, type Reading, read } from './problem.ts'
import { pythonText } from './python-text.ts'

const text: Shape = { type: 'string' }
const pairs = (...names: string[]): Shape => ({
  type: 'array',
  items: {
    type: 'object',
    required: names,
    members: Object.fromEntries(names.map(name => [name, text])),
    others: false,
  },
})
const oldShape: Shape = {
  type: 'object',
  required: ['jobs'],
  members: {
    version: text,
    input_data: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name', 'type'],
        members: {
          name: text,
          type: { type: 'string', oneOfWords: ['file', 'files', 'property'] },
          media_types: { type: 'array', items: text },
          required: { type: 'boolean' },
        },
        others: false,
      },
    },
    jobs: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name', 'job_type'],
        members: {
          name: text,
          job_type: {
            type: 'object',
            required: ['name', 'version'],
            members: { name: text, version: text },
            others: false,
          },
          recipe_inputs: pairs('recipe_input', 'job_input'),
          dependencies: {
            type: 'array',
            items: {
              type: 'object',
              required: ['name'],
              members: { name: text, connections: pairs('output', 'input') },
              others: false,
            },
          },
        },
        others: false,
      },
    },
  },
  others: false,
}

/** The current form of an old definition; job nodes point to the current revision of their job type. */
export function convertOldDefinition(document: JsonObject, current: CurrentRevisions): Reading<JsonObject> {
  const faults = findFaults(document, oldShape)
  if (faults.length > 0) return { ok: false, problems: faults.map(problemOfFault) }
  const problems: Problem[] = []
  const nodes = new Map<string, Json>()
  for (const [index, job] of (document['jobs'] as JsonObject[]).entries()) {
    const name = String(job['name'])
    if (nodes.has(name))
      problems.push(problem('DUPLICATE_NODE', `Node '${name}' is already defined`, ['jobs', index]))
    else nodes.set(name, convertJob(job, ['jobs', index], current, problems))
  }
  if (problems.length > 0) return { ok: false, problems }
  return read({ input: convertInput(document), nodes: Object.fromEntries(nodes) })
}

function convertInput(document: JsonObject): JsonObject {
  const inputs = (member(document, 'input_data') as JsonObject[] | undefined) ?? []
  const files: Json[] = []
  const json: Json[] = []
  for (const input of inputs) {
    const name = input['name']!
    const required = member(input, 'required') !== false
    if (input['type'] === 'property') json.push({ name, type: 'string', required })
    else {
      const mediaTypes = (member(input, 'media_types') as Json[] | undefined) ?? []
      files.push({ name, media_types: mediaTypes, required, multiple: input['type'] === 'files' })
    }
  }
  return { files, json }
}

function convertJob(
  job: JsonObject,
  path: readonly (string | number)[],
  current: CurrentRevisions,
  problems: Problem[],
): JsonObject {
  const type = job['job_type'] as { name: string; version: string }
  const revision = current.currentJobTypeRevision(type.name, type.version)
  if (revision === undefined)
    problems.push(
      problem(
        'JOB_TYPE_DOES_NOT_EXIST',
        'Recipe definition contains a job type that does not exist: JobType matching query does not exist.',
        [...path, 'job_type'],
      ),
    )
  const input = new Map<string, Json>()
  const connect = (name: string, connection: JsonObject): void => {
    if (input.has(name)) {
      const text = `Node '${job['name']}' interface error: Input '${name}' has more than one parameter connected to it`
      problems.push(problem('NODE_INTERFACE', text, path))
    } else input.set(name, connection)
  }
  for (const { recipe_input, job_input } of listOf(job, 'recipe_inputs'))
    connect(String(job_input), { type: 'recipe', input: recipe_input! })
  const dependencies = listOf(job, 'dependencies')
  for (const dependency of dependencies)
    for (const { output, input: inputName } of listOf(dependency, 'connections'))
      connect(String(inputName), { type: 'dependency', node: dependency['name']!, output: output! })
  return {
    dependencies: dependencies.map(dependency => ({ name: dependency['name']!, acceptance: true })),
    input: Object.fromEntries(input),
    node_type: {
      node_type: 'job',
      job_type_name: type.name,
      job_type_version: type.version,
      job_type_revision: revision ?? 0,
    },
  }
}

function listOf(document: JsonObject, name: string): JsonObject[] {
  return (member(document, name) as JsonObject[] | undefined) ?? []
}

function problemOfFault(fault: Fault): Problem {
  const container =
    fault.path.slice(0, -1).findLast(step => typeof step === 'string') ?? fault.path.at(-1) ?? 'definition'
  const isScalar = typeof fault.value !== 'object' || fault.value === null
  const where = isScalar
    ? typeof fault.value === 'string'
      ? fault.value
      : pythonText(fault.value)
    : container
  return problem('INVALID_DEFINITION', `Issue with ${where}: ${fault.text}`, fault.path)
}
