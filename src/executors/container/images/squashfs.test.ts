// Singularity images: made by mksquashfs, wrapped in SIF by hand, read by us.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmod,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { openWorld, type World } from './archive-fixture.ts'
import { ImageError } from './image-error.ts'
import { importImage } from './import-image.ts'
import { sifOf } from './sif-fixture.ts'

const missing =
  spawnSync('mksquashfs', ['-version']).error === undefined
    ? undefined
    : 'mksquashfs is not installed (Debian: squashfs-tools)'

describe.skipIf(missing !== undefined)(`Singularity images${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let world: World
  beforeEach(async () => {
    world = await openWorld()
  })
  afterEach(() => world.close())

  /** A tree with everything that a root file system has. */
  async function makeTree(manyCount = 700): Promise<string> {
    const dir = join(world.dir, 'tree')
    await mkdir(join(dir, 'bin'), { recursive: true })
    await writeFile(join(dir, 'bin/sh'), 'shell')
    await chmod(join(dir, 'bin/sh'), 0o4755)
    await mkdir(join(dir, '.singularity.d/env'), { recursive: true })
    await writeFile(join(dir, '.singularity.d/env/90-environment.sh'), 'export X=1\n')
    await writeFile(join(dir, '.singularity.d/runscript'), '#!/bin/sh\necho run\n')
    await writeFile(join(dir, 'empty'), '')
    await writeFile(join(dir, 'big'), Buffer.alloc(400_000, 'abcdefghij'))
    // Nothing that can be made smaller.
    await writeFile(
      join(dir, 'random'),
      Buffer.from(Array.from({ length: 150_000 }, (_, i) => (i * i * 31 + (i >> 3)) & 255)),
    )
    await writeFile(join(dir, 'holes'), 'begin')
    await truncate(join(dir, 'holes'), 1_000_000)
    await symlink('/bin/sh', join(dir, 'shell'))
    await link(join(dir, 'big'), join(dir, 'again'))
    await mkdir(join(dir, 'many'))
    for (let i = 0; i < manyCount; i++)
      await writeFile(join(dir, 'many', `file-with-a-long-name-${i}`), `${i}\n`)
    execFileSync('mkfifo', [join(dir, 'pipe')])
    return dir
  }

  async function squash(dir: string, ...options: string[]): Promise<Buffer> {
    const file = join(world.dir, 'root.squashfs')
    execFileSync('mksquashfs', [dir, file, '-noappend', '-quiet', '-no-progress', ...options])
    return readFile(file)
  }

  /** Every file below a directory: mode, content or target. */
  async function tree(dir: string): Promise<Record<string, unknown>> {
    const found: Record<string, unknown> = {}
    for (const path of await readdir(dir, { recursive: true })) {
      const stat = await lstat(join(dir, path))
      if (stat.isFIFO()) continue
      found[path] = stat.isSymbolicLink()
        ? await readlink(join(dir, path))
        : stat.isDirectory()
          ? '/'
          : [stat.mode & 0o777, stat.size, (await readFile(join(dir, path))).toString('latin1')]
    }
    return found
  }

  const mountPoints = { dev: '/', home: '/', 'home/user': '/', mnt: '/', proc: '/', sys: '/', tmp: '/' }

  test.for([
    ['gzip', []],
    ['zstd', ['-comp', 'zstd']],
    ['nothing packed', ['-noI', '-noD', '-noF']],
    ['small blocks', ['-b', '4096']],
    ['no fragments', ['-no-fragments']],
    ['the largest blocks', ['-b', '1M', '-always-use-fragments']],
  ] as const)('a SIF file becomes a root: %s', async ([, options]) => {
    const dir = await makeTree()
    const file = join(world.dir, 'image.sif')
    await writeFile(file, sifOf(await squash(dir, ...options)))
    const { image } = await importImage(world.store, { file, name: 'one' })
    assert.deepEqual(await tree(image.rootDir), { ...(await tree(dir)), ...mountPoints })
    const [one, other] = await Promise.all(['big', 'again'].map(name => lstat(join(image.rootDir, name))))
    assert.equal(one?.ino, other?.ino)
    assert.deepEqual([image.format, image.architecture, image.skippedCount], ['sif', 'amd64', 1])
    assert.deepEqual(image.config.entrypoint, ['/.singularity.d/runscript'])
    assert.equal(image.launcher[0], '/bin/sh')
  })

  test('a bare SquashFS, and one after a line for the shell, are read as well; the same root is the same image', async () => {
    const bytes = await squash(await makeTree())
    const files = [
      bytes,
      Buffer.concat([Buffer.from('#!/usr/bin/env run-singularity\n'), bytes]),
      sifOf(bytes),
    ]
    const digests = new Set<string>()
    for (const [at, content] of files.entries()) {
      const file = await world.file(`image${at}`, content)
      digests.add((await importImage(world.store, { file, name: `n${at}` })).image.digest)
    }
    assert.equal(digests.size, 1)
  })

  test('what a Singularity image may not be is told', async () => {
    const dir = await makeTree()
    const packed = await squash(dir)
    const faults: [Buffer, RegExp][] = [
      [sifOf(await squash(dir, '-comp', 'xz')), /compressed with xz; read are gzip and zstd/],
      [sifOf(packed, { kind: 5 }), /is encrypted/],
      [sifOf(packed, { kind: 2 }), /is ext3/],
      [sifOf(packed, { use: 3 }), /is missing/],
      [sifOf(packed, { size: packed.length + 1 }), /points outside of itself/],
      [sifOf(packed, { total: 2 ** 40 }), /lists 1099511627776 parts/],
      [sifOf(packed).subarray(0, 60), /truncated/],
      [sifOf(packed.subarray(0, 5000)), /damaged/],
    ]
    for (const [at, [content, says]] of faults.entries()) {
      const file = await world.file(`bad${at}`, content)
      await assert.rejects(importImage(world.store, { file, name: 'bad' }), (error: Error) => {
        assert.ok(error instanceof ImageError, error.stack)
        assert.match(error.message, says)
        return true
      })
    }
    assert.deepEqual(await readdir(join(world.store.dir, 'roots')), [])
  })

  test('a file system that unpacks to more than an image may hold is refused', async () => {
    await world.close()
    world = await openWorld({ maxTotalBytes: 1_500_000 })
    const file = await world.file('bomb.sif', sifOf(await squash(await makeTree())))
    await assert.rejects(importImage(world.store, { file, name: 'bad' }), /maxTotalBytes/)
  })

  test('many small files that share one large block, each without a tail of its own, are counted as what they unpack to', async () => {
    await world.close()
    world = await openWorld({ maxTotalBytes: 40_000_000 })
    const dir = join(world.dir, 'same')
    await mkdir(dir)
    for (let i = 0; i < 60; i++) await writeFile(join(dir, `f${i}`), Buffer.alloc(1_000_000 - (i % 2), 'x'))
    const packed = await squash(dir, '-b', '1M', '-no-fragments')
    // Sixty names of one megabyte, kept once: sixty megabytes when they are unpacked.
    assert.ok(packed.length < 100_000, String(packed.length))
    const file = await world.file('same.sif', sifOf(packed))
    await assert.rejects(importImage(world.store, { file, name: 'bad' }), /maxTotalBytes/)
  })

  test('a damaged file system is refused or read, and never does harm', async () => {
    const bytes = await squash(await makeTree(5), '-b', '4096', '-noI')
    await writeFile(join(world.dir, 'canary'), 'alive')
    let refusedCount = 0
    // Where the tables are, most harm can be done: they are the last part of the file.
    const place = fc.oneof(
      fc.nat(95),
      fc.integer({ min: Math.floor(bytes.length * 0.7), max: bytes.length - 1 }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 8 }),
        async changes => {
          const changed = Buffer.from(bytes)
          for (const [at, value] of changes) changed[at] = value
          // Not always the magic: then it is another kind of file.
          changed.write('hsqs', 0, 'latin1')
          const file = await world.file('fuzzed', changed)
          try {
            await importImage(world.store, { file, name: 'fuzzed' })
          } catch (error) {
            if (!(error instanceof ImageError)) throw error
            refusedCount += 1
          }
        },
      ),
      { seed: 7, numRuns: 120 },
    )
    assert.ok(refusedCount > 20, `${refusedCount} were refused`)
    assert.equal(await readFile(join(world.dir, 'canary'), 'utf8'), 'alive')
  })

  test('a directory that is in itself is refused', async () => {
    const dir = join(world.dir, 'loop')
    await mkdir(join(dir, 'inner'), { recursive: true })
    const bytes = await squash(dir, '-noI')
    // The root's inode stands where the superblock says; its listing names the inode of `inner`, which is made the root's.
    const rootRef = Number(bytes.readBigUInt64LE(32))
    const at = bytes.indexOf('inner', bytes.length - 4096) - 8
    bytes.writeUInt16LE(rootRef % 0x1_0000, at)
    const file = await world.file('loop.squashfs', bytes)
    await assert.rejects(importImage(world.store, { file, name: 'bad' }), /directory that is in itself/)
  })
})
