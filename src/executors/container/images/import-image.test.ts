// Importing whole image files of every kind.
import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterEach, beforeEach, test } from 'vitest'
import { plainUserTrouble, runAsPlainUser } from '../testing/plain-user.ts'
import { dockerItems, type Item, ociItems, openWorld, tarOf, treeOf, type World } from './archive-fixture.ts'
import { digestOf } from './digest.ts'
import { findImage, listImages } from './image-store.ts'
import { importImage } from './import-image.ts'

let world: World
beforeEach(async () => {
  world = await openWorld()
})
afterEach(() => world.close())

const passwd = 'root:x:0:0::/root:/bin/sh\nmaria:x:1000:1001::/home/maria:/bin/sh\n'
const base = () =>
  tarOf([
    ['bin/', {}],
    ['bin/sh', 'shell'],
    ['etc/passwd', passwd],
    ['etc/group', 'staff:x:50:\n'],
  ])
const upper = () =>
  tarOf([
    ['app', 'program'],
    ['bin/.wh.sh', ''],
  ])
const mountPoints = {
  'dev/': '/',
  'home/': '/',
  'home/user/': '/',
  'mnt/': '/',
  'proc/': '/',
  'sys/': '/',
  'tmp/': '/',
}
const expectedTree = {
  'bin/': '/',
  'etc/': '/',
  'etc/passwd': passwd,
  'etc/group': 'staff:x:50:\n',
  app: 'program',
  ...mountPoints,
}

const forms: Record<string, (items: readonly Item[]) => Promise<string>> = {
  'a tar': async items => world.file('image.tar', await tarOf(items)),
  'a gzipped tar': async items => world.file('image.tgz', gzipSync(await tarOf(items))),
  'a zstd tar': async items => world.file('image.tar.zst', zstdCompressSync(await tarOf(items))),
}

test.for(Object.keys(forms))('an OCI layout in %s becomes a root and a name', async form => {
  const items = ociItems({ layers: [await base(), await upper()] })
  const file = await (forms[form] as NonNullable<(typeof forms)[string]>)(items)
  const { image, names, wasThere } = await importImage(world.store, { file })
  assert.deepEqual(await treeOf(image.rootDir), expectedTree)
  assert.deepEqual([names, wasThere, image.format, image.layerCount], [['made:here'], false, 'oci', 2])
  assert.equal((await findImage(world.store, 'made:here'))?.digest, image.digest)
})

test.for(Object.keys(forms))('a docker save archive in %s becomes a root and a name', async form => {
  const items = dockerItems({ layers: [await base(), await upper()] })
  const file = await (forms[form] as NonNullable<(typeof forms)[string]>)(items)
  const { image, names } = await importImage(world.store, { file })
  assert.deepEqual(await treeOf(image.rootDir), expectedTree)
  assert.deepEqual([names, image.format], [['made:here'], 'docker'])
})

test('an OCI layout may be a directory', async () => {
  for (const [name, content] of ociItems({ layers: [await base()] })) {
    await world.file(join('layout', name), content as Buffer)
  }
  const { image } = await importImage(world.store, { file: join(world.dir, 'layout') })
  assert.equal((await treeOf(image.rootDir))['bin/sh'], 'shell')
})

test.for([
  ['plain', (tar: Buffer) => tar],
  ['gzip', (tar: Buffer) => gzipSync(tar)],
  ['zstd', (tar: Buffer) => zstdCompressSync(tar)],
  [
    'gzip in two members',
    (tar: Buffer) => Buffer.concat([gzipSync(tar.subarray(0, 700)), gzipSync(tar.subarray(700))]),
  ],
] as const)('a layer may be %s', async ([, compress]) => {
  const file = await world.file('i.tar', await tarOf(ociItems({ layers: [await base()], compress })))
  const { image } = await importImage(world.store, { file })
  assert.equal((await treeOf(image.rootDir))['bin/sh'], 'shell')
})

test('a plain root file system gets the given name and configuration', async () => {
  const file = await world.file('root.tar.gz', gzipSync(await base()))
  const { image } = await importImage(world.store, {
    file,
    name: 'my/base',
    config: { cmd: ['/bin/sh'], env: ['A=1'] },
  })
  assert.deepEqual([image.format, image.config.cmd, image.config.env], ['rootfs', ['/bin/sh'], ['A=1']])
  assert.equal((await findImage(world.store, 'my/base:latest'))?.digest, image.digest)
})

test('a plain root with a manifest.json of its own is still a root', async () => {
  const file = await world.file(
    'root.tar',
    await tarOf([
      ['manifest.json', '{"name":"app"}'],
      ['a', 'a'],
    ]),
  )
  const { image } = await importImage(world.store, { file, name: 'r' })
  assert.equal((await treeOf(image.rootDir))['manifest.json'], '{"name":"app"}')
})

test('a plain root without a name is refused, since nobody could use it', async () => {
  const file = await world.file('root.tar', await base())
  await assert.rejects(importImage(world.store, { file }), /no name/)
})

test('a plain root that is cut off between two entries is refused', async () => {
  const bytes = await base()
  const file = await world.file('root.tar', bytes.subarray(0, 512 * 3))
  await assert.rejects(importImage(world.store, { file, name: 'r' }), /truncated/)
})

test('the configuration is kept, and the user is looked up in the image', async () => {
  const config = {
    Entrypoint: ['/app'],
    Cmd: ['-v'],
    Env: ['A=b=c'],
    WorkingDir: '/srv',
    User: 'maria:staff',
  }
  const file = await world.file('i.tar', await tarOf(dockerItems({ layers: [await base()], config })))
  const { image } = await importImage(world.store, { file })
  assert.deepEqual(image.config, {
    entrypoint: ['/app'],
    cmd: ['-v'],
    env: ['A=b=c'],
    workingDir: '/srv',
    user: 'maria:staff',
  })
  assert.deepEqual(image.owner, { uid: 1000, gid: 50 })
})

test.for([
  ['', { uid: 0, gid: 0 }],
  ['maria', { uid: 1000, gid: 1001 }],
  ['1000', { uid: 1000, gid: 1001 }],
  ['77', { uid: 77, gid: 0 }],
  ['77:88', { uid: 77, gid: 88 }],
  ['nobody-knows', null],
  ['maria:nobody-knows', null],
] as const)('the user %j means %j', async ([User, owner]) => {
  const file = await world.file(
    'i.tar',
    await tarOf(dockerItems({ layers: [await base()], config: { User } })),
  )
  assert.deepEqual((await importImage(world.store, { file })).image.owner, owner)
})

test('the same image from two kinds of files is kept once and has both names', async () => {
  const layers = [await base()]
  const oci = await world.file('a.tar', await tarOf(ociItems({ layers, names: ['one:1'] })))
  const docker = await world.file('b.tar', await tarOf(dockerItems({ layers, names: ['two:2'] })))
  const first = await importImage(world.store, { file: oci })
  const second = await importImage(world.store, { file: docker })
  assert.deepEqual([second.image.digest, second.wasThere], [first.image.digest, true])
  assert.deepEqual(
    (await listImages(world.store)).map(image => image.names),
    [['one:1', 'two:2']],
  )
})

test('the same root with another configuration is another image', async () => {
  const file = await world.file('root.tar', await base())
  const one = await importImage(world.store, { file, name: 'one', config: { cmd: ['a'] } })
  const two = await importImage(world.store, { file, name: 'two', config: { cmd: ['b'] } })
  assert.notEqual(one.image.digest, two.image.digest)
  assert.deepEqual((await findImage(world.store, 'one'))?.config.cmd, ['a'])
})

test('a file with several images asks which one, and takes the one that is picked', async () => {
  const a = dockerItems({ layers: [await tarOf([['a', 'a']])], names: ['a:1'] })
  const b = dockerItems({ layers: [await tarOf([['b', 'b']])], names: ['b:1'] })
  const lists = [a, b].map(items => JSON.parse(items.at(-1)?.[1] as string)[0])
  lists[1].Layers = ['other/layer.tar']
  const items: Item[] = [...a.slice(0, -1), ['other/layer.tar', b[0]?.[1] as Buffer], b[1] as Item]
  const file = await world.file('i.tar', await tarOf([...items, ['manifest.json', JSON.stringify(lists)]]))
  await assert.rejects(importImage(world.store, { file }), /several images, pick one: "a:1", "b:1"/)
  const { image, names } = await importImage(world.store, { file, pick: 'b:1' })
  assert.deepEqual([names, (await treeOf(image.rootDir)).b], [['b:1'], 'b'])
})

test('an index of several machines gives the image of this one', async () => {
  const mine = process.arch === 'x64' ? 'amd64' : process.arch
  const one = ociItems({ layers: [await tarOf([['mine', 'yes']])] })
  const two = ociItems({ layers: [await tarOf([['mine', 'no']])] })
  const describe = (items: Item[], architecture: string) => ({
    ...JSON.parse(items[1]?.[1] as string).manifests[0],
    annotations: {},
    platform: { os: 'linux', architecture },
  })
  const index = Buffer.from(JSON.stringify({ manifests: [describe(two, 's390x'), describe(one, mine)] }))
  const top = { manifests: [{ digest: digestOf(index), size: index.length, mediaType: 'index' }] }
  const items: Item[] = [
    ['oci-layout', '{}'],
    ['index.json', JSON.stringify(top)],
    [`blobs/sha256/${digestOf(index).slice(7)}`, index],
    ...one.slice(2),
    ...two.slice(2),
  ]
  const { image } = await importImage(world.store, {
    file: await world.file('i.tar', await tarOf(items)),
    name: 'm',
  })
  assert.equal((await treeOf(image.rootDir)).mine, 'yes')
})

test('a layer that an old docker save wrote as a link to another is found', async () => {
  const layer = await base()
  const items = dockerItems({ layers: [layer, layer] })
  items[1] = ['layer1/layer.tar', { type: 'symlink', linkname: '../layer0/layer.tar' }]
  const { image } = await importImage(world.store, { file: await world.file('i.tar', await tarOf(items)) })
  assert.equal(image.layerCount, 2)
})

test('progress is told in bytes of the stored layers and reaches its end', async () => {
  const file = await world.file('i.tar', await tarOf(ociItems({ layers: [await base(), await upper()] })))
  const told: number[] = []
  let totalBytes = 0
  await importImage(world.store, {
    file,
    onProgress: progress => {
      told.push(progress.doneBytes)
      totalBytes = progress.totalBytes
    },
  })
  assert.equal(told.at(-1), totalBytes)
  assert.deepEqual(
    told,
    [...told].sort((a, b) => a - b),
  )
})

test('an import that is called off leaves nothing behind', async () => {
  const file = await world.file('i.tar', await tarOf(ociItems({ layers: [await base(), await upper()] })))
  const stop = new AbortController()
  await assert.rejects(
    importImage(world.store, {
      file,
      signal: stop.signal,
      onProgress: () => stop.abort(new Error('called off')),
    }),
    /called off/,
  )
  assert.deepEqual(await treeOf(world.store.dir), {
    'incoming/': '/',
    'names/': '/',
    'roots/': '/',
    'uses/': '/',
  })
})

const noPlainUser = plainUserTrouble()
test.skipIf(noPlainUser !== undefined)(
  `without root the same image is unpacked without owners, and can be removed again${noPlainUser ? ` (skipped: ${noPlainUser})` : ''}`,
  async () => {
    const layer = await tarOf([
      ['shut/', { mode: 0o001, uid: 77, gid: 88 }],
      ['shut/f', { mode: 0o001, uid: 77, gid: 88, size: 0 }],
    ])
    const file = await world.file('i.tar', await tarOf(ociItems({ layers: [layer] })))
    await chmod(world.dir, 0o777)
    await mkdir(join(world.dir, 'plain'))
    await chmod(join(world.dir, 'plain'), 0o777)
    const script = `
      const { openImageStore, removeImage } = await import(${JSON.stringify(new URL('./image-store.ts', import.meta.url).href)})
      const { importImage } = await import(${JSON.stringify(new URL('./import-image.ts', import.meta.url).href)})
      const store = await openImageStore({ dataDir: ${JSON.stringify(join(world.dir, 'plain'))}, now: Date.now })
      const { image } = await importImage(store, { file: ${JSON.stringify(file)} })
      if (process.argv[1] === 'remove') await removeImage(store, 'made:here')
      console.log(image.rootDir)`
    const run = (word: string) => runAsPlainUser(script, { args: [word] }).trim()
    const rootDir = run('keep')
    const shut = await stat(join(rootDir, 'shut'))
    assert.deepEqual([shut.uid, shut.mode & 0o777], [65534, 0o701])
    run('remove')
    assert.deepEqual(await readdir(join(world.dir, 'plain/images/roots')), [])
  },
)

test.skipIf(process.getuid?.() !== 0)(
  'as root owners and modes are those of the image (skipped when not root)',
  async () => {
    const layer = await tarOf([
      ['shut/', { mode: 0o500, uid: 77, gid: 88 }],
      ['shut/f', { mode: 0o40, uid: 78, gid: 89, size: 0 }],
    ])
    const file = await world.file('i.tar', await tarOf(ociItems({ layers: [layer] })))
    const { image } = await importImage(world.store, { file })
    const [dir, inner] = [await stat(join(image.rootDir, 'shut')), await stat(join(image.rootDir, 'shut/f'))]
    assert.deepEqual([dir.uid, dir.gid, dir.mode & 0o777], [77, 88, 0o500])
    assert.deepEqual([inner.uid, inner.gid, inner.mode & 0o777], [78, 89, 0o40])
  },
)
