// The admin API, in the shapes of the original's framework: uploads, temporary files, services and their variables.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { sendJson } from '../../../http/json.ts'
import { pathOf } from '../../../http/paths.ts'
import { refusalOf } from '../../../http/refusal-of.ts'
import { statusOf } from '../errors.ts'
import { type House, pathIn } from '../house.ts'
import { ApiRefusal } from '../jobs/read-submission.ts'
import { demandAdministrator } from './administrator.ts'
import { readFilters, showPage } from './lists.ts'
import { addService, changeService, listServices, removeService } from './services.ts'
import { addressOf, adminBase, showService, showTemporaryFile, showVariable } from './show-service.ts'
import { sendDownload, takeFromUrl, takeUpload } from './uploads.ts'
import { addVariable, changeVariable, listVariables, removeVariable, variableById } from './variables.ts'

/** One request to the admin API. */
export interface AdminCall {
  readonly house: House
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly query: URLSearchParams
}

/** Answers every request below the admin API's path. */
export async function answerAdmin(house: House, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const query = new URL(request.url, 'http://localhost').searchParams
  // What was not looked at closer than by its cookie varies by that alone.
  reply.header('vary', 'Cookie')
  try {
    await answer({ house, request, reply, query }, pathIn(house, request).slice(adminBase.length))
  } catch (error) {
    answerRefusal(house, error, request, reply)
  }
}

async function answer(call: AdminCall, path: string): Promise<void> {
  const { house, request } = call
  const [, resource = '', id = '', action = ''] = path.replace(/\/$/, '').split('/')
  const isForm = resource === 'upload' || resource === 'upload-by-url'
  await demandAdministrator(house, request, { isForm })
  const isPlain = path.split('/').length <= (action === '' ? (id === '' ? 3 : 4) : 5)
  if (!isPlain) throw new ApiRefusal(404, '')
  if (action !== '' && !(resource === 'temporary-files' && action === 'inspect'))
    throw new ApiRefusal(404, '')
  switch (resource) {
    case 'upload':
      if (id !== '') throw new ApiRefusal(404, '')
      return demandMethod(call, ['POST'], () => takeUpload(call))
    case 'upload-by-url':
      if (id !== '') throw new ApiRefusal(404, '')
      return demandMethod(call, ['GET', 'POST'], () => takeFromUrl(call))
    case 'download':
      return demandMethod(call, ['GET', 'HEAD'], () => sendDownload(call, id))
    case 'temporary-files':
      return answerFiles(call, id, action)
    case 'services':
      return answerServices(call, id)
    case 'variables':
      return answerVariables(call, id)
    default:
      throw new ApiRefusal(404, '')
  }
}

async function demandMethod(
  { request, reply }: AdminCall,
  allowed: readonly string[],
  then: () => Promise<void>,
): Promise<void> {
  if (allowed.includes(request.method)) return then()
  reply.header('allow', allowed.join(','))
  throw new ApiRefusal(405, '')
}

async function answerFiles(call: AdminCall, id: string, action: string): Promise<void> {
  const { prefix } = call.house.settings
  const { house, request, query } = call
  if (id === '') {
    return demandMethod(call, ['GET', 'HEAD'], async () => {
      const names = ['date', 'filename', 'resource_uri', 'uuid']
      readFilters(query, { fields: new Set(names), allowed: {}, relations: new Set() })
      const files = await house.files.all()
      found(
        call,
        200,
        showPage({ path: pathOf(request.url), query }, files, file => showTemporaryFile(file, prefix)),
      )
    })
  }
  const file = await house.files.find(id)
  if (!file) return found(call, 404)
  if (action === 'inspect') {
    return demandMethod(call, ['GET', 'HEAD'], async () =>
      found(
        call,
        200,
        await house.files.withGrids(file, path => house.painters.facts({ what: 'file', path })),
      ),
    )
  }
  return demandMethod(call, ['GET', 'HEAD', 'DELETE'], async () => {
    if (request.method !== 'DELETE') return found(call, 200, showTemporaryFile(file, prefix))
    const isGone = await house.shelf.alone(async () => {
      const still = await house.files.find(id)
      if (still) await house.kit.engine.write(tx => house.files.drop(tx, still))
      return still === undefined
    })
    found(call, isGone ? 404 : 204)
  })
}

async function answerServices(call: AdminCall, text: string): Promise<void> {
  const { prefix } = call.house.settings
  const { house, request, query } = call
  if (text === '') {
    return demandMethod(call, ['GET', 'HEAD', 'POST'], async () => {
      if (request.method === 'POST')
        return made(call, addressOf(prefix, 'services', (await addService(call)).id))
      const services = await listServices(call)
      const page = showPage({ path: pathOf(request.url), query }, services, service =>
        showService(service, { isWhole: false, prefix }),
      )
      found(call, 200, page)
    })
  }
  const id = readId(text)
  return demandMethod(call, ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'], async () => {
    if (request.method === 'PUT' || request.method === 'PATCH') {
      const isThere = await changeService(call, id)
      return found(call, isThere ? changedStatus(request) : 404)
    }
    if (request.method === 'DELETE') return found(call, (await removeService(call, id)) ? 204 : 404)
    const service = await house.shelf.byId(id)
    if (service) found(call, 200, showService(service, { isWhole: true, prefix }))
    else found(call, 404)
  })
}

async function answerVariables(call: AdminCall, text: string): Promise<void> {
  const { prefix } = call.house.settings
  const { request, query } = call
  if (text === '') {
    return demandMethod(call, ['GET', 'HEAD', 'POST'], async () => {
      if (request.method === 'POST')
        return made(call, addressOf(prefix, 'variables', await addVariable(call)))
      const variables = await listVariables(call)
      const page = showPage({ path: pathOf(request.url), query }, variables, ({ variable, service }) =>
        showVariable(variable, service.id, prefix),
      )
      found(call, 200, page)
    })
  }
  const id = readId(text)
  return demandMethod(call, ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'], async () => {
    if (request.method === 'PUT' || request.method === 'PATCH') {
      const isThere = await changeVariable(call, id)
      return found(call, isThere ? changedStatus(request) : 404)
    }
    if (request.method === 'DELETE') return found(call, (await removeVariable(call, id)) ? 204 : 404)
    const own = await variableById(call, id)
    if (own) found(call, 200, showVariable(own.variable, own.service.id, prefix))
    else found(call, 404)
  })
}

/** A number that no row has where it is none. */
function readId(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : -1
}

function changedStatus(request: FastifyRequest): number {
  return request.method === 'PATCH' ? 202 : 204
}

/** An answer about a resource: those vary by what is accepted, too. */
function found({ request, reply }: AdminCall, status: number, body?: object): void {
  reply.header('vary', 'Accept, Cookie')
  send(request, reply, status, body ?? '')
}

function made({ request, reply }: AdminCall, address: string): void {
  reply.header('location', address).header('vary', 'Accept, Cookie')
  send(request, reply, 201, '')
}

/** Texts are what the original's pages would be: plain, or nothing at all. */
export function send(
  request: FastifyRequest,
  reply: FastifyReply,
  status: number,
  body: object | string,
): void {
  reply.code(status)
  if (status === 204) {
    reply.send()
    return
  }
  const isText = typeof body === 'string'
  if (!reply.hasHeader('content-type'))
    reply.header('content-type', isText ? 'text/html; charset=utf-8' : 'application/json')
  if (request.method === 'HEAD') reply.send(Buffer.alloc(0))
  else if (isText) reply.send(Buffer.from(body))
  else sendJson(reply, body)
}

function answerRefusal(house: House, error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  if (error instanceof ApiRefusal) {
    send(request, reply, error.status, error.body as object | string)
    return
  }
  const refusal = refusalOf(error)
  if (!refusal)
    house.kit.log.error({ err: error, method: request.method, path: pathOf(request.url) }, 'a request failed')
  send(request, reply, refusal ? statusOf(refusal) : 500, {
    error: refusal?.text ?? 'Sorry, this request could not be processed. Please try again later.',
  })
}
