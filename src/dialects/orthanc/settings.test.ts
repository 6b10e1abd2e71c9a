import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished, test } from 'vitest'
import { readSettings } from './settings.ts'

function aFile(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-orthanc-options-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'orthanc.json')
  writeFileSync(path, text)
  return path
}

test('a file of options may name variables of the environment, with something in their place', () => {
  const configuration = aFile(
    `{ "Name": "at \${SITE}, \${ROOM:-no room}\${NOWHERE}", "StableAge": \${AGE:-7}, "DicomAet": "\${AET:-X}" }`,
  )
  const { name, stableMs, dicomAet } = readSettings({ configuration }, { SITE: 'home', AET: 'OTHER' })
  assert.deepEqual([name, stableMs, dicomAet], ['at home, no room', 7000, 'OTHER'])
})

test('comments and commas behind the last member do not harm', () => {
  const configuration = aFile(
    '{ "Name": "a, }", /* one */ "DicomModalities": { "a": ["A", "h", 1,], }, } // end',
  )
  const { name } = readSettings({ configuration }, {})
  assert.equal(name, 'a, }')
})
