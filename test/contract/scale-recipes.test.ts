// How recipes go, stop and are run anew: contracts/scale.md §5.4 and §5.6.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask, type ScaleServer, startScale } from './scale-server.ts'
import {
  type Body,
  fromRecipe,
  gate,
  isComplete,
  job,
  number,
  statuses,
  sub,
  workWith,
} from './scale-work.ts'

let server: ScaleServer
const { jobType, queue, recipe, recipeType, until, untilJob, usualTypes } = workWith(() => server)

beforeAll(async () => {
  server = await startScale()
  await usualTypes()
})
afterAll(() => server?.close())

describe('conditions', () => {
  test('each side of a condition runs on its own answer, and the other side never exists', async () => {
    const typeId = await recipeType(
      'Two Sides',
      {
        gate: gate({ n: fromRecipe('n') }),
        yes: job('noop', ['gate']),
        no: job('noop', [{ name: 'gate', acceptance: false }]),
        after: job('noop', ['no']),
      },
      number,
    )
    const high = await until(await queue(typeId, { json: { n: 9 } }), isComplete)
    expect(statuses(high)).toEqual({ gate: 'accepted true', yes: 'COMPLETED' })
    expect([high.jobs_total, high.jobs_completed]).toEqual([1, 1])
    const low = await until(await queue(typeId, { json: { n: 1 } }), isComplete)
    expect(statuses(low)).toEqual({ gate: 'accepted false', no: 'COMPLETED', after: 'COMPLETED' })
    const jobs = (await ask(server, 'GET', `/v6/jobs/?recipe_id=${low.id}`)).body as Body
    expect(jobs.count).toBe(2)
  })

  test('a sub-recipe whose condition says no is complete, and what comes after it runs', async () => {
    await recipeType('Inner Gate', { gate: gate({ n: fromRecipe('n') }), go: job('noop', ['gate']) }, number)
    const typeId = await recipeType(
      'Outer Gate',
      { in: sub('inner-gate', [], { n: fromRecipe('n') }), last: job('noop', ['in']) },
      number,
    )
    const body = await until(await queue(typeId, { json: { n: 1 } }), isComplete)
    expect(statuses(body)).toEqual({ in: 'done true', last: 'COMPLETED' })
    expect([body.jobs_total, body.sub_recipes_total, body.sub_recipes_completed]).toEqual([1, 1, 1])
  })

  test('what comes after a sub-recipe is blocked while a branch of a condition in it has failed, until it is mended', async () => {
    await jobType('fails-in-branch', { command: `test -e ${join(server.data, 'branch-mended')}` })
    const nodes = { gate: gate({ n: fromRecipe('n') }), go: job('fails-in-branch', ['gate']) }
    await recipeType('Inner Branch', nodes, number)
    const typeId = await recipeType(
      'Outer Branch',
      { in: sub('inner-branch', [], { n: fromRecipe('n') }), last: job('noop', ['in']) },
      number,
    )
    const id = await queue(typeId, { json: { n: 9 } })
    const failed = await until(id, body => body.jobs_failed === 1 && body.jobs_blocked === 1)
    expect(statuses(failed)).toMatchObject({ last: 'BLOCKED' })
    expect(failed.is_completed).toBe(false)
    await writeFile(join(server.data, 'branch-mended'), '')
    await ask(server, 'POST', '/v6/jobs/requeue/', { job_type_names: ['fails-in-branch'] })
    expect(statuses(await until(id, isComplete))).toEqual({ in: 'done true', last: 'COMPLETED' })
  })
})

describe('failure, cancel and requeue', () => {
  test('a failure inside a sub-recipe blocks what is after it, and mending it lets everything go on', async () => {
    await recipeType('Shaky', { shaky: job('fails-once'), rest: job('noop', ['shaky']) })
    const typeId = await recipeType('Around', { in: sub('shaky'), last: job('noop', ['in']) })
    const id = await queue(typeId)
    const stuck = await until(id, body => body.jobs_blocked === 2)
    expect([stuck.jobs_total, stuck.jobs_failed, stuck.jobs_blocked]).toEqual([3, 1, 2])
    await writeFile(join(server.data, 'mended'), '')
    const failed = (await ask(server, 'GET', '/v6/jobs/?status=FAILED')).body as Body
    expect((await ask(server, 'POST', '/v6/jobs/requeue/', { job_ids: [failed.results[0].id] })).status).toBe(
      202,
    )
    const mended = await until(id, isComplete)
    expect([mended.jobs_completed, mended.jobs_blocked]).toEqual([3, 0])
    const again = (await ask(server, 'GET', `/v6/jobs/${failed.results[0].id}/`)).body as Body
    expect([again.num_exes, again.max_tries, again.error]).toEqual([2, 4, null])
  })

  test('a cancelled job that never ran blocks what is below it, and waits again when it is requeued', async () => {
    const typeId = await recipeType('Long', {
      nap: job('sleeper'),
      next: job('noop', ['nap']),
      last: job('noop', ['next']),
    })
    const id = await queue(typeId)
    const running = await until(id, body => body.jobs_running === 1)
    const nextId = running.details.nodes.next.node_type.job_id
    await ask(server, 'POST', '/v6/jobs/cancel/', { job_ids: [nextId] })
    expect(statuses(await recipe(id))).toEqual({ nap: 'RUNNING', next: 'CANCELED', last: 'BLOCKED' })
    await ask(server, 'POST', '/v6/jobs/requeue/', { job_ids: [nextId] })
    expect(statuses(await recipe(id))).toEqual({ nap: 'RUNNING', next: 'PENDING', last: 'PENDING' })
    await ask(server, 'POST', '/v6/jobs/cancel/', { recipe_ids: [id] })
    const ended = await until(id, body => body.jobs_canceled === 3)
    expect(statuses(ended)).toEqual({ nap: 'CANCELED', next: 'CANCELED', last: 'CANCELED' })
  })

  test('a job that is requeued while it is still being stopped runs again', async () => {
    const type = await jobType('stubborn', { command: `trap 'sleep 0.3; exit 1' TERM; sleep 600 & wait` })
    const made = (await ask(server, 'POST', '/v6/jobs/', { job_type_id: type.id, input: {} })).body as Body
    await untilJob(made.id, body => body.status === 'RUNNING')
    await ask(server, 'POST', '/v6/jobs/cancel/', { job_ids: [made.id] })
    expect((await untilJob(made.id, () => true)).status).toBe('CANCELED')
    await ask(server, 'POST', '/v6/jobs/requeue/', { job_ids: [made.id] })
    const again = await untilJob(made.id, body => body.status === 'RUNNING' && body.num_exes === 2)
    expect([again.status, again.num_exes]).toEqual(['RUNNING', 2])
    await ask(server, 'POST', '/v6/jobs/cancel/', { job_ids: [made.id] })
  })

  test('outputs that are missing fail the job with their error, and a requeue runs the program again', async () => {
    const flag = join(server.data, 'writes')
    const type = await jobType(
      'forgetful',
      {
        command: `test -e ${flag} && echo hi > \${OUTPUT_DIR}/it.txt || true`,
        outputs: { files: [{ name: 'IT', pattern: '*.txt' }] },
      },
      { configuration: { output_workspaces: { default: 'products' } } },
    )
    const made = (await ask(server, 'POST', '/v6/jobs/', { job_type_id: type.id, input: {} })).body as Body
    const failed = await untilJob(made.id, body => body.status === 'FAILED')
    expect(failed.error.name).toBe('missing-required-output')
    expect(failed.error_text).toContain('*.txt')
    await writeFile(flag, '')
    await ask(server, 'POST', '/v6/jobs/requeue/', { job_ids: [made.id] })
    const done = await untilJob(made.id, body => body.status === 'COMPLETED')
    expect([done.num_exes, Object.keys(done.output.files)]).toEqual([2, ['IT']])
    const file = (await ask(server, 'GET', `/v6/files/${done.output.files.IT[0]}/`)).body as Body
    expect(await readFile(join(server.data, 'products', file.file_path), 'utf8')).toBe('hi\n')
  })
})

describe('reprocessing', () => {
  test('runs what changed inside a sub-recipe, takes over the rest, and says why', async () => {
    const word = { json: [{ name: 'w', type: 'string' }] }
    const inner = (kind: string): object => ({
      one: job('say', [], { VALUE: fromRecipe('w') }),
      two: job(kind, ['one']),
    })
    await recipeType('Evolving Inner', inner('noop'), word)
    const typeId = await recipeType(
      'Evolving Outer',
      { in: sub('evolving-inner', [], { w: fromRecipe('w') }), lone: job('noop') },
      word,
    )
    const old = await until(await queue(typeId, { json: { w: 'x' } }), isComplete)
    const patch = { definition: { input: word, nodes: inner('fails-once') } }
    expect((await ask(server, 'PATCH', '/v6/recipe-types/evolving-inner/', patch)).status).toBe(200)
    const dry = await ask(server, 'POST', `/v6/recipes/${old.id}/reprocess/?dry_run=true`, {
      forced_nodes: { all: false },
    })
    expect((dry.body as Body).plan).toEqual({
      lone: { action: 'copy', why: ['Nothing changed: the previous result is taken over'] },
      in: {
        action: 'run',
        why: ['Recipe type revision changed from 1 to 2'],
        nodes: {
          one: { action: 'copy', why: ['Nothing changed: the previous result is taken over'] },
          two: { action: 'run', why: ['Job type changed from noop to fails-once'] },
        },
      },
    })
    const answer = await ask(server, 'POST', `/v6/recipes/${old.id}/reprocess/`, {
      forced_nodes: { all: false },
    })
    expect([answer.status, answer.body]).toEqual([202, ''])
    const made = await until(Number(answer.headers.get('location')!.split('/').at(-2)), isComplete)
    expect([made.superseded_recipe.id, made.jobs_total, made.jobs_completed]).toEqual([old.id, 3, 3])
    expect(made.why).toEqual((dry.body as Body).plan)
    expect(made.details.nodes.lone.node_type.job_id).toBe(old.details.nodes.lone.node_type.job_id)
    const [before, after] = [
      await recipe(old.details.nodes.in.node_type.recipe_id),
      await recipe(made.details.nodes.in.node_type.recipe_id),
    ]
    expect(after.details.nodes.one.node_type.job_id).toBe(before.details.nodes.one.node_type.job_id)
    expect(after.details.nodes.two.node_type.job_id).not.toBe(before.details.nodes.two.node_type.job_id)
    expect([before.is_superseded, before.superseded_by_recipe.id]).toEqual([true, after.id])
    const replaced = await untilJob(before.details.nodes.two.node_type.job_id, body => body.is_superseded)
    expect(replaced.superseded_by_job.id).toBe(after.details.nodes.two.node_type.job_id)
  })

  test('is refused, and changes nothing, when the input no longer fits', async () => {
    const typeId = await recipeType('Growing', { a: job('noop') })
    const old = await until(await queue(typeId), isComplete)
    const definition = { input: number, nodes: { a: job('noop') } }
    await ask(server, 'PATCH', '/v6/recipe-types/growing/', { definition })
    const answer = await ask(server, 'POST', `/v6/recipes/${old.id}/reprocess/`, {
      forced_nodes: { all: true },
    })
    expect(answer.body).toEqual({
      detail: `Recipe ${old.id} cannot be reprocessed: Input interface has changed: Parameter 'n' is required`,
    })
    expect((await recipe(old.id)).is_superseded).toBe(false)
  })

  test('of a recipe that still runs cancels what is left of it, and runs that anew', async () => {
    const typeId = await recipeType('Restless', { quick: job('noop'), nap: job('sleeper') })
    const id = await queue(typeId)
    const running = await until(id, body => body.jobs_running === 1 && body.jobs_completed === 1)
    const answer = await ask(server, 'POST', `/v6/recipes/${id}/reprocess/`, { forced_nodes: { all: false } })
    expect(answer.status).toBe(202)
    const old = await until(id, body => body.jobs_canceled === 1)
    expect([old.is_superseded, statuses(old)]).toEqual([true, { quick: 'COMPLETED', nap: 'CANCELED' }])
    const made = await until(old.superseded_by_recipe.id, body => body.jobs_running === 1)
    expect(made.details.nodes.quick.node_type.job_id).toBe(running.details.nodes.quick.node_type.job_id)
    expect(made.details.nodes.nap.node_type.job_id).not.toBe(running.details.nodes.nap.node_type.job_id)
    await ask(server, 'POST', '/v6/jobs/cancel/', { recipe_ids: [made.id] })
  })

  test('the diff of any two revisions has an address of its own', async () => {
    await recipeType('Compared', { a: job('noop') })
    await ask(server, 'PATCH', '/v6/recipe-types/compared/', {
      definition: { nodes: { a: job('noop'), b: job('noop', ['a']) } },
    })
    const diff = (await ask(server, 'GET', '/v6/recipe-types/compared/revisions/1/diff/2/')).body as Body
    expect([diff.nodes.a.status, diff.nodes.b.status]).toEqual(['UNCHANGED', 'NEW'])
    const back = (await ask(server, 'GET', '/v6/recipe-types/compared/revisions/2/diff/1/')).body as Body
    expect(back.nodes.b.status).toBe('DELETED')
  })
})
