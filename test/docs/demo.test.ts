// The demo of the README, played by a built server: what works only from sources is found here.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'vitest'
import { acts } from '../../scripts/demo/acts.ts'
import { repository } from '../support/server.ts'

test('a built server plays every act of the demo', () => {
  const built = spawnSync('npm', ['run', '--silent', 'build'], { cwd: repository, encoding: 'utf8' })
  assert.equal(built.status, 0, built.stdout + built.stderr)
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-demo-'))
  try {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/demo/main.ts'], {
      cwd: repository,
      encoding: 'utf8',
      timeout: 240_000,
      env: { ...process.env, DEMO_EXIT: '1', DEMO_DIR: folder, SWITCHYARD_DIST: '1' },
    })
    assert.equal(status, 0, `${stdout.slice(-3_000)}\n${stderr.slice(-3_000)}`)
    for (const act of acts) assert.ok(stdout.includes(`${act.title} … done`), `${act.title} was not played`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
