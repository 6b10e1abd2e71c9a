// Our own small OpenID issuer, for `prominence login`: a client registers, asks for a device code, its user approves
// the code on a page here, and the client gets an access token and one to renew it with.
//
// Nothing is stored for strangers: client secrets and device codes follow from signatures. Stored are approvals, which
// need credentials, and which renewal tokens are still good.

import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isObject } from '../../core/json.ts'
import { may, type Principal } from '../../core/principal.ts'
import { readJson, sendJson } from '../../http/json.ts'
import { readBody, serveBare } from './call.ts'
import { devicePage } from './device-page.ts'
import type { Parts } from './parts.ts'
import { isSame, type SignedTexts, signedTexts } from './signed-text.ts'

export const issuerPath = '/prominence/oidc'

/** Approved device codes, and renewal tokens that are still good; both have an end. */
export const approvals = 'prominence.approval'
export const renewals = 'prominence.renewal'
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'
const deviceMs = 600_000
const renewalMs = 90 * 86_400_000
const pollSeconds = 5
const formBytesMax = 64 * 1024
/** No vowels: codes should not spell words. */
const codeLetters = 'BCDFGHJKLMNPQRSTVWXZ'

/** The refusals of RFC 6749 and 8628. */
class OauthError extends Error {
  readonly status: number
  constructor(code: string, status = 400) {
    super(code)
    this.status = status
  }
}

interface Person {
  readonly name: string
  readonly groups: readonly string[]
  readonly email?: string
}

/** Serves the issuer. */
export function issuerRoutes(app: FastifyInstance, parts: Parts): void {
  const issuer = new Issuer(parts)
  const at = (
    path: string,
    method: 'GET' | 'POST',
    handler: (request: FastifyRequest) => Promise<[number, object]>,
  ) =>
    serveBare(app, issuerPath + path, {
      [method]: async (request: FastifyRequest, reply: FastifyReply) => {
        reply.header('cache-control', 'no-store')
        try {
          const [status, answer] = await handler(request)
          return sendJson(reply.code(status), answer)
        } catch (error) {
          if (!(error instanceof OauthError)) throw error
          if (error.status === 401) reply.header('www-authenticate', 'Basic realm="clients"')
          return sendJson(reply.code(error.status), { error: error.message })
        }
      },
    })
  at('/.well-known/openid-configuration', 'GET', async request => [200, issuer.describe(request)])
  at('/register', 'POST', async request => [201, await issuer.register(request)])
  at('/devicecode', 'POST', async request => [200, await issuer.deviceCode(request)])
  at('/token', 'POST', async request => [200, await issuer.token(request)])
  at('/userinfo', 'GET', async request => [200, await issuer.userinfo(request)])
  serveBare(app, `${issuerPath}/device`, {
    GET: (request, reply) => {
      const { code = '' } = request.query as { code?: unknown }
      return showPage(reply, 200, { code: String(code), said: '' })
    },
    POST: async (request, reply) => {
      const form = new URLSearchParams((await readBody(request, formBytesMax)).toString())
      const [status, said] = await issuer.approve(request, form)
      return showPage(reply, status, { code: form.get('code') ?? '', said })
    },
  })
}

function showPage(reply: FastifyReply, status: number, facts: { code: string; said: string }): FastifyReply {
  return reply
    .code(status)
    .header('content-type', 'text/html; charset=utf-8')
    .header('cache-control', 'no-store')
    .header(
      'content-security-policy',
      "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    )
    .send(devicePage(facts))
}

class Issuer {
  readonly #parts: Parts
  #texts: Promise<SignedTexts> | undefined

  constructor(parts: Parts) {
    this.#parts = parts
  }

  describe(request: FastifyRequest): object {
    const base = this.#parts.kit.publicUrl(request) + issuerPath
    return {
      issuer: base,
      registration_endpoint: `${base}/register`,
      device_authorization_endpoint: `${base}/devicecode`,
      token_endpoint: `${base}/token`,
      userinfo_endpoint: `${base}/userinfo`,
      grant_types_supported: [deviceGrant, 'refresh_token'],
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
      response_types_supported: [],
      scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    }
  }

  async register(request: FastifyRequest): Promise<object> {
    const body = await readBody(request, formBytesMax)
    const asked = body.length === 0 ? {} : readJson(body)
    const id = this.#randomText(18)
    const name = isObject(asked) && typeof asked['client_name'] === 'string' ? asked['client_name'] : id
    return {
      client_id: id,
      client_secret: (await this.#signed()).secretOf(id),
      client_secret_expires_at: 0,
      client_name: name,
      grant_types: [deviceGrant, 'refresh_token'],
      token_endpoint_auth_method: 'client_secret_basic',
    }
  }

  async deviceCode(request: FastifyRequest): Promise<object> {
    const form = await this.#form(request)
    const client = await this.#client(request, form)
    const { kit } = this.#parts
    const userCode = this.#userCode()
    const uri = `${kit.publicUrl(request)}${issuerPath}/device`
    const texts = await this.#signed()
    return {
      device_code: texts.write({ device: userCode, client }, kit.clock.now() + deviceMs),
      user_code: userCode,
      verification_uri: uri,
      verification_uri_complete: `${uri}?code=${userCode}`,
      expires_in: deviceMs / 1000,
      interval: pollSeconds,
    }
  }

  async token(request: FastifyRequest): Promise<object> {
    const form = await this.#form(request)
    const client = await this.#client(request, form)
    switch (form.get('grant_type')) {
      case deviceGrant:
        return this.#byDevice(form.get('device_code') ?? '', client)
      case 'refresh_token':
        return this.#byRenewal(form.get('refresh_token') ?? '', client)
      default:
        throw new OauthError('unsupported_grant_type')
    }
  }

  async userinfo(request: FastifyRequest): Promise<object> {
    const { name, groups, email } = await this.#parts.identity.demand(request)
    return { sub: name, preferred_username: name, groups, ...(email === undefined ? {} : { email }) }
  }

  /** The user's side: the code, and who they are. Credentials come with the form, so no other site can send it. */
  async approve(request: FastifyRequest, form: URLSearchParams): Promise<[number, string]> {
    const { kit, identity } = this.#parts
    const code = (form.get('code') ?? '').toUpperCase().replace(/[^A-Z]/g, '')
    if (code.length !== 8) return [400, 'A code has eight letters.']
    const who = await this.#credentials(request, form, identity.byToken)
    if (who === undefined || !may(who, 'submit')) return [401, 'These credentials are not valid.']
    const { name, groups, email } = who
    const until = kit.clock.now() + deviceMs
    const body = { name, groups: [...groups], until, ...(email === undefined ? {} : { email }) }
    const id = hashOf(`${code.slice(0, 4)}-${code.slice(4)}`)
    await kit.engine.write(tx => tx.record({ put: { collection: approvals, id, body } }))
    return [200, `Approved. The client of ${name} may go on.`]
  }

  async #credentials(
    request: FastifyRequest,
    form: URLSearchParams,
    byToken: (token: string) => Promise<Principal | undefined>,
  ): Promise<Principal | undefined> {
    const token = form.get('token') ?? ''
    if (token !== '') return byToken(token)
    const credentials = { user: form.get('user') ?? '', password: form.get('password') ?? '' }
    return credentials.user === '' ? undefined : this.#parts.kit.access.recognise(request, credentials)
  }

  async #byDevice(text: string, client: string): Promise<object> {
    const { kit, serial } = this.#parts
    const statement = (await this.#signed()).read(text, kit.clock.now())
    if (statement === undefined) throw new OauthError('expired_token')
    if (typeof statement['device'] !== 'string' || statement['client'] !== client)
      throw new OauthError('invalid_grant')
    const id = hashOf(statement['device'])
    return serial.run(`approval ${id}`, async () => {
      const approved = (await kit.records.get(approvals, id))?.body as unknown as
        | (Person & { until: number })
        | undefined
      if (approved === undefined || approved.until < kit.clock.now())
        throw new OauthError('authorization_pending')
      return this.#issue(approved, client, { collection: approvals, id })
    })
  }

  async #byRenewal(text: string, client: string): Promise<object> {
    const { kit, serial } = this.#parts
    const statement = (await this.#signed()).read(text, kit.clock.now())
    if (typeof statement?.['renewal'] !== 'string' || statement['client'] !== client)
      throw new OauthError('invalid_grant')
    const id = hashOf(statement['renewal'])
    return serial.run(`renewal ${id}`, async () => {
      const person = (await kit.records.get(renewals, id))?.body as unknown as Person | undefined
      if (person === undefined) throw new OauthError('invalid_grant')
      return this.#issue(person, client, { collection: renewals, id })
    })
  }

  /** Tokens for a person; what gave the right to them is used up in the same write. */
  async #issue(person: Person, client: string, used: { collection: string; id: string }): Promise<object> {
    const { kit, settings } = this.#parts
    const { name, groups, email } = person
    const now = kit.clock.now()
    const renewal = this.#randomText(24)
    const body = { name, groups: [...groups], ...(email === undefined ? {} : { email }) }
    await kit.engine.write(tx => {
      tx.record({ drop: used })
      tx.record({
        put: {
          collection: renewals,
          id: hashOf(renewal),
          parent: name,
          body: { ...body, until: now + renewalMs },
        },
      })
    })
    const expiresAt = now + settings.tokenSeconds * 1000
    return {
      access_token: await kit.access.issue({ user: name, role: 'submitter', expiresAt, ...body }),
      token_type: 'Bearer',
      expires_in: settings.tokenSeconds,
      refresh_token: (await this.#signed()).write({ renewal, client }, now + renewalMs),
    }
  }

  async #form(request: FastifyRequest): Promise<URLSearchParams> {
    return new URLSearchParams((await readBody(request, formBytesMax)).toString())
  }

  /** The client that asks: by basic authentication or in the form. */
  async #client(request: FastifyRequest, form: URLSearchParams): Promise<string> {
    const basic = /^basic\s+(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    const pair = basic === undefined ? undefined : Buffer.from(basic, 'base64').toString()
    const id =
      pair === undefined ? (form.get('client_id') ?? '') : pair.slice(0, Math.max(0, pair.indexOf(':')))
    const secret = pair === undefined ? (form.get('client_secret') ?? '') : pair.slice(pair.indexOf(':') + 1)
    if (id === '' || !isSame(secret, (await this.#signed()).secretOf(id)))
      throw new OauthError('invalid_client', 401)
    return id
  }

  #signed(): Promise<SignedTexts> {
    this.#texts ??= this.#parts.kit.secret('prominence-issuer').then(signedTexts)
    return this.#texts
  }

  #randomText(bytes: number): string {
    const random = new Uint8Array(bytes)
    this.#parts.kit.random(random)
    return Buffer.from(random).toString('base64url')
  }

  #userCode(): string {
    const random = new Uint8Array(8)
    this.#parts.kit.random(random)
    // 256 is not a multiple of 20: the bias is small, and a code alone opens nothing.
    const letters = [...random].map(byte => codeLetters[byte % codeLetters.length])
    return `${letters.slice(0, 4).join('')}-${letters.slice(4).join('')}`
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
