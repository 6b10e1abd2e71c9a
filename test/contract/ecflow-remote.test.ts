// aviso and mirror attributes with partners that answer: a file, a web server, another server of ours. Contract §3.18.

import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type EcflowServer, startEcflow, token } from './ecflow-server.ts'

let server: EcflowServer
beforeAll(async () => {
  server = await startEcflow()
})
afterAll(async () => {
  await server.close()
  await rm(server.dir, { recursive: true, force: true })
})

async function load(name: string, lines: string): Promise<void> {
  const definition = `suite ${name}\n edit ECF_NO_SCRIPT 1\n edit ECF_JOB_CMD true\n${lines}`
  const loaded = await server.ask('POST', '/v1/suites', { definition }, token)
  expect(loaded.status, loaded.text).toBe(201)
  await act(`/${name}`, 'begin')
}

const act = (path: string, action: string) => server.ask('PUT', `/v1/suites${path}/status`, { action }, token)
const read = async (path: string, filter: string) =>
  (await server.ask('GET', `/v1/suites${path}?filter=${filter}`)).json
const state = (path: string) => read(`${path}/status`, 'status')
const flags = (path: string) => read(`${path}/attributes`, 'flag.value')
const why = async (path: string) => String(await read(`${path}/status`, 'why.bottom_up_why'))

async function eventually(what: () => Promise<unknown>, wanted: unknown): Promise<void> {
  let seen: unknown
  for (let left = 800; left > 0; left--) {
    seen = await what()
    if (JSON.stringify(seen) === JSON.stringify(wanted)) return
    await new Promise(resolve => setTimeout(resolve, 25))
  }
  expect(seen).toEqual(wanted)
}

const listener = `'{ "event": "mars", "request": { "class": "od", "step": [0, 6] } }'`
const message = (revision: number, request: Record<string, unknown>) => ({ event: 'mars', request, revision })

test('a task waits for its notification in a file, runs when it comes, and after a requeue waits for the next', async () => {
  const file = join(server.home, 'news.json')
  const others = [
    message(1, { class: 'rd', step: 0 }),
    { event: 'dissemination', request: { class: 'od' }, revision: 2 },
  ]
  await writeFile(file, JSON.stringify(others))
  await load(
    'av',
    ` edit ECF_AVISO_URL '${file}'\n task t\n  aviso --name A --listener ${listener} --polling 1\n task u\n  trigger t == complete\n`,
  )
  expect(await state('/av/t')).toBe('queued')
  expect(await why('/av/t')).toContain('waits for a notification (aviso A)')
  const revision = async () =>
    /--revision (\d+)/.exec(String(await read('/av/t/definition', 'definition')))?.[1]
  await eventually(revision, '2')
  expect(await state('/av/t')).toBe('queued')
  await writeFile(
    file,
    JSON.stringify([
      ...others,
      message(3, { class: 'od', step: '6', extra: 1 }),
      message(4, { class: 'od', step: 12 }),
    ]),
  )
  await eventually(() => state('/av/t'), 'submitted')
  expect(await revision()).toBe('3')
  await act('/av/t', 'complete')
  await act('/av/t', 'requeue')
  await eventually(revision, '4')
  expect(await state('/av/t')).toBe('queued')
  await writeFile(file, JSON.stringify([message(5, { class: 'od', step: 0 })]))
  await eventually(() => state('/av/t'), 'submitted')
})

test('a service that cannot be asked is a flag and a reason, and forgotten once it can', async () => {
  const asked: { url: string; authorization: string | undefined }[] = []
  let isBroken = true
  const service: Server = createServer((request, response) => {
    asked.push({ url: request.url ?? '', authorization: request.headers.authorization })
    response.statusCode = isBroken ? 503 : 200
    response.end(JSON.stringify({ notifications: isBroken ? [] : [message(7, { class: 'od', step: 0 })] }))
  })
  await new Promise<void>(resolve => service.listen(0, '127.0.0.1', resolve))
  const { port } = service.address() as AddressInfo
  await writeFile(join(server.home, 'key.json'), '{"key":"sesame"}')
  await load(
    'ah',
    ` task t\n  aviso --name A --listener ${listener} --url http://127.0.0.1:${port}/news --polling 1 --auth ${server.home}/key.json\n`,
  )
  await eventually(() => flags('/ah/t'), 'remote_error')
  expect(await why('/ah/t')).toContain(`/news?after=0 answered 503`)
  expect(asked[0]).toEqual({ url: '/news?after=0', authorization: 'Bearer sesame' })
  expect(await state('/ah/t')).toBe('queued')
  isBroken = false
  await eventually(() => state('/ah/t'), 'submitted')
  expect(await flags('/ah/t')).toBe('')
  await new Promise(resolve => service.close(resolve))
})

test.each([
  ['a listener that is no JSON', `--listener 'x' --url /x`, 'no JSON object'],
  ['no address', `--listener ${listener}`, 'ECF_AVISO_URL is not defined'],
  ['an address of another kind', `--listener ${listener} --url ftp://x`, 'neither a file nor a web address'],
  [
    'a file outside of the open folders',
    `--listener ${listener} --url /etc/hostname`,
    'below the open folders',
  ],
])('an aviso with %s says so and holds its task', async (_what, options, reason) => {
  const name = `bad${reason.length}`
  await load(name, ` task t\n  aviso --name A ${options} --polling 1\n`)
  await eventually(async () => (await why(`/${name}/t`)).includes(reason), true)
  expect(await state(`/${name}/t`)).toBe('queued')
  expect((await server.ask('DELETE', `/v1/suites/${name}`, undefined, token)).status).toBe(204)
})

test('a mirror shows a node of another server, sets triggers off, and is never run', async () => {
  const other = await startEcflow()
  const definition =
    "suite far\n edit ECF_NO_SCRIPT 1\n edit ECF_JOB_CMD true\n task t\n  event go\n  meter m 0 9\n  label l 'x'\n  edit WHO far\n"
  await other.ask('POST', '/v1/suites', { definition }, token)
  await other.ask('PUT', '/v1/suites/far/status', { action: 'begin' }, token)
  const { hostname, port } = new URL(other.server.url)
  await load(
    'mi',
    ` edit ECF_MIRROR_REMOTE_HOST ${hostname}\n family f\n  task copy\n   event go\n   edit OWN 1\n   mirror --name M --remote_path /far/t --remote_port ${port} --polling 1\n  task after\n   trigger copy == complete and copy:go\n`,
  )
  await eventually(() => state('/mi/f/copy'), 'submitted')
  expect(await state('/mi/f')).toBe('submitted')
  const identity = {
    ECF_NAME: '/far/t',
    ECF_PASS: await other.password('/far/t'),
    ECF_RID: '1',
    ECF_TRYNO: 1,
  }
  const put = (what: string, body: object) =>
    other.ask('PUT', `/v1/suites/far/t/${what}`, { ...identity, ...body })
  await put('status', { action: 'init' })
  await put('attributes', { type: 'event', name: 'go', value: 'set' })
  await put('attributes', { type: 'meter', name: 'm', value: '7' })
  await put('attributes', { type: 'label', name: 'l', value: 'done "so"' })
  await put('status', { action: 'complete' })
  await eventually(() => state('/mi/f/copy'), 'complete')
  await eventually(() => state('/mi/f/after'), 'submitted')
  const attributes = (await server.ask('GET', '/v1/suites/mi/f/copy/attributes')).json
  expect(attributes.meters).toEqual([{ name: 'm', min: 0, max: 9, value: 7 }])
  expect(attributes.events).toEqual([{ name: 'go', value: true, initial_value: false }])
  expect(attributes.labels).toEqual([{ name: 'l', value: 'done "so"' }])
  const variables = attributes.variables
    .slice(0, 2)
    .map((it: { name: string; value: string }) => `${it.name}=${it.value}`)
  expect(variables).toEqual(['OWN=1', 'WHO=far'])
  // A job that runs elsewhere is none of ours: nothing has to be forced.
  await other.ask('PUT', '/v1/suites/far/t/status', { action: 'active' }, token)
  await eventually(() => state('/mi/f/copy'), 'active')
  const kept = await server.ask('PUT', '/v1/suites/mi/f/copy/status', { action: 'kill' }, token)
  expect(kept.status).toBe(400)
  await other.close()
  await eventually(() => state('/mi/f/copy'), 'unknown')
  expect(await flags('/mi/f/copy')).toContain('remote_error')
  expect((await server.ask('DELETE', '/v1/suites/mi?force=true', undefined, token)).status).toBe(204)
})

test('a mirror may read files that somebody copies, and leaves out what could not stand in a definition', async () => {
  const folder = join(server.home, 'mirrors')
  await mkdir(join(folder, 's'), { recursive: true })
  const meters = [
    { name: 'ok', min: 0, max: 5, value: 5 },
    { name: 'bad name', min: 0, max: 5, value: 5 },
    { name: 'empty', min: 5, max: 5, value: 5 },
    { name: 'far', min: 0, max: 5, value: 50 },
  ]
  await writeFile(
    join(folder, 's/t.json'),
    JSON.stringify({ status: 'aborted', meters, labels: 7, events: [null] }),
  )
  await load('mf', ` task copy\n  mirror --name M --remote_path /s/t --remote_host ${folder} --polling 1\n`)
  await eventually(() => state('/mf/copy'), 'aborted')
  expect(await read('/mf/copy/attributes', 'meters')).toEqual([meters[0]])
  await writeFile(join(folder, 's/t.json'), '{"status":"flying"}')
  await eventually(() => state('/mf/copy'), 'unknown')
  expect(await why('/mf/copy')).toContain('is a mirror (M)')
})
