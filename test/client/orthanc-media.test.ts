// Media beside DCMTK: what it makes of the same files as a DICOMDIR tells the same tree, and it goes on with ours.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { aDicomFile } from '../../src/domains/dicom/testing/sample.ts'
import { startOrthanc } from '../contract/orthanc-server.ts'
import { hasShared, sharedPath } from '../support/shared.ts'
import { listZip, readZipMember } from '../support/zip-listing.ts'

const isReady = existsSync('/usr/bin/dcmmkdir') && hasShared('recordings', 'orthanc')
/** Checks of the medium's profile that have nothing to do with the directory; missing attributes are made up. */
const lenient = ['-Nxc', '-Nec', '-Nrc', '+I', '+m', '-W']

/** The tree of a DICOMDIR: for each file the UIDs of its study and series. */
function treeOf(folder: string, name: string): Map<string, string> {
  const dump = spawnSync('dcmdump', ['-q', '+L', name], { cwd: folder, encoding: 'utf8' }).stdout
  const tree = new Map<string, string>()
  let [study, series] = ['', '']
  for (const [, tag, value] of dump.matchAll(/\((0020,000d|0020,000e|0004,1500)\) \w\w \[([^\]]*)\]/g)) {
    if (tag === '0020,000d') study = value!
    if (tag === '0020,000e') series = value!
    if (tag === '0004,1500') tree.set(value!, `${study} ${series}`)
  }
  return tree
}

describe.skipIf(!isReady)('media (skipped unless DCMTK and the recordings are there)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-media-'))
  let files: string[] = []
  beforeAll(async () => {
    const server = await startOrthanc()
    try {
      const samples = sharedPath('recordings', 'orthanc', 'files')
      for (const name of readdirSync(samples).filter(file => file.endsWith('.dcm'))) {
        await fetch(`${server.url}/instances`, { method: 'POST', body: readFileSync(join(samples, name)) })
      }
      const patients = await (await fetch(`${server.url}/patients`)).text()
      const answer = await fetch(`${server.url}/tools/create-media-extended`, {
        method: 'POST',
        body: patients,
      })
      const zip = Buffer.from(await answer.arrayBuffer())
      mkdirSync(join(folder, 'IMAGES'))
      files = listZip(zip).map(({ name }) => name)
      for (const name of files) writeFileSync(join(folder, name), readZipMember(zip, name))
    } finally {
      await server.close()
    }
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  test('the directory that DCMTK makes of the same files tells the same tree', () => {
    spawnSync('dcmmkdir', ['+D', 'THEIRS', ...lenient, '+r', 'IMAGES'], { cwd: folder })
    const [ours, theirs] = [treeOf(folder, 'DICOMDIR'), treeOf(folder, 'THEIRS')]
    assert.equal(ours.size, files.length - 1)
    // One of the files has no modality, which DCMTK does not take.
    assert.ok(theirs.size >= ours.size - 1, `${theirs.size} of ${ours.size}`)
    for (const [file, place] of theirs) assert.equal(ours.get(file), place, file)
  })

  test('DCMTK opens our directory and adds to it', () => {
    cpSync(join(folder, 'DICOMDIR'), join(folder, 'MORE'))
    const tags = { StudyTime: '101500', StudyID: '1', SeriesNumber: '1', SOPInstanceUID: '1.2.3.4.5.6' }
    writeFileSync(join(folder, 'IMAGES', 'NEW'), aDicomFile({ tags }))
    const added = spawnSync('dcmmkdir', ['+A', '+D', 'MORE', ...lenient, join('IMAGES', 'NEW')], {
      cwd: folder,
    })
    assert.equal(added.status, 0, String(added.stderr))
    const [before, after] = [treeOf(folder, 'DICOMDIR'), treeOf(folder, 'MORE')]
    assert.equal(after.size, before.size + 1)
    for (const [file, place] of before) assert.equal(after.get(file), place, file)
    assert.equal(after.get('IMAGES\\NEW'), '1.2.3.4.5.2 1.2.3.4.5.3')
  })
})
