// The folder of an attempt, with things in it that a user brought to do harm.
import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'vitest'
import {
  type AttemptFolder,
  attemptFolder,
  giveTo,
  makeFolder,
  removeTree,
  shareMergedFiles,
} from './attempt-folder.ts'
import { readSpec } from './spec.ts'

let dir: string
let folder: AttemptFolder
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'switchyard-folder-'))
  folder = attemptFolder(dir, 'a.1')
  await makeFolder(folder, 1)
  await writeFile(join(dir, 'canary'), 'alive')
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const isRoot = process.getuid?.() === 0

test.skipIf(!isRoot)(
  'giving the scratch directory away follows no link (skipped when not root)',
  async () => {
    await mkdir(join(folder.scratchDir, 'sub'))
    await writeFile(join(folder.scratchDir, 'sub/own'), '')
    await symlink(join(dir, 'canary'), join(folder.scratchDir, 'sub/link'))
    await symlink(dir, join(folder.scratchDir, 'dirlink'))
    await giveTo(folder, { user: { uid: 77, gid: 88 }, nodeCount: 1 })
    assert.equal((await stat(join(folder.scratchDir, 'sub/own'))).uid, 77)
    assert.deepEqual([(await stat(join(dir, 'canary'))).uid, (await stat(dir)).uid], [0, 0])
  },
)

test('the file that streams are merged into replaces what the user brought, links included', async () => {
  await symlink(join(dir, 'canary'), join(folder.scratchDir, 'log'))
  const read = readSpec({ tasks: [{ image: 'x', mergeInto: 'log' }] })
  if ('text' in read) throw new Error(read.text)
  const merged = await shareMergedFiles(folder, read.spec)
  assert.equal(await readFile(join(dir, 'canary'), 'utf8'), 'alive')
  assert.ok((await stat(join(folder.scratchDir, 'log'))).isFile())
  assert.equal(merged.get('log')?.to, '/home/user/log')
})

test.for([
  [{ mergeInto: 'a/log' }, /mergeInto/],
  [{ mergeInto: '../log' }, /mergeInto/],
  [{ mounts: [{ from: 'a/b', to: '/x' }] }, /mounts\.0\.from/],
  [{ mounts: [{ from: '.', to: '/x' }] }, /mounts\.0\.from/],
  [{ mounts: [{ from: 'a', to: '/home/user/x' }] }, /mounts\.0\.to/],
  [{ mounts: [{ from: 'a', to: '/tmp/x' }] }, /mounts\.0\.to/],
  [{ mounts: [{ from: 'a', to: '/x/../proc' }] }, /mounts\.0\.to/],
  [{ mounts: [{ from: 'a', to: '/' }] }, /mounts\.0\.to/],
] as const)(
  'the task %j is refused, because another task could lead it astray or it would hide the sandbox',
  ([task, says]) => {
    const read = readSpec({ tasks: [{ image: 'x', ...structuredClone(task) }] } as never)
    assert.match('text' in read ? read.text : 'accepted', says)
  },
)

test.for(['../x', '/etc/passwd', 'a/../../x'])('the file %j of a job is refused', path => {
  const read = readSpec({ tasks: [{ image: 'x' }], files: [{ path, content: '' }] })
  assert.match('text' in read ? read.text : 'accepted', /files\.0\.path/)
})

test('a tree with closed directories is removed, and links in it are not followed', async () => {
  await mkdir(join(dir, 'beside'))
  await writeFile(join(dir, 'beside/f'), '')
  await mkdir(join(folder.scratchDir, 'shut/in'), { recursive: true })
  await symlink(join(dir, 'beside'), join(folder.scratchDir, 'shut/link'))
  await chmod(join(folder.scratchDir, 'shut'), 0)
  await removeTree(folder.dir)
  assert.deepEqual(await readdir(join(dir, 'attempts')), [])
  assert.deepEqual(await readdir(join(dir, 'beside')), ['f'])
})
