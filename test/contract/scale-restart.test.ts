// What is there again after a restart: rows, statuses, lists (contracts/scale.md §4.2, §4.5).

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ask, type ScaleServer, startScale } from './scale-server.ts'
import { type Body, job, statuses, sub, workWith } from './scale-work.ts'

let server: ScaleServer
const { jobType, queue, recipe, recipeType, until, usualTypes } = workWith(() => server)

beforeAll(async () => {
  server = await startScale()
  await usualTypes()
})
afterAll(() => server?.close())

test('everything is there again after a restart, also what was going on', async () => {
  const typeId = await recipeType('Survivor', {
    nap: job('sleeper'),
    next: job('noop', ['nap']),
    quick: job('noop'),
  })
  const id = await queue(typeId)
  const before = await until(id, body => body.jobs_running === 1 && body.jobs_completed === 1)
  const count = ((await ask(server, 'GET', '/v6/jobs/')).body as Body).count
  const listed = (await ask(server, 'GET', '/v6/recipes/?page_size=1000')).body
  server = await server.restart()
  const after = await recipe(id)
  expect(statuses(after)).toEqual(statuses(before))
  expect(((await ask(server, 'GET', '/v6/jobs/')).body as Body).count).toBe(count)
  const again = (await ask(server, 'GET', '/v6/recipes/?page_size=1000')).body as Body
  const plain = (body: Body): Body =>
    body.results.map(({ last_modified: _, ...row }: Body) => row).sort((a: Body, b: Body) => a.id - b.id)
  expect(plain(again)).toEqual(plain(listed))
  await ask(server, 'POST', '/v6/jobs/cancel/', { recipe_ids: [id] })
  expect((await until(id, body => body.jobs_canceled === 2)).jobs_canceled).toBe(2)
})

test('a job that was blocked for a while is as old after a restart as its last change, also one nobody has run', async () => {
  const flag = join(server.data, 'unblocked')
  await jobType('fails-then-naps', { command: `test -e ${flag} && sleep 600` })
  const typeId = await recipeType('Unblocked', {
    first: job('fails-then-naps'),
    held: job('noop', ['first']),
    next: job('noop', ['first']),
    last: job('noop', ['next']),
    alone: job('noop'),
  })
  const id = await queue(typeId)
  const blocked = await until(id, body => body.jobs_blocked === 3 && body.jobs_completed === 1)
  const jobIds = Object.values(blocked.details.nodes).map((node: Body) => node.node_type.job_id)
  await ask(server, 'POST', '/v6/jobs/cancel/', { job_ids: [blocked.details.nodes.held.node_type.job_id] })
  await until(id, body => body.jobs_canceled === 1)
  await writeFile(flag, '')
  await sleep(150)
  const asked = Date.now()
  await ask(server, 'POST', '/v6/jobs/requeue/', { job_ids: [blocked.details.nodes.first.node_type.job_id] })
  await until(id, body => body.jobs_running === 1 && body.jobs_pending === 2)
  const changes = async (): Promise<Body> =>
    Promise.all(
      jobIds.map(async job => {
        const { body } = (await ask(server, 'GET', `/v6/jobs/${job}/`)) as Body
        const [changed, modified] = [body.last_status_change, body.last_modified].map(at => Date.parse(at))
        // When a job was cancelled that never ran is known to the moment.
        return [body.status, body.status === 'CANCELED' ? 0 : changed, modified]
      }),
    )
  const before = await changes()
  server = await server.restart()
  expect(await changes()).toEqual(
    before.map(([status, ...times]: [string, ...number[]]) => [
      status,
      ...times.map(at => expect.closeTo(at, -2)),
    ]),
  )
  const listed = (
    await ask(server, 'GET', `/v6/jobs/?recipe_id=${id}&started=${new Date(asked).toISOString()}`)
  ).body as Body
  const names = listed.results.map((row: Body) => row.id).toSorted((a: number, b: number) => a - b)
  expect(names).toEqual(
    jobIds.filter(job => job !== blocked.details.nodes.alone.node_type.job_id).toSorted((a, b) => a - b),
  )
  await ask(server, 'POST', '/v6/jobs/cancel/', { recipe_ids: [id] })
})

test('nodes go on after a restart whatever they are called; a name that is no text is refused', async () => {
  const definition = { nodes: { '\ud800': job('noop') } }
  expect((await ask(server, 'POST', '/v6/recipe-types/validation/', { definition })).body).toMatchObject({
    is_valid: false,
    errors: [{ name: 'INVALID_DEFINITION', description: expect.stringContaining('surrogate') }],
  })
  const names = ['\u{1f600}', 'a\u0000b', '', 'x'.repeat(3000)]
  const typeId = await recipeType('Odd Names', {
    nap: job('sleeper'),
    ...Object.fromEntries(names.map(name => [name, job('noop', ['nap'])])),
  })
  const id = await queue(typeId)
  const before = await until(id, body => body.jobs_running === 1)
  server = await server.restart()
  expect(statuses(await recipe(id))).toEqual(statuses(before))
  await ask(server, 'POST', '/v6/jobs/cancel/', { recipe_ids: [id] })
  expect((await until(id, body => body.jobs_canceled === 5)).jobs_canceled).toBe(5)
})

test('what is at rest is shown after a restart as before, whatever is asked for', async () => {
  const inner = await recipeType('Rest Inner', { deep: job('noop'), deeper: job('noop', ['deep']) })
  expect(inner).toBeGreaterThan(0)
  const typeId = await recipeType('Rest', { a: job('noop'), b: sub('rest-inner', ['a']) })
  const done = await queue(typeId)
  await until(done, body => body.is_completed)
  // A recipe whose old self had come to rest, and one that is replaced while it still waits.
  const old = await queue(typeId)
  await until(old, body => body.is_completed)
  const forced = { forced_nodes: { all: false, nodes: ['b'] } }
  expect((await ask(server, 'POST', `/v6/recipes/${old}/reprocess/`, forced)).status).toBe(202)
  const stuck = await recipeType('Rest Stuck', { a: job('noop'), nap: job('sleeper', ['a']) })
  const replaced = await queue(stuck)
  const naps = (body: Body): boolean => body.jobs_running === 1 && body.jobs_completed === 1
  await until(replaced, naps)
  const all = { forced_nodes: { all: true } }
  const made = await ask(server, 'POST', `/v6/recipes/${replaced}/reprocess/`, all)
  expect(made.status).toBe(202)
  const again = Number(/(\d+)\/$/.exec(made.headers.get('location')!)![1])
  await until(again, naps)
  await until(replaced, body => body.jobs_canceled === 1)
  const paths = [
    ...['', '?is_completed=true', '?is_superseded=true&order=-last_modified', '?order=-created'].map(
      query => `/v6/recipes/${query}`,
    ),
    ...[
      '',
      '?status=COMPLETED&order=-id',
      '?is_superseded=true',
      `?recipe_id=${old}&order=status&order=-id`,
      '?order=job_type__name&order=-started',
      '?order=priority&order=-ended',
      '?error_category=ALGORITHM',
    ].map(query => `/v6/jobs/${query}`),
    ...['/v6/job-types/status/', '/v6/job-types/system-failures/', '/v6/queue/status/', '/v6/batches/'],
  ]
  // When a job that may yet be wanted again was cancelled is known to the moment its stopping was over.
  const plain = ({ last_status_change: at, ...row }: Body): Body => ({
    ...row,
    at: row.status === 'CANCELED' ? null : at,
  })
  const seen = async (): Promise<Map<string, Body>> => {
    const found = new Map<string, Body>()
    for (const path of paths) {
      const shown = (await ask(server, 'GET', path)).body as Body
      // Of changes in one millisecond either may come first.
      const times = shown.results.map((row: Body) => row.last_modified)
      const results = shown.results.toSorted((a: Body, b: Body) => a.id - b.id).map(plain)
      found.set(path, { ...shown, results, times, next: null, previous: null })
      for (const { id } of /^\/v6\/(recipes|jobs)\/$/.test(path) ? shown.results : [])
        found.set(`${path}${id}/`, plain((await ask(server, 'GET', `${path}${id}/`)).body as Body))
    }
    return found
  }
  // What has ended leaves memory a moment later; it must not show.
  const before = await seen()
  server = await server.restart()
  const after = await seen()
  // An event may be told a moment after the time that its job keeps.
  const times = (body: Body, show: (at: number) => unknown): unknown =>
    JSON.parse(JSON.stringify(body), (_, value) =>
      typeof value === 'string' && /^\d{4}-.*Z$/.test(value) ? show(Date.parse(value)) : value,
    )
  for (const [path, body] of before)
    expect([path, times(after.get(path), at => at)]).toEqual([
      path,
      times(body, at => expect.closeTo(at, -2)),
    ])
  expect(after.size).toBe(before.size)
  await ask(server, 'POST', '/v6/jobs/cancel/', { recipe_ids: [again] })
  // It can still be reprocessed, and only once.
  const answers = await Promise.all(
    [1, 2].map(() => ask(server, 'POST', `/v6/recipes/${done}/reprocess/`, all)),
  )
  expect(answers.map(answer => answer.status).toSorted()).toEqual([202, 400])
  server = await server.restart()
  expect(await recipe(done)).toMatchObject({
    is_superseded: true,
    jobs_completed: 3,
    sub_recipes_completed: 1,
  })
})
