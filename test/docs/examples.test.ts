// Every shell example of the documentation is run: each page's ```sh blocks, one after another, as one script in a fresh
// folder. Blocks marked ```console are shown and not run (they clone, install, or never end).

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'vitest'
import { repository } from '../support/server.ts'

const files = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md', { cwd: repository })].sort()
const withExamples = files
  .map(file => ({ file, blocks: shellBlocks(readFileSync(join(repository, file), 'utf8')) }))
  .filter(({ blocks }) => blocks.length > 0)

test('there are pages with examples', () => {
  assert.ok(withExamples.length >= 3)
})

for (const { file, blocks } of withExamples) {
  test(`the examples of ${file} work as they stand`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-docs-'))
    symlinkSync(join(repository, 'bin'), join(folder, 'bin'))
    symlinkSync(join(repository, 'examples'), join(folder, 'examples'))
    try {
      // Whatever a page leaves running ends with it.
      const script = `set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n${blocks.join('\n')}`
      const { SWITCHYARD_DATA: _, SWITCHYARD_URL: __, SWITCHYARD_TOKEN: ___, ...env } = process.env
      const { status, stdout, stderr } = spawnSync('bash', ['-c', script], {
        cwd: folder,
        encoding: 'utf8',
        timeout: 120_000,
        env,
      })
      assert.equal(status, 0, `it ended with ${status}\n${stdout.slice(-2_000)}\n${stderr.slice(-4_000)}`)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
}

function shellBlocks(text: string): string[] {
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(match => match[1]!)
}
