// Who may administer: by `ApiKey user:key`, by a session cookie with its token against forged requests, or by what
// every dialect takes. Others get 401 without a word, as with the original.

import type { FastifyRequest } from 'fastify'
import { may, type Principal } from '../../../core/principal.ts'
import type { House } from '../house.ts'
import { isForged, readCookies } from '../jobs/caller.ts'
import { ApiRefusal } from '../jobs/read-submission.ts'

/** Throws a refusal unless the caller is an administrator. `isForm`: a page sends it, without a token of its own. */
export async function demandAdministrator(
  house: House,
  request: FastifyRequest,
  { isForm = false } = {},
): Promise<void> {
  const principal = await callerOf(house, request, isForm)
  if (!principal || !may(principal, 'administer')) throw new ApiRefusal(401, '')
}

async function callerOf(
  { kit: { access } }: House,
  request: FastifyRequest,
  isForm: boolean,
): Promise<Principal | undefined> {
  const { authorization } = request.headers
  const key = /^apikey\s+([^:\s]+):(\S+)\s*$/i.exec(authorization ?? '')
  if (key) {
    const [, user, password] = key as unknown as [string, string, string]
    const byToken = await access.byToken(password)
    if (byToken) return byToken.name === user || byToken.scheme === 'local' ? byToken : undefined
    return access.recognise(request, { user, password })
  }
  const cookies = readCookies(request.headers.cookie)
  const session = authorization === undefined ? cookies.get('sessionid') : undefined
  if (session === undefined) return access.recognise(request)
  const changes = !['GET', 'HEAD', 'OPTIONS'].includes(request.method)
  if (changes && !isForm && isForged(request, cookies)) return undefined
  return access.byToken(session)
}
