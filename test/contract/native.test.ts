// The native API, route by route, over a whole server. native-server.ts holds every answer against the API's document.

import assert from 'node:assert/strict'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { NativeServer, noop, sh, sleeper } from './native-server.ts'

let yard: NativeServer
beforeAll(async () => {
  yard = await NativeServer.start()
})
afterAll(() => yard.close())

describe('submitting', () => {
  test('a job is answered with its place, and is found by id, place and dialect:ref alike', async () => {
    const answer = await yard.post('/jobs', {
      ...noop,
      name: 'first ☃',
      labels: { a: '1' },
      rank: -3,
      triesMax: 2,
      backoffMs: 5,
      needs: { cpus: 0.5 },
    })
    assert.equal(answer.status, 201)
    const { id, n } = answer.json
    assert.equal(answer.headers.get('location'), `/yard/v1/jobs/${id}`)
    assert.equal(answer.json.kind, 'noop')
    const ended = await yard.ended(id)
    assert.deepEqual(
      [ended.state, ended.name, ended.rank, ended.labels, ended.owner, ended.progress, ended.needs],
      ['succeeded', 'first ☃', -3, { a: '1' }, 'root', 1, { cpus: 0.5 }],
    )
    assert.equal((await yard.get(`/jobs/${n}`)).json.id, id)
    assert.deepEqual((await yard.get(`/jobs/${id}/spec`)).json, noop.spec)
    for (const absent of ['nothing', '999999999', 'prominence:1', 'native:', '%2e%2e%2fjobs'])
      assert.equal((await yard.get(`/jobs/${absent}`)).status, 404, absent)
  })

  test('ten thousand jobs at once are ten thousand jobs, and one more is refused', async () => {
    const jobs = Array.from({ length: 10_000 }, (_, at) => ({
      ...noop,
      name: `b${at}`,
      kind: 'bulk',
      held: true,
    }))
    const answer = await yard.post('/jobs/batch', { jobs })
    assert.equal(answer.status, 201)
    const places = answer.json.jobs.map((job: { n: number }) => job.n)
    assert.equal(new Set(places).size, 10_000)
    assert.equal((await yard.get(`/jobs/${places[9_999]}`)).json.name, 'b9999')
    const refused = await yard.post('/jobs/batch', { jobs: [...jobs, noop] })
    assert.deepEqual([refused.status, refused.json.field], [400, 'jobs'])
    // They were only in the way of what follows.
    await Promise.all(
      answer.json.jobs.slice(0, 50).map(({ id }: { id: string }) => yard.post(`/jobs/${id}/cancel`)),
    )
  })

  test('a batch with one bad job is refused whole, and the bad one is named', async () => {
    const newest = (await yard.get('/jobs?limit=1')).json.items[0].n
    const bad: [object, number, string][] = [
      [{ executor: 'nobody', spec: {} }, 400, 'jobs.2.executor'],
      [{ executor: 'function', spec: { function: 'nothing' } }, 400, 'jobs.2.spec'],
      [{ ...noop, pool: 'small', needs: { cpus: 3 } }, 422, 'jobs.2.needs'],
      [{ ...noop, rank: 'high' }, 400, 'jobs.2.rank'],
      [{ ...noop, colour: 'blue' }, 400, 'jobs.2.colour'],
      [{ ...noop, pool: 'smal' }, 400, 'jobs.2.pool'],
    ]
    for (const [job, status, field] of bad) {
      const answer = await yard.post('/jobs/batch', { jobs: [noop, noop, job, noop] })
      assert.deepEqual([answer.status, answer.json.field], [status, field])
    }
    assert.equal((await yard.get('/jobs?limit=1')).json.items[0].n, newest)
  })

  test('what cannot be is refused with the field that is wrong', async () => {
    const wrong: [object | string, string | undefined][] = [
      [{ spec: {} }, 'executor'],
      [{ ...noop, executor: 'nobody' }, 'executor'],
      [{ ...noop, pool: 'smal' }, 'pool'],
      [{ ...noop, pool: 'constructor' }, 'pool'],
      [{ ...noop, spec: { function: 'nothing' } }, 'spec'],
      [{ executor: 'process', spec: { argv: [] } }, 'spec'],
      [{ executor: 'process', spec: { argv: ['a\0b'] } }, 'spec'],
      [{ ...noop, labels: { '': 'x' } }, 'labels.'],
      [
        { ...noop, labels: Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`l${at}`, ''])) },
        'labels',
      ],
      [{ ...noop, name: 'x'.repeat(513) }, 'name'],
      [{ ...noop, dueAt: -1 }, 'dueAt'],
      [{ ...noop, dueAt: 8.65e15 }, 'dueAt'],
      [{ ...noop, triesMax: 0 }, 'triesMax'],
      [{ ...noop, runMsMax: 0 }, 'runMsMax'],
      [{ ...noop, needs: { cpus: -1 } }, 'needs.cpus'],
      [{ ...noop, needs: { gpus: 1 } }, 'needs.gpus'],
      ['[]', undefined],
      ['null', undefined],
      ['', undefined],
      ['{"executor":', undefined],
    ]
    for (const [body, field] of wrong) {
      const answer = await yard.post('/jobs', body)
      assert.equal(answer.status, 400, `${JSON.stringify(body)}: ${answer.text}`)
      assert.equal(answer.json.field, field, answer.text)
    }
    const unfit = await yard.post('/jobs', { ...noop, pool: 'small', needs: { cpus: 3 } })
    assert.equal(unfit.status, 422)
  })
})

describe('steering', () => {
  test('a waiting job is cancelled at once, a running one when it has stopped, an ended one not at all', async () => {
    const waiting = await yard.submit({ ...noop, held: true })
    const cancelled = await yard.post(`/jobs/${waiting.id}/cancel`, { message: 'not today' })
    assert.deepEqual(
      [cancelled.status, cancelled.json.state, cancelled.json.message],
      [200, 'cancelled', 'not today'],
    )
    const again = await yard.post(`/jobs/${waiting.id}/cancel`)
    assert.equal(again.status, 409)
    for (const body of [undefined, { kill: true }]) {
      const { id } = await yard.submit(sleeper)
      await running(id)
      const asked = await yard.post(`/jobs/${id}/cancel`, body)
      assert.equal(asked.json.stop, body === undefined ? 'cancel' : 'kill')
      assert.deepEqual([(await yard.ended(id)).state], ['cancelled'])
      for (const verb of ['cancel', 'hold', 'release'])
        assert.equal((await yard.post(`/jobs/${id}/${verb}`)).status, 409, verb)
      assert.equal((await yard.ask('PATCH', `/jobs/${id}`, { body: { rank: 1 } })).status, 409)
    }
    assert.equal((await yard.post(`/jobs/${waiting.id}/cancel`, { colour: 'red' })).json.field, 'colour')
  })

  test('a held job waits until it is released, and says so', async () => {
    const { id } = await yard.submit({ ...noop, held: true })
    const why = (await yard.get(`/jobs/${id}/why`)).json
    assert.deepEqual([why.waiting, why.waitsFor], [true, 'held'])
    assert.equal((await yard.post(`/jobs/${id}/release`)).json.held, false)
    assert.equal((await yard.ended(id)).state, 'succeeded')
    assert.equal((await yard.get(`/jobs/${id}/why`)).json.waiting, false)

    const other = await yard.submit({ ...noop, dueAt: Date.now() + 3_600_000 })
    assert.equal((await yard.get(`/jobs/${other.id}/why`)).json.waitsFor, 'delayed')
    assert.equal((await yard.post(`/jobs/${other.id}/hold`)).json.held, true)
    await yard.post(`/jobs/${other.id}/cancel`)
  })

  test('a full pool lets jobs wait in the order of their ranks, and a new rank is a new place', async () => {
    const first = await yard.submit({ ...sleeper, pool: 'narrow' })
    await running(first.id)
    const [a, b] = [
      await yard.submit({ ...noop, pool: 'narrow', rank: 1 }),
      await yard.submit({ ...noop, pool: 'narrow', rank: 2 }),
    ]
    const place = async (id: string) => (await yard.get(`/jobs/${id}/why`)).json.place
    assert.deepEqual([await place(a.id), await place(b.id)], [1, 2])
    assert.equal((await yard.ask('PATCH', `/jobs/${b.id}`, { body: { rank: 0 } })).json.rank, 0)
    assert.deepEqual([await place(a.id), await place(b.id)], [2, 1])
    assert.equal((await yard.ask('PATCH', `/jobs/${b.id}`, { body: { rank: 1.5 } })).json.field, 'rank')
    const pool = (await yard.get('/pools')).json.items.find((it: { name: string }) => it.name === 'narrow')
    assert.deepEqual([pool.slots, pool.slotsUsed, pool.ready], [1, 1, 2])
    await yard.post(`/jobs/${first.id}/cancel`, { kill: true })
    const [endA, endB] = [await yard.ended(a.id), await yard.ended(b.id)]
    assert.ok(endB.startedAt <= endA.startedAt)
  })

  test('a failed job is tried as often as it may be, and again when it is put back', async () => {
    const { id } = await yard.submit(sh('exit 3', { triesMax: 2, backoffMs: 1 }))
    const failed = await yard.ended(id)
    assert.deepEqual(
      [failed.state, failed.reason, failed.exitCode, failed.attempts],
      ['failed', 'exit', 3, 2],
    )
    assert.equal((await yard.post(`/jobs/${id}/retry`)).status, 200)
    assert.equal((await yard.ended(id)).attempts, 4)
    const attempts = (await yard.get(`/jobs/${id}/attempts`)).json.items
    assert.deepEqual(
      attempts.map((it: { number: number; exitCode: number }) => [it.number, it.exitCode]),
      [1, 2, 3, 4].map(number => [number, 3]),
    )
    const events = (await yard.get(`/jobs/${id}/events`)).json.items
    assert.deepEqual([events[0].type, events.at(-1).type], ['submitted', 'failed'])
    assert.deepEqual(
      events.map((it: { seq: number }) => it.seq),
      events.map((it: { seq: number }) => it.seq).toSorted((a: number, b: number) => a - b),
    )
    const good = await yard.submit(noop)
    await yard.ended(good.id)
    assert.equal((await yard.post(`/jobs/${good.id}/retry`)).status, 409)
  })

  test('an ended job can be forgotten, with what it printed; a live one cannot', async () => {
    const live = await yard.submit({ ...noop, held: true })
    assert.equal((await yard.ask('DELETE', `/jobs/${live.id}`)).status, 409)
    await yard.post(`/jobs/${live.id}/cancel`)
    const { id } = await yard.submit(sh('echo gone'))
    await yard.ended(id)
    assert.equal((await yard.get(`/jobs/${id}/logs/out`)).text, 'gone\n')
    assert.equal((await yard.ask('DELETE', `/jobs/${id}`)).status, 204)
    for (const rest of ['', '/logs/out', '/attempts', '/events', '/outputs', '/spec', '/why'])
      assert.equal((await yard.get(`/jobs/${id}${rest}`)).status, 404, rest)
    assert.equal((await yard.ask('DELETE', `/jobs/${id}`)).status, 404)
  })

  test('waiting ends with an answer when the server stops, and holds its stop up for nothing', async () => {
    const { id } = await yard.submit({ ...noop, held: true })
    const flow = await yard.post('/flows', { steps: [{ key: 'a', job: { ...noop, held: true } }] })
    const waits = [`/jobs/${id}?wait=60000`, `/flows/${flow.json.id}?wait=60000`].map(path => yard.get(path))
    await yard.get('/jobs?limit=1')
    await yard.restart()
    const answers = await Promise.all(waits)
    assert.deepEqual(
      answers.map(({ status, json }) => [status, json.state]),
      [
        [200, 'ready'],
        [200, 'running'],
      ],
    )
  })

  test('waiting for a job ends with the job, or with the time', async () => {
    const { id } = await yard.submit(sleeper)
    await running(id)
    assert.equal((await yard.get(`/jobs/${id}?wait=20`)).json.state, 'running')
    assert.equal((await yard.get(`/jobs/${id}?wait=120001`)).json.field, 'wait')
    const waited = yard.get(`/jobs/${id}?wait=60000`)
    await yard.post(`/jobs/${id}/cancel`, { kill: true })
    assert.equal((await waited).json.state, 'cancelled')
  })
})

describe('bytes', () => {
  test('a log can be read while it grows, from an offset, and by ranges', async () => {
    const { id } = await yard.submit(sh('printf 0123456789; echo oops >&2; sleep 600'))
    await running(id)
    await until(async () => (await yard.get(`/jobs/${id}/logs/out`)).text === '0123456789')
    const part = await yard.get(`/jobs/${id}/logs/out?offset=2&limit=3`)
    assert.deepEqual([part.status, part.text, part.headers.get('x-next-offset')], [200, '234', '5'])
    const beyond = await yard.get(`/jobs/${id}/logs/out?offset=99`)
    assert.deepEqual([beyond.status, beyond.text, beyond.headers.get('x-next-offset')], [200, '', '10'])
    assert.equal((await yard.get(`/jobs/${id}/logs/err`)).text, 'oops\n')
    await yard.post(`/jobs/${id}/cancel`, { kill: true })
    await yard.ended(id)
    for (const [range, status, text, told] of [
      ['bytes=3-4', 206, '34', 'bytes 3-4/10'],
      ['bytes=8-', 206, '89', 'bytes 8-9/10'],
      ['bytes=-1', 206, '9', 'bytes 9-9/10'],
      ['bytes=10-', 416, '', 'bytes */10'],
      ['lines=1', 200, '0123456789', null],
    ] as const) {
      const answer = await yard.get(`/jobs/${id}/logs/out`, { headers: { range } })
      assert.deepEqual(
        [answer.status, answer.text, answer.headers.get('content-range')],
        [status, text, told],
        range,
      )
    }
    for (const stream of ['other', '..%2fout', '%00', '%2e%2e'])
      assert.equal((await yard.get(`/jobs/${id}/logs/${stream}`)).status, 404, stream)
    assert.equal((await yard.get(`/jobs/${id}/logs/out?attempt=2`)).status, 404)
    assert.equal((await yard.get(`/jobs/${id}/logs/out?offset=-1`)).json.field, 'offset')
  })

  test('every attempt keeps its own log', async () => {
    const { id } = await yard.submit(sh('echo "$$"; exit 1', { triesMax: 2, backoffMs: 1 }))
    await yard.ended(id)
    const [one, two, newest] = await Promise.all(
      ['?attempt=1', '?attempt=2', ''].map(
        async query => (await yard.get(`/jobs/${id}/logs/out${query}`)).text,
      ),
    )
    assert.notEqual(one, two)
    assert.equal(two, newest)
  })

  test('a job that was never started has no log, and says so', async () => {
    const { id } = await yard.submit({ ...noop, held: true })
    const answer = await yard.get(`/jobs/${id}/logs/out`)
    assert.equal(answer.status, 404)
    assert.match(answer.json.detail, /was never started/)
    await yard.post(`/jobs/${id}/cancel`)
  })

  test('a value is an output, whatever JSON it is', async () => {
    const input = { text: '\u0000\ud800 ☃', deep: [[1, null, true]], big: 1e300 }
    const { id } = await yard.submit({ executor: 'function', spec: { function: 'echo', input } })
    await yard.ended(id)
    const [output] = (await yard.get(`/jobs/${id}/outputs`)).json.items
    assert.deepEqual([output.name, output.value], ['echo', input])
    assert.deepEqual((await yard.get(`/jobs/${id}/outputs/echo`)).json, input)
    for (const name of ['other', '..%2fecho', '%2e%2e', '__proto__'])
      assert.equal((await yard.get(`/jobs/${id}/outputs/${name}`)).status, 404, name)
  })
})

test('a stored file is an output with a validator and ranges, until its job is forgotten', async () => {
  const { id } = await yard.submit({ executor: 'function', spec: { function: 'keep', input: '0123456789' } })
  assert.equal((await yard.ended(id)).state, 'succeeded')
  const [output] = (await yard.get(`/jobs/${id}/outputs`)).json.items
  assert.deepEqual(
    [output.name, output.sizeBytes, output.mediaType, output.href],
    ['file', 10, 'text/x-kept', `/yard/v1/jobs/${id}/outputs/file`],
  )
  const path = `/jobs/${id}/outputs/file`
  const whole = await yard.get(path)
  const etag = whole.headers.get('etag')!
  assert.deepEqual(
    [whole.status, whole.text, whole.headers.get('content-type')],
    [200, '0123456789', 'text/x-kept'],
  )
  const cases: [Record<string, string>, number, string][] = [
    [{ range: 'bytes=2-4' }, 206, '234'],
    [{ range: 'bytes=-3' }, 206, '789'],
    [{ range: 'bytes=10-' }, 416, ''],
    [{ range: 'bytes=0-0', 'if-range': etag }, 206, '0'],
    [{ range: 'bytes=0-0', 'if-range': '"other"' }, 200, '0123456789'],
    [{ 'if-none-match': etag }, 304, ''],
    [{ 'if-none-match': '"other"' }, 200, '0123456789'],
  ]
  for (const [headers, status, text] of cases) {
    const answer = await yard.get(path, { headers })
    assert.deepEqual([answer.status, answer.text], [status, text], JSON.stringify(headers))
  }
  await yard.restart()
  assert.equal((await yard.get(path)).text, '0123456789')
  assert.equal((await yard.ask('DELETE', `/jobs/${id}`)).status, 204)
  assert.equal((await yard.get(path)).status, 404)
})

describe('an Idempotency-Key', () => {
  const submit = (key: string, body: unknown, path = '/jobs') =>
    yard.post(path, body, { headers: { 'idempotency-key': key } })

  test('gives the first answer again for the same body, and 422 for another', async () => {
    const job = { ...noop, name: 'once' }
    const first = await submit('k1', job)
    const again = await submit('k1', job)
    assert.deepEqual([first.status, again.status, again.json.id], [201, 201, first.json.id])
    assert.equal(again.headers.get('idempotency-replayed'), 'true')
    assert.equal(again.headers.get('location'), first.headers.get('location'))
    const other = await submit('k1', { ...noop, name: 'twice' })
    assert.deepEqual([other.status, other.json.field], [422, 'Idempotency-Key'])
    assert.equal((await submit('k1', { jobs: [noop] }, '/jobs/batch')).status, 201)
    const { token } = await yard.token('somebody', 'submitter')
    const theirs = await yard.post('/jobs', job, { token, headers: { 'idempotency-key': 'k1' } })
    assert.notEqual(theirs.json.id, first.json.id)
  })

  test('makes one job of a hundred that come at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => submit('k2', { ...noop, name: 'many' })),
    )
    assert.equal(new Set(answers.map(it => it.json.id)).size, 1)
    assert.deepEqual([...new Set(answers.map(it => it.status))], [201])
    assert.equal((await yard.get('/jobs?name=many')).json.items.length, 1)
  })

  test('is not used up by a refused request, and must be one to 200 characters', async () => {
    assert.equal((await submit('k3', { ...noop, rank: 'x' })).status, 400)
    assert.equal((await submit('k3', noop)).status, 201)
    assert.equal((await submit('x'.repeat(201), noop)).json.field, 'Idempotency-Key')
    assert.equal((await submit('', noop)).json.field, 'Idempotency-Key')
  })

  test('works for batches and flows, and across a restart', async () => {
    const batch = { jobs: [noop, noop] }
    const flow = { steps: [{ key: 'a', job: noop }] }
    const before = [await submit('k4', batch, '/jobs/batch'), await submit('k5', flow, '/flows')]
    const held = await yard.submit({ ...noop, held: true })
    await yard.restart()
    const after = [await submit('k4', batch, '/jobs/batch'), await submit('k5', flow, '/flows')]
    assert.deepEqual(
      after.map(it => it.json),
      before.map(it => it.json),
    )
    assert.equal((await submit('k4', { jobs: [noop] }, '/jobs/batch')).status, 422)
    assert.equal((await yard.post(`/jobs/${held.id}/release`)).status, 200)
    assert.equal((await yard.ended(held.id)).state, 'succeeded')
  })
})

describe('the document', () => {
  test('has every route that the server has, and no other', async () => {
    for (const [path, operations] of Object.entries(yard.document.paths)) {
      const concrete = path.replace('/yard/v1', '').replaceAll(/\{\w+\}/g, 'nothing')
      for (const method of ['GET', 'POST', 'PATCH', 'DELETE', 'PUT']) {
        const answer = await yard.ask(method, concrete, { token: null })
        const operation = operations[method.toLowerCase()]
        if (operation === undefined && concrete === '/jobs/batch') {
          // `batch` is an id as well: those methods are the job's own.
          assert.ok(yard.document.paths['/yard/v1/jobs/{id}']![method.toLowerCase()] || answer.status === 405)
        } else if (operation === undefined) {
          assert.ok(
            [404, 405].includes(answer.status),
            `${method} ${path} answers ${answer.status} undocumented`,
          )
        } else {
          const isOpen = Array.isArray(operation.security) && operation.security.length === 0
          assert.equal(answer.status, isOpen ? 200 : 401, `${method} ${path}`)
        }
      }
    }
    const ids = Object.values(yard.document.paths).flatMap(it =>
      Object.values(it).map(each => each.operationId),
    )
    assert.equal(new Set(ids).size, ids.length)
    assert.ok(ids.length >= 30)
  })

  test('tells of streams, ranges and validators: the headers they take, and the answers without a body', () => {
    const told = (path: string) => {
      const { parameters, responses } = yard.document.paths[`/yard/v1${path}`]!['get']!
      const headers = parameters.filter(it => it.in === 'header').map(it => it.name)
      return [headers, Object.keys(responses), Object.keys(responses['200']!.content!)]
    }
    assert.deepEqual(told('/events'), [
      ['Last-Event-ID'],
      ['200', 'default'],
      ['application/json', 'text/event-stream'],
    ])
    assert.deepEqual(told('/jobs/{id}/logs/{stream}'), [
      ['Range'],
      ['200', '206', '416', 'default'],
      ['text/plain; charset=utf-8'],
    ])
    assert.deepEqual(told('/jobs/{id}/outputs/{name}'), [
      ['Range', 'If-None-Match', 'If-Range'],
      ['200', '206', '304', '416', 'default'],
      ['*/*', 'application/json'],
    ])
  })

  test('says 405 with what a path has, and 404 for what leads nowhere', async () => {
    const wrong = await yard.ask('PUT', '/jobs/batch')
    assert.deepEqual([wrong.status, wrong.headers.get('allow')], [405, 'DELETE, GET, PATCH, POST'])
    assert.equal((await yard.get('/nothing')).status, 404)
    assert.equal((await yard.get('/jobs/1/nothing')).status, 404)
  })

  test('knows the caller, and who runs jobs here', async () => {
    const me = (await yard.get('/whoami')).json
    assert.deepEqual([me.name, me.role], ['root', 'admin'])
    const names = (await yard.get('/executors')).json.items.map((it: { name: string }) => it.name)
    assert.deepEqual(names.toSorted(), ['function', 'process', 'talk'])
  })
})

async function running(id: string): Promise<void> {
  await until(async () => (await yard.get(`/jobs/${id}`)).json.state === 'running')
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(resolve => setTimeout(resolve, 20))
}
