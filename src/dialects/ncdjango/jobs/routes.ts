// The job API: submit, look at one, and nothing else. There is no listing here; the native API lists.

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Job } from '../../../core/job.ts'
import type { Json } from '../../../core/json.ts'
import type { JobOrder } from '../../../domains/raster/tasks/run-job.ts'
import { sendJson } from '../../../http/json.ts'
import { pathOf } from '../../../http/paths.ts'
import { refusalOf } from '../../../http/refusal-of.ts'
import { statusOf } from '../errors.ts'
import { dialectName, type House, jobKind, pathIn } from '../house.ts'
import { makeUuid } from '../make-uuid.ts'
import { showJob } from '../shapes.ts'
import { addressOf, callerOf } from './caller.ts'
import { instanceDescription, listDescription } from './describe.ts'
import { ApiRefusal, readFields, readSubmission } from './read-submission.ts'

const base = '/geoprocessing/rest/jobs'
const listMethods = 'POST, OPTIONS'
const instanceMethods = 'GET, HEAD, OPTIONS'
const uuidText = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Answers every request below the job API's path. */
export async function answerJobs(house: House, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const rest = pathIn(house, request).slice(base.length)
  if (!/^(\/[^/]*)?\/?$/.test(rest)) {
    send(request, reply, 404, { detail: 'Not found.' })
    return
  }
  if (!rest.endsWith('/')) {
    redirect(request, reply)
    return
  }
  const id = rest.slice(1, -1)
  const isList = id === ''
  const allowed = isList ? listMethods : instanceMethods
  reply.header('allow', allowed)
  try {
    negotiate(request)
    reply.header('vary', 'Accept, Cookie')
    await callerOf(house, request, request.method === 'POST' && isList ? 'submit' : 'read')
    if (!allowed.split(', ').includes(request.method))
      throw new ApiRefusal(405, { detail: `Method "${request.method}" not allowed.` })
    if (request.method === 'OPTIONS')
      send(request, reply, 200, isList ? listDescription : instanceDescription)
    else if (isList) await submit(house, request, reply)
    else await show(house, request, reply, id)
  } catch (error) {
    answerRefusal(house, error, request, reply)
  }
}

/** The slash is added and the body is lost, as with the original: contracts/ncdjango.md §2.1. */
function redirect(request: FastifyRequest, reply: FastifyReply): void {
  const query = request.url.indexOf('?')
  const path = pathOf(request.url).replace(/\/+$/, '')
  const location = `${path}/${query === -1 ? '' : request.url.slice(query)}`
  reply.code(301).header('location', location).header('content-type', 'text/html; charset=utf-8')
  reply.send(Buffer.alloc(0))
}

/** JSON it is; 406 where the client takes neither that nor a page, 404 for a format that there is not. */
function negotiate(request: FastifyRequest): void {
  const format = new URL(request.url, 'http://localhost').searchParams.get('format')
  if (format !== null && format !== 'json' && format !== 'api')
    throw new ApiRefusal(404, { detail: 'Not found.' })
  const types = (request.headers.accept ?? '*/*')
    .split(',')
    .map(part => part.split(';', 1)[0]!.trim().toLowerCase())
  const fits = ['*/*', 'application/*', 'application/json', 'text/*', 'text/html', '']
  if (!types.some(type => fits.includes(type)))
    throw new ApiRefusal(406, { detail: 'Could not satisfy the request Accept header.' })
}

async function submit(house: House, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { kit, settings } = house
  const caller = await callerOf(house, request, 'submit')
  const { job, inputs } = readSubmission(await readFields(request), house.jobs)
  const uuid = makeUuid(kit.random)
  const userIp = addressOf(house, request)
  const made = await kit.engine.write(tx => {
    const order: JobOrder = {
      uuid,
      job: job.name,
      inputs,
      sources: settings.sources,
      now: tx.now,
      cellsShownMax: settings.cellsShownMax,
      format: settings.resultFormat,
    }
    return tx.submit({
      dialect: dialectName,
      executor: 'function',
      kind: jobKind,
      spec: { function: jobKind, input: order as unknown as Json },
      owner: caller.name,
      name: job.name,
      ref: uuid,
      pool: dialectName,
      detail: { userIp },
    })
  })
  // What was accepted is pending, however quickly it may have started.
  send(request, reply, 201, { ...showJob(made, { inputs, outputs: '{}' }), status: 'pending' })
}

async function show(house: House, request: FastifyRequest, reply: FastifyReply, id: string): Promise<void> {
  const { engine } = house.kit
  const job = uuidText.test(id) ? await engine.job({ dialect: dialectName, ref: id }) : undefined
  if (!job) throw new ApiRefusal(404, { detail: 'Not found.' })
  const outputs = await outputsOf(house, job)
  send(request, reply, 200, showJob(job, { inputs: await inputsOf(house, job), outputs }))
}

async function outputsOf({ kit }: House, job: Job): Promise<string> {
  if (job.state !== 'succeeded') return '{}'
  const outputs = await kit.engine.history.outputs(job.n)
  const text = outputs.find(({ name }) => name === 'outputs')?.value
  return typeof text === 'string' ? text : '{}'
}

async function inputsOf({ kit }: House, job: Job): Promise<string> {
  const spec = (await kit.engine.spec(job.n)) as { input?: { inputs?: unknown } } | null
  return typeof spec?.input?.inputs === 'string' ? spec.input.inputs : '{}'
}

/** Answers an error of the job API. */
export function answerRefusal(
  house: House,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  if (error instanceof ApiRefusal) {
    // These two are decided before cookies are looked at: the original varies by Accept alone.
    if (error.status === 406 || (error.status === 404 && !reply.hasHeader('vary')))
      reply.header('vary', 'Accept')
    send(request, reply, error.status, error.body)
    return
  }
  const refusal = refusalOf(error)
  if (refusal) {
    send(request, reply, statusOf(refusal), { detail: refusal.text })
    return
  }
  house.kit.log.error({ err: error, method: request.method, path: pathOf(request.url) }, 'a request failed')
  send(request, reply, 500, { detail: 'Internal Server Error' })
}

function send(request: FastifyRequest, reply: FastifyReply, status: number, body: unknown): void {
  reply.code(status)
  if (request.method === 'HEAD') reply.header('content-type', 'application/json').send(Buffer.alloc(0))
  else sendJson(reply, body)
}
