// Layers put on top of each other: replacing, whiteouts, links.
import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'vitest'
import { type Item, modeOf, tarOf, treeOf } from './archive-fixture.ts'
import { sourceFromChunks } from './byte-source.ts'
import { defaultLimits, openBudget } from './limits.ts'
import { openRootWriter } from './root-writer.ts'
import { readTar } from './tar-reader.ts'

async function unpack(layers: readonly (readonly Item[])[], look: (rootDir: string) => Promise<void>) {
  const rootDir = await mkdtemp(join(tmpdir(), 'switchyard-root-'))
  try {
    const writer = openRootWriter(rootDir, { budget: openBudget(defaultLimits), keepOwners: false })
    for (const layer of layers) {
      const bytes = await tarOf(layer)
      const chunks = async function* () {
        yield bytes
      }
      await writer.addLayer(readTar(sourceFromChunks(chunks()), { limits: defaultLimits }))
    }
    await writer.finish()
    await look(rootDir)
  } finally {
    await rm(rootDir, { recursive: true, force: true })
  }
}

const treeAfter = async (...layers: readonly (readonly Item[])[]) => {
  let tree: Record<string, string> = {}
  await unpack(layers, async rootDir => {
    tree = await treeOf(rootDir)
  })
  return tree
}

test('a later layer replaces files, keeps directories, and turns one kind into another', async () => {
  const tree = await treeAfter(
    [
      ['d/a', 'old'],
      ['d/b', 'b'],
      ['f', 'file'],
      ['g/x', 'x'],
    ],
    [
      ['d/', {}],
      ['d/a', 'new'],
      ['f/', {}],
      ['f/inside', 'directory now'],
      ['g', 'file now'],
    ],
  )
  const expected = {
    'd/': '/',
    'd/a': 'new',
    'd/b': 'b',
    'f/': '/',
    'f/inside': 'directory now',
    g: 'file now',
  }
  assert.deepEqual(tree, expected)
})

test('a whiteout removes a file or a whole directory of the layers below', async () => {
  const lower: Item[] = [
    ['d/a', 'a'],
    ['d/b', 'b'],
    ['e/f/g', 'g'],
  ]
  assert.deepEqual(
    await treeAfter(lower, [
      ['d/.wh.a', ''],
      ['.wh.e', ''],
    ]),
    { 'd/': '/', 'd/b': 'b' },
  )
})

test('a whiteout of what is not there changes nothing', async () => {
  assert.deepEqual(
    await treeAfter(
      [['a', 'a']],
      [
        ['.wh.b', ''],
        ['no/such/.wh.c', ''],
      ],
    ),
    { a: 'a' },
  )
})

test('an opaque whiteout hides the lower content and keeps that of its own layer, whichever comes first', async () => {
  const lower: Item[] = [
    ['d/old', 'old'],
    ['d/sub/deep', 'deep'],
  ]
  const expected = { 'd/': '/', 'd/new': 'new', 'd/sub/': '/', 'd/sub/own': 'own' }
  const opaque: Item = ['d/.wh..wh..opq', '']
  const own: Item[] = [
    ['d/new', 'new'],
    ['d/sub/own', 'own'],
  ]
  assert.deepEqual(await treeAfter(lower, [opaque, ...own]), expected)
  assert.deepEqual(await treeAfter(lower, [...own, opaque]), expected)
})

test('a whiteout spares what its own layer puts at the same place', async () => {
  const lower: Item[] = [
    ['d/old', 'old'],
    ['f', 'old'],
  ]
  const upper: Item[] = [
    ['d/new', 'new'],
    ['.wh.d', ''],
    ['f', 'new'],
    ['.wh.f', ''],
  ]
  assert.deepEqual(await treeAfter(lower, upper), { 'd/': '/', 'd/new': 'new', f: 'new' })
})

test('an opaque whiteout of the root hides everything below', async () => {
  assert.deepEqual(
    await treeAfter(
      [
        ['a', 'a'],
        ['b/c', 'c'],
      ],
      [
        ['.wh..wh..opq', ''],
        ['z', 'z'],
      ],
    ),
    { z: 'z' },
  )
})

test('bookkeeping of the old union file system is left out', async () => {
  assert.deepEqual(
    await treeAfter([
      ['.wh..wh.aufs', ''],
      ['.wh..wh.plnk/', {}],
      ['a', 'a'],
    ]),
    { a: 'a' },
  )
})

test('hard links share their file, and a later layer that replaces one leaves the other', async () => {
  const lower: Item[] = [
    ['bin/sh', 'shell'],
    ['bin/ash', { type: 'link', linkname: 'bin/sh' }],
  ]
  await unpack([lower], async rootDir => {
    assert.equal((await stat(join(rootDir, 'bin/sh'))).ino, (await stat(join(rootDir, 'bin/ash'))).ino)
  })
  assert.deepEqual(await treeAfter(lower, [['bin/sh', 'other']]), {
    'bin/': '/',
    'bin/sh': 'other',
    'bin/ash': 'shell',
  })
})

test('a hard link in a later layer reaches a file of an earlier one, also written with a leading slash', async () => {
  const tree = await treeAfter([['a', 'text']], [['b', { type: 'link', linkname: '/a' }]])
  assert.deepEqual(tree, { a: 'text', b: 'text' })
})

test('a hard link to a symbolic link is a second name of the link itself', async () => {
  const tree = await treeAfter([
    ['l', { type: 'symlink', linkname: '/etc/passwd' }],
    ['m', { type: 'link', linkname: 'l' }],
  ])
  assert.deepEqual(tree, { l: '-> /etc/passwd', m: '-> /etc/passwd' })
})

test('an entry below a linked directory goes where the link leads inside the root', async () => {
  const links: Item[] = [
    ['usr/bin/', {}],
    ['bin', { type: 'symlink', linkname: 'usr/bin' }],
  ]
  const tree = await treeAfter(links, [['bin/tool', 'tool']])
  assert.deepEqual(tree, { 'usr/': '/', 'usr/bin/': '/', 'usr/bin/tool': 'tool', bin: '-> usr/bin' })
})

test('links that point out of the root lead back into it', async () => {
  const links: Item[] = [
    ['up', { type: 'symlink', linkname: '../../../../../../tmp' }],
    ['away', { type: 'symlink', linkname: '/var/tmp' }],
  ]
  const tree = await treeAfter(links, [
    ['up/a', 'a'],
    ['away/b', 'b'],
  ])
  assert.deepEqual(tree, {
    'tmp/': '/',
    'tmp/a': 'a',
    'var/': '/',
    'var/tmp/': '/',
    'var/tmp/b': 'b',
    up: '-> ../../../../../../tmp',
    away: '-> /var/tmp',
  })
})

test('a file replaces a link of its name, and never what the link points to', async () => {
  const tree = await treeAfter([
    ['target', 'safe'],
    ['l', { type: 'symlink', linkname: 'target' }],
    ['l', 'own'],
  ])
  assert.deepEqual(tree, { target: 'safe', l: 'own' })
})

test('device nodes and pipes are left out', async () => {
  const items: Item[] = [
    ['dev/null', { type: 'character-device', devmajor: 1, devminor: 3 }],
    ['dev/sda', { type: 'block-device', devmajor: 8, devminor: 0 }],
    ['pipe', { type: 'fifo' }],
    ['a', 'a'],
  ]
  assert.deepEqual(await treeAfter(items), { a: 'a' })
})

test('modes and times are kept, set-user-id bits are not, and directories are closed only at the end', async () => {
  const items: Item[] = [
    ['shut/', { mode: 0o500, mtime: new Date(9e11) }],
    ['shut/tool', { mode: 0o4755, mtime: new Date(8e11), size: 0 }],
    ['tmp/', { mode: 0o1777 }],
  ]
  await unpack([items], async rootDir => {
    assert.equal(await modeOf(join(rootDir, 'shut/tool')), '755')
    assert.equal(await modeOf(join(rootDir, 'shut')), '700')
    assert.equal(await modeOf(join(rootDir, 'tmp')), '1777')
    assert.equal((await stat(join(rootDir, 'shut'))).mtimeMs, 9e11)
    assert.equal((await stat(join(rootDir, 'shut/tool'))).mtimeMs, 8e11)
  })
})
