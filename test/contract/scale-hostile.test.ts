// What nobody sane would send: each is turned down in this dialect's shape, and the server goes on (contracts/scale.md §7.5).

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask, type ScaleServer, startScale } from './scale-server.ts'
import { type Body, isComplete, job, number, sub, workWith } from './scale-work.ts'

let server: ScaleServer
const { jobType, queue, read, recipeType, until, untilRead, usualTypes } = workWith(() => server)

beforeAll(async () => {
  server = await startScale()
  await usualTypes()
})
afterAll(() => server?.close())

describe('members of a wrong type', () => {
  const workspace = { configuration: { broker: { type: 'host', host_path: '/tmp' } } }
  const scan = {
    configuration: {
      workspace: 'raw',
      scanner: { type: 'dir' },
      files_to_ingest: [{ filename_regex: 'x' }],
    },
  }
  test.each([
    ['POST', '/v6/workspaces/', { title: 'A', ...workspace, description: {} }],
    ['POST', '/v6/workspaces/', { title: 'B', ...workspace, base_url: [] }],
    ['POST', '/v6/workspaces/', { title: 'C', ...workspace, is_active: 'perhaps' }],
    ['PATCH', '/v6/workspaces/1/', { description: [] }],
    ['POST', '/v6/scans/', { title: 'D', ...scan, description: {} }],
    ['PATCH', '/v6/scans/1/', { title: [] }],
    ['PATCH', '/v6/batches/1/', { title: [], configuration: {} }],
    ['POST', '/v6/datasets/', { title: 'E', definition: { parameters: {} }, description: {} }],
    ['POST', '/v6/recipe-types/', { title: 'F', definition: {}, description: [] }],
  ])('are refused before anything is written: %s %s %j', async (method, path, body) => {
    await ask(server, 'POST', '/v6/scans/', { title: 'First', ...scan })
    const dataset = await ask(server, 'POST', '/v6/datasets/', {
      title: 'One',
      definition: { parameters: {} },
      data: [{}],
    })
    const typeId = (await read('/v6/recipe-types/?keyword=batch-of-one')).results[0]?.id
    await ask(server, 'POST', '/v6/batches/', {
      title: 'One',
      recipe_type_id: typeId ?? (await recipeType('Batch Of One', { a: job('noop') })),
      definition: { dataset: (dataset.body as Body).id },
    })
    const answer = await ask(server, method, path, body)
    expect([answer.status, answer.body]).toEqual([
      400,
      { detail: expect.stringContaining('Parameter must be') },
    ])
    // The store would be read anew after a change that was made by half.
    expect(
      (await ask(server, 'POST', '/v6/workspaces/', { title: `G ${Math.random()}`, ...workspace })).status,
    ).toBe(201)
  })
})

describe('recipes beyond what a flow may be', () => {
  test('a node may be called as the step that collects the outputs of another', async () => {
    const word = { json: [{ name: 'w', type: 'string' }] }
    const say = { VALUE: { type: 'recipe', input: 'w' } }
    const typeId = await recipeType('Bang', { a: job('say', [], say), 'a!': job('noop', ['a']) }, word)
    const body = await until(await queue(typeId, { json: { w: 'x' } }), isComplete)
    expect(body.jobs_completed).toBe(2)
  })

  test('too many steps, with those that collect outputs, and too many edges are refused when it is queued', async () => {
    await jobType('leaves', {
      command: 'true',
      outputs: { json: [{ name: 'O', type: 'string', required: false }] },
    })
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`n${at}`, job('leaves')]))
    await recipeType('Many Leaves', many)
    const inner = (name: string, count: number): object =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`s${at}`, sub(name)]))
    const tooManySteps = await recipeType('Too Many Steps', inner('many-leaves', 30))
    const names = Array.from({ length: 300 }, (_, at) => `n${at}`)
    const dense = Object.fromEntries(names.map((name, at) => [name, job('noop', names.slice(0, at))]))
    await recipeType('Dense', dense)
    const tooManyEdges = await recipeType('Too Many Edges', inner('dense', 30))
    for (const [typeId, word] of [
      [tooManySteps, 'steps'],
      [tooManyEdges, 'edges'],
    ] as const) {
      const answer = await ask(server, 'POST', '/v6/recipes/', { recipe_type_id: typeId, input: {} })
      expect([answer.status, answer.body]).toEqual([400, { detail: expect.stringContaining(word) }])
    }
    expect(
      (await until(await queue(await recipeType('Still There', { a: job('noop') })), isComplete))
        .is_completed,
    ).toBe(true)
  })

  test('a long chain of conditions costs no more than its length', async () => {
    const filter = { filters: [{ name: 'n', type: 'integer', condition: '>', values: [5] }] }
    const node = (at: number): object => ({
      dependencies: at === 0 ? [] : [{ name: `c${at - 1}` }],
      input: { n: { type: 'recipe', input: 'n' } },
      node_type: {
        node_type: 'condition',
        interface: { files: [], json: [{ name: 'n', type: 'integer', required: true }] },
        data_filter: filter,
      },
    })
    const chain = Object.fromEntries(Array.from({ length: 2000 }, (_, at) => [`c${at}`, node(at)]))
    const typeId = await recipeType('Gates', { ...chain, last: job('noop', ['c1999']) }, number)
    const id = await queue(typeId, { json: { n: 9 } })
    expect((await until(id, isComplete)).jobs_completed).toBe(1)
    const no = await until(await queue(typeId, { json: { n: 1 } }), isComplete)
    expect([no.is_completed, no.jobs_total]).toEqual([true, 0])
  })
})

test.each([
  '2018-01-01',
  '2018-01-01T00:00:00',
  '2018-02-30T00:00:00Z',
  '2018-13-01T00:00:00Z',
  'P',
  'PT',
  '1',
])('a time without a zone, or that there never was, is no time: %s', async text => {
  const answer = await ask(server, 'GET', `/v6/jobs/?started=${text}`)
  expect(answer.body).toEqual({ detail: 'Invalid ISO timestamp format for parameter: started' })
})

test.each(['2018-02-28T00:00:00Z', '2018-01-01T00:00:00.5%2B02:00', 'P1D', 'PT3H0M0S', 'P1DT2H'])(
  'a time with a zone, or so long ago, is one: %s',
  async text => expect((await ask(server, 'GET', `/v6/jobs/?started=${text}`)).status).toBe(200),
)

test('HEAD says what GET says without its body, and every answer names the methods in one order', async () => {
  const [got, head] = [await ask(server, 'GET', '/v6/recipes/'), await ask(server, 'HEAD', '/v6/recipes/')]
  expect([head.status, head.body]).toEqual([200, ''])
  expect(head.headers.get('content-type')).toBe(got.headers.get('content-type'))
  expect(got.headers.get('allow')).toBe('GET, POST, HEAD, OPTIONS')
  const wrong = await ask(server, 'DELETE', '/v6/recipes/')
  expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'GET, POST, HEAD, OPTIONS'])
  expect(wrong.body).toEqual({ detail: 'Method "DELETE" not allowed.' })
  expect((await ask(server, 'HEAD', '/v6/recipes/999999/')).status).toBe(404)
  expect((await ask(server, 'HEAD', '/v6/recipes/1/reprocess/')).status).toBe(405)
})

test('a batch over recipes of which one cannot be run again makes the others, and is done', async () => {
  const typeId = await recipeType('Anew', { a: job('noop') })
  const dataset = await ask(server, 'POST', '/v6/datasets/', {
    title: 'Ten',
    definition: { parameters: {} },
    data: Array.from({ length: 10 }, () => ({})),
  })
  const first = await ask(server, 'POST', '/v6/batches/', {
    title: 'First',
    recipe_type_id: typeId,
    definition: { dataset: (dataset.body as Body).id },
  })
  const id = (first.body as Body).id
  await untilRead(`/v6/batches/${id}/`, body => body.recipes_completed === 10 && body.is_creation_done)
  const recipes = (await read(`/v6/recipes/?batch_id=${id}`)).results as Body[]
  const again = { previous_batch: { root_batch_id: id, forced_nodes: { all: true } } }
  // The last of them is replaced by somebody else between the batch's looking and its doing.
  const [second] = await Promise.all([
    ask(server, 'POST', '/v6/batches/', { title: 'Second', recipe_type_id: typeId, definition: again }),
    ...recipes
      .slice(-1)
      .map(({ id: one }) =>
        ask(server, 'POST', `/v6/recipes/${one}/reprocess/`, { forced_nodes: { all: true } }),
      ),
  ])
  const done = await untilRead(`/v6/batches/${(second!.body as Body).id}/`, body => body.is_creation_done)
  expect(done.is_creation_done).toBe(true)
  await untilRead(`/v6/batches/${done.id}/`, body => body.recipes_completed === body.recipes_total)
})
