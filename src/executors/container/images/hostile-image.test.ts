// Images made to do harm. Each is refused with a sentence, and afterwards nothing of it is anywhere.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, test } from 'vitest'
import {
  dockerItems,
  type ImageParts,
  type Item,
  ociItems,
  openWorld,
  tarOf,
  treeOf,
  type World,
} from './archive-fixture.ts'
import { sourceFromChunks } from './byte-source.ts'
import { ImageError, type ImageErrorCode } from './image-error.ts'
import { importImage } from './import-image.ts'
import { defaultLimits, type ImageLimits, openBudget } from './limits.ts'
import { openRootWriter } from './root-writer.ts'
import { readTar } from './tar-reader.ts'

let world: World
afterEach(() => world.close())

/** Imports and expects a refusal, an empty store, and an untouched neighbourhood. */
async function refuses(
  bytes: Buffer,
  expected: { code: ImageErrorCode; says: RegExp; limits?: Partial<ImageLimits> },
): Promise<void> {
  world = await openWorld(expected.limits)
  await writeFile(join(world.dir, 'canary'), 'alive')
  const file = await world.file('image.tar', bytes)
  await assert.rejects(importImage(world.store, { file, name: 'bad' }), error => {
    assert.ok(error instanceof ImageError, `a refusal, not ${String(error)}`)
    assert.match(error.message, expected.says)
    assert.equal(error.code, expected.code)
    return true
  })
  assert.deepEqual(await treeOf(world.store.dir), {
    'incoming/': '/',
    'names/': '/',
    'roots/': '/',
    'uses/': '/',
  })
  assert.equal(await readFile(join(world.dir, 'canary'), 'utf8'), 'alive')
  assert.deepEqual((await readdir(world.dir)).sort(), ['canary', 'data', 'image.tar'])
}

const rooted = async (...items: Item[]) => tarOf(items)
const link = (linkname: string): Item[1] => ({ type: 'link', linkname })
const symbolic = (linkname: string): Item[1] => ({ type: 'symlink', linkname })

test.for<[string, Item[], RegExp]>([
  ['climbs', [['../canary', 'dead']], /"\.\." are refused/],
  ['climbs from inside', [['a/b/../../../canary', 'dead']], /"\.\." are refused/],
  ['is absolute', [['/tmp/x', 'dead']], /absolute names are refused/],
  ['is a whiteout that climbs', [['a/.wh...', '']], /whiteout of "\.\."/],
  ['is a whiteout of its own directory', [['a/.wh..', '']], /whiteout of "\."/],
  ['is a whiteout of nothing', [['a/.wh.', '']], /whiteout of ""/],
  ['is a whiteout below a climb', [['../.wh.canary', '']], /"\.\." are refused/],
  ['is a whiteout used as a directory', [['.wh.a/b', 'x']], /whiteout cannot be a directory/],
  ['is a hard link to the machine', [['l', link('/etc/passwd')]], /no file of this image/],
  ['is a hard link that climbs', [['l', link('../../../../etc/passwd')]], /"\.\." are refused/],
  [
    'is a hard link to a directory',
    [
      ['d/', {}],
      ['l', link('d')],
    ],
    /no file of this image/,
  ],
  ['is a hard link to the root', [['l', link('.')]], /no file of this image/],
  [
    'is a hard link through an outward link',
    [
      ['s', symbolic('/etc')],
      ['l', link('s/passwd')],
    ],
    /no file of this image/,
  ],
  [
    'is a hard link that replaces what it points to',
    [
      ['d/f', 'f'],
      ['d', link('d/f')],
    ],
    /which it replaces/,
  ],
  ['replaces the root by a link', [['./', symbolic('/etc')]], /root can only be a directory/],
  [
    'goes through a file',
    [
      ['f', 'x'],
      ['f/g', 'y'],
    ],
    /on its way is a file/,
  ],
  [
    'goes round in links',
    [
      ['a', symbolic('b')],
      ['b', symbolic('a')],
      ['a/x', 'x'],
    ],
    /too many symbolic links/,
  ],
  ['is a link to nothing', [['l', symbolic('')]], /impossible target/],
])('an entry that %s is refused', async ([, items, says]) => {
  await refuses(await rooted(['first', 'written before'], ...items), { code: 'unsafe', says })
})

test('writing, linking and whiting out through links that point outside stays inside', async () => {
  world = await openWorld()
  const outside = join(world.dir, 'outside')
  await world.file('outside/canary', 'alive')
  const layers = [
    await tarOf([
      ['abs', symbolic(outside)],
      ['up', symbolic('../../../../../../../../../../../../'.repeat(3) + outside.slice(1))],
    ]),
    await tarOf([
      ['abs/canary', 'dead'],
      ['up/other', 'dead'],
      ['abs/.wh.canary', ''],
      ['up/.wh..wh..opq', ''],
      ['abs/linked', link('abs/canary')],
    ]),
  ]
  const file = await world.file('i.tar', await tarOf(ociItems({ layers })))
  const { image } = await importImage(world.store, { file })
  assert.deepEqual(await treeOf(outside), { canary: 'alive' })
  const inside = await treeOf(image.rootDir)
  assert.equal(inside[join(outside, 'linked').slice(1)], 'dead')
})

test('a long way through links is refused before it costs time', async () => {
  const slow: Item[] = []
  for (let i = 0; i < 30; i++) slow.push([`l${i}`, symbolic(`${'./'.repeat(1000)}l${i + 1}`)])
  await refuses(await rooted(...slow, ['l0/x', 'x']), { code: 'unsafe', says: /too long a way/ })
})

const zeros = (count: number) => Buffer.alloc(count)

test('a gzip bomb in a layer is refused', async () => {
  const layer = await tarOf([['zeros', zeros(8_000_000)]])
  const limits = { maxTotalBytes: 1_000_000 }
  const bytes = await tarOf(ociItems({ layers: [layer] }))
  assert.ok(bytes.length < 50_000)
  await refuses(bytes, { code: 'limit', says: /maxTotalBytes/, limits })
})

test('a gzip bomb of nothing but end marks is refused', async () => {
  const limits = { maxTotalBytes: 1_000_000 }
  await refuses(await tarOf(ociItems({ layers: [zeros(8_000_000)] })), {
    code: 'limit',
    says: /maxTotalBytes/,
    limits,
  })
})

test('a gzip bomb around the archive is refused', async () => {
  const bytes = gzipSync(await tarOf([['zeros', zeros(8_000_000)]]))
  await refuses(bytes, { code: 'limit', says: /maxArchiveBytes/, limits: { maxArchiveBytes: 1_000_000 } })
})

test('many layers that are each within the limit are refused together', async () => {
  const layers = await Promise.all([1, 2, 3].map(i => tarOf([[`f${i}`, zeros(400_000)]])))
  const limits = { maxTotalBytes: 1_000_000 }
  await refuses(await tarOf(ociItems({ layers })), { code: 'limit', says: /maxTotalBytes/, limits })
})

test('too many entries, even over several layers, are refused', async () => {
  const layer = async (name: string) => tarOf(Array.from({ length: 60 }, (_, i): Item => [`${name}${i}`, '']))
  const layers = [await layer('a'), await layer('b')]
  const limits = { maxEntryCount: 100 }
  await refuses(await tarOf(ociItems({ layers })), { code: 'limit', says: /maxEntryCount/, limits })
})

test('too many bytes of names are refused', async () => {
  const items = Array.from({ length: 50 }, (_, i): Item => [`l${i}`, symbolic('t'.repeat(4000))])
  await refuses(await rooted(...items), {
    code: 'limit',
    says: /maxNameBytes/,
    limits: { maxNameBytes: 100_000 },
  })
})

test('too many layers are refused', async () => {
  const layers = await Promise.all([1, 2, 3].map(i => tarOf([[`f${i}`, '']])))
  await refuses(await tarOf(ociItems({ layers })), {
    code: 'limit',
    says: /maxLayerCount/,
    limits: { maxLayerCount: 2 },
  })
})

test('a path that is too long, too deep, or has too long a name is refused', async () => {
  await refuses(await rooted([`${'a/'.repeat(200)}x`, '']), { code: 'limit', says: /maxDepth/ })
  await world.close()
  await refuses(await rooted([`${`${'n'.repeat(200)}/`.repeat(20)}x`, '']), {
    code: 'limit',
    says: /maxPathBytes/,
  })
  await world.close()
  await refuses(await rooted(['n'.repeat(300), '']), { code: 'limit', says: /more than 255 bytes/ })
})

test('depth that is only reached through links is refused too', async () => {
  const deep = 'd/'.repeat(100)
  const items: Item[] = [
    [deep, {}],
    ['s', symbolic(deep)],
    [`s/${'e/'.repeat(60)}x`, ''],
  ]
  await refuses(await rooted(...items), { code: 'limit', says: /maxDepth/ })
})

test('a whiteout of one directory repeated a thousand times spares what its own layer put there', async () => {
  world = await openWorld()
  const lower = await tarOf(Array.from({ length: 1000 }, (_, i): Item => [`d/${i}`, '']))
  const again = Array.from({ length: 1000 }, (): Item => ['.wh.d', ''])
  const upper = await tarOf([...Array.from({ length: 1000 }, (_, i): Item => [`d/n${i}`, '']), ...again])
  const file = await world.file('i.tar', await tarOf(ociItems({ layers: [lower, upper] })))
  const { image } = await importImage(world.store, { file })
  assert.equal((await readdir(join(image.rootDir, 'd'))).length, 1000)
})

async function changed(parts: ImageParts, change: (items: Item[]) => Item[]): Promise<Buffer> {
  return tarOf(change(ociItems(parts)))
}
const oneLayer = async (): Promise<ImageParts> => ({ layers: [await tarOf([['a', 'a']])] })

test('a blob whose content is not what its digest says is refused, whichever blob it is', async () => {
  const items = ociItems(await oneLayer())
  for (const [i, [name, content]] of items.entries()) {
    if (!name.startsWith('blobs/')) continue
    const bytes = Buffer.from(content as Buffer)
    bytes[bytes.length - 2] = (bytes[bytes.length - 2] ?? 0) ^ 1
    const swapped = items.map((item, k): Item => (k === i ? [name, bytes] : item))
    const says = i === items.length - 1 ? /digest|damaged/ : /digest/
    await refusesAny(await tarOf(swapped), ['digest', 'format'], says)
    await world.close()
  }
})

async function refusesAny(bytes: Buffer, codes: ImageErrorCode[], says: RegExp): Promise<void> {
  world = await openWorld()
  const file = await world.file('image.tar', bytes)
  await assert.rejects(importImage(world.store, { file, name: 'bad' }), error => {
    assert.ok(error instanceof ImageError && codes.includes(error.code), String(error))
    assert.match(error.message, says)
    return true
  })
  assert.deepEqual(await treeOf(world.store.dir), {
    'incoming/': '/',
    'names/': '/',
    'roots/': '/',
    'uses/': '/',
  })
}

test('a layer other than the configuration promises is refused', async () => {
  const items = dockerItems(await oneLayer())
  const other = await tarOf([['a', 'b']])
  const swapped = items.map((item): Item => (item[0] === 'layer0/layer.tar' ? [item[0], other] : item))
  await refuses(await tarOf(swapped), { code: 'digest', says: /unpacked layer has the digest/ })
})

test('a configuration that is not what its name says is refused', async () => {
  const items = dockerItems(await oneLayer())
  const swapped = items.map(
    (item): Item => (/^[0-9a-f]{64}/.test(item[0]) ? [item[0], `${String(item[1])} `] : item),
  )
  await refuses(await tarOf(swapped), { code: 'digest', says: /configuration has the digest/ })
})

test('a blob of another size than promised is refused', async () => {
  const bytes = await changed(await oneLayer(), items =>
    items.map(
      (item, i): Item =>
        i === items.length - 1 ? [item[0], Buffer.concat([item[1] as Buffer, zeros(1)])] : item,
    ),
  )
  await refuses(bytes, { code: 'digest', says: /bytes, not/ })
})

test.for(['sha256:../../../etc/passwd', 'sha256:', 'md5:0123', '__proto__:x', 'sha256:ABC', '../x:y'])(
  'the digest %j is refused before any file is looked for',
  async digest => {
    const index = JSON.stringify({ manifests: [{ digest, size: 3 }] })
    const bytes = await tarOf([
      ['oci-layout', '{}'],
      ['index.json', index],
    ])
    await refuses(bytes, { code: 'format', says: /is no sha256 or sha512 digest/ })
  },
)

test('a manifest that is too large is refused unread', async () => {
  const index = `{"manifests":[],"x":"${'y'.repeat(5000)}"}`
  const bytes = await tarOf([
    ['oci-layout', '{}'],
    ['index.json', index],
  ])
  await refuses(bytes, {
    code: 'limit',
    says: /index.json has more than 1000 bytes/,
    limits: { maxJsonBytes: 1000 },
  })
})

test.for([
  ['nonsense', 'not json', /not JSON/],
  ['of the wrong shape', '{"manifests":{}}', /manifests/],
  ['nested without end', '['.repeat(200_000), /not JSON/],
  ['empty', '{"manifests":[]}', /no image for linux/],
] as const)('an index that is %s is refused', async ([, text, says]) => {
  await refuses(
    await tarOf([
      ['oci-layout', '{}'],
      ['index.json', text],
    ]),
    { code: 'format', says },
  )
})

test.for([
  [{ Env: ['NOVALUE'] }, /config\.Env\.0/],
  [{ Env: ['A=b\0c'] }, /NUL/],
  [{ Entrypoint: 'sh -c' }, /config\.Entrypoint/],
  [{ Cmd: [1] }, /config\.Cmd\.0/],
  [{ WorkingDir: 'relative' }, /WorkingDir/],
] as const)('the configuration %j is refused', async ([config, says]) => {
  const bytes = await tarOf(ociItems({ ...(await oneLayer()), config: config as Record<string, unknown> }))
  await refuses(bytes, { code: 'format', says })
})

test('links inside an OCI layout directory are not followed', async () => {
  world = await openWorld()
  const items = ociItems(await oneLayer())
  for (const [name, content] of items.slice(0, -1)) await world.file(join('layout', name), content as Buffer)
  const [name, content] = items.at(-1) as Item
  await world.file('elsewhere', content as Buffer)
  await symlink(join(world.dir, 'elsewhere'), join(world.dir, 'layout', name))
  await assert.rejects(importImage(world.store, { file: join(world.dir, 'layout') }), /is a symbolic link/)
})

test('a pipe in the place of a blob is refused and does not hang the import', async () => {
  world = await openWorld()
  await world.file('layout/oci-layout', '{}')
  execFileSync('mkfifo', [join(world.dir, 'layout/index.json')])
  await assert.rejects(importImage(world.store, { file: join(world.dir, 'layout') }), /not a regular file/)
  await assert.rejects(
    importImage(world.store, { file: join(world.dir, 'layout/index.json'), name: 'x' }),
    /neither a file nor a directory/,
  )
})

test.for([
  ['xz', Buffer.from('fd377a585a00', 'hex')],
  ['zip', Buffer.from('PK\x03\x04')],
] as const)('a file that is %s is refused by name', async ([name, magic]) => {
  await refuses(Buffer.concat([magic, zeros(2000)]), {
    code: 'format',
    says: new RegExp(`the file is ${name}`),
  })
})

test('damaged gzip is refused', async () => {
  const bytes = gzipSync(await tarOf([['a', 'a'.repeat(5000)]]))
  bytes.fill(0xff, 20, 40)
  await refuses(bytes, { code: 'format', says: /damaged gzip/ })
})

test('cut off gzip is refused', async () => {
  const bytes = gzipSync(await tarOf([['a', 'a'.repeat(5000)]]))
  await refuses(bytes.subarray(0, bytes.length - 20), { code: 'format', says: /damaged gzip/ })
})

test.for(['', '../x', '/x', 'a b', 'a:b:c', 'x'.repeat(300), 'a//b', '.hidden', 'a:', 'a\0b'])(
  'the name %j is refused before the file is opened',
  async name => {
    world = await openWorld()
    await assert.rejects(importImage(world.store, { file: '/does/not/exist', name }), /is no image name/)
  },
)

test('any sequence of entries is unpacked or refused, and never touches what lies beside the root', async () => {
  world = await openWorld()
  const name = fc.constantFrom('a', 'b', 'c', '.wh.a', '.wh.b', '.wh..wh..opq', '..', '.', 'canary')
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map(names => names.join('/'))
  const target = fc.oneof(
    path,
    fc.constantFrom('/', '/a', '..', '../../canary', '../../../../../../tmp', '/a/b/../..'),
  )
  const item = fc.oneof(
    path.map((at): Item => [at, 'text']),
    path.map((at): Item => [`${at}/`, {}]),
    fc.tuple(path, target).map(([at, to]): Item => [at, symbolic(to)]),
    fc.tuple(path, target).map(([at, to]): Item => [at, link(to)]),
  )
  const layers = fc.array(fc.array(item, { maxLength: 12 }), { minLength: 1, maxLength: 3 })
  let round = 0
  let unpackedCount = 0
  await fc.assert(
    fc.asyncProperty(layers, async items => {
      const dir = join(world.dir, `round${++round}`)
      await mkdir(join(dir, 'root'), { recursive: true })
      await writeFile(join(dir, 'canary'), 'alive')
      const budget = openBudget(defaultLimits)
      const writer = openRootWriter(join(dir, 'root'), { budget, keepOwners: false })
      try {
        for (const each of items) {
          const bytes = await tarOf(each)
          const chunks = (async function* () {
            yield bytes
          })()
          await writer.addLayer(readTar(sourceFromChunks(chunks), { limits: defaultLimits }))
        }
        await writer.finish()
        unpackedCount += 1
      } catch (error) {
        assert.ok(error instanceof ImageError, String(error))
      }
      assert.deepEqual(await readdir(dir), ['canary', 'root'])
      assert.equal(await readFile(join(dir, 'canary'), 'utf8'), 'alive')
    }),
    { seed: 5, numRuns: 250 },
  )
  assert.ok(unpackedCount > 20, `only ${unpackedCount} of ${round} were unpacked`)
})
