// The store of images with several users at once.
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, test } from 'vitest'
import { ociItems, openWorld, tarOf, treeOf, type World } from './archive-fixture.ts'
import { canonicalName } from './image-name.ts'
import {
  findImage,
  holdImage,
  listHolds,
  listImages,
  openImageStore,
  releaseImage,
  removeImage,
} from './image-store.ts'
import { importImage } from './import-image.ts'
import { openIncoming } from './incoming.ts'

let world: World
beforeEach(async () => {
  world = await openWorld()
})
afterEach(() => world.close())

const empty = { 'incoming/': '/', 'names/': '/', 'roots/': '/', 'uses/': '/' }

async function anImage(name: string, content = 'x') {
  const items = ociItems({ layers: [await tarOf([['f', content]])], names: [name] })
  const file = await world.file(`${content}.tar`, await tarOf(items))
  return { file, ...(await importImage(world.store, { file, name })) }
}

test.for([
  ['busybox', 'busybox:latest'],
  ['docker.io/library/busybox', 'busybox:latest'],
  ['library/busybox:1', 'busybox:1'],
  ['docker.io/some/thing', 'some/thing:latest'],
  ['localhost:5000/a/b:v1.0_x', 'localhost:5000/a/b:v1.0_x'],
  ['quay.io/Org/app', 'quay.io/Org/app:latest'],
] as const)('the name %s is %s', ([name, canonical]) => {
  assert.equal(canonicalName(name), canonical)
})

test('an image is found by name, by short name, by digest and by its first digits', async () => {
  const { image } = await anImage('docker.io/library/box:latest')
  for (const reference of ['box', 'box:latest', 'library/box', image.digest, image.digest.slice(7, 23)]) {
    assert.equal((await findImage(world.store, reference))?.digest, image.digest, reference)
  }
  assert.equal((await findImage(world.store, `box@${image.manifestDigest}`))?.digest, image.digest)
  assert.equal(await findImage(world.store, 'box:other'), undefined)
  const hexNamed = await anImage(image.digest.slice(7, 23), 'other')
  assert.equal((await findImage(world.store, image.digest.slice(7, 23)))?.digest, hexNamed.image.digest)
  assert.equal(await findImage(world.store, `box@sha256:${'0'.repeat(64)}`), undefined)
})

test('a name that is imported again points to the new image, and the old one stays without a name', async () => {
  const old = await anImage('box', 'old')
  const young = await anImage('box', 'young')
  const images = await listImages(world.store)
  assert.deepEqual(
    images.map(image => [image.digest, image.names]),
    [
      [young.image.digest, ['box:latest']],
      [old.image.digest, []],
    ],
  )
})

test('removing one of two names keeps the image; removing the last one removes it', async () => {
  const { file, image } = await anImage('one')
  await importImage(world.store, { file, name: 'two' })
  assert.equal((await removeImage(world.store, 'one')).isRootRemoved, false)
  assert.equal((await findImage(world.store, 'two'))?.digest, image.digest)
  assert.equal((await removeImage(world.store, 'two')).isRootRemoved, true)
  assert.deepEqual(await treeOf(world.store.dir), empty)
})

test('removing by digest takes all names with it', async () => {
  const { file, image } = await anImage('one')
  await importImage(world.store, { file, name: 'two' })
  await removeImage(world.store, image.digest)
  assert.deepEqual(await treeOf(world.store.dir), empty)
})

test('removing what is not there is refused', async () => {
  await assert.rejects(removeImage(world.store, 'nothing'), /there is no image "nothing"/)
})

test('an image in use is not removed until its holder lets go', async () => {
  const { image } = await anImage('box')
  await holdImage(world.store, image.digest, 'attempt-1')
  await assert.rejects(removeImage(world.store, 'box'), /used by attempt-1/)
  assert.equal((await findImage(world.store, 'box'))?.digest, image.digest)
  assert.deepEqual(await listHolds(world.store), [{ digest: image.digest, holder: 'attempt-1' }])
  await releaseImage(world.store, image.digest, 'attempt-1')
  await releaseImage(world.store, image.digest, 'attempt-1')
  assert.equal((await removeImage(world.store, 'box')).isRootRemoved, true)
})

test('force removes an image in spite of holders that are known to be gone', async () => {
  const { image } = await anImage('box')
  await holdImage(world.store, image.digest, 'attempt-1')
  assert.equal((await removeImage(world.store, 'box', { force: true })).isRootRemoved, true)
})

test('an image that is gone cannot be held, and the attempt to hold it leaves nothing', async () => {
  const { image } = await anImage('box')
  await removeImage(world.store, 'box')
  await assert.rejects(holdImage(world.store, image.digest, 'attempt-1'), /not in the store any more/)
  assert.deepEqual(await treeOf(world.store.dir), empty)
})

test('an image can be held while its last other holders let it go', async () => {
  const { image } = await anImage('box')
  const work = Array.from({ length: 16 }, async (_, index) => {
    for (let round = 0; round < 200; round++) {
      assert.equal((await holdImage(world.store, image.digest, `a${index}`)).digest, image.digest)
      await releaseImage(world.store, image.digest, `a${index}`)
    }
  })
  await Promise.all(work)
  assert.deepEqual(await listHolds(world.store), [])
})

test('holding and removing at once: either the holder has a whole image, or it is told that there is none', async () => {
  const { file, image } = await anImage('box')
  for (let round = 0; round < 12; round++) {
    await importImage(world.store, { file, name: 'box' })
    const [held, removed] = await Promise.allSettled([
      holdImage(world.store, image.digest, 'a'),
      removeImage(world.store, 'box'),
    ])
    if (held.status === 'fulfilled') {
      assert.equal((await treeOf(held.value.rootDir)).f, 'x')
      await releaseImage(world.store, image.digest, 'a')
    } else {
      assert.equal(removed.status, 'fulfilled')
      assert.equal(await findImage(world.store, image.digest), undefined)
    }
  }
})

test('what a killed import left behind is cleared by the next opening, and a living import is left alone', async () => {
  const living = await openIncoming(join(world.store.dir, 'incoming'))
  const child = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `const { openIncoming } = await import(${JSON.stringify(new URL('./incoming.ts', import.meta.url).href)})
     console.log(await openIncoming(${JSON.stringify(join(world.store.dir, 'incoming'))}))
     setInterval(() => {}, 1000)`,
  ]) as ChildProcess
  await once(child.stdout as NonNullable<typeof child.stdout>, 'data')
  assert.equal((await readdir(join(world.store.dir, 'incoming'))).length, 2)
  await openImageStore({ dataDir: join(world.dir, 'data'), now: Date.now })
  assert.equal((await readdir(join(world.store.dir, 'incoming'))).length, 2)
  child.kill('SIGKILL')
  await once(child, 'exit')
  await openImageStore({ dataDir: join(world.dir, 'data'), now: Date.now })
  assert.deepEqual(await readdir(join(world.store.dir, 'incoming')), [living.split('/').at(-1)])
})

test('a root whose removal was cut off by a crash comes back if someone holds it', async () => {
  const { image } = await anImage('box')
  const hex = image.digest.slice(7)
  const folder = join(world.store.dir, 'incoming', 'crashed')
  await mkdir(folder)
  const owner = { pid: 1, startTicks: 'none', bootId: 'another boot', pidNamespace: '' }
  await writeFile(join(folder, 'owner.json'), JSON.stringify(owner))
  await rename(join(world.store.dir, 'roots', hex), join(folder, hex))
  await mkdir(join(world.store.dir, 'uses', hex))
  await writeFile(join(world.store.dir, 'uses', hex, 'attempt-1'), '')
  await openImageStore({ dataDir: join(world.dir, 'data'), now: Date.now })
  assert.equal((await findImage(world.store, 'box'))?.digest, image.digest)
})

test('six processes importing, naming and removing the same image at once leave a store that is whole', async () => {
  const { file } = await anImage('seed')
  await removeImage(world.store, 'seed')
  const script = `
    const { openImageStore, removeImage, findImage } = await import(${JSON.stringify(new URL('./image-store.ts', import.meta.url).href)})
    const { importImage } = await import(${JSON.stringify(new URL('./import-image.ts', import.meta.url).href)})
    const { readFile } = await import('node:fs/promises')
    const me = process.argv[1]
    const store = await openImageStore({ dataDir: ${JSON.stringify(join(world.dir, 'data'))}, now: Date.now })
    for (let i = 0; i < 5; i++) {
      const { image } = await importImage(store, { file: ${JSON.stringify(file)}, name: 'n' + me })
      await removeImage(store, 'n' + me)
    }
    await importImage(store, { file: ${JSON.stringify(file)}, name: 'n' + me })`
  const run = promisify(execFile)
  await Promise.all(
    [1, 2, 3, 4, 5, 6].map(i => run(process.execPath, ['--input-type=module', '-e', script, String(i)])),
  )
  const images = await listImages(world.store)
  assert.equal(images.length, 1)
  assert.deepEqual(images[0]?.names, ['n1', 'n2', 'n3', 'n4', 'n5', 'n6'].map(canonicalName))
  assert.equal((await treeOf(images[0]?.rootDir ?? '')).f, 'x')
  assert.deepEqual(await readdir(join(world.store.dir, 'incoming')), [])
})
