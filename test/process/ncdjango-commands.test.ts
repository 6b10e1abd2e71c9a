// ncdjango as its operator meets it: a configuration elsewhere, whose files start from it, and clean-up by command.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { test } from 'vitest'
import { freshDataDir, program, type RealServer, startServer } from '../support/server.ts'

const run = promisify(execFile)

async function publish(server: RealServer, job: string): Promise<string> {
  const path = '/geoprocessing/rest/jobs/'
  const made = await server.ask(path, { body: { job, inputs: '{}' } })
  assert.equal(made.status, 201, made.text)
  for (;;) {
    const { json } = await server.ask(`${path}${made.json.uuid}/`)
    if (json.status === 'success') return JSON.parse(json.outputs).raster_out as string
    assert.notEqual(json.status, 'failure')
    await sleep(20)
  }
}

test('registrations start from the configuration file, and temporary services go by command', async () => {
  const dataDir = freshDataDir('ncdjango-commands')
  const folder = `${dataDir}-config`
  mkdirSync(join(folder, 'flows'), { recursive: true })
  const workflow = {
    workflow: [{ id: 'a', task: 'demo:raster', inputs: {} }],
    outputs: [{ name: 'raster_out', node: ['a', 'raster_out'] }],
  }
  writeFileSync(join(folder, 'flows', 'one.json'), JSON.stringify(workflow))
  const config = join(folder, 'yard.json')
  // Inline, so that no module says where its own files are.
  const jobs = { mine: { type: 'workflow', path: 'flows/one.json', publish_raster_results: true } }
  writeFileSync(config, JSON.stringify({ dialects: { ncdjango: { jobs } } }))
  const server = await startServer({ dataDir, args: ['--config', config] })
  try {
    const names = [await publish(server, 'mine'), await publish(server, 'demo_raster')]
    const clean = async (...words: string[]): Promise<string> =>
      (await run(program, ['ncdjango', 'cleanup', ...words, '--url', server.url, '--token', server.token]))
        .stdout
    assert.equal(await clean(), 'Removed 0 services.\n', 'they are young')
    for (const name of names)
      assert.equal((await server.ask(`/arcgis/rest/services/${name}/MapServer`)).status, 200)
    await sleep(5)
    assert.equal(await clean('--max-age', '0'), 'Removed 2 services.\n')
    for (const name of names)
      assert.equal((await server.ask(`/arcgis/rest/services/${name}/MapServer`)).status, 404)
    assert.deepEqual(JSON.parse(await clean('--max-age', '0', '--json')), { removed: 0 })
    await assert.rejects(clean('--max-age', 'soon'), /it is a number of seconds/)
  } finally {
    await server.stop()
    rmSync(dataDir, { recursive: true, force: true })
    rmSync(folder, { recursive: true, force: true })
  }
})
