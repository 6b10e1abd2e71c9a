// The OpenAPI 3.1 document, made from the same table and schemas that the server routes and validates with.

import { z } from 'zod'
import { refusals } from '../../core/refusal.ts'
import { type AnswerShape, base, type NativeRoute } from './route.ts'
import { problemOut } from './shapes.ts'

type Doc = Record<string, unknown>

/** The document for a table of routes. */
export function describeApi(routes: readonly NativeRoute[], version: string): Doc {
  const schemas: Record<string, unknown> = {}
  const reference = (schema: z.ZodType, io: 'input' | 'output') => collect(schema, io, schemas)
  const problem = reference(problemOut, 'output')
  const paths: Record<string, Record<string, Doc>> = {}
  for (const it of routes) {
    const path = base + it.path.replaceAll(/:(\w+)/g, '{$1}').replace('*', '{node}/why')
    const operations = (paths[path] ??= {})
    operations[it.method.toLowerCase()] = {
      operationId: it.id,
      summary: it.summary,
      ...(it.right === 'none' ? { security: [] } : {}),
      parameters: [
        ...pathParameters(path),
        ...queryParameters(it),
        ...Object.entries(it.headers ?? {}).map(([name, description]) => headerParameter(name, description)),
        ...(it.idempotent === true ? [idempotencyKey] : []),
      ],
      ...(it.body === undefined
        ? {}
        : {
            requestBody: {
              required: it.bodyOptional !== true,
              content: { 'application/json': { schema: reference(it.body, 'input') } },
            },
          }),
      responses: {
        ...Object.fromEntries(
          Object.entries(it.answers).map(([status, what]) => [status, answer(what, reference)]),
        ),
        default: {
          description: 'A refusal, as a problem document',
          content: { 'application/problem+json': { schema: problem } },
        },
      },
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Switchyard native API',
      version,
      description: `Jobs and flows of every dialect. Refusals: ${Object.entries(refusals)
        .map(([kind, { status }]) => `${kind} (${status})`)
        .join(', ')}.`,
    },
    security: [{ token: [] }],
    paths,
    components: { schemas, securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
  }
}

function headerParameter(name: string, description: string): Doc {
  return { name, in: 'header', required: false, description, schema: { type: 'string' } }
}

const idempotencyKey = {
  ...headerParameter(
    'Idempotency-Key',
    'The same key with the same body gives the first answer again, for a day',
  ),
  schema: { type: 'string', minLength: 1, maxLength: 200 },
}

function pathParameters(path: string): Doc[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
}

function queryParameters(it: NativeRoute): Doc[] {
  if (it.query === undefined) return []
  const schema = z.toJSONSchema(it.query, { io: 'input' }) as {
    properties?: Record<string, Doc>
    required?: string[]
  }
  return Object.entries(schema.properties ?? {}).map(([name, property]) => ({
    name,
    in: 'query',
    required: schema.required?.includes(name) === true,
    ...(typeof property['description'] === 'string' ? { description: property['description'] } : {}),
    schema: property,
  }))
}

function answer(
  what: AnswerShape | readonly AnswerShape[],
  reference: (schema: z.ZodType, io: 'output') => Doc,
): Doc {
  if (what === 'nothing') return { description: 'Done; there is no body' }
  const content = [what]
    .flat()
    .map(shape =>
      typeof shape === 'string'
        ? [shape, { schema: { type: 'string', ...(shape.startsWith('text/') ? {} : { format: 'binary' }) } }]
        : ['application/json', { schema: reference(shape, 'output') }],
    )
  return { description: 'Done', content: Object.fromEntries(content) }
}

/** A schema as JSON Schema, its named parts moved to components. */
function collect(schema: z.ZodType, io: 'input' | 'output', schemas: Record<string, unknown>): Doc {
  const {
    $schema: _,
    $defs,
    ...rest
  } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Doc & { $defs?: Record<string, unknown> }
  const moved = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(moved)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) =>
        name === '$ref' && typeof member === 'string'
          ? [name, member.replace('#/$defs/', '#/components/schemas/')]
          : [name, moved(member)],
      ),
    )
  }
  for (const [name, part] of Object.entries($defs ?? {})) schemas[name] ??= moved(part)
  const id = (rest as { id?: string }).id
  if (id === undefined) return moved(rest) as Doc
  schemas[id] ??= moved(rest)
  return { $ref: `#/components/schemas/${id}` }
}
