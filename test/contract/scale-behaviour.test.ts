// What Scale promises beyond its recordings: contracts/scale.md §5 and the points where ours is better (§9, §10).

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adminToken, ask, missingForContainers, type ScaleServer, startScale } from './scale-server.ts'

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into member by member
type Body = any

let server: ScaleServer

beforeAll(async () => {
  server = await startScale({ containers: missingForContainers() === undefined })
  await workspace('Raw')
  await workspace('Products')
  await jobType('noop', { command: 'true' })
  await jobType('say', {
    command: `printf '%s' '{"OUT":"'\${VALUE}'"}' > \${OUTPUT_DIR}/seed.outputs.json`,
    inputs: { json: [{ name: 'VALUE', type: 'string' }] },
    outputs: { json: [{ name: 'OUT', type: 'string' }] },
  })
  await jobType('fails-once', { command: `test -e ${join(server.data, 'mended')}` })
  await jobType('sleeper', { command: 'sleep 600' })
})
afterAll(() => server?.close())

async function workspace(title: string): Promise<void> {
  const host_path = join(server.data, title.toLowerCase())
  await ask(server, 'POST', '/v6/workspaces/', {
    title,
    configuration: { broker: { type: 'host', host_path } },
  })
}

async function jobType(name: string, face: object, more: object = {}): Promise<Body> {
  const { configuration = {}, image = 'local/shell:1.0', version = '1.0.0', ...job } = more as Body
  const manifest = {
    seedVersion: '1.0.0',
    job: {
      name,
      jobVersion: version,
      packageVersion: '1.0.0',
      title: name,
      description: name,
      maintainer: { name: 'A', email: 'a' },
      timeout: 60,
      interface: face,
      ...job,
    },
  }
  const answer = await ask(server, 'POST', '/v6/job-types/', { docker_image: image, manifest, configuration })
  expect(answer.body).not.toHaveProperty('detail')
  return answer.body
}

const job = (
  name: string,
  parents: (string | { name: string; acceptance: boolean })[] = [],
  input: object = {},
): object => ({
  dependencies: parents.map(parent => (typeof parent === 'string' ? { name: parent } : parent)),
  input,
  node_type: { node_type: 'job', job_type_name: name, job_type_version: '1.0.0', job_type_revision: 1 },
})
const sub = (name: string, parents: string[] = [], input: object = {}, revision = 1): object => ({
  dependencies: parents.map(parent => ({ name: parent })),
  input,
  node_type: { node_type: 'recipe', recipe_type_name: name, recipe_type_revision: revision },
})
const gate = (input: object): object => ({
  dependencies: [],
  input,
  node_type: {
    node_type: 'condition',
    interface: { files: [], json: [{ name: 'n', type: 'integer', required: true }] },
    data_filter: { filters: [{ name: 'n', type: 'integer', condition: '>', values: [5] }] },
  },
})
const number = { json: [{ name: 'n', type: 'integer' }] }
const fromRecipe = (input: string): object => ({ type: 'recipe', input })

async function recipeType(title: string, nodes: object, input: object = {}): Promise<number> {
  const answer = await ask(server, 'POST', '/v6/recipe-types/', { title, definition: { input, nodes } })
  expect(answer.body).not.toHaveProperty('detail')
  return (answer.body as Body).id
}

async function queue(typeId: number, input: object = {}): Promise<number> {
  const answer = await ask(server, 'POST', '/v6/recipes/', { recipe_type_id: typeId, input })
  expect(answer.status).toBe(201)
  return (answer.body as Body).id
}

async function recipe(id: number): Promise<Body> {
  return (await ask(server, 'GET', `/v6/recipes/${id}/`)).body
}

async function until(id: number, holds: (body: Body) => boolean): Promise<Body> {
  const patience = Date.now() + 60_000
  for (;;) {
    const body = await recipe(id)
    if (holds(body) || Date.now() > patience) return body
    await sleep(30)
  }
}

const isComplete = (body: Body): boolean => body.is_completed
const statuses = (body: Body): Record<string, string> =>
  Object.fromEntries(
    Object.entries(body.details.nodes as Body).map(([name, node]: [string, Body]) => [
      name,
      node.node_type.status ??
        (node.node_type.node_type === 'condition'
          ? `accepted ${node.node_type.is_accepted}`
          : `done ${node.node_type.is_completed}`),
    ]),
  )

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

async function untilJob(id: number, holds: (body: Body) => boolean): Promise<Body> {
  const patience = Date.now() + 60_000
  for (;;) {
    const { body } = (await ask(server, 'GET', `/v6/jobs/${id}/`)) as Body
    if (holds(body) || Date.now() > patience) return body
    await sleep(30)
  }
}

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

test('a setting that nobody has set, and a file that is gone, fail a job once and by name', async () => {
  const type = await jobType('needs-setting', { command: 'true', settings: [{ name: 'DB' }] })
  const made = await ask(server, 'POST', '/v6/jobs/', { job_type_id: type.id, input: {} })
  const unset = await untilJob((made.body as Body).id, body => body.status === 'FAILED')
  expect([unset.error.name, unset.num_exes, unset.error_text]).toEqual([
    'missing-setting',
    1,
    'the setting DB is not configured',
  ])
  const configuration = { settings: { DB: 'here' } }
  const again = await ask(server, 'POST', '/v6/jobs/', { job_type_id: type.id, input: {}, configuration })
  await untilJob((again.body as Body).id, body => body.status === 'COMPLETED')
})

describe('limits and files', () => {
  test('a type runs no more jobs at a time than it may, and all of them in the end', async () => {
    const type = await jobType('limited', { command: 'sleep 0.1' })
    await ask(server, 'PATCH', '/v6/job-types/limited/1.0.0/', { max_scheduled: 1 })
    const ids = await Promise.all(
      [1, 2, 3].map(
        async () =>
          ((await ask(server, 'POST', '/v6/jobs/', { job_type_id: type.id, input: {} })).body as Body).id,
      ),
    )
    let most = 0
    for (;;) {
      const page = (await ask(server, 'GET', `/v6/jobs/?job_type_name=limited`)).body as Body
      most = Math.max(most, page.results.filter((row: Body) => row.status === 'RUNNING').length)
      if (page.results.every((row: Body) => row.status === 'COMPLETED')) break
      await sleep(20)
    }
    expect([ids.length, most]).toEqual([3, 1])
  })

  test('input that names no file is refused before anything is queued', async () => {
    const typeId = await recipeType('Wants File', { a: job('noop') }, { files: [{ name: 'src' }] })
    const answer = await ask(server, 'POST', '/v6/recipe/', {
      recipe_type_id: typeId,
      recipe_data: { files: { src: [987_654] } },
    })
    expect([answer.status, answer.body]).toEqual([400, 'Invalid recipe data: File ID 987654 does not exist'])
  })

  test('logs come as text, as a page, or as a search answer', async () => {
    const type = await jobType('chatty', { command: 'echo hello; echo trouble >&2' })
    const made = (await ask(server, 'POST', '/v6/jobs/', { job_type_id: type.id, input: {} })).body as Body
    const done = await untilJob(made.id, body => body.status === 'COMPLETED')
    const path = `/v6/job-executions/${done.execution.id}/logs`
    const plain = await ask(server, 'GET', `${path}/combined/`, undefined, { accept: 'text/plain' })
    expect(plain.body).toBe('hello\ntrouble\n')
    const page = await ask(server, 'GET', `${path}/stderr/`, undefined, { accept: 'text/html' })
    expect(page.body).toContain('<div class="stderr">trouble</div>')
    const search = await ask(server, 'GET', `${path}/stdout/`, undefined, { accept: 'application/json' })
    expect((search.body as Body).hits.hits[0]._source.message).toBe('hello')
  })
})

describe.skipIf(missingForContainers() !== undefined)('a container', () => {
  test('reads its input files and writes into its output directory', async () => {
    const type = await jobType(
      'counter',
      {
        // The entry point takes one argument, so the command has no blank.
        command: 'wc<$IN_FILE>$OUTPUT_DIR/count.txt',
        inputs: { files: [{ name: 'IN_FILE', mediaTypes: ['text/plain'] }] },
        outputs: { files: [{ name: 'COUNT', pattern: '*.txt', mediaType: 'text/plain' }] },
      },
      { image: 'counter', configuration: { output_workspaces: { default: 'products' } } },
    )
    await ask(server, 'POST', '/v6/scans/', {
      title: 'Everything',
      configuration: {
        workspace: 'raw',
        scanner: { type: 'dir' },
        files_to_ingest: [{ filename_regex: '.*txt' }],
      },
    })
    await ask(server, 'POST', '/v6/scans/1/process/', { ingest: true })
    const patience = Date.now() + 60_000
    let source: Body
    do source = ((await ask(server, 'GET', '/v6/files/?file_name=alpha.txt')).body as Body).results[0]
    while (!source && Date.now() < patience && (await sleep(30)) === undefined)
    const input = { files: { IN_FILE: [source.id] } }
    const made = (await ask(server, 'POST', '/v6/jobs/', { job_type_id: type.id, input })).body as Body
    const done = await untilJob(made.id, body => ['COMPLETED', 'FAILED'].includes(body.status))
    expect([done.status, done.error_text]).toEqual(['COMPLETED', null])
    const product = (await ask(server, 'GET', `/v6/files/${done.output.files.COUNT[0]}/`)).body as Body
    expect(
      (await readFile(join(server.data, 'products', product.file_path), 'utf8')).trim().split(/\s+/),
    ).toEqual(['3', '3', '14'])
    expect(product.job_output).toBe('COUNT')
  })

  const mounted = { image: 'counter' }
  const mount = (name: string, mode: string): object => ({ name, path: `/mnt/${name}`, mode })
  const runMounted = async (
    name: string,
    command: string,
    mounts: object[],
    sources: object,
  ): Promise<Body> => {
    const outputs = { json: [{ name: 'OUT', type: 'string', required: false }] }
    const type = await jobType(name, { command, mounts, outputs }, mounted)
    const configuration = { mounts: sources }
    const made = await ask(server, 'POST', '/v6/jobs/', { job_type_id: type.id, input: {}, configuration })
    return untilJob((made.body as Body).id, body => ['COMPLETED', 'FAILED'].includes(body.status))
  }

  test('sees the folders of this machine that its type mounts, and may write where it may', async () => {
    const host_path = join(server.data, 'shared')
    const sources = {
      in: { type: 'host', host_path },
      out: { type: 'host', host_path },
      named: { type: 'volume', driver: 'shared' },
      own: { type: 'volume' },
    }
    const command =
      'cat</mnt/in/known.txt>/mnt/out/copied.txt;echo>/mnt/own/x;cat</mnt/named/known.txt>/mnt/own/y;!(echo>/mnt/in/no)'
    const mounts = [mount('in', 'ro'), mount('out', 'rw'), mount('named', 'ro'), mount('own', 'rw')]
    const done = await runMounted('mounting', command, mounts, sources)
    expect([done.status, done.error_text]).toEqual(['COMPLETED', null])
    expect(await readFile(join(host_path, 'copied.txt'), 'utf8')).toBe('from the machine\n')
  })

  test('whose mount is not there, or not allowed here, fails once and says which', async () => {
    for (const [name, sources, text] of [
      ['mount-unsaid', {}, 'the mount in is not configured'],
      ['mount-gone', { in: { type: 'host', host_path: join(server.data, 'gone') } }, 'gone is not there'],
      ['mount-forbidden', { in: { type: 'host', host_path: '/etc' } }, '/etc lies in no volume'],
    ] as const) {
      const failed = await runMounted(name, 'true', [mount('in', 'ro')], sources)
      expect([failed.error?.name, failed.num_exes]).toEqual(['missing-mount', 1])
      expect(failed.error_text).toContain(text)
    }
  })

  test('whose image is not here fails with the error pull, after all its tries', async () => {
    const type = await jobType('nowhere', { command: 'x' }, { image: 'nowhere/to-be:found' })
    const made = (await ask(server, 'POST', '/v6/jobs/', { job_type_id: type.id, input: {} })).body as Body
    const failed = await untilJob(made.id, body => body.status === 'FAILED' && body.num_exes === 3)
    expect([failed.error.name, failed.num_exes]).toEqual(['pull', 3])
  })
})

test('a program reads of its inputs and its recipe’s, and what it says of an input file is kept with the file', async () => {
  const scan = await ask(server, 'POST', '/v6/scans/', {
    title: 'Again',
    configuration: {
      workspace: 'raw',
      scanner: { type: 'dir' },
      files_to_ingest: [{ filename_regex: 'beta.*' }],
    },
  })
  await ask(server, 'POST', `/v6/scans/${(scan.body as Body).id}/process/`, { ingest: true })
  const patience = Date.now() + 60_000
  let source: Body
  do source = ((await ask(server, 'GET', '/v6/files/?file_name=beta.txt')).body as Body).results[0]
  while (!source && Date.now() < patience && (await sleep(30)) === undefined)
  const files = [{ name: 'IN_FILE', mediaTypes: ['text/plain'] }]
  const feature = {
    type: 'Feature',
    geometry: { type: 'Point', coordinates: [10, 20] },
    properties: { sourceSensor: 'lens', dataStarted: '2020-01-02T03:04:05Z' },
  }
  const seen = join(server.data, 'seen.json')
  // No outputs: all it does is to describe what it was given.
  await jobType('describes', {
    // Two of them run at once: each puts a whole file there.
    command: `cp $INPUT_METADATA ${seen}.$$; mv ${seen}.$$ ${seen}; cat ${seen}.feature > $OUTPUT_DIR/IN_FILE.metadata.json`,
    inputs: { files },
  })
  await writeFile(`${seen}.feature`, JSON.stringify(feature))
  const input = { files: [{ name: 'src' }], json: [{ name: 'n', type: 'integer' }] }
  const fromSource = { IN_FILE: fromRecipe('src') }
  await recipeType('Describing', { only: job('describes', [], fromSource) }, { files: input.files })
  const typeId = await recipeType(
    'Around It',
    { in: sub('describing', [], { src: fromRecipe('src') }), lone: job('describes', [], fromSource) },
    input,
  )
  const id = await queue(typeId, { files: { src: [source.id] }, json: { n: 4 } })
  expect((await until(id, isComplete)).is_completed).toBe(true)
  const known = (await ask(server, 'GET', `/v6/files/${source.id}/`)).body as Body
  expect([known.source_sensor, known.data_started, known.geometry, known.meta_data]).toEqual([
    'lens',
    '2020-01-02T03:04:05Z',
    'POINT (10 20)',
    feature,
  ])
  const metadata = JSON.parse(await readFile(seen, 'utf8')) as Body
  expect([metadata.JOB.IN_FILE[0].id, metadata.RECIPE.src[0].id]).toEqual([source.id, source.id])
  expect(metadata.JOB.IN_FILE[0]).toHaveProperty('meta_data')
})

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

describe('who may do what', () => {
  let guarded: ScaleServer
  beforeAll(async () => {
    guarded = await startScale({ withAuth: true })
  })
  afterAll(() => guarded?.close())
  const type = { docker_image: 'local/shell', manifest: {}, configuration: {} }

  test('anybody may read and validate, and nobody without credentials may change anything', async () => {
    expect((await ask(guarded, 'GET', '/v6/recipes/')).status).toBe(200)
    expect((await ask(guarded, 'POST', '/v6/recipe-types/validation/', { definition: {} })).status).toBe(200)
    for (const [path, body] of [
      ['/v6/job-types/', type],
      ['/v6/recipes/', {}],
      ['/v6/jobs/cancel/', {}],
      ['/api/v6/workspaces/', {}],
      ['/v7/scans/1/process/', {}],
    ] as const) {
      const answer = await ask(guarded, 'POST', path, body)
      expect([answer.status, answer.body]).toEqual([
        403,
        { detail: 'Authentication credentials were not provided.' },
      ])
    }
  })

  test('a token opens the door in the original’s scheme, and a wrong one does not', async () => {
    const authorization = `Token ${adminToken}`
    const good = await ask(guarded, 'POST', '/v6/job-types/', type, { authorization })
    expect([good.status, (good.body as Body).detail]).toEqual([
      400,
      expect.stringContaining('Seed Manifest invalid'),
    ])
    const bad = await ask(guarded, 'POST', '/v6/job-types/', type, {
      authorization: 'Token of-somebody-else',
    })
    expect(bad.status).toBe(403)
  })
})
