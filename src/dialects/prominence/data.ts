// The data endpoints, and the links that they hand out: two steps, so that bytes need no token and no API.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isObject, type Json } from '../../core/json.ts'
import { refuse } from '../../core/refusal.ts'
import { readJson } from '../../http/json.ts'
import { sendBytes } from '../../http/ranges.ts'
import { bytesOf, type Call, readBody, send, serve, serveBare } from './call.ts'
import { sendError } from './errors.ts'
import { putJobOutput } from './job-outputs.ts'
import { type Grant, linkPath } from './links.ts'
import { dropObject, listObjects, objectFolder, objectId, putObject } from './objects.ts'
import type { Parts } from './parts.ts'
import { sendList } from './send-list.ts'
import { findSnapshot } from './snapshots.ts'

/** How long an upload may be begun after it was asked for. */
const uploadMs = 600_000
/** A name and a checksum need no more. */
const membersBytesMax = 64 * 1024

/** Serves /data and the links. */
export function dataRoutes(app: FastifyInstance, parts: Parts): void {
  serve(app, parts, '/data/upload', {
    POST: call => askUpload(call, parts),
    GET: call => list(call, parts, 'upload'),
    DELETE: call => drop(call, parts, 'upload'),
  })
  serve(app, parts, '/data/output', {
    POST: call => askOutput(call, parts),
    GET: call => list(call, parts, 'output'),
    DELETE: call => drop(call, parts, 'output'),
  })
  serve(app, parts, '/data', { GET: call => list(call, parts, ''), POST: call => askUpload(call, parts) })
  serve(app, parts, '/data/*', {
    GET: call => list(call, parts, call.params['*'] ?? ''),
    DELETE: call => drop(call, parts, call.params['*'] ?? ''),
  })
  serveBare(app, `${linkPath}/:signed/:name`, {
    GET: (request, reply) => follow(request, reply, parts),
    PUT: (request, reply) => follow(request, reply, parts),
  })
}

function demandEnabled({ settings }: Parts): void {
  if (!settings.data) refuse('not-authenticated', 'Functionality disabled')
}

/** The members of a JSON body; an absent or empty body has none. */
async function readMembers(call: Call): Promise<{ [name: string]: unknown }> {
  const body = await readBody(call.request, membersBytesMax)
  const value = body.length === 0 ? {} : readJson(body)
  return isObject(value) ? value : refuse('bad-request', 'the request body must be a JSON object')
}

async function askUpload(call: Call, parts: Parts): Promise<unknown> {
  demandEnabled(parts)
  const members = await readMembers(call)
  const name = members['filename'] ?? call.query.get('name')
  const checksum = members['checksum'] ?? call.query.get('checksum') ?? undefined
  if (typeof name !== 'string' || name === '') refuse('bad-field', 'An object name must be specified')
  if (checksum !== undefined && typeof checksum !== 'string')
    refuse('bad-field', 'The checksum must be a string', { field: 'checksum' })
  const id = objectId(call.who, name)
  if (id === undefined) refuse('not-allowed', 'Not authorized to access upload with this path')
  const grant: Grant = {
    may: 'put',
    id,
    owner: call.who.name,
    ...(checksum === undefined ? {} : { sha256: checksum }),
  }
  return send(call, { url: linkTo(call, parts, grant, name) }, 201)
}

/** A running job asks where to put one of its results. */
async function askOutput(call: Call, parts: Parts): Promise<unknown> {
  demandEnabled(parts)
  const { name } = await readMembers(call)
  if (name === undefined || name === '') refuse('bad-field', 'Name not specified')
  if (typeof name !== 'string') refuse('bad-field', 'Name must be a string', { field: 'name' })
  if (!call.who.job)
    refuse('bad-request', call.who.scheme === 'jwt' ? 'Unspecified error' : 'A JWT token is required')
  const grant: Grant = { may: 'put-output', job: call.who.job, owner: call.who.name, name }
  return send(call, { url: linkTo(call, parts, grant, name) }, 201)
}

function linkTo({ request }: Call, { kit, links }: Parts, grant: Grant, name: string): string {
  const fileName = name.slice(name.lastIndexOf('/') + 1)
  return links.make(kit.publicUrl(request), grant, { expiresAt: kit.clock.now() + uploadMs, fileName })
}

async function list(call: Call, parts: Parts, path: string): Promise<unknown> {
  demandEnabled(parts)
  const folder = objectFolder(call.who, path)
  if (folder === undefined) refuse('not-allowed', 'Not authorized to access this path')
  return sendList(call, entriesOf(parts, folder))
}

async function* entriesOf(parts: Parts, folder: string): AsyncGenerator<Json> {
  for await (const { name, sizeBytes, modifiedAt } of listObjects(parts, folder))
    yield { lastModified: new Date(modifiedAt).toUTCString(), name, size: sizeBytes }
}

async function drop(call: Call, parts: Parts, name: string): Promise<unknown> {
  demandEnabled(parts)
  const id = objectId(call.who, name)
  if (id === undefined) refuse('not-allowed', 'Not authorized to access this object')
  await dropObject(parts, id)
  return call.reply.code(204).send()
}

/** Does what a link allows, and nothing else. */
async function follow(request: FastifyRequest, reply: FastifyReply, parts: Parts): Promise<unknown> {
  const { signed = '' } = request.params as { signed?: string }
  const grant = parts.links.read(signed, parts.kit.clock.now())
  if (grant === undefined) refuse('not-allowed', 'This link is not valid, or not any more')
  const wanted = request.method === 'PUT' ? 'put' : 'get'
  if (!grant.may.startsWith(wanted)) refuse('not-allowed', `This link does not allow to ${wanted}`)
  switch (grant.may) {
    case 'put':
      await putObject(parts, grant, bytesOf(request))
      return reply.code(200).send()
    case 'put-output':
      await putJobOutput(parts, grant, bytesOf(request))
      return reply.code(200).send()
    case 'get':
      return sendBlob(request, reply, parts, grant.hash)
    case 'get-snapshot': {
      const hash = await findSnapshot(parts, grant.job)
      return hash === undefined ? sendError(reply, 404, 'Not found') : sendBlob(request, reply, parts, hash)
    }
  }
}

async function sendBlob(
  request: FastifyRequest,
  reply: FastifyReply,
  { kit }: Parts,
  hash: string,
): Promise<unknown> {
  const blob = await kit.blobs.stat(hash)
  if (blob === undefined) return sendError(reply, 404, 'Not found')
  return sendBytes(request, reply, {
    sizeBytes: blob.sizeBytes,
    mediaType: 'application/octet-stream',
    etag: `"${hash}"`,
    open: range => kit.blobs.open(hash, range),
  })
}
