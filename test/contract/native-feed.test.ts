// What the native API tells while much happens: the feed, which resumes without a gap or a repeat, and lists, which
// page without one, both under load and across restarts.

import assert from 'node:assert/strict'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { NativeServer, noop, sleeper } from './native-server.ts'

let yard: NativeServer
beforeAll(async () => {
  yard = await NativeServer.start()
})
afterAll(() => yard.close())

interface Told {
  readonly id: number
  readonly event: string
  readonly data: { seq: number; type: string; n: number }
}

/** Reads a feed until it has told enough, then goes away in the middle of it. */
async function listen(last: number, query: string, enough: (told: Told) => boolean): Promise<Told[]> {
  const over = new AbortController()
  const response = await fetch(`${yard.url}/yard/v1/events${query}`, {
    headers: {
      accept: 'text/event-stream',
      authorization: `Bearer ${yard.admin}`,
      'last-event-id': String(last),
    },
    signal: over.signal,
  })
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  const heard: Told[] = []
  let text = ''
  try {
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk
      const messages = text.split('\n\n')
      text = messages.pop()!
      for (const message of messages) {
        const read = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(message)?.[1]
        const data = read('data')
        if (data === undefined) continue
        const told = { id: Number(read('id')), event: read('event')!, data: JSON.parse(data) }
        heard.push(told)
        if (enough(told)) return heard
      }
    }
  } catch {
    // The server went away in the middle: what was heard counts.
  } finally {
    over.abort()
  }
  return heard
}

describe('the feed', () => {
  test('misses nothing and repeats nothing, however often it is cut, under load and across a restart', async () => {
    const heard: Told[] = []
    const turns = 8
    let turn = 0
    let last = 0
    let pause: Promise<void> | undefined
    const load = (async () => {
      while (turn < turns) {
        await pause
        await yard.post('/jobs/batch', { jobs: Array.from({ length: 25 }, () => noop) })
      }
      // Released only when its place is known: its end is the end of what is to be heard.
      last = (await yard.submit({ ...noop, held: true })).n
      await yard.post(`/jobs/${last}/release`)
    })()
    const isEnd = ({ data }: Told) => data.n === last && data.type === 'succeeded'
    while (!heard.some(isEnd)) {
      let left = turn < turns ? 137 + turn * 51 : Number.POSITIVE_INFINITY
      heard.push(...(await listen(heard.at(-1)?.id ?? 0, '', it => --left <= 0 || isEnd(it))))
      if (++turn !== 3) continue
      let resume = () => {}
      pause = new Promise(resolve => {
        resume = resolve
      })
      const open = listen(heard.at(-1)!.id, '', () => false)
      await yard.restart()
      heard.push(...(await open))
      resume()
    }
    await load
    const stored = await allEvents(heard.at(-1)!.id)
    assert.deepEqual(
      heard.map(it => it.data),
      stored,
    )
    assert.ok(stored.length > 1_000)
    assert.ok(heard.every(({ id, event, data }) => id === data.seq && event === data.type))
  })

  test('tells only what was asked for', async () => {
    const { n } = await yard.submit(noop)
    await yard.ended(n)
    const heard = await listen(
      0,
      `?subject=job&n=${n}&type=submitted,succeeded`,
      it => it.event === 'succeeded',
    )
    assert.deepEqual(
      heard.map(({ event, data }) => [event, data.n]),
      [
        ['submitted', n],
        ['succeeded', n],
      ],
    )
    const page = (await yard.get(`/events?n=${n}&limit=10000`)).json
    assert.ok(page.items.every((it: { n: number }) => it.n === n))
  })

  test('begins with what comes next where no place is named, and refuses a place that is none', async () => {
    const response = fetch(`${yard.url}/yard/v1/events`, {
      headers: { accept: 'text/event-stream', authorization: `Bearer ${yard.admin}` },
    })
    const reader = (await response).body!.pipeThrough(new TextDecoderStream()).getReader()
    const { n } = await yard.submit({ ...noop, held: true })
    let text = ''
    while (!text.includes('\ndata: ')) text += (await reader.read()).value
    assert.match(text, new RegExp(`data: \\{[^\\n]*"n":${n},"type":"submitted"`))
    await reader.cancel()
    for (const id of ['x', '-1', '1.5', '1e3', ' '])
      assert.equal(
        (await yard.get('/events', { headers: { accept: 'text/event-stream', 'last-event-id': id } })).json
          ?.field,
        'Last-Event-ID',
        id,
      )
    assert.equal((await yard.get('/events?after=-1')).json.field, 'after')
  })
})

describe('a list', () => {
  test('pages through everything once, in both orders, while jobs are added', async () => {
    const label = 'paged=yes'
    const jobs = Array.from({ length: 60 }, (_, at) => ({
      ...noop,
      name: `p${at}`,
      labels: { paged: 'yes' },
    }))
    const known: number[] = (await yard.post('/jobs/batch', { jobs })).json.jobs.map(
      (it: { n: number }) => it.n,
    )
    for (const order of ['newest', 'oldest']) {
      const seen: number[] = []
      for (let after = ''; ; ) {
        const { json } = await yard.get(`/jobs?label=${label}&order=${order}&limit=7${after}`)
        seen.push(...json.items.map((it: { n: number }) => it.n))
        if (json.next === undefined) break
        after = `&after=${encodeURIComponent(json.next)}`
        if (seen.length < 120) await yard.post('/jobs/batch', { jobs: jobs.slice(0, 3) })
      }
      assert.equal(new Set(seen).size, seen.length, 'a job was listed twice')
      assert.deepEqual(
        seen,
        seen.toSorted((a, b) => (order === 'newest' ? b - a : a - b)),
      )
      assert.ok(
        known.every(n => seen.includes(n)),
        'a job was left out',
      )
    }
    assert.equal((await yard.get('/jobs?after=nonsense')).status, 400)
  })

  test('is narrowed by every filter that there is', async () => {
    const before = Date.now()
    const owner = await yard.token('lister', 'submitter')
    const facts = { name: 'filtered', kind: 'odd', labels: { a: '1', b: '2' } }
    const { id, n } = await yard.submit({ ...noop, ...facts }, { token: owner.token })
    const held = await yard.submit({ ...noop, ...facts, held: true })
    await yard.ended(id)
    const flow = (await yard.post('/flows', { steps: [{ key: 'a', job: { ...noop, held: true } }] })).json
    const cases: [string, number[]][] = [
      ['name=filtered', [held.n, n]],
      ['kind=odd', [held.n, n]],
      ['name=filtered&owner=lister', [n]],
      ['name=filtered&owner=root', [held.n]],
      ['name=filtered&state=succeeded', [n]],
      ['name=filtered&state=ready,succeeded', [held.n, n]],
      ['name=filtered&state=failed', []],
      ['kind=odd&label=a=1&label=b=2', [held.n, n]],
      ['kind=odd&label=a=1&label=b=3', []],
      ['kind=odd&dialect=native', [held.n, n]],
      ['kind=odd&dialect=scale', []],
      [`kind=odd&from=${before}`, [held.n, n]],
      [`kind=odd&to=${before}`, []],
      ['kind=odd&order=oldest&limit=1', [n]],
    ]
    for (const [query, expected] of cases) {
      const places = (await yard.get(`/jobs?${query}`)).json.items.map((it: { n: number }) => it.n)
      assert.deepEqual(places, expected, query)
    }
    const [ofFlow] = (await yard.get(`/jobs?flow=${flow.n}`)).json.items
    assert.equal(ofFlow.node, 'a')
    for (const [query, field] of [
      ['state=odd', 'state'],
      ['label=odd', 'label'],
      ['order=odd', 'order'],
      ['limit=0', 'limit'],
      ['limit=1001', 'limit'],
      ['limit=1&limit=2', 'limit'],
      ['flow=x', 'flow'],
      ['from=1e400', 'from'],
      ['colour=blue', 'colour'],
    ])
      assert.equal((await yard.get(`/jobs?${query}`)).json.field, field, query)
  })
})

describe('roles', () => {
  test('decide who may do what: 401 without, 403 beyond, 404 for what is not one’s own', async () => {
    const [ann, ben, eve, op] = await Promise.all([
      yard.token('ann', 'submitter'),
      yard.token('ben', 'submitter'),
      yard.token('eve', 'viewer'),
      yard.token('op', 'operator'),
    ])
    const { id, n } = await yard.submit({ ...noop, held: true, name: 'anns' }, { token: ann.token })
    const flow = (await yard.post('/flows', { steps: [{ key: 'a', job: { ...noop, held: true } }] }, ann))
      .json
    const status = async (method: string, path: string, token: string | null, body?: unknown) =>
      (await yard.ask(method, path, { token, ...(body === undefined ? {} : { body }) })).status

    for (const token of [null, 'sy_nonsense', '', 'a b'])
      assert.equal(await status('GET', '/jobs', token), 401)
    assert.equal(await status('POST', '/jobs', eve.token, noop), 403)
    assert.equal(await status('GET', `/jobs/${id}`, eve.token), 200)
    for (const verb of ['cancel', 'hold', 'release', 'retry'])
      assert.equal(await status('POST', `/jobs/${id}/${verb}`, eve.token), 403, verb)
    assert.equal(await status('DELETE', `/jobs/${id}`, eve.token), 403)

    for (const rest of ['', '/spec', '/why', '/events', '/attempts', '/outputs', '/logs/out'])
      for (const key of [id, n])
        assert.equal(await status('GET', `/jobs/${key}${rest}`, ben.token), 404, rest)
    for (const verb of ['cancel', 'hold', 'release', 'retry'])
      assert.equal(await status('POST', `/jobs/${id}/${verb}`, ben.token), 404, verb)
    assert.equal(await status('GET', `/flows/${flow.id}`, ben.token), 404)
    assert.equal(await status('GET', `/flows/${flow.id}/nodes/a/why`, ben.token), 404)
    assert.equal(await status('POST', `/flows/${flow.id}/cancel`, ben.token), 404)
    const owners = async (token: string, query = '') =>
      new Set(
        (await yard.get(`/jobs?limit=1000${query}`, { token })).json.items.map(
          (it: { owner: string }) => it.owner,
        ),
      )
    assert.deepEqual(await owners(ann.token), new Set(['ann']))
    assert.deepEqual(await owners(ann.token, '&owner=root'), new Set(['ann']))
    assert.deepEqual(await owners(ben.token), new Set())
    assert.deepEqual((await yard.get('/flows', { token: ben.token })).json.items, [])
    assert.ok((await owners(eve.token)).has('ann'))
    assert.equal(await status('GET', '/events', ann.token), 403)
    assert.equal(await status('GET', '/events', eve.token), 200)

    assert.equal(await status('POST', `/jobs/${id}/release`, op.token), 200)
    assert.equal(await status('POST', `/flows/${flow.id}/cancel`, ann.token), 200)
    assert.equal(await status('GET', '/openapi.json', null), 200)
  })

  test('hold as long as the token: a revoked one and an expired one are 401', async () => {
    const brief = await yard.token('brief', 'submitter', Date.now() + 1_500)
    const taken = await yard.token('taken', 'submitter')
    const ask = async (token: string) => (await yard.get('/whoami', { token })).status
    assert.deepEqual([await ask(brief.token), await ask(taken.token)], [200, 200])
    await yard.revoke(taken.id)
    for (const { token } of [brief, taken])
      while ((await ask(token)) !== 401) await new Promise(resolve => setTimeout(resolve, 100))
    assert.equal(await ask(yard.admin), 200)
  })

  test('do not matter before the body: a stranger is told so whatever was sent', async () => {
    for (const body of ['{', '[[[[', 'x'.repeat(1_000_000)])
      assert.equal((await yard.post('/jobs', body, { token: null })).status, 401)
    const { id } = await yard.submit(sleeper)
    assert.equal((await yard.post(`/jobs/${id}/cancel`, '{', { token: null })).status, 401)
    await yard.post(`/jobs/${id}/cancel`, { kill: true })
  })
})

// biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
async function allEvents(to: number): Promise<any[]> {
  const events: { seq: number }[] = []
  for (let after = 0; after < to; ) {
    const { items, next } = (await yard.get(`/events?after=${after}&limit=1000`)).json
    events.push(...items)
    after = next
  }
  return events.filter(({ seq }) => seq <= to)
}
