// The demo of the README, played by a built server: what works only from sources is found here.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'vitest'
import { acts } from '../../scripts/demo/acts.ts'
import { repository } from '../support/server.ts'

test('a built server plays every act of the demo', () => {
  // Built in a copy: a half-written dist/ here would be used by servers that other tests start meanwhile.
  const copy = mkdtempSync(join(tmpdir(), 'switchyard-built-'))
  const built = ['bin', 'src', 'scripts', 'examples', 'package.json', 'tsconfig.json', 'tsconfig.build.json']
  for (const name of built) cpSync(join(repository, name), join(copy, name), { recursive: true })
  for (const name of ['node_modules', '.toolchain']) {
    if (existsSync(join(repository, name))) symlinkSync(join(repository, name), join(copy, name))
  }
  try {
    const build = spawnSync('npm', ['run', '--silent', 'build'], { cwd: copy, encoding: 'utf8' })
    assert.equal(build.status, 0, build.stdout + build.stderr)
    const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/demo/main.ts'], {
      cwd: copy,
      encoding: 'utf8',
      timeout: 240_000,
      env: { ...process.env, DEMO_EXIT: '1', SWITCHYARD_DIST: '1' },
    })
    assert.equal(status, 0, `${stdout.slice(-3_000)}\n${stderr.slice(-3_000)}`)
    for (const act of acts) assert.ok(stdout.includes(`${act.title} … done`), `${act.title} was not played`)
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
})
