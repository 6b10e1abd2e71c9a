// From path and method to handler, and everything that is the same for all of them: credentials, errors, counting.

import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { takeAnyBody } from '../../http/bodies.ts'
import { type Answer, allowAnyPage, sendAnswer } from './answer.ts'
import {
  addNodeAttribute,
  removeNodeAttribute,
  showNodeAttributes,
  updateNodeAttribute,
} from './attribute-calls.ts'
import { bodyBytesMax, type Call, childBody } from './call.ts'
import { answerChild, answerCommandEnd, readAttributeRequest, readStatusRequest } from './child-calls.ts'
import { AnswerError, describeError } from './errors.ts'
import { streamEvents } from './events.ts'
import { showOutput, showScript, updateScript } from './file-calls.ts'
import { demandRead, demandWrite, recognise } from './gate.ts'
import { showHistory } from './history.ts'
import {
  createSuites,
  listSuites,
  removeDefinition,
  showDefinition,
  showStatus,
  showTree,
  updateDefinition,
  updateStatus,
} from './node-calls.ts'
import { openApiText } from './openapi.ts'
import type { Parts } from './parts.ts'
import {
  addServerAttribute,
  removeServerAttribute,
  showPing,
  showServerAttributes,
  showServerStatus,
  showStatistics,
  updateServerAttribute,
  updateServerStatus,
} from './server-calls.ts'
import { methodsOf, type Place, readPlace } from './url-path.ts'
import { orderAboutZombies, showZombies } from './zombie-calls.ts'

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS'] as const

/** The plugin that answers everything below /v1. */
export function routesOf(parts: Parts, log: Logger): FastifyPluginAsync {
  return async (scope: FastifyInstance) => {
    takeAnyBody(scope, 'bytes')
    scope.setErrorHandler((error, request, reply) => answerError(parts, log, { error, request, reply }))
    scope.setNotFoundHandler((request: FastifyRequest, reply: FastifyReply) =>
      sendNowhere(parts, request, reply, 404),
    )
    for (const url of ['/v1', '/v1/*']) {
      scope.route({
        url,
        method: [...methods],
        bodyLimit: bodyBytesMax,
        handler: (request, reply) => handle(parts, request, reply),
      })
    }
  }
}

async function handle(parts: Parts, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  parts.counters.requests++
  const [path = '', query = ''] = request.url.split('?', 2)
  const place = readPlace(path)
  if (!place) return sendNowhere(parts, request, reply, 404)
  const offered = methodsOf[place.type]
  if (request.method === 'OPTIONS') return sendOptions(reply, offered)
  const method = request.method === 'HEAD' ? 'GET' : request.method
  // The short form of a node was no route at all for these two: that stays as recorded.
  if (!offered.includes(method))
    return sendNowhere(
      parts,
      request,
      reply,
      place.type === 'node' || (place.type === 'forest' && method !== 'GET') ? 404 : 501,
    )
  const call: Call = {
    request,
    method,
    place,
    query: new URLSearchParams(query),
    body: Buffer.isBuffer(request.body) ? request.body.toString('utf8') : '',
    by: '',
  }
  const answer = method === 'GET' ? await read(parts, call, reply) : await write(parts, call)
  if (answer === 'hijacked') return reply
  return sendAnswer(reply, answer, { call, settled: () => parts.keeper.settled() })
}

async function read(parts: Parts, call: Call, reply: FastifyReply): Promise<Answer | 'hijacked'> {
  const { place } = call
  await demandRead(parts.gate, call.request, call.query.get('key'))
  await parts.keeper.settled()
  parts.counters.reads++
  switch (place.type) {
    case 'suites':
      return listSuites(parts)
    case 'forest':
      return showTree(parts, call, { path: '/', secrets: await seesSecrets(parts, call) })
    case 'tree':
      return showTree(parts, call, { path: place.node, secrets: await seesSecrets(parts, call) })
    case 'definition':
      return showDefinition(parts, call, place.node)
    case 'status':
      parts.count('query')
      return showStatus(parts, call, place.node)
    case 'attributes':
      return showNodeAttributes(parts, { path: place.node, secrets: await seesSecrets(parts, call) })
    case 'script':
      return showScript(parts, call, { path: place.node, secrets: await seesSecrets(parts, call) })
    case 'output':
      return showOutput(parts, call, place.node)
    case 'history':
      return showHistory(parts, call, place.node)
    case 'forest-history':
      return showHistory(parts, call, '/')
    case 'ping':
      return showPing(parts, { elapsedMs: reply.elapsedTime })
    case 'server-status':
      return showServerStatus(parts)
    case 'server-attributes':
      return showServerAttributes(parts)
    case 'zombies':
      return showZombies(parts)
    case 'statistics':
      return showStatistics(parts)
    case 'openapi':
      return { status: 200, contentType: 'application/yaml', text: openApiText() }
    case 'events':
      streamEvents(parts, call, reply)
      return 'hijacked'
    case 'node':
      throw new AnswerError(404, 'There is nothing to read here')
  }
}

async function write(parts: Parts, call: Call): Promise<Answer> {
  const { place, method } = call
  const isNode = place.type === 'status' || place.type === 'attributes'
  if (isNode && method === 'PUT') {
    const body = childBody(call)
    if (body) return answerJob(parts, call, body, place.type)
  }
  const key = call.query.get('key')
  call.by = (await demandWrite(parts.gate, call.request, { key, path: pathOf(place) })).name
  switch (place.type) {
    case 'suites':
      return createSuites(parts, call)
    case 'node':
      return method === 'PUT'
        ? updateDefinition(parts, call, place.node)
        : removeDefinition(parts, call, place.node)
    case 'definition':
      return method === 'PUT'
        ? updateDefinition(parts, call, place.node)
        : removeDefinition(parts, call, place.node)
    case 'status':
      return updateStatus(parts, call, place.node)
    case 'attributes':
      if (method === 'POST') return addNodeAttribute(parts, call, place.node)
      return method === 'PUT'
        ? updateNodeAttribute(parts, call, place.node)
        : removeNodeAttribute(parts, call, place.node)
    case 'script':
      return updateScript(parts, call, place.node)
    case 'server-status':
      return updateServerStatus(parts, call)
    case 'zombies':
      return orderAboutZombies(parts, call)
    case 'server-attributes':
      if (method === 'POST') return addServerAttribute(parts, call)
      return method === 'PUT' ? updateServerAttribute(parts, call) : removeServerAttribute(parts, call)
    default:
      throw new AnswerError(501, `${method} is not offered here`)
  }
}

/** What the white list and a token's paths are asked about; creating suites and server variables needs everything. */
function pathOf(place: Place): string {
  return 'node' in place ? place.node : '/'
}

async function answerJob(
  parts: Parts,
  call: Call,
  body: Record<string, unknown>,
  type: 'status' | 'attributes',
): Promise<Answer> {
  const isStatus = type === 'status'
  if (isStatus && body['action'] === 'job_command_ended') {
    const { path } = await answerCommandEnd(parts.keeper, body)
    return { status: 200, value: { path, message: 'Status changed successfully' } }
  }
  const answer = await answerChild(
    { keeper: parts.keeper, clock: parts.clock, blockMs: parts.settings.blockMs, count: parts.count },
    body,
    { request: call.request, read: isStatus ? readStatusRequest : readAttributeRequest },
  )
  return {
    status: 200,
    value: {
      path: answer.path,
      message: isStatus ? 'Status changed successfully' : 'Attribute changed successfully',
      ...(answer.step === undefined ? {} : { step: answer.step }),
      ...(answer.abortedCount === undefined ? {} : { no_of_aborted: answer.abortedCount }),
    },
  }
}

/** The passwords of running jobs are for those who could change the jobs. */
async function seesSecrets(parts: Parts, call: Call): Promise<boolean> {
  const caller = await recognise(parts.gate, call.request, call.query.get('key'))
  return caller !== undefined && caller.paths === undefined && !caller.isReader
}

function sendOptions(reply: FastifyReply, offered: readonly string[]): FastifyReply {
  const list = offered.includes('GET') ? [...offered, 'HEAD'] : offered
  allowAnyPage(reply)
  reply.header('allow', list.join(', '))
  reply.header('access-control-allow-methods', list.join(', '))
  return reply.code(204).send()
}

/** A path that leads nowhere, or a method that is not offered: the shape that the original's own server has. */
function sendNowhere(
  parts: Parts,
  request: FastifyRequest,
  reply: FastifyReply,
  status: 404 | 501,
): FastifyReply {
  parts.counters.errors++
  allowAnyPage(reply)
  reply.code(status).header('content-type', 'application/json')
  return reply.send(Buffer.from(JSON.stringify({ path: decodedPath(request.url), status })))
}

function answerError(
  parts: Parts,
  log: Logger,
  at: { error: unknown; request: FastifyRequest; reply: FastifyReply },
): FastifyReply {
  const { error, request, reply } = at
  parts.counters.errors++
  const known = describeError(error)
  if (!known)
    log.error({ err: error, method: request.method, path: request.url.slice(0, 500) }, 'a request failed')
  const { status, message } = known ?? { status: 500, message: 'Internal server error; it is in the log' }
  const body = Buffer.isBuffer(request.body) ? request.body.toString('utf8') : ''
  allowAnyPage(reply)
  reply.code(status).header('content-type', 'application/json')
  const shape = {
    code: status,
    message,
    path: decodedPath(request.url),
    method: request.method,
    ...(body === '' ? {} : { body: withoutSecrets(body) }),
  }
  return reply.send(Buffer.from(JSON.stringify(shape)))
}

function decodedPath(url: string): string {
  const path = url.split('?', 1)[0]!
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/** Errors echo the request, but neither its secrets nor megabytes. */
function withoutSecrets(body: string): string {
  const clean = body.replace(/("ECF_PASS"\s*:\s*)"(?:[^"\\]|\\.)*"/g, '$1"***"')
  return clean.length > 10_000 ? `${clean.slice(0, 10_000)}...` : clean
}
