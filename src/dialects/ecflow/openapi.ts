// The API as an OpenAPI document, made from the same table that the router uses. JSON is YAML, and is served as it.

import { methodsOf, type Place } from './url-path.ts'

type Shape = { [name: string]: unknown }

const paths: Readonly<Record<Place['type'], string>> = {
  suites: '/v1/suites',
  forest: '/v1/suites/tree',
  'forest-history': '/v1/suites/history',
  node: '/v1/suites/{path}',
  tree: '/v1/suites/{path}/tree',
  definition: '/v1/suites/{path}/definition',
  status: '/v1/suites/{path}/status',
  attributes: '/v1/suites/{path}/attributes',
  script: '/v1/suites/{path}/script',
  output: '/v1/suites/{path}/output',
  history: '/v1/suites/{path}/history',
  ping: '/v1/server/ping',
  'server-status': '/v1/server/status',
  'server-attributes': '/v1/server/attributes',
  zombies: '/v1/server/zombies',
  statistics: '/v1/statistics',
  openapi: '/v1/openapi.yaml',
  events: '/v1/events',
}

const summaries: Readonly<Record<string, string>> = {
  'GET suites': 'Names of all suites in load order',
  'POST suites': 'Load the suites of a definition, all or none',
  'GET forest': 'The trees of all suites',
  'PUT node': 'Add a family or task, or replace the child of its name',
  'DELETE node': 'Delete a node and all below it',
  'GET tree': 'The tree of a node',
  'GET definition': 'The definition text of a node',
  'PUT definition': 'Add a family or task, or replace the child of its name',
  'DELETE definition': 'Delete a node and all below it',
  'GET status': 'State of a node, and why it does not run',
  'PUT status': 'Begin, requeue, suspend, force and the like; or what a running job says',
  'GET attributes': 'All attributes of a node',
  'POST attributes': 'Add an attribute',
  'PUT attributes': 'Change an attribute; or what a running job says',
  'DELETE attributes': 'Delete an attribute',
  'GET script': 'Script and generated job of a task',
  'PUT script': 'Replace the script of a task; or run it once as somebody edited it',
  'GET output': 'Output of the last run of a task',
  'GET history': 'Who did what to a node, and what happened to it lately',
  'GET forest-history': 'Who did what to the server, and what happened lately',
  'GET ping': 'Whether the server answers',
  'GET server-status': 'State of the server and its counters',
  'PUT server-status': 'Reload files, halt, shut down, restart, leave a message',
  'GET server-attributes': 'Variables of the server',
  'POST server-attributes': 'Add a variable of the server',
  'PUT server-attributes': 'Change a variable of the server',
  'DELETE server-attributes': 'Delete a variable of the server',
  'GET zombies': 'Jobs that report although their task is not theirs any more',
  'PUT zombies': 'Decide what becomes of them: fob, fail, adopt, block, remove, kill',
  'GET statistics': 'How many requests were answered',
  'GET openapi': 'This document',
  'GET events': 'State changes as they happen (server-sent events)',
}

const text = { type: 'string' }
const flag = { type: 'boolean' }
const scalar = { oneOf: [{ type: 'string' }, { type: 'number' }] }
const list = { type: 'array' }
const nullable = { type: ['object', 'null'] }

function object(properties: Shape, required: readonly string[] = Object.keys(properties)): Shape {
  return { type: 'object', properties, required: [...required] }
}

const changed = object({ path: text, message: text, status: text, step: text, no_of_aborted: text }, [
  'path',
  'message',
])
const variable = object({ name: text, value: text, const: flag })

const history = object({
  path: text,
  edits: { type: 'array', items: object({ at: text, by: text, command: text }) },
  changes: { type: 'array', items: object({ at: text, path: text }) },
})

const answers: Readonly<Record<string, Shape>> = {
  'GET suites': { type: 'array', items: text },
  'POST suites': object({ message: text, suites: { type: 'array', items: text } }, ['message']),
  'GET forest': { type: 'object' },
  'GET tree': { type: 'object' },
  'GET definition': object({ definition: text, path: text }),
  'GET status': object({
    status: {
      type: 'string',
      enum: ['unknown', 'complete', 'queued', 'submitted', 'active', 'aborted', 'suspended'],
    },
    path: text,
    default_status: text,
    why: object({
      bottom_up_why: { type: 'array', items: text },
      top_down_why: { type: 'array', items: text },
    }),
  }),
  'GET attributes': object({
    meters: list,
    limits: list,
    inlimits: list,
    events: list,
    labels: list,
    dates: list,
    days: list,
    crons: list,
    times: list,
    todays: list,
    repeat: nullable,
    path: text,
    trigger: nullable,
    complete: nullable,
    flag: object({ value: text }),
    late: nullable,
    zombies: list,
    generics: list,
    queues: list,
    autocancel: nullable,
    autoarchive: nullable,
    autorestore: nullable,
    avisos: list,
    mirrors: list,
    variables: { type: 'array', items: variable },
    inherited_variables: {
      type: 'array',
      items: object({ name: text, path: text, variables: { type: 'array', items: variable } }),
    },
  }),
  'GET script': object({ script: text, job: text }, ['script']),
  'GET output': object(
    {
      job_output: text,
      kill_output: text,
      status_output: text,
      offset: { type: 'integer' },
      next_offset: { type: 'integer' },
      size: { type: 'integer' },
    },
    ['job_output'],
  ),
  'GET history': history,
  'GET forest-history': history,
  'GET ping': object({ host: text, round_trip_time: text }),
  'GET server-status': object({
    version: text,
    status: text,
    host: text,
    port: text,
    statistics: { type: 'object' },
  }),
  'PUT server-status': object({ message: text }),
  'GET server-attributes': object({ variables: { type: 'array', items: variable } }),
  'GET zombies': object({ zombies: list }),
  'PUT zombies': object({ path: text, message: text }),
  'GET statistics': object({
    num_requests: { type: 'integer' },
    num_errors: { type: 'integer' },
    num_cached_requests: { type: 'integer' },
    since: text,
  }),
}

const definition = { definition: text, auto_add_externs: { oneOf: [flag, text] } }
const attribute = object(
  {
    type: text,
    name: text,
    value: { oneOf: [text, { type: 'number' }, flag] },
    old_value: scalar,
    min: scalar,
    max: scalar,
  },
  ['type'],
)

const bodies: Readonly<Record<string, Shape>> = {
  'POST suites': object({ ...definition, force: flag }, ['definition']),
  'PUT node': object({ ...definition, force: flag }, ['definition']),
  'PUT definition': object({ ...definition, force: flag }, ['definition']),
  'PUT status': object(
    {
      action: text,
      recursive: flag,
      defstatus_value: text,
      order_value: text,
      attribute: text,
      flag: text,
      option: text,
      dependencies: text,
      destination: text,
      force: flag,
      full: flag,
      ECF_NAME: text,
      ECF_PASS: text,
      ECF_RID: scalar,
      ECF_TRYNO: scalar,
      abort_why: text,
      wait_expression: text,
    },
    ['action'],
  ),
  'POST attributes': attribute,
  'PUT attributes': attribute,
  'DELETE attributes': { ...attribute, properties: { ...(attribute['properties'] as Shape), all: flag } },
  'PUT script': object({ script: text, action: text, create_alias: flag, no_run: flag }, ['script']),
  'PUT server-status': object({ action: text, message: text }, ['action']),
  'POST server-attributes': object({ type: text, name: text, value: scalar }),
  'PUT server-attributes': object({ type: text, name: text, value: text }),
  'DELETE server-attributes': object({ type: text, name: text }),
}

const error = object({ code: { type: 'integer' }, message: text, path: text, method: text, body: text }, [
  'code',
  'message',
  'path',
  'method',
])

/** The whole document. */
export function describeApi(): Shape {
  const described: Shape = {}
  for (const [type, offered] of Object.entries(methodsOf)) {
    const path = paths[type as Place['type']]
    described[path] = {
      ...(path.includes('{path}')
        ? {
            parameters: [
              {
                name: 'path',
                in: 'path',
                required: true,
                schema: { type: 'string', pattern: '^[A-Za-z0-9_/.]+$' },
              },
            ],
          }
        : {}),
      ...Object.fromEntries(
        offered.map(method => [method.toLowerCase(), describeOperation(`${method} ${type}`)]),
      ),
    }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'ecFlow REST API, as spoken by Switchyard', version: '1' },
    paths: described,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        basic: { type: 'http', scheme: 'basic' },
        header: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
        query: { type: 'apiKey', in: 'query', name: 'key' },
      },
      schemas: { Error: error },
    },
  }
}

function describeOperation(key: string): Shape {
  const [method, type] = key.split(' ')
  const isCreated = method === 'POST'
  const isEmpty = method === 'DELETE'
  const status = isEmpty ? '204' : isCreated ? '201' : '200'
  const media =
    type === 'events' ? 'text/event-stream' : type === 'openapi' ? 'application/yaml' : 'application/json'
  const body = bodies[key]
  return {
    summary: summaries[key],
    ...(method === 'GET'
      ? { parameters: [{ name: 'filter', in: 'query', schema: text }, ...queryParameters(type!)] }
      : { security: [{ bearer: [] }, { basic: [] }, { header: [] }, { query: [] }] }),
    ...(body ? { requestBody: { required: true, content: { 'application/json': { schema: body } } } } : {}),
    responses: {
      [status]: isEmpty
        ? { description: 'Done; no body' }
        : {
            description: 'Done',
            content: { [media]: { schema: answers[key] ?? (method === 'GET' ? text : changed) } },
          },
      default: {
        description: 'Refused',
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
      },
    },
  }
}

function queryParameters(type: string): Shape[] {
  if (type === 'output') {
    return ['offset', 'limit'].map(name => ({ name, in: 'query', schema: { type: 'integer', minimum: 0 } }))
  }
  if (type === 'script') {
    const content = { type: 'string', enum: ['edit', 'pre_process', 'job'] }
    return [{ name: 'content', in: 'query', schema: content }]
  }
  if (type === 'history' || type === 'forest-history') {
    return [
      { name: 'below', in: 'query', schema: { type: 'string', enum: ['true'] } },
      { name: 'limit', in: 'query', schema: { type: 'integer', minimum: 1, maximum: 10_000 } },
    ]
  }
  if (type === 'definition') {
    return [{ name: 'states', in: 'query', schema: { type: 'string', enum: ['true'] } }]
  }
  if (type === 'status') {
    return [
      { name: 'expression', in: 'query', schema: text },
      { name: 'repeat', in: 'query', schema: { type: 'string', enum: ['prev', 'next'] } },
    ]
  }
  if (type !== 'tree' && type !== 'forest') return []
  return [
    { name: 'content', in: 'query', schema: { type: 'string', enum: ['basic', 'full'] } },
    ...['with_id', 'gen_vars', 'with_meta'].map(name => ({
      name,
      in: 'query',
      schema: { type: 'string', enum: ['true'] },
    })),
    { name: 'depth', in: 'query', schema: { type: 'integer', minimum: 0 } },
  ]
}

/** The document as text. */
export function openApiText(): string {
  return JSON.stringify(describeApi(), undefined, 1)
}
