// A disk that runs full: the server says so, loses nothing, and goes on when there is space again.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'vitest'
import { startServer } from '../support/server.ts'

const mountPoint = mkdtempSync(join(tmpdir(), 'switchyard-full-'))
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', mountPoint]).status === 0

test.skipIf(!mounted)(
  'a full disk is answered with 503, loses nothing, and heals when space returns',
  async () => {
    const dataDir = join(mountPoint, 'data')
    const config = '[pools.default]\nslots = 2\n'
    const server = await startServer({ dataDir, config })
    try {
      const kept: string[] = []
      const submit = () =>
        server.ask('/yard/v1/jobs', {
          body: { executor: 'process', held: true, spec: { argv: ['echo', 'x'.repeat(2_000)] } },
        })
      for (let i = 0; i < 20; i++) kept.push((await submit()).json.id)
      const ballast = join(mountPoint, 'ballast')
      const free = () => {
        const { bavail, bsize } = statfsSync(mountPoint)
        return bavail * bsize
      }
      writeFileSync(ballast, Buffer.alloc(Math.max(0, free() - 65_536)))
      let answer = await submit()
      for (let i = 0; i < 500 && answer.status === 201; i++) {
        kept.push(answer.json.id)
        answer = await submit()
      }
      assert.equal(answer.status, 503)
      assert.equal(answer.json.status, 503)
      assert.equal((await server.ask('/readyz')).status, 503)
      assert.equal((await server.ask('/healthz')).status, 200)

      rmSync(ballast)
      let healed = await submit()
      for (let i = 0; i < 100 && healed.status === 503; i++) {
        await new Promise(resolve => setTimeout(resolve, 100))
        healed = await submit()
      }
      assert.equal(healed.status, 201, 'the server does not heal')
      kept.push(healed.json.id)
      assert.equal((await server.ask('/readyz')).status, 200)
      for (const id of kept)
        assert.equal((await server.ask(`/yard/v1/jobs/${id}`)).status, 200, `job ${id} is lost`)
      // What was refused is not there either.
      const { json } = await server.ask('/yard/v1/jobs?limit=1000')
      assert.equal(json.items.length, kept.length)
      await server.ask(`/yard/v1/jobs/${kept[0]}/release`, { method: 'POST' })
      assert.equal((await server.ask(`/yard/v1/jobs/${kept[0]}?wait=20000`)).json.state, 'succeeded')
    } finally {
      await server.stop()
      spawnSync('umount', [mountPoint])
      rmSync(mountPoint, { recursive: true, force: true })
      rmSync(`${dataDir}.toml`, { force: true })
    }
  },
)
