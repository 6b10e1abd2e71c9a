// Reads a submitted job: the body in its three forms, and the fields with the original's refusals.

import type { FastifyRequest } from 'fastify'
import type { RegisteredJob } from '../../../domains/raster/tasks/registration.ts'
import { missingInputs } from '../../../domains/raster/tasks/task.ts'
import { Float, unwrapFloats } from '../../../domains/raster/values/float.ts'
import { JsonFault, readPythonJson, writePythonJson } from '../../../domains/raster/values/python-json.ts'
import { mediaTypeOf } from '../../../http/bodies.ts'

/** A refusal with the body that clients parse. */
export class ApiRefusal extends Error {
  readonly status: number
  readonly body: unknown
  constructor(status: number, body: unknown) {
    super(typeof body === 'string' ? body : JSON.stringify(body))
    this.name = 'ApiRefusal'
    this.status = status
    this.body = body
  }
}

export interface Submission {
  readonly job: RegisteredJob
  /** JSON text, as Python writes it. */
  readonly inputs: string
}

/** The submitted fields: names to values, of a JSON body or of a form. */
export async function readFields(request: FastifyRequest): Promise<unknown> {
  const body = request.body as Buffer | undefined
  const header = request.raw.headers['content-type']
  if (body === undefined) return {}
  switch (mediaTypeOf(header)) {
    case 'application/json':
      return readBody(body)
    case 'application/x-www-form-urlencoded':
      return Object.fromEntries(new URLSearchParams(body.toString('utf8')))
    case 'multipart/form-data':
      return readMultipart(body, header!)
    default:
      throw new ApiRefusal(415, {
        detail: `Unsupported media type "${mediaTypeOf(header)}" in request.`,
      })
  }
}

function readBody(body: Buffer): unknown {
  try {
    return readPythonJson(new TextDecoder('utf-8', { fatal: true }).decode(body), { isLenient: false })
  } catch (error) {
    const text = error instanceof JsonFault ? error.message : 'the body is not valid UTF-8'
    throw new ApiRefusal(400, { detail: `JSON parse error - ${text}` })
  }
}

async function readMultipart(body: Buffer, type: string): Promise<unknown> {
  try {
    const form = await new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData()
    return Object.fromEntries([...form].filter(([, value]) => typeof value === 'string'))
  } catch {
    throw new ApiRefusal(400, {
      detail: 'Multipart form parse error - the body does not follow its boundary',
    })
  }
}

/** Checks the fields; throws an ApiRefusal with every fault that the original would name. */
export function readSubmission(fields: unknown, jobs: ReadonlyMap<string, RegisteredJob>): Submission {
  if (fields === null) throw refusal({ non_field_errors: ['No data provided'] })
  if (typeof fields !== 'object' || Array.isArray(fields) || fields instanceof Float) {
    const text = `Invalid data. Expected a dictionary, but got ${typeWord(fields)}.`
    throw refusal({ non_field_errors: [text] })
  }
  const given = fields as Readonly<Record<string, unknown>>
  const errors: Record<string, string[]> = {}
  const job = readJob(given, jobs)
  if (typeof job === 'string') errors['job'] = [job]
  const inputs = readInputs(given)
  if (typeof inputs === 'string') errors['inputs'] = [inputs]
  if (typeof job === 'string' || typeof inputs === 'string') throw refusal(errors)
  const missing = missingInputs(job.task, new Set(Object.keys(inputs.value)))
  if (missing.length > 0) throw refusal({ non_field_errors: [`Missing task inputs: ${missing.join(',')}`] })
  return { job, inputs: writePythonJson(inputs.value) }
}

function refusal(body: unknown): ApiRefusal {
  return new ApiRefusal(400, body)
}

function typeWord(value: unknown): string {
  if (Array.isArray(value)) return 'list'
  if (typeof value === 'string') return 'str'
  if (typeof value === 'boolean') return 'bool'
  return value instanceof Float ? 'float' : 'int'
}

/** The job, or what is wrong with the field. */
function readJob(
  given: Readonly<Record<string, unknown>>,
  jobs: ReadonlyMap<string, RegisteredJob>,
): RegisteredJob | string {
  if (!Object.hasOwn(given, 'job')) return 'This field is required.'
  const value = unwrapFloats(given['job'])
  if (value === null) return 'This field may not be null.'
  if (typeof value !== 'string' && typeof value !== 'number') return 'Not a valid string.'
  const name = String(value).trim()
  if (name === '') return 'This field may not be blank.'
  if ([...name].length > 100) return 'Ensure this field has no more than 100 characters.'
  return jobs.get(name) ?? 'Invalid job name'
}

function readInputs(given: Readonly<Record<string, unknown>>): { value: Record<string, unknown> } | string {
  if (!Object.hasOwn(given, 'inputs')) return 'This field is required.'
  const text = given['inputs']
  if (text === null || text === '') return { value: {} }
  if (typeof text !== 'string') return 'Inputs must be a string containing an encoded JSON object.'
  try {
    const value = readPythonJson(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Float)
      return 'Invalid input JSON'
    return { value: value as Record<string, unknown> }
  } catch (error) {
    if (error instanceof JsonFault) return 'Invalid input JSON'
    throw error
  }
}
