// Who is asking: the original's registered users by HTTP Basic, else whom the yard knows.

import { timingSafeEqual } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { may, type Principal, type Right } from '../../core/principal.ts'
import type { House } from './house.ts'
import { sendEmpty } from './send.ts'

const realm = 'Basic realm="Orthanc Secure Area"'

/** The caller, or undefined when the request has been answered with a refusal. */
export async function recognise(
  house: House,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<Principal | undefined> {
  const { settings, kit } = house
  const registered = settings.users.size > 0 ? registeredUser(house, request) : undefined
  if (registered) return registered
  const known = await kit.access.recognise(request)
  const isStranger = known === undefined || known.scheme === 'anonymous'
  if (isStranger && settings.isAuthenticated) return refuse(reply)
  if (known === undefined || !may(known, rightFor(request))) return refuse(reply)
  return known
}

/** Reading needs little, uploading and jobs more, deleting most. */
function rightFor(request: FastifyRequest): Right {
  if (request.method === 'GET' || request.method === 'HEAD' || request.method === 'OPTIONS') return 'read'
  return request.method === 'POST' ? 'submit' : 'operate'
}

function refuse(reply: FastifyReply): undefined {
  reply.header('www-authenticate', realm)
  sendEmpty(reply, 401)
  return undefined
}

function registeredUser({ settings }: House, request: FastifyRequest): Principal | undefined {
  const encoded = /^Basic\s+([A-Za-z0-9+/]+={0,2})\s*$/i.exec(request.headers.authorization ?? '')?.[1]
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 0) return undefined
  const name = text.slice(0, colon)
  const password = settings.users.get(name)
  if (password === undefined || !isSame(text.slice(colon + 1), password)) return undefined
  return { name, scheme: 'basic', role: 'admin', groups: [] }
}

function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}
