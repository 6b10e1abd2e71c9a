// Replays what was recorded of the real server (5.17.0) against ours. What differs on purpose is listed with its reason.

import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasShared, sharedPath } from '../support/shared.ts'
import {
  type Answered,
  type Ask,
  askOverSocket,
  certificate,
  type EcflowServer,
  hasOpenssl,
  startEcflow,
  type TlsFiles,
  token,
} from './ecflow-server.ts'

interface Step {
  readonly name: string
  readonly request: { method: string; path: string; headers?: Record<string, string>; body?: unknown }
  readonly response: { status: number; headers: Record<string, string>; body: unknown } | null
  readonly volatile: readonly string[]
}

/** What has to be there before a recording, or before one of its steps. */
interface Scene {
  readonly before?: (server: EcflowServer) => Promise<void>
  readonly at?: Readonly<Record<number, (server: EcflowServer) => Promise<void>>>
  /** Steps that we answer differently, and why. Without a status the step is not replayed. */
  readonly ours?: Readonly<Record<number, { status?: number; why: string }>>
  /** Something that happens while a step's request is open. */
  readonly during?: Readonly<Record<number, (server: EcflowServer) => Promise<void>>>
  /** Changes a step's body, to keep times short. */
  readonly body?: (body: Record<string, unknown>, index: number) => Record<string, unknown>
}

async function load(server: EcflowServer, definition: string): Promise<void> {
  const answer = await server.ask('POST', '/v1/suites', { definition }, token)
  if (answer.status !== 201) throw new Error(`${answer.status} ${answer.text}`)
}

async function put(server: EcflowServer, path: string, body: unknown): Promise<Answered> {
  const answer = await server.ask('PUT', path, body, token)
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`)
  return answer
}

const action = (server: EcflowServer, path: string, name: string) =>
  put(server, `/v1/suites${path}/status`, { action: name })

const unscripted = 'edit ECF_NO_SCRIPT 1\n edit ECF_JOB_CMD true\n'

async function until(check: () => Promise<boolean>): Promise<void> {
  for (let left = 400; left > 0; left--) {
    if (await check()) return
    await new Promise(resolve => setTimeout(resolve, 25))
  }
  throw new Error('it did not come to that')
}

const stricter = 'the original ignores what it does not know; we refuse it with its line (contract §6)'
const noCrash = 'the original dies of this request (contract §6)'
const oneProcess = 'there is no second server that could be out of reach: 502 is not for us (contract §2.4)'
const denied = 'whoever is known and may not is told 403 (contract §2.3)'
const wrong = 'wrong credentials are 401 (contract §2.3)'

const scenes: Readonly<Record<string, Scene>> = {
  '001-empty-server': {},
  '002-server': { ours: { 8: { status: 200, why: 'halt is an action of ours (contract §2.2)' } } },
  '003-server-attributes': {},
  '004-options-head-and-other-methods': {
    before: server => load(server, 'suite m\n task t\n'),
    ours: {
      1: { status: 204, why: 'the forest has OPTIONS as everything else (contract §2.1)' },
      6: { status: 204, why: 'scripts can be updated here (contract §2.2)' },
      12: { status: 204, why: 'the short path of a node has PUT and DELETE here (contract §7)' },
      14: { why: 'outside of the dialect’s own paths' },
      30: { status: 400, why: 'scripts can be updated here; this body has no script' },
      35: { status: 400, why: 'PUT on the short path is known here; this body has no definition' },
      42: { why: 'DELETE on the short path works here, and would take the suite away' },
      53: { why: 'outside of the dialect’s own paths' },
      57: { why: 'outside of the dialect’s own paths' },
      68: { why: 'outside of the dialect’s own paths' },
    },
  },
  '005-authentication': {
    ours: {
      15: { status: 201, why: 'the case of a scheme does not matter (contract §2.3)' },
      16: { status: 401, why: wrong },
      17: { status: 401, why: wrong },
    },
  },
  '006-create-suites': {
    ours: {
      5: { status: 409, why: 'one conflict, and nothing is created' },
      6: { why: 'the original created the first of two' },
      7: { status: 400, why: stricter },
      8: { status: 400, why: noCrash },
      10: { status: 400, why: noCrash },
      14: { status: 201, why: 'both spellings of auto_add_extern(s) are known (contract §7)' },
      20: { status: 400, why: 'a family is no suite (contract §6)' },
      21: { status: 400, why: 'a task is no suite (contract §6)' },
      29: { why: 'follows from the differences above' },
    },
  },
  '007-trees': { before: server => load(server, suiteOf('09-labels-meters-events', 'd09', 'tr')) },
  '008-filter': {
    before: server =>
      load(server, 'suite fi\n edit A 1\n edit B two\n family f\n  task t\n   meter m 0 10\n'),
  },
  '009-compression': {
    before: server =>
      load(server, `suite gz\n${Array.from({ length: 30 }, (_, index) => ` task task_${index}\n`).join('')}`),
  },
  '010-status-actions-by-user': {
    before: server =>
      load(server, `suite st\n ${unscripted} family f\n  task a\n  task b\n   trigger a == complete\n`),
  },
  '011-child-commands': {
    before: async server => {
      await load(
        server,
        `suite child\n ${unscripted} zombie ecf_passwd:fail::\n zombie ecf:fob::\n family f\n  queue q1 001 002 003\n  task a\n   event 1 ready\n   meter m 0 100\n   label l ""\n   queue q2 x y\n  task b\n`,
      )
      await action(server, '/child', 'begin')
    },
    at: {
      54: server =>
        action(server, '/child/f/b', 'complete').then(() =>
          action(server, '/child/f/a', 'requeue').then(() => {}),
        ),
    },
    ours: {
      1: { status: 200, why: 'a job needs no credentials but its own (contract §2.3)' },
      31: { status: 400, why: 'an unknown queue action is refused (contract §3.16)' },
    },
  },
  '012-attributes-by-user': {
    before: server => load(server, 'suite at\n family d\n  task t\n endfamily\n family a\n  task x\n'),
    at: {
      132: async server => {
        await server.ask(
          'POST',
          '/v1/suites/at/d/attributes',
          { type: 'label', name: 'dl', value: 'x' },
          token,
        )
      },
    },
    ours: {
      105: { status: 201, why: 'a trigger can be added (contract §2.5)' },
      106: { status: 201, why: 'a trigger needs no name (contract §2.5)' },
      109: { status: 200, why: 'a trigger needs no name (contract §2.5)' },
      110: { status: 204, why: 'a trigger needs no name (contract §2.5)' },
      111: { status: 404, why: 'the trigger was deleted by the step before' },
      112: { status: 201, why: 'a repeat can be added (contract §2.5)' },
      113: { status: 201, why: 'a queue can be added (contract §2.5)' },
      114: { status: 201, why: 'a generic can be added (contract §2.5)' },
      139: { status: 400, why: 'the repeat that was added above has no such value' },
    },
  },
  '013-attribute-listings': {
    before: async server => {
      for (const file of ['03', '05', '07', '08', '10', '12', '14', '16', '17'])
        await load(server, fileOf(file))
    },
    ours: {
      29: { status: 200, why: 'the parts of an expression are joined with AND and OR (contract §4.2)' },
      28: { status: 200, why: 'the parts of an expression are joined with AND and OR (contract §4.2)' },
    },
  },
  '014-update-definition': {
    before: server => load(server, 'suite up\n edit A 1\n family f\n  task a\n  task b\n'),
    ours: {
      9: { status: 400, why: noCrash },
      20: { status: 204, why: 'DELETE on the short path works (contract §7)' },
    },
  },
  '015-delete-and-replace-while-active': {
    before: async server => {
      await load(server, `suite da\n ${unscripted} task a\n`)
      await action(server, '/da', 'begin')
    },
    ours: {
      2: { why: 'force is heard (contract §6), and would delete the suite' },
      3: { status: 400, why: 'refused by rule (contract §7)' },
    },
  },
  '016-script-and-output': {
    before: async server => {
      const folder = `${server.home}/so`
      await mkdir(folder, { recursive: true })
      await writeFile(
        `${folder}/a.ecf`,
        '#!/bin/sh\n%manual\nFor people\n%end\necho hello %ECF_NAME% try %ECF_TRYNO% colour %COLOUR:blue%\n',
      )
      await writeFile(`${folder}/bad.ecf`, 'echo %MISSING%\n')
      await load(
        server,
        `suite so\n edit ECF_HOME '${server.home}'\n edit ECF_JOB_CMD '%ECF_JOB% > %ECF_JOBOUT% 2>&1'\n edit ECF_TRIES 1\n task a\n task bad\n task none\n`,
      )
    },
    at: {
      2: async server => {
        await action(server, '/so', 'begin')
        await until(async () => (await server.ask('GET', '/v1/suites/so/a/output')).text.includes('hello'))
        for (const name of ['bad', 'none']) {
          await until(
            async () =>
              (await server.ask('GET', `/v1/suites/so/${name}/status?filter=status`)).json === 'aborted',
          )
        }
      },
    },
    ours: { 11: { status: 200, why: 'scripts can be updated here (contract §2.2)' } },
  },
  '018-blocking-child-commands': {
    before: async server => {
      await load(
        server,
        `suite b18\n ${unscripted} family f\n  task a\n   event go\n  task b\n   defstatus complete\n  task c\n   defstatus complete\n   event open\n   event late\n`,
      )
      await action(server, '/b18', 'begin')
    },
    during: {
      5: async server => {
        await put(server, '/v1/suites/b18/f/c/attributes', { type: 'event', name: 'open', value: 'set' })
      },
    },
    body: (body, index) => (index === 6 || index === 9 ? { ...body, ECF_TIMEOUT: 0 } : body),
    ours: { 6: { status: 400, why: 'ECF_TIMEOUT is honoured while waiting (contract §3.15)' } },
  },
  '019-server-states': {
    before: async server => {
      await load(server, `suite b19\n ${unscripted} family f\n  task a\n  task b\n   trigger a == complete\n`)
      await load(server, `suite b19b\n ${unscripted} task t\n`)
      await action(server, '/b19', 'begin')
    },
    at: {
      1: async server => void (await put(server, '/v1/server/status', { action: 'halt' })),
      9: async server => void (await put(server, '/v1/server/status', { action: 'shutdown' })),
      15: async server => void (await put(server, '/v1/server/status', { action: 'restart' })),
    },
    body: (body, index) => (index === 3 ? { ...body, ECF_TIMEOUT: 0 } : body),
  },
  '020-whitelist-and-passwords': {
    before: async server => {
      await load(server, 'suite w20\n task t\n')
      await load(server, 'suite w20b\n task t\n')
    },
    at: {
      1: server =>
        writeFile(
          `${server.home}/${server.machine}.3142.ecf.custom_passwd`,
          '4.5.0 # version\ncarol localhost 3142 secret\n',
        ),
      6: server => writeFile(`${server.home}/${server.machine}.3142.ecf.lists`, '4.4.14\n-* /\ncarol /w20\n'),
      12: server => writeFile(`${server.home}/${server.machine}.3142.ecf.lists`, '4.4.14\ncarol /w20\n'),
    },
    ours: {
      0: { status: 401, why: wrong },
      3: { status: 401, why: wrong },
      4: { status: 401, why: wrong },
      8: { status: 403, why: denied },
      9: { status: 403, why: denied },
      10: { status: 403, why: denied },
    },
  },
  '021-server-unreachable': {
    before: server => load(server, 'suite w20\n task t\n'),
    ours: {
      0: { status: 200, why: oneProcess },
      1: { status: 200, why: oneProcess },
      4: { status: 201, why: oneProcess },
      5: { status: 200, why: oneProcess },
      6: { status: 200, why: oneProcess },
      7: { status: 404, why: `${oneProcess}; this task has no script` },
    },
  },
}

/** The recording about TLS needs real sockets, and is replayed on its own below. */
const overSockets = '017-https'

function fileOf(number: string): string {
  const folder = sharedPath('recordings', 'ecflow', 'defs')
  const name = readdirSync(folder).find(file => file.startsWith(number) && file.endsWith('.def'))!
  return readFileSync(`${folder}/${name}`, 'utf8')
}

function suiteOf(file: string, from: string, to: string): string {
  return readFileSync(sharedPath('recordings', 'ecflow', 'defs', `${file}.def`), 'utf8').replace(
    `suite ${from}`,
    `suite ${to}`,
  )
}

function stepsOf(name: string): Step[] {
  return JSON.parse(readFileSync(sharedPath('recordings', 'ecflow', `${name}.json`), 'utf8'))
}

/** Values that differ from run to run, or that the contract leaves free, made equal on both sides. */
function comparable(step: Step, body: unknown, server: EcflowServer): unknown {
  const isVolatile = (path: string) => step.volatile.includes(`response.${path}`)
  if (isVolatile('body') || isVolatile('body.*')) return 'volatile'
  const text = JSON.stringify(body ?? null)
  let value: unknown = JSON.parse(
    text
      .replaceAll('@SUITE_HOME@', server.home)
      .replaceAll('@ECF_HOME@', server.home)
      .replaceAll('@HOST@', server.machine),
  )
  if (isVolatile('body.variables[*].value')) value = keysOnly(value)
  if (step.volatile.some(path => /\*\*|\[\*\]|generated=true|inherited/.test(path)))
    value = withoutVariables(value)
  return withoutFree(value)
}

function keysOnly(value: unknown): unknown {
  return (value as { variables: { name: string; const: boolean }[] }).variables.map(it => [it.name, it.const])
}

function withoutVariables(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutVariables)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([name]) => name !== 'inherited_variables')
  const shape = Object.fromEntries(entries.map(([name, member]) => [name, withoutVariables(member)]))
  if (shape['const'] === false && 'value' in shape) shape['value'] = 'volatile'
  return shape
}

/** Texts are free (messages, why); extra members of ours are allowed; events by number are named here. */
function withoutFree(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutFree)
  if (typeof value !== 'object' || value === null) return value
  const shape = { ...(value as Record<string, unknown>) }
  for (const name of ['why', 'round_trip_time', 'round-trip-time', 'zombie_type', 'statistics'])
    delete shape[name]
  if ('code' in shape) {
    delete shape['message']
    delete shape['body']
  } else if (shape['message'] === 'Status changed successfully') delete shape['status']
  if ('initial_value' in shape && /^\d*$/.test(String(shape['name']))) shape['name'] = ''
  return Object.fromEntries(Object.entries(shape).map(([name, member]) => [name, withoutFree(member)]))
}

describe.skipIf(!hasShared('recordings', 'ecflow'))('the recordings of the real server', () => {
  test('each one is replayed', () => {
    const names = readdirSync(sharedPath('recordings', 'ecflow'))
      .filter(file => file.endsWith('.json'))
      .map(file => file.slice(0, -5))
    expect(names.sort()).toEqual([...Object.keys(scenes), overSockets].sort())
  })

  for (const [name, scene] of Object.entries(scenes)) {
    describe.skipIf(!hasShared('recordings', 'ecflow', `${name}.json`))(name, () => {
      let server: EcflowServer
      beforeAll(async () => {
        server = await startEcflow()
        await scene.before?.(server)
      })
      afterAll(() => server.close())
      if (!hasShared('recordings', 'ecflow', `${name}.json`)) return
      for (const [index, step] of stepsOf(name).entries()) {
        const ours = scene.ours?.[index]
        const title = `${index} ${step.name}${ours ? ` — ours: ${ours.why}` : ''}`
        test(title, () => replay(server, scene, step, index))
      }
    })
  }

  describe.skipIf(!hasShared('recordings', 'ecflow', `${overSockets}.json`) || !hasOpenssl())(
    overSockets,
    () => {
      let folder: string
      let tls: TlsFiles
      let server: EcflowServer
      let plain: EcflowServer
      beforeAll(async () => {
        folder = await mkdtemp(join(tmpdir(), 'switchyard-ecflow-tls-'))
        tls = certificate(folder)
        server = await startEcflow({ tls, dialect: { no_ssl: false } })
        plain = await startEcflow()
      })
      afterAll(async () => {
        await server.close()
        await plain.close()
        await rm(folder, { recursive: true, force: true })
      })
      const send = (ask: Ask, { request: { method, path, body, headers } }: Step) =>
        ask(method, path, body ?? undefined, headers)

      test('GET and POST are answered over https, after a definition came in the same way', async () => {
        const steps = stepsOf(overSockets)
        const ask = askOverSocket(server.server, tls)
        const loaded = await ask('POST', '/v1/suites', { definition: 'suite so\n task a\n' }, token)
        expect(loaded.status, loaded.text).toBe(201)
        for (const step of steps.slice(0, 2)) compare(server, step, await send(ask, step))
      })

      test('plain http to the https port is cut off without an answer; TLS goes on working', async () => {
        const [first, , inClear] = stepsOf(overSockets)
        expect(inClear!.response).toBeNull()
        await expect(send(askOverSocket(server.server), inClear!)).rejects.toThrow(/hang up|ECONNRESET/)
        compare(server, first!, await send(askOverSocket(server.server, tls), first!))
      })

      test('changes go through plain http when the server was started with no_ssl', async () => {
        const step = stepsOf(overSockets)[3]!
        compare(plain, step, await send(askOverSocket(plain.server), step))
      })
    },
  )

  async function replay(server: EcflowServer, scene: Scene, step: Step, index: number): Promise<void> {
    const ours = scene.ours?.[index]
    await scene.at?.[index]?.(server)
    if ((ours && ours.status === undefined) || (!ours && step.response === null)) {
      // Not asked: but there must be a reason written down.
      expect(ours?.why).toBeTruthy()
      return
    }
    const { request } = step
    const asking = server.ask(
      request.method,
      request.path,
      await bodyOf(server, scene, step, index),
      request.headers ?? {},
    )
    const meanwhile = scene.during?.[index]
    if (meanwhile) {
      await new Promise(resolve => setTimeout(resolve, 50))
      await meanwhile(server)
    }
    const answer = await asking
    expect(answer.headers['access-control-allow-origin']).toBe('*')
    if (ours) {
      expect(answer.status, answer.text).toBe(ours.status)
      return
    }
    compare(server, step, answer)
  }

  function compare(server: EcflowServer, step: Step, answer: Answered): void {
    const { request, response } = step
    expect(answer.status, answer.text).toBe(response!.status)
    compareHeaders(answer, response!.headers)
    if (request.method === 'HEAD' || response!.body === null) {
      if (request.method === 'HEAD') expect(answer.text).toBe('')
      return
    }
    expect(comparable(step, answer.json, server)).toEqual(comparable(step, response!.body, server))
  }

  /** Jobs show the password of the run they belong to; the recorded one was of another run. */
  async function bodyOf(server: EcflowServer, scene: Scene, step: Step, index: number): Promise<unknown> {
    const { body } = step.request
    if (body === null || body === undefined || body === '') return undefined
    if (typeof body !== 'object' || Array.isArray(body)) return body
    let members = body as Record<string, unknown>
    if (
      typeof members['ECF_NAME'] === 'string' &&
      members['ECF_PASS'] !== undefined &&
      members['ECF_PASS'] !== 'wrong'
    ) {
      members = { ...members, ECF_PASS: await server.password(members['ECF_NAME']) }
    }
    return scene.body ? scene.body(members, index) : members
  }

  function compareHeaders(answer: Answered, recorded: Record<string, string>): void {
    for (const name of [
      'Content-Type',
      'Location',
      'Allow',
      'Access-Control-Allow-Methods',
      'content-encoding',
    ]) {
      // One kind of answer was recorded as application/ojson, by mistake: contract §7.
      const wanted = (recorded[name] ?? recorded[name.toLowerCase()])?.replace('/ojson', '/json')
      if (wanted !== undefined) expect(answer.headers[name.toLowerCase()]).toBe(wanted)
    }
    if (recorded['content-encoding'] === 'gzip')
      expect(JSON.parse(gunzipSync(answer.bytes).toString())).toBeTruthy()
  }
})
