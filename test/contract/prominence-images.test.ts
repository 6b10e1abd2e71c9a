// Images that come as files (Singularity's own and others), by upload, from the web and on mounted storage, and the
// digest that a task may demand: contracts/prominence.md §3.2 and §4.1.

import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sifOf } from '../../src/executors/container/images/sif-fixture.ts'
import { type Client, clientOf, type Shown } from './prominence-client.ts'
import { missingForContainers, type ProminenceServer, startProminence } from './prominence-server.ts'

const missing =
  missingForContainers() ??
  (spawnSync('mksquashfs', ['-version']).error === undefined
    ? undefined
    : 'mksquashfs is not installed (Debian: squashfs-tools)')
const resources = { cpus: 1, memory: 1 }

describe.skipIf(missing !== undefined)(`PROMINENCE images as files${missing ? ` (${missing})` : ''}`, () => {
  let server: ProminenceServer
  let alice: Client
  let dir: string
  let sif: Buffer
  const web = createServer((_, response) => response.end(sif))

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'switchyard-sif-'))
    sif = await makeSif(dir)
    await mkdir(join(dir, 'volume/images'), { recursive: true })
    await writeFile(join(dir, 'volume/images/tool.sif'), sif)
    await symlink('/etc/passwd', join(dir, 'volume/images/out.sif'))
    await new Promise<void>(done => web.listen(0, '127.0.0.1', done))
    server = await startProminence({ fetchAllow: ['127.0.0.1'], volumes: { store: join(dir, 'volume') } })
    alice = clientOf(server.url, await server.token({ user: 'alice' }))
    const { url } = (await alice.ask('POST', '/api/v1/data/upload', { filename: 'tool.sif' })).body as {
      url: string
    }
    expect((await fetch(url, { method: 'PUT', body: new Uint8Array(sif) })).status).toBe(200)
  })
  afterAll(async () => {
    await server?.close()
    web.close()
    await rm(dir, { recursive: true, force: true })
  })

  async function run(task: object, more: object = {}): Promise<{ shown: Shown; out: string }> {
    const document = { resources, tasks: [{ runtime: 'singularity', ...task }], ...more }
    const id = await alice.submit('jobs', document)
    return { shown: await alice.ended('jobs', id), out: await alice.stream(id) }
  }

  test('an uploaded SIF image is run: its variables are set, and its run script is the default command', async () => {
    const plain = await run({ image: 'tool.sif' })
    expect([plain.shown.status, plain.out]).toEqual(['completed', 'the run script of 1.5 got \n'])
    const named = await run({
      image: 'tool.sif',
      cmd: "sh -c 'echo $TOOL_VERSION $MINE'",
      env: { MINE: 'a b' },
    })
    expect(named.out).toBe('1.5 a b\n')
    // udocker hands the command to the entry point.
    const handed = await run({ image: 'tool.sif', cmd: 'one two', runtime: 'udocker' })
    expect(handed.out).toBe('the run script of 1.5 got one two\n')
    const app = await run({ image: 'tool.sif', app: 'check' })
    expect(app.out).toBe('app\n')
  })

  test('a SIF image on the web, and one on mounted storage, are run; nothing else of the machine is', async () => {
    const { port } = web.address() as AddressInfo
    expect((await run({ image: `http://127.0.0.1:${port}/tool.sif`, cmd: 'echo web' })).out).toBe('web\n')
    const storage = { type: 'onedata', mountpoint: '/data', onedata: { provider: 'store', token: 'x' } }
    const mounted = await run({ image: '/data/images/tool.sif', cmd: 'echo mounted' }, { storage })
    expect(mounted.out).toBe('mounted\n')
    const failed = { status: 'failed', statusReason: 'Container image pull failed' }
    for (const image of [
      '/data/images/none.sif',
      '/data/images/out.sif',
      '/data/../../etc/passwd',
      '/etc/passwd',
    ])
      expect((await run({ image, cmd: 'true' }, { storage })).shown).toMatchObject({
        ...failed,
        execution: { tasks: [{ imagePullStatus: 'failed' }] },
      })
    expect((await run({ image: '/data/images/tool.sif', cmd: 'true' })).shown).toMatchObject(failed)
    // Without a mountpoint it lies in the home directory, under the provider's name; what is written there stays.
    const home = {
      type: 'onedata',
      mountpoint: '',
      directory: '/results',
      onedata: { provider: 'store', token: 'x' },
    }
    await mkdir(join(dir, 'volume/results'), { mode: 0o777 })
    await chmod(join(dir, 'volume/results'), 0o777)
    const cmd = "sh -c 'pwd; echo kept > store/out.txt; cat store/out.txt; ls'"
    const written = await run({ image: 'busybox', cmd }, { storage: home })
    expect(written.out).toBe('/home/user\nkept\nstore\n')
    expect(await readFile(join(dir, 'volume/results/out.txt'), 'utf8')).toBe('kept\n')
  })

  test('an image must have the digest that a task demands: of the file, or of the image as described', async () => {
    const ofFile = createHash('sha256').update(sif).digest('hex')
    const good = await run({ image: 'tool.sif', cmd: 'echo same', imageSha256: ofFile.toUpperCase() })
    expect(good.out).toBe('same\n')
    const [record] = (good.shown['execution'] as { tasks: { imageSha256: string }[] }).tasks
    expect((await run({ image: 'tool.sif', cmd: 'echo same', imageSha256: record!.imageSha256 })).out).toBe(
      'same\n',
    )
    const { shown, out } = await run({ image: 'tool.sif', cmd: 'echo other', imageSha256: 'a'.repeat(64) })
    expect([shown.status, shown.statusReason, out]).toEqual(['failed', 'Container image pull failed', ''])
    expect((await run({ image: 'busybox', cmd: 'true', imageSha256: ofFile })).shown.status).toBe('failed')
    const bad = await alice.ask('POST', '/api/v1/jobs', {
      resources,
      tasks: [{ image: 'busybox', runtime: 'udocker', imageSha256: 'md5' }],
    })
    expect([bad.status, bad.body]).toEqual([400, { error: 'imageSha256 must be 64 hexadecimal digits' }])
  })

  test('an upload that is no image fails the job, and says why to the operator only', async () => {
    const { url } = (await alice.ask('POST', '/api/v1/data/upload', { filename: 'bad.sif' })).body as {
      url: string
    }
    await fetch(url, { method: 'PUT', body: new Uint8Array(sif.subarray(0, 40_000)) })
    expect((await run({ image: 'bad.sif', cmd: 'true' })).shown).toMatchObject({
      status: 'failed',
      statusReason: 'Container image pull failed',
    })
  })
})

/** What `singularity build` leaves: a SquashFS with the image's scripts at known places, in a SIF file. */
async function makeSif(dir: string): Promise<Buffer> {
  const root = join(dir, 'root')
  const files: Record<string, string> = {
    '.singularity.d/env/10-docker2singularity.sh': 'export PATH="/bin:/usr/bin"\n',
    '.singularity.d/env/90-environment.sh': 'TOOL_VERSION=1.5; export TOOL_VERSION\n',
    '.singularity.d/runscript': '#!/bin/sh\necho "the run script of $TOOL_VERSION got $*"\n',
    'scif/apps/check/scif/runscript': '#!/bin/sh\necho app\n',
    'etc/passwd': 'root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n',
    'etc/hosts': '',
    'etc/resolv.conf': '',
  }
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(root, path, '..'), { recursive: true })
    await writeFile(join(root, path), content, { mode: 0o755 })
  }
  await mkdir(join(root, 'bin'))
  await cp('/bin/busybox', join(root, 'bin/busybox'), { dereference: true })
  for (const name of ['sh', 'echo', 'true']) await symlink('busybox', join(root, 'bin', name))
  execFileSync('mksquashfs', [root, join(dir, 'root.squashfs'), '-quiet', '-no-progress'])
  return sifOf(await readFile(join(dir, 'root.squashfs')))
}
