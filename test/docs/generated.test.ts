import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'vitest'
import { pages } from '../../scripts/generate-pages.ts'
import { repository } from '../support/server.ts'

for (const [file, text] of Object.entries(pages)) {
  test(`${file} says what the code says`, () => {
    assert.equal(readFileSync(join(repository, file), 'utf8'), text(), 'run: node scripts/generate-pages.ts')
  })
}
