// What this dialect promises beyond the recordings: durability, secrets, refusals, its own document.

import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { methodsOf } from '../../src/dialects/ecflow/url-path.ts'
import { MemoryDisk } from '../../src/store/memory/disk.ts'
import { type EcflowServer, startEcflow, token } from './ecflow-server.ts'

const unscripted = 'edit ECF_NO_SCRIPT 1\n edit ECF_JOB_CMD true\n'

async function settle(server: EcflowServer): Promise<string> {
  return (await server.ask('GET', '/v1/suites/tree?content=full&gen_vars=true', undefined, token)).text
}

describe('after a restart', () => {
  test('a job that was taken its task from is still known for what it is, and so is one that nobody knows', async () => {
    const disk = new MemoryDisk()
    const first = await startEcflow({ disk })
    const definition = `suite z\n ${unscripted} zombie user:fail::\n zombie path:fob::\n task a\n  event go\n task b\n`
    await first.ask('POST', '/v1/suites', { definition }, token)
    await first.ask('PUT', '/v1/suites/z/status', { action: 'begin' }, token)
    const identity = async (path: string) => ({
      ECF_NAME: path,
      ECF_PASS: await first.password(path),
      ECF_RID: '7',
      ECF_TRYNO: 1,
    })
    const a = await identity('/z/a')
    const b = await identity('/z/b')
    for (const job of [a, b]) {
      await first.ask('PUT', `/v1/suites${job.ECF_NAME}/status`, { ...job, action: 'init' })
    }
    await first.ask('PUT', '/v1/suites/z/a/status', { action: 'complete' }, token)
    await first.ask('DELETE', '/v1/suites/z/b/definition?force=true', { force: true }, token)
    const event = { type: 'event', name: 'go', value: 'set' }
    const say = async (server: typeof first, job: typeof a) =>
      (await server.ask('PUT', `/v1/suites${job.ECF_NAME}/attributes`, { ...job, ...event })).status
    expect(await say(first, a)).toBe(401)
    await first.close()

    const second = await startEcflow({ disk, dir: first.dir })
    expect(await say(second, a)).toBe(401)
    expect(await say(second, b)).toBe(401)
    expect(await say(second, { ...a, ECF_NAME: '/z/nobody' })).toBe(200)
    const { json } = await second.ask('GET', '/v1/suites/z/a/attributes?filter=flag')
    expect(json.value.split(',')).toContain('zombie')
    // What somebody decides about it by hand comes before the attributes.
    const shown = (await second.ask('GET', '/v1/server/zombies')).json.zombies as {
      path: string
      type: string
    }[]
    expect(shown.map(it => `${it.path} ${it.type}`).sort()).toEqual([
      '/z/a user',
      '/z/b user',
      '/z/nobody path',
    ])
    expect(JSON.stringify(shown)).not.toContain(a.ECF_PASS)
    const order = (path: string, action: string, headers = token) =>
      second.ask('PUT', '/v1/server/zombies', { path, action, rid: 7 }, headers)
    expect((await order('/z/a', 'fob')).status).toBe(200)
    expect(await say(second, a)).toBe(200)
    expect((await order('/z/a', 'remove')).status).toBe(200)
    expect((await order('/z/a', 'fob')).status).toBe(404)
    expect((await order('/z/b', 'dance')).status).toBe(400)
    await second.close()
  })

  test('everything that was answered is there: states, attributes, edits, archives, server variables', async () => {
    const disk = new MemoryDisk()
    const first = await startEcflow({ disk })
    const put = (path: string, body: unknown) => first.ask('PUT', path, body, token)
    const wide = Array.from(
      { length: 3000 },
      (_, index) => `  task w${index}\n   label l "${'x'.repeat(300)}"\n`,
    )
    await first.ask(
      'POST',
      '/v1/suites',
      {
        definition: `suite s\n ${unscripted} limit lim 1\n family f\n  task a\n   event go\n   meter m 0 9\n   inlimit /s:lim\n  task b\n   trigger a:go\n endfamily\n family g\n  task c\n   trigger 1 == 0\n endfamily\n family wide\n  defstatus suspended\n${wide.join('')}`,
      },
      token,
    )
    await put('/v1/suites/s/status', { action: 'begin' })
    const identity = {
      ECF_NAME: '/s/f/a',
      ECF_PASS: await first.password('/s/f/a'),
      ECF_RID: '77',
      ECF_TRYNO: 1,
    }
    await put('/v1/suites/s/f/a/status', { ...identity, action: 'init' })
    await put('/v1/suites/s/f/a/attributes', { ...identity, type: 'meter', name: 'm', value: '4' })
    await put('/v1/suites/s/status', { action: 'archive', force: true })
    await put('/v1/suites/s/status', { action: 'restore' })
    await put('/v1/suites/s/g/status', { action: 'archive' })
    await first.ask(
      'POST',
      '/v1/server/attributes',
      { type: 'variable', name: 'SITE', value: 'north' },
      token,
    )
    await first.ask(
      'POST',
      '/v1/suites/s/f/attributes',
      { type: 'label', name: 'note', value: 'two\nlines' },
      token,
    )
    await put('/v1/server/status', { action: 'shutdown' })
    const before = await settle(first)
    const variables = (await first.ask('GET', '/v1/server/attributes')).text
    await first.close()

    const second = await startEcflow({ disk, dir: first.dir })
    expect(await settle(second)).toBe(before)
    expect((await second.ask('GET', '/v1/server/attributes')).text).toBe(variables)
    expect((await second.ask('GET', '/v1/server/status?filter=status')).json).toBe('SHUTDOWN')
    // The job that was running reports as if nothing had happened.
    const done = await second.ask('PUT', '/v1/suites/s/f/a/status', { ...identity, action: 'complete' })
    expect(done.status).toBe(200)
    expect((await second.ask('GET', '/v1/suites/s/f/a/status?filter=status')).json).toBe('complete')
    await second.ask('PUT', '/v1/suites/s/g/status', { action: 'restore' }, token)
    expect((await second.ask('GET', '/v1/suites/s/g/tree')).json).toEqual({ g: { c: {} } })
    await second.ask('DELETE', '/v1/suites/s?force=true', undefined, token)
    await second.close()

    const third = await startEcflow({ disk, dir: first.dir })
    expect((await third.ask('GET', '/v1/suites')).json).toEqual([])
    await third.close()
  })
})

describe('one server', () => {
  let server: EcflowServer
  beforeAll(async () => {
    server = await startEcflow()
    await server.ask(
      'POST',
      '/v1/suites',
      { definition: `suite s\n ${unscripted} task a\n  event e\n` },
      token,
    )
    await server.ask('PUT', '/v1/suites/s/status', { action: 'begin' }, token)
  })
  afterAll(() => server.close())

  test('the password of a running job is shown to nobody without credentials', async () => {
    const read = async (headers?: Record<string, string>) => {
      const { json } = await server.ask(
        'GET',
        '/v1/suites/s/a/attributes?filter=variables',
        undefined,
        headers,
      )
      return json.find((it: { name: string }) => it.name === 'ECF_PASS').value
    }
    expect(await read()).toBe('')
    expect(await read({ authorization: 'Bearer nope' })).toBe('')
    expect(await read(token)).toMatch(/^[A-Za-z0-9]{8}$/)
    const tree = await server.ask('GET', '/v1/suites/tree?content=full&gen_vars=true')
    expect(tree.text).not.toContain(await read(token))
  })

  test('an error echoes the request without the job’s password', async () => {
    const answer = await server.ask(
      'PUT',
      '/v1/suites/s/a/status',
      '{"ECF_NAME":"/s/a","ECF_PASS":"hush","action":"init"}',
    )
    expect(answer.status).toBe(400)
    expect(answer.json.body).toContain('ECF_NAME')
    expect(answer.text).not.toContain('hush')
  })

  test('a job cannot act for another one, nor with an empty or invented password', async () => {
    for (const password of ['', 'wrong']) {
      const body = {
        ECF_NAME: '/s/a',
        ECF_PASS: password,
        ECF_RID: '1',
        ECF_TRYNO: 1,
        type: 'event',
        name: 'e',
        value: 'set',
      }
      expect((await server.ask('PUT', '/v1/suites/s/a/attributes', body)).status).toBe(200)
    }
    expect((await server.ask('GET', '/v1/suites/s/a/attributes?filter=events[0].value')).json).toBe(false)
  })

  test('a dry run says what is wrong, or that nothing is, and loads nothing', async () => {
    const ask = (definition: string) => server.ask('POST', '/v1/suites?dry_run=true', { definition }, token)
    expect((await ask('suite x\n task t\n')).status).toBe(200)
    expect((await ask('suite x\n task t\n  trigger u == complete\n')).status).toBe(404)
    expect((await ask('suite x\n triger t\n')).json.message).toContain("line 2, column 2: found 'triger'")
    expect((await server.ask('GET', '/v1/suites')).json).toEqual(['s'])
  })

  test('adding an attribute leaves states alone, unlike on the original', async () => {
    const before = (await server.ask('GET', '/v1/suites/s/a/status?filter=status')).json
    const added = await server.ask(
      'POST',
      '/v1/suites/s/a/attributes',
      { type: 'meter', name: 'm', value: 1, min: 0, max: 5 },
      token,
    )
    expect(added.status).toBe(201)
    expect((await server.ask('GET', '/v1/suites/s/a/status?filter=status')).json).toBe(before)
  })

  test('a token bound to paths may change those and nothing else', async () => {
    const bound = { 'x-api-key': 'tok-bound' }
    const edit = { type: 'variable', name: 'V', value: '1' }
    expect((await server.ask('POST', '/v1/suites/s/attributes', edit, bound)).status).toBe(403)
    await server.ask('POST', '/v1/suites', { definition: 'suite bound\n task t\n' }, token)
    expect((await server.ask('POST', '/v1/suites/bound/t/attributes', edit, bound)).status).toBe(201)
    expect(
      (await server.ask('POST', '/v1/suites', { definition: 'suite bound2\n task t\n' }, bound)).status,
    ).toBe(403)
    await server.ask('DELETE', '/v1/suites/bound', undefined, token)
  })

  test('the depth of a tree can be limited, and what the original hides be shown', async () => {
    expect((await server.ask('GET', '/v1/suites/tree?depth=0')).json).toEqual({ s: {} })
    const full = (await server.ask('GET', '/v1/suites/s/tree?content=full&with_meta=true')).json
    expect(full.s.children.a).toMatchObject({ defstatus: 'queued', try: 1, abort_reason: '' })
  })

  test('files outside of the open folders are as if they were not there', async () => {
    await writeFile(`${server.dir}/outside.ecf`, 'secret')
    await server.ask(
      'POST',
      '/v1/suites',
      { definition: `suite files\n edit ECF_SCRIPT '${server.dir}/outside.ecf'\n task t\n` },
      token,
    )
    const answer = await server.ask('GET', '/v1/suites/files/t/script')
    expect(answer.status).toBe(404)
    expect(answer.text).not.toContain('"secret"')
    await server.ask('DELETE', '/v1/suites/files', undefined, token)
  })

  test.each([
    ['a body nested too deeply', '['.repeat(100_000)],
    ['a prototype', '{"__proto__":{"definition":"x"}}'],
    [
      'a definition of deep families',
      JSON.stringify({ definition: `suite d\n${'family f\n'.repeat(50_000)}` }),
    ],
    ['a filter of nonsense', undefined],
  ])('%s is refused quickly', async (_what, body) => {
    const answer = body
      ? await server.ask('POST', '/v1/suites', body, token)
      : await server.ask('GET', `/v1/suites?filter=${'%5B'.repeat(5000)}`)
    expect(answer.status).toBe(400)
  })

  test('a job that waits is answered when its expression becomes true, and the server goes on meanwhile', async () => {
    const identity = { ECF_NAME: '/s/a', ECF_PASS: await server.password('/s/a'), ECF_RID: '5', ECF_TRYNO: 1 }
    // Over a real connection, because what a waiting client does to its connection matters here.
    const waiting = fetch(`${server.server.url}/v1/suites/s/a/status`, {
      method: 'PUT',
      body: JSON.stringify({ ...identity, action: 'wait', wait_expression: '/s/a:e == set' }),
    })
    await new Promise(resolve => setTimeout(resolve, 150))
    await server.ask('PUT', '/v1/suites/s/a/attributes', { type: 'event', name: 'e', value: 'set' }, token)
    expect((await waiting).status).toBe(200)
  })
})

describe('the OpenAPI document', () => {
  let server: EcflowServer
  beforeAll(async () => {
    server = await startEcflow()
    await server.ask(
      'POST',
      '/v1/suites',
      { definition: 'suite s\n repeat integer N 1 3\n task t\n  trigger /s:N == 2\n' },
      token,
    )
  })
  afterAll(() => server.close())

  // biome-ignore lint/suspicious/noExplicitAny: a document is looked into member by member
  const document = async (): Promise<any> => (await server.ask('GET', '/v1/openapi.yaml')).json

  test('names exactly the methods that the router offers', async () => {
    const { paths } = await document()
    const offered = Object.values(methodsOf).map(methods =>
      [...methods].map(method => method.toLowerCase()).sort(),
    )
    // biome-ignore lint/suspicious/noExplicitAny: as above
    const described = Object.values<any>(paths).map(path =>
      Object.keys(path)
        .filter(key => key !== 'parameters')
        .sort(),
    )
    expect(described.sort()).toEqual(offered.sort())
  })

  test('describes what is really answered', async () => {
    const { paths } = await document()
    const live: [path: string, url: string][] = [
      ['/v1/suites', '/v1/suites'],
      ['/v1/suites/tree', '/v1/suites/tree'],
      ['/v1/suites/{path}/tree', '/v1/suites/s/tree?content=full'],
      ['/v1/suites/{path}/definition', '/v1/suites/s/definition'],
      ['/v1/suites/{path}/status', '/v1/suites/s/t/status'],
      ['/v1/suites/{path}/attributes', '/v1/suites/s/t/attributes'],
      ['/v1/suites/{path}/history', '/v1/suites/s/t/history'],
      ['/v1/suites/history', '/v1/suites/history'],
      ['/v1/server/ping', '/v1/server/ping'],
      ['/v1/server/status', '/v1/server/status'],
      ['/v1/server/attributes', '/v1/server/attributes'],
      ['/v1/server/zombies', '/v1/server/zombies'],
      ['/v1/statistics', '/v1/statistics'],
    ]
    for (const [path, url] of live) {
      const answer = await server.ask('GET', url)
      const { schema } = paths[path].get.responses['200'].content['application/json']
      expect([url, faults(schema, answer.json, url)]).toEqual([url, []])
    }
  })

  interface Schema {
    readonly type?: string | string[]
    readonly properties?: Record<string, Schema>
    readonly required?: string[]
    readonly items?: Schema
    readonly enum?: string[]
  }

  /** What of a value is not as its schema says. */
  function faults(schema: Schema, value: unknown, at: string): string[] {
    const is = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value
    const types = [schema.type ?? is].flat().map(type => (type === 'integer' ? 'number' : type))
    if (!types.includes(is)) return [`${at} is ${is}, not ${types.join(' or ')}`]
    if (schema.enum && !schema.enum.includes(String(value))) return [`${at} is ${value}`]
    if (Array.isArray(value))
      return schema.items ? value.flatMap((it, index) => faults(schema.items!, it, `${at}[${index}]`)) : []
    if (typeof value !== 'object' || value === null) return []
    const members = value as Record<string, unknown>
    const missing = (schema.required ?? [])
      .filter(name => !Object.hasOwn(members, name))
      .map(name => `${at}.${name} is missing`)
    const inner = Object.entries(schema.properties ?? {}).flatMap(([name, it]) =>
      Object.hasOwn(members, name) ? faults(it, members[name], `${at}.${name}`) : [],
    )
    return [...missing, ...inner]
  }
})

describe('jobs', () => {
  let server: EcflowServer
  beforeAll(async () => {
    server = await startEcflow()
  })
  afterAll(() => server.close())

  async function until(path: string, state: string): Promise<void> {
    for (let left = 400; left > 0; left--) {
      if ((await server.ask('GET', `/v1/suites${path}/status?filter=status`)).json === state) return
      await new Promise(resolve => setTimeout(resolve, 25))
    }
    throw new Error(
      `${path} did not become ${state}: ${(await server.ask('GET', `/v1/suites${path}/status`)).text}`,
    )
  }

  async function begun(name: string, lines: string, remoteId: string): Promise<void> {
    const definition = `suite ${name}\n edit ECF_NO_SCRIPT 1\n edit ECF_JOB_CMD true\n task t\n${lines}`
    const loaded = await server.ask('POST', '/v1/suites', { definition }, token)
    expect(loaded.status, loaded.text).toBe(201)
    await server.ask('PUT', `/v1/suites/${name}/status`, { action: 'begin' }, token)
    const path = `/${name}/t`
    const identity = {
      ECF_NAME: path,
      ECF_PASS: await server.password(path),
      ECF_RID: remoteId,
      ECF_TRYNO: 1,
    }
    await server.ask('PUT', `/v1/suites${path}/status`, { ...identity, action: 'init' })
  }
  const flagsOf = async (path: string) =>
    (await server.ask('GET', `/v1/suites${path}/attributes?filter=flag.value`)).json as string
  const act = (path: string, action: string) =>
    server.ask('PUT', `/v1/suites${path}/status`, { action }, token)

  async function eventually(holds: () => Promise<boolean>): Promise<void> {
    for (let left = 400; left > 0; left--) {
      if (await holds()) return
      await new Promise(resolve => setTimeout(resolve, 25))
    }
    throw new Error('it did not come true')
  }

  test('the status command of a running task is run, and what it printed is shown; when it fails, a flag says so', async () => {
    const mark = join(server.home, 'st.job')
    await begun(
      'st',
      `  edit ECF_JOB '${mark}'\n  edit ECF_STATUS_CMD 'echo pid %ECF_RID% > %ECF_JOB%.stat'\n`,
      '4711',
    )
    await writeFile(join(server.home, 'st/t.1'), '').catch(async () => {
      await mkdir(join(server.home, 'st'), { recursive: true })
      await writeFile(join(server.home, 'st/t.1'), '')
    })
    expect((await act('/st', 'status')).status).toBe(200)
    await eventually(
      async () => (await server.ask('GET', '/v1/suites/st/t/output')).json.status_output === 'pid 4711\n',
    )
    const edit = { type: 'variable', name: 'ECF_STATUS_CMD', value: 'exit 1' }
    await server.ask('PUT', '/v1/suites/st/t/attributes', edit, token)
    await act('/st/t', 'status')
    await eventually(async () => (await flagsOf('/st/t')).includes('statuscmd_failed'))
    await act('/st/t', 'complete')
    expect((await act('/st/t', 'status')).status).toBe(400)
  })

  test.each(['1; touch HOME/injected', '-1', '0', '$(touch HOME/injected)', '1\ntouch HOME/injected'])(
    'a job that calls itself %s is not put into a kill command',
    async text => {
      const name = `k${Buffer.from(text).toString('hex').slice(0, 20)}`
      await begun(
        name,
        `  edit ECF_KILL_CMD 'touch ${server.home}/killed %ECF_RID%'\n`,
        text.replace('HOME', server.home),
      )
      expect((await act(`/${name}/t`, 'kill')).status).toBe(200)
      await eventually(async () => (await flagsOf(`/${name}/t`)).includes('killcmd_failed'))
      expect(existsSync(join(server.home, 'injected'))).toBe(false)
      expect(existsSync(join(server.home, 'killed'))).toBe(false)
    },
  )

  test('a script may come from a command, and a job command that fails aborts the task for good', async () => {
    const definition = `suite j\n edit ECF_TRIES 3\n task made\n  edit ECF_SCRIPT_CMD 'echo "echo made for %%ECF_NAME%%"'\n task broken\n  edit ECF_NO_SCRIPT 1\n  edit ECF_JOB_CMD 'exit 7'\n`
    await server.ask('POST', '/v1/suites', { definition }, token)
    await server.ask('PUT', '/v1/suites/j/status', { action: 'begin' }, token)
    await until('/j/broken', 'aborted')
    const flags = await server.ask('GET', '/v1/suites/j/broken/attributes?filter=flag.value')
    expect(flags.json).toContain('ecfcmd_failed')
    const why = (await server.ask('GET', '/v1/suites/j/broken/tree?content=full&with_meta=true')).json.broken
    expect(why.try).toBe(1)
    for (let left = 400; left > 0; left--) {
      const output = await server.ask('GET', '/v1/suites/j/made/output')
      if (output.status === 200 && output.json.job_output !== '') {
        expect(output.json.job_output).toBe('made for /j/made\n')
        return
      }
      await new Promise(resolve => setTimeout(resolve, 25))
    }
    throw new Error('there was no output')
  })
})
