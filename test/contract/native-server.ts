// A whole server for the native API's tests: SQLite in a folder of its own, the real function and process executors.
// Every answer is held against the server's own OpenAPI document, so a test that asks also proves the document.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { pino } from 'pino'
import { makeAdapters } from '../../src/app/adapters.ts'
import { systemClock } from '../../src/app/clocks.ts'
import { type Server, startServer } from '../../src/app/server.ts'
import { type SettingsInput, settingsSchema } from '../../src/app/settings/schema.ts'
import type { Role } from '../../src/core/principal.ts'
import type { Dialect } from '../../src/dialects/dialect.ts'
import { native } from '../../src/dialects/native/index.ts'
import { createToken, revokeToken } from '../../src/http/auth/token-files.ts'

export interface Answered {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  readonly json: any
  readonly text: string
  readonly headers: Headers
}

export interface Asking {
  readonly token?: string | null
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

type Operation = {
  parameters: { name: string; in: string }[]
  responses: Record<string, { content?: Record<string, { schema: object }> }>
}
export interface ApiDocument {
  readonly paths: Record<string, Record<string, Operation & { operationId: string; security?: unknown }>>
  readonly components: object
}

/** A server that can be stopped and started again on its data. */
export class NativeServer {
  readonly dir: string
  readonly document: ApiDocument
  readonly admin: string
  readonly #settings: SettingsInput
  readonly #schemas: SchemaCheck
  #server: Server

  private constructor(parts: {
    dir: string
    document: ApiDocument
    admin: string
    settings: SettingsInput
    server: Server
  }) {
    this.dir = parts.dir
    this.document = parts.document
    this.admin = parts.admin
    this.#settings = parts.settings
    this.#server = parts.server
    this.#schemas = new SchemaCheck(parts.document)
  }

  static async start(settings: SettingsInput = {}): Promise<NativeServer> {
    const dir = await mkdtemp(join(tmpdir(), 'switchyard-native-'))
    const server = await launch(dir, settings)
    const document = (await (await fetch(`${server.url}/yard/v1/openapi.json`)).json()) as ApiDocument
    const admin = (await createToken(join(dir, 'data'), aDraft('root', 'admin'), Date.now())).token
    return new NativeServer({ dir, document, admin, settings, server })
  }

  get url(): string {
    return this.#server.url
  }

  /** Stops the server and starts another on the same data; its address changes. */
  async restart(): Promise<void> {
    await this.#server.close()
    this.#server = await launch(this.dir, this.#settings)
  }

  async close(): Promise<void> {
    await this.#server.close()
    await rm(this.dir, { recursive: true, force: true })
  }

  async token(
    user: string,
    role: Role,
    expiresAt: number | null = null,
  ): Promise<{ token: string; id: string }> {
    const { token, record } = await createToken(
      join(this.dir, 'data'),
      { ...aDraft(user, role), expiresAt },
      Date.now(),
    )
    return { token, id: record.id }
  }

  revoke(id: string): Promise<unknown> {
    return revokeToken(join(this.dir, 'data'), { id }, Date.now())
  }

  /** Asks below /yard/v1, as the admin unless said; the answer has passed the document's schemas. */
  async ask(method: string, path: string, asking: Asking = {}): Promise<Answered> {
    const { token = this.admin, body, headers } = asking
    const response = await fetch(`${this.url}/yard/v1${path}`, {
      method,
      headers: { ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson = /json/.test(response.headers.get('content-type') ?? '') && text !== ''
    const answered = {
      status: response.status,
      text,
      json: isJson ? JSON.parse(text) : undefined,
      headers: response.headers,
    }
    this.#schemas.check(method, `/yard/v1${path.split('?')[0]}`, answered)
    return answered
  }

  get(path: string, asking?: Asking): Promise<Answered> {
    return this.ask('GET', path, asking)
  }

  post(path: string, body?: unknown, asking: Asking = {}): Promise<Answered> {
    return this.ask('POST', path, { ...asking, body })
  }

  /** Submits a job, and gives it as it was answered. */
  async submit(job: object, asking: Asking = {}): Promise<{ id: string; n: number }> {
    const answer = await this.post('/jobs', job, asking)
    if (answer.status !== 201) throw new Error(`the job was refused: ${answer.text}`)
    return answer.json
  }

  /** The job when it has ended. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  async ended(id: string | number): Promise<any> {
    for (;;) {
      const { json } = await this.get(`/jobs/${id}?wait=5000`)
      if (['succeeded', 'failed', 'cancelled'].includes(json.state)) return json
    }
  }
}

export const sleeper = { executor: 'process', spec: { argv: ['sleep', '600'] } }
export const noop = { executor: 'function', spec: { function: 'noop' } }
/** A process job that runs a line of shell. */
export function sh(line: string, facts: object = {}): object {
  return { executor: 'process', spec: { argv: ['sh', '-c', line] }, ...facts }
}

function aDraft(user: string, role: Role) {
  return { user, role, groups: [], expiresAt: null }
}

/** The native dialect, with one kind of work more than the built-in ones. */
const withWork: Dialect = {
  ...native,
  work: { keep: { url: new URL('native-work.ts', import.meta.url).href, export: 'keep' } },
}

function launch(dir: string, settings: SettingsInput): Promise<Server> {
  return startServer({
    settings: settingsSchema.parse({
      store: 'sqlite',
      pools: { narrow: { slots: 1 }, small: { cpus: 2 } },
      ...settings,
      executors: { function: { threads: 1 }, container: { drivers: [] } },
      server: { port: 0 },
    }),
    dataPath: join(dir, 'data'),
    env: {},
    noAuth: false,
    log: pino({ level: process.env['SWITCHYARD_TEST_LOG'] ?? 'silent' }),
    clock: systemClock(),
    dialects: [withWork],
    adapters: makeAdapters,
    tell: () => {},
  })
}

/** Holds answers against the document: the operation of the path, the schema of the status. */
class SchemaCheck {
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true })
  readonly #known = new Map<string, ValidateFunction>()
  readonly #document: ApiDocument
  readonly #paths: { test: RegExp; path: string }[]

  constructor(document: ApiDocument) {
    this.#document = document
    this.#ajv.addSchema({ $id: 'api:/document', components: document.components })
    this.#paths = Object.keys(document.paths).map(path => ({
      path,
      test: new RegExp(
        `^${path
          .replaceAll('.', '\\.')
          .replace('{node}', '.+')
          .replaceAll(/\{\w+\}/g, '[^/]+')}$`,
      ),
    }))
  }

  check(method: string, path: string, { status, json, text, headers }: Answered): void {
    const known = this.#paths.find(({ test }) => test.test(path))?.path
    const operation = known === undefined ? undefined : this.#document.paths[known]?.[method.toLowerCase()]
    const response =
      operation === undefined
        ? { content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } }
        : (operation.responses[status] ?? operation.responses['default']!)
    const { content } = response
    if (content === undefined) {
      if (text !== '')
        throw new Error(`${method} ${path} answered ${status} with a body: ${text.slice(0, 200)}`)
      return
    }
    const type = headers.get('content-type') ?? ''
    const schema = content[type]?.schema
    if (schema === undefined) {
      // Files have types of their own.
      if ('*/*' in content) return
      throw new Error(`${method} ${path} answered ${status} as ${type}, not ${Object.keys(content)}`)
    }
    if (!/json/.test(type)) return
    const validate = this.#compiled(schema)
    if (!validate(json)) {
      const errors = this.#ajv.errorsText(validate.errors)
      throw new Error(
        `${method} ${path} answered ${status} against its schema: ${errors}\n${text.slice(0, 500)}`,
      )
    }
  }

  #compiled(schema: object): ValidateFunction {
    const text = JSON.stringify(schema).replaceAll('"#/components', '"api:/document#/components')
    let validate = this.#known.get(text)
    if (validate === undefined) {
      validate = this.#ajv.compile(JSON.parse(text))
      this.#known.set(text, validate)
    }
    return validate
  }
}
