// What programs are given, and what becomes of what they leave: contracts/scale.md §4.5, §4.6 and §5.5.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask, missingForContainers, type ScaleServer, startScale } from './scale-server.ts'
import { type Body, fromRecipe, isComplete, job, sub, workWith } from './scale-work.ts'

let server: ScaleServer
const { jobType, queue, recipeType, until, untilJob, usualTypes } = workWith(() => server)

beforeAll(async () => {
  server = await startScale({ containers: missingForContainers() === undefined })
  await usualTypes()
})
afterAll(() => server?.close())

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
