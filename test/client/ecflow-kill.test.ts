// A living suite whose server is killed again and again: no completed task runs twice, and nothing that a job said is lost.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { freshDataDir, type RealServer, startServer } from '../support/server.ts'

const kills = 30
const rounds = 25
const wide = ['w1', 'w2', 'w3', 'w4', 'w5']

test(`a suite lives through ${kills} kills of its server`, async () => {
  const dataDir = freshDataDir('ecflow-kill')
  const home = join(dataDir, 'ecf')
  mkdirSync(join(home, 'k/loop'), { recursive: true })
  const runs = join(home, 'runs')
  writeFileSync(runs, '')
  const script = [
    '#!/bin/sh',
    'export ECF_NAME=%ECF_NAME% ECF_PASS=%ECF_PASS% ECF_TRYNO=%ECF_TRYNO% ECF_RID=$$',
    'ecflow_client --init=$$ || exit 0',
    `echo "%ECF_NAME% %N%" >> ${runs}`,
    'ecflow_client --event=said',
    'ecflow_client --meter=count %N%',
    'ecflow_client --complete',
  ].join('\n')
  for (const name of ['a', 'b', 'c', ...wide]) writeFileSync(join(home, `k/loop/${name}.ecf`), script)
  const definition = [
    'suite k',
    ' family loop',
    `  repeat integer N 1 ${rounds}`,
    '  task a',
    '   event said',
    `   meter count 0 ${rounds}`,
    '  task b',
    '   event said',
    `   meter count 0 ${rounds}`,
    '   trigger a == complete and a:said and a:count == ../loop:N',
    '  task c',
    '   event said',
    `   meter count 0 ${rounds}`,
    '   trigger b == complete and b:said and b:count == ../loop:N',
    // These start together, as one job of the engine's.
    ...wide.flatMap(name => [
      `  task ${name}`,
      '   event said',
      `   meter count 0 ${rounds}`,
      '   trigger c == complete',
    ]),
  ].join('\n')
  const port = await freePort()
  const start = (): Promise<RealServer> =>
    startServer({
      dataDir,
      config: `[executors.process]\nallow = true\n[dialects.ecflow]\nhome = "${home}"\nno_ssl = true\n`,
      args: ['--port', String(port)],
    })
  let server = await start()
  try {
    expect((await server.ask('/v1/suites', { body: { definition } })).status).toBe(201)
    expect(
      (await server.ask('/v1/suites/k/status', { method: 'PUT', body: { action: 'begin' } })).status,
    ).toBe(200)
    for (let kill = 0; kill < kills; kill++) {
      // Spread over what happens between two job starts, the same in each run of this test.
      await new Promise(resolve => setTimeout(resolve, 40 + ((kill * 97) % 400)))
      await server.kill()
      server = await start()
    }
    for (let left = 1200; left > 0; left--) {
      if ((await server.ask('/v1/suites/k/status?filter=status')).json === 'complete') break
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    expect((await server.ask('/v1/suites/k/status')).json).toMatchObject({ status: 'complete' })
    const lines = readFileSync(runs, 'utf8').trim().split('\n')
    const wanted = Array.from({ length: rounds }, (_, round) =>
      ['a', 'b', 'c', ...wide].map(name => `/k/loop/${name} ${round + 1}`),
    ).flat()
    // Those that start together come in any order, but between the others of their round.
    const shown = lines.map((line, index) =>
      index % 8 < 3
        ? line
        : [...lines.slice(index - (index % 8) + 3, index - (index % 8) + 8)].sort()[(index % 8) - 3],
    )
    expect(shown).toEqual(wanted)
    const tree = (await server.ask('/v1/suites/k/tree?content=full')).json
    expect(JSON.stringify(tree)).not.toContain('zombie')
  } finally {
    await server.stop()
    rmSync(dataDir, { recursive: true, force: true })
    rmSync(`${dataDir}.toml`, { force: true })
  }
})
