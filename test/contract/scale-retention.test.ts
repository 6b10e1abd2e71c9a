// What retention takes of Scale, and what it leaves: whole chains of recipes that ended long ago, with everything that was
// written down of them, and nothing that something newer stands on.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/store/memory/disk.ts'
import { ask, type ScaleServer, startScale } from './scale-server.ts'
import { type Body, isComplete, job, sub, workWith } from './scale-work.ts'

const disk = new MemoryDisk()
let server: ScaleServer
const { jobType, queue, read, recipe, recipeType, until, untilJob, untilRead, usualTypes } = workWith(
  () => server,
)

beforeAll(async () => {
  server = await startScale({ retention: '1s', disk })
  await usualTypes()
})
afterAll(() => server?.close())

const gone = (body: Body): boolean => body.detail === 'Not found.'
const recordsOf = (...collections: string[]): string[] =>
  collections.flatMap(collection =>
    [...(disk.records.get(collection)?.keys() ?? [])].map(id => `${collection} ${id}`),
  )

test('what ended goes with everything that was written down of it, its files excepted', async () => {
  const type = await jobType(
    'writes',
    { command: `echo hi > \${OUTPUT_DIR}/it.txt`, outputs: { files: [{ name: 'IT', pattern: '*.txt' }] } },
    { configuration: { output_workspaces: { default: 'products' } } },
  )
  await recipeType('Leaving Inner', { deep: job('noop') })
  const typeId = await recipeType('Leaving', { a: job('writes'), b: sub('leaving-inner', ['a']) })
  const id = await queue(typeId)
  const alone = (await ask(server, 'POST', '/v6/jobs/', { job_type_id: type.id, input: {} })).body as Body
  await until(id, body => isComplete(body) || gone(body))
  await until(id, gone)
  await untilJob(alone.id, gone)
  const lists = ['/v6/recipes/', '/v6/jobs/'] as const
  for (const path of lists) await untilRead(path, body => body.count === 0)
  const files = await read('/v6/files/?file_name=it.txt')
  expect(files.count).toBe(2)
  await untilNothing()
  server = await server.restart()
  for (const path of lists) expect(await read(path)).toMatchObject({ count: 0, results: [] })
  expect(await read(`/v6/recipes/${id}/`)).toEqual({ detail: 'Not found.' })
  expect((await read(`/v6/files/${files.results[0].id}/`)).job.id).toBe(files.results[0].job.id)
})

async function untilNothing(): Promise<void> {
  const left = () =>
    recordsOf(
      'scale.recipe',
      'scale.recipe-end',
      'scale.superseded',
      'scale.output',
      'scale.again',
      'scale.ledger',
      'scale.batch',
    )
  const patience = Date.now() + 60_000
  while (left().length > 0 && Date.now() < patience) await untilRead('/v6/version/', () => true)
  expect(left()).toEqual([])
  expect([...disk.flows.values()]).toEqual([])
}

test('a recipe whose results a newer one has taken over stays until that one has ended, and then both go', async () => {
  await jobType('waits', { command: `test -e ${join(server.data, 'chain-mended')}` })
  await jobType('takes', {
    command: 'test "$VALUE" = kept',
    inputs: { json: [{ name: 'VALUE', type: 'string' }] },
  })
  const word = { json: [{ name: 'w', type: 'string' }] }
  const nodes = (last: object): object => ({
    first: job('say', [], { VALUE: { type: 'recipe', input: 'w' } }),
    ...last,
  })
  const typeId = await recipeType('Chain', nodes({}), word)
  const old = await queue(typeId, { json: { w: 'kept' } })
  const oldDone = await until(old, body => isComplete(body))
  const output = { type: 'dependency', node: 'first', output: 'OUT' }
  const definition = {
    input: word,
    nodes: nodes({
      wait: job('waits'),
      last: job('takes', ['first', 'wait'], { VALUE: output }),
    }),
  }
  expect((await ask(server, 'PATCH', '/v6/recipe-types/chain/', { definition })).status).toBe(200)
  const forced = { forced_nodes: { all: false } }
  const answer = await ask(server, 'POST', `/v6/recipes/${old}/reprocess/`, forced)
  expect([answer.status, (answer.body as Body).detail]).toEqual([202, undefined])
  const made = Number(answer.headers.get('location')!.split('/').at(-2))
  await until(made, body => body.jobs_failed === 1)
  // What ended after it is gone by now: its own time is over as well.
  const later = await queue(await recipeType('Later', { only: job('noop') }))
  await until(later, gone)
  const kept = await recipe(made)
  expect(kept.details.nodes.first.node_type).toMatchObject({
    job_id: oldDone.details.nodes.first.node_type.job_id,
    status: 'COMPLETED',
  })
  expect((await recipe(old)).superseded_by_recipe.id).toBe(made)
  server = await server.restart()
  await writeFile(join(server.data, 'chain-mended'), '')
  await ask(server, 'POST', '/v6/jobs/requeue/', { recipe_ids: [made] })
  const done = await until(made, body => isComplete(body) || gone(body))
  if (!gone(done)) expect([done.jobs_completed, done.jobs_failed]).toEqual([3, 0])
  await until(made, gone)
  await until(old, gone)
  await untilNothing()
})

test('a batch goes with the last of its recipes, and never before', async () => {
  const typeId = await recipeType('Batched', { only: job('fails-once') })
  const dataset = await ask(server, 'POST', '/v6/datasets/', {
    title: 'Two',
    definition: { parameters: {} },
    data: [{}, {}],
  })
  const made = await ask(server, 'POST', '/v6/batches/', {
    title: 'Both',
    recipe_type_id: typeId,
    definition: { dataset: (dataset.body as Body).id },
  })
  const path = `/v6/batches/${(made.body as Body).id}/`
  await untilRead(path, body => body.jobs_failed === 2)
  const later = await queue(await recipeType('After Batch', { only: job('noop') }))
  await until(later, gone)
  expect(await read(path)).toMatchObject({ recipes_total: 2, jobs_failed: 2 })
  await writeFile(join(server.data, 'mended'), '')
  await ask(server, 'POST', '/v6/jobs/requeue/', { batch_ids: [(made.body as Body).id] })
  await untilRead(path, gone)
  await untilNothing()
  server = await server.restart()
  expect(await read('/v6/batches/')).toMatchObject({ count: 0 })
})
