// The promise of the product through Scale's recipes, on the real thing: every recipe that was acknowledged completes
// although the server is killed again and again, no program runs twice, and values and files pass from node to node.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'vitest'
import { diceOf } from '../simulation/random.ts'
import { freshDataDir, type RealServer, startServer } from '../support/server.ts'

const kills = Number(process.env['SCALE_KILLS'] ?? 6)
const seed = Number(process.env['SEED'] ?? 1)
/** Enough that every kill meets recipes in all their stages, few enough that the rest is soon done. */
const recipesMax = 8

interface Queued {
  readonly id: number
  readonly word: string
}

test(`a server killed ${kills} times under recipes completes them all, runs no job twice, and passes on what jobs made`, async () => {
  const dice = diceOf(seed)
  const dataDir = freshDataDir('scale-kill')
  const [ran, products] = [join(dataDir, 'ran'), join(dataDir, 'products')]
  mkdirSync(products)
  const config = '[pools.default]\ncpus = 8\nmemory = "64GB"\n'
  const ledger: Queued[] = []
  let server = await startServer({ dataDir, config })
  try {
    const typeId = await createTypes(server, ran, products)
    for (let kill = 1; kill <= kills; kill++) {
      const over = new AbortController()
      const clients = [1, 2].map(client => queueUntil(over.signal, { server, typeId, ledger, kill, client }))
      await sleep(250 + dice.below(500))
      await server.kill()
      over.abort()
      await Promise.all(clients)
      server = await startServer({ dataDir, config })
    }
    assert.ok(ledger.length >= kills, `only ${ledger.length} recipes were acknowledged: the load was no load`)
    const jobs = new Set<number>()
    for (const queued of ledger) {
      const body = await completed(server, queued)
      assert.equal(body.jobs_total, 3)
      assert.equal(body.jobs_completed, 3)
      for (const name of ['say', 'join', 'last']) jobs.add(body.details.nodes[name].node_type.job_id)
      const { json: last } = await server.ask(`/v6/jobs/${body.details.nodes['last'].node_type.job_id}/`)
      // The word went through two programs as a value, and through one of them as a file as well.
      assert.deepEqual(last.output.json, { OUT: `${queued.word}.${queued.word}-in-a-file.last` })
    }
    assert.equal(jobs.size, ledger.length * 3, 'two recipes share a job')
    await listsAgree(server, ledger)
    // What has come to rest is read back by another start.
    await server.kill()
    server = await startServer({ dataDir, config })
    await listsAgree(server, ledger)
    const runs = readFileSync(ran, 'utf8').trim().split('\n')
    const times = Map.groupBy(runs, run => run.slice(0, run.indexOf(' ')))
    for (const [job, list] of times)
      assert.equal(list.length, 1, `job ${job} ran ${list.length} times: ${list}`)
    for (const job of jobs) assert.ok(times.has(String(job)), `job ${job} is complete and never ran`)
  } finally {
    await server.stop()
    rmSync(dataDir, { recursive: true, force: true })
    rmSync(`${dataDir}.toml`, { force: true })
  }
})

test(`a scan that moves files, killed ${kills} times, registers each of them once, and queues its recipe`, async () => {
  const dice = diceOf(seed)
  const dataDir = freshDataDir('scale-scan-kill')
  const [raw, kept] = [join(dataDir, 'raw'), join(dataDir, 'kept')]
  mkdirSync(join(raw, 'deep'), { recursive: true })
  mkdirSync(kept)
  const names = Array.from({ length: 400 }, (_, n) => `file-${n}.txt`)
  for (const [n, name] of names.entries()) writeFileSync(join(raw, n % 2 ? 'deep' : '.', name), `${name}\n`)
  // Of two files that are to go to one place the second stays where it is.
  writeFileSync(join(raw, 'deep', 'file-0.txt'), 'another\n')
  const config = '[pools.default]\ncpus = 8\nmemory = "64GB"\n'
  let server = await startServer({ dataDir, config })
  try {
    for (const [title, host_path] of [
      ['Raw', raw],
      ['Kept', kept],
      ['Products', kept],
    ])
      await server.ask('/v6/workspaces/', {
        body: { title, configuration: { broker: { type: 'host', host_path } } },
      })
    const only = await scanRecipe(server)
    const configuration = {
      workspace: 'raw',
      scanner: { type: 'dir' },
      files_to_ingest: [{ filename_regex: 'file-.*', new_workspace: 'kept', new_file_path: 'in' }],
      recipe: { name: only, revision_num: 1 },
    }
    const made = await server.ask('/v6/scans/', { body: { title: 'All', configuration } })
    assert.equal(made.status, 201, made.text)
    const begun = await server.ask('/v6/scans/1/process/', { body: { ingest: true } })
    assert.equal(begun.status, 201, begun.text)
    for (let kill = 1; kill <= kills; kill++) {
      await sleep(dice.below(300))
      await server.kill()
      server = await startServer({ dataDir, config })
    }
    for (let turn = 0; ; turn++) {
      const scan = (await server.ask('/v6/scans/1/')).json
      const { count } = (await server.ask('/v6/recipes/?is_completed=true&page_size=1')).json
      if (scan.file_count === 401 && count === 400) break
      if (turn === 600) {
        const { text } = await server.ask('/v6/recipes/?is_completed=false')
        assert.fail(`the scan does not end: ${JSON.stringify(scan)}, ${count} recipes, and ${text}`)
      }
      await sleep(100)
    }
    assert.equal((await server.ask('/v6/recipes/?page_size=1')).json.count, 400)
    const files = (await server.ask('/v6/files/?page_size=1000')).json.results
    const paths = files.map(({ file_path }: { file_path: string }) => file_path)
    assert.deepEqual(paths.toSorted(), names.map(name => `in/${name}`).toSorted())
    const duplicates = (await server.ask('/v6/ingests/?status=DUPLICATE')).json.results
    assert.equal(duplicates.length, 1)
    assert.deepEqual(readdirSync(join(kept, 'in')).toSorted(), names.toSorted())
    assert.deepEqual(readdirSync(join(raw, 'deep')), [duplicates[0].file_name])
  } finally {
    await server.stop()
    rmSync(dataDir, { recursive: true, force: true })
    rmSync(`${dataDir}.toml`, { force: true })
  }
})

/** A recipe that takes one file and does nothing with it; answers its name. */
async function scanRecipe(server: RealServer): Promise<string> {
  const manifest = {
    seedVersion: '1.0.0',
    job: {
      name: 'takes',
      jobVersion: '1.0.0',
      packageVersion: '1.0.0',
      title: 'Takes',
      description: 'Takes a file',
      maintainer: { name: 'A', email: 'a' },
      timeout: 60,
      interface: { command: '', inputs: { files: [{ name: 'IN' }] } },
    },
  }
  const body = { docker_image: 'local/noop:1.0', manifest, configuration: {} }
  assert.equal((await server.ask('/v6/job-types/', { body })).status, 201)
  const node = {
    dependencies: [],
    input: { IN: { type: 'recipe', input: 'src' } },
    node_type: { node_type: 'job', job_type_name: 'takes', job_type_version: '1.0.0', job_type_revision: 1 },
  }
  const definition = { input: { files: [{ name: 'src' }] }, nodes: { only: node } }
  const answer = await server.ask('/v6/recipe-types/', { body: { title: 'Takes One', definition } })
  assert.equal(answer.status, 201, answer.text)
  return answer.json.name
}

/** Every recipe stands in the lists once, with its three jobs, also those that were queued and not acknowledged. */
async function listsAgree(server: RealServer, ledger: readonly Queued[]): Promise<void> {
  const listed = async (path: string): Promise<number[]> => {
    const { json } = await server.ask(`${path}page_size=1000`)
    assert.equal(json.count, json.results.length)
    return json.results.map(({ id }: { id: number }) => id)
  }
  for (let turn = 0; ; turn++) {
    const [all, done] = [await listed('/v6/recipes/?'), await listed('/v6/recipes/?is_completed=true&')]
    assert.equal(new Set(all).size, all.length, 'a recipe is listed twice')
    for (const { id } of ledger) assert.ok(all.includes(id), `recipe ${id} is not listed`)
    const jobs = await listed('/v6/jobs/?')
    assert.deepEqual([new Set(jobs).size, jobs.length], [all.length * 3, all.length * 3])
    if (done.length === all.length) break
    assert.ok(turn < 250, `${all.length - done.length} of ${all.length} recipes do not complete`)
    await sleep(100)
  }
  assert.equal(
    (await listed('/v6/jobs/?status=COMPLETED&order=-id&')).length,
    (await listed('/v6/recipes/?')).length * 3,
  )
}

/** Three programs in a row; the answer is the recipe type's id. */
async function createTypes(server: RealServer, ran: string, products: string): Promise<number> {
  const make = async (path: string, body: unknown): Promise<number> => {
    const answer = await server.ask(path, { body })
    assert.equal(answer.status, 201, `${path}: ${answer.text}`)
    return answer.json.id
  }
  await make('/v6/workspaces/', {
    title: 'Products',
    configuration: { broker: { type: 'host', host_path: products } },
  })
  // Each writes down that it runs before anything else, then takes a moment, so that kills find it alive.
  const begin = `echo $SCALE_JOB_ID $SCALE_EXE_NUM >> ${ran}; sleep 0.1;`
  const say = (text: string): string => `printf '%s' '{"OUT":"'${text}'"}' > \${OUTPUT_DIR}/seed.outputs.json`
  const word = { name: 'VALUE', type: 'string' }
  const out = { name: 'OUT', type: 'string' }
  const programs = {
    say: {
      command: `${begin} printf '%s' \${VALUE}-in-a-file > \${OUTPUT_DIR}/word.txt; ${say(`\${VALUE}`)}`,
      inputs: { json: [word] },
      outputs: { json: [out], files: [{ name: 'TEXT', pattern: '*.txt', mediaType: 'text/plain' }] },
    },
    join: {
      command: `${begin} ${say(`\${VALUE}.$(cat \${TEXT})`)}`,
      inputs: { json: [word], files: [{ name: 'TEXT', mediaTypes: ['text/plain'] }] },
      outputs: { json: [out] },
    },
    last: {
      command: `${begin} ${say(`\${VALUE}.last`)}`,
      inputs: { json: [word] },
      outputs: { json: [out] },
    },
  }
  for (const [name, face] of Object.entries(programs))
    await make('/v6/job-types/', {
      docker_image: 'local/shell:1.0',
      manifest: {
        seedVersion: '1.0.0',
        job: {
          name,
          jobVersion: '1.0.0',
          packageVersion: '1.0.0',
          title: name,
          description: name,
          maintainer: { name: 'A', email: 'a' },
          timeout: 60,
          interface: face,
        },
      },
      configuration: { output_workspaces: { default: 'products' } },
    })
  const node = (name: string, parents: string[], input: object): object => ({
    dependencies: parents.map(parent => ({ name: parent })),
    input,
    node_type: { node_type: 'job', job_type_name: name, job_type_version: '1.0.0', job_type_revision: 1 },
  })
  const from = (parent: string, output: string): object => ({ type: 'dependency', node: parent, output })
  return make('/v6/recipe-types/', {
    title: 'Row',
    definition: {
      input: { json: [{ name: 'word', type: 'string' }] },
      nodes: {
        say: node('say', [], { VALUE: { type: 'recipe', input: 'word' } }),
        join: node('join', ['say'], { VALUE: from('say', 'OUT'), TEXT: from('say', 'TEXT') }),
        last: node('last', ['join'], { VALUE: from('join', 'OUT') }),
      },
    },
  })
}

/** Queues recipes one after another until the server is gone, and remembers those that were acknowledged. */
async function queueUntil(
  over: AbortSignal,
  parts: { server: RealServer; typeId: number; ledger: Queued[]; kill: number; client: number },
): Promise<void> {
  for (let count = 0; count < recipesMax / 2 && !over.aborted; count++) {
    const word = `w${parts.kill}-${parts.client}-${count}`
    const body = { recipe_type_id: parts.typeId, input: { json: { word } } }
    try {
      const { status, json } = await parts.server.ask('/v6/recipes/', { body })
      if (status === 201) parts.ledger.push({ id: json.id, word })
    } catch {
      return // The server was killed: what it did not acknowledge may or may not be there.
    }
    await sleep(40)
  }
}

/** The recipe's details as soon as it is complete. */
// biome-ignore lint/suspicious/noExplicitAny: answers are looked into member by member
async function completed(server: RealServer, { id, word }: Queued): Promise<any> {
  for (let turn = 0; ; turn++) {
    const { status, json, text } = await server.ask(`/v6/recipes/${id}/`)
    assert.equal(status, 200, `recipe ${id} (${word}) was acknowledged and is lost: ${text}`)
    if (json.is_completed) return json
    assert.ok(turn < 250, `recipe ${id} (${word}) does not complete: ${JSON.stringify(json.details)}`)
    await sleep(100)
  }
}
