// Container jobs through podman and docker. Real podman where it works; docker's argument list against a shim.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import type { Json } from '../../core/json.ts'
import { cliDriver } from './cli-driver.ts'
import type { TaskPlan } from './driver.ts'
import { storedName } from './image-missing.ts'
import { importImage } from './images/index.ts'
import { readSpec } from './spec.ts'
import type { TaskRecord } from './task-records.ts'
import { busyboxTar, missingForRootfs, openYard, type Yard } from './testing/yard.ts'

const IMAGE = 'localhost/switchyard-test:local'

function whyNotPodman(): string | undefined {
  if (missingForRootfs()?.includes('busybox')) return missingForRootfs()
  const answer = spawnSync('podman', ['info', '--format', '{{.Store.GraphDriverName}}'], { encoding: 'utf8' })
  if (answer.error !== undefined) return 'podman is not installed (Debian: podman runc)'
  if (process.getuid?.() !== 0) return 'rootless podman is not set up in the tests'
  return answer.status === 0
    ? undefined
    : `podman does not work here: ${answer.stderr.trim().split('\n').at(-1)}`
}

const missing = whyNotPodman()

describe.skipIf(missing !== undefined)(`the podman driver${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let yard: Yard
  let count = 0
  let storage: string
  const oldConf = process.env['CONTAINERS_STORAGE_CONF']
  beforeAll(async () => {
    // A store of the test's own: nothing of the machine's podman is touched.
    storage = await mkdtemp(join(tmpdir(), 'switchyard-podman-'))
    const conf = `[storage]\ndriver = "overlay"\ngraphroot = "${storage}/graph"\nrunroot = "${storage}/run"\n`
    await writeFile(join(storage, 'storage.conf'), conf)
    process.env['CONTAINERS_STORAGE_CONF'] = join(storage, 'storage.conf')
    await writeFile(join(storage, 'box.tar'), await busyboxTar())
    execFileSync('podman', [
      'import',
      '-q',
      '-c',
      'CMD ["/bin/echo","default"]',
      '-c',
      'ENV PATH=/bin',
      join(storage, 'box.tar'),
      IMAGE,
    ])
    yard = await openYard({ drivers: ['podman'], pull: 'never', diskBeatMs: 50 })
    assert.equal(yard.executor.probes[0]?.driver?.name, 'podman', yard.executor.probes[0]?.text)
  })
  afterAll(async () => {
    await yard?.close()
    spawnSync('podman', ['rm', '-f', '-a', '-t', '0'])
    if (oldConf === undefined) delete process.env['CONTAINERS_STORAGE_CONF']
    else process.env['CONTAINERS_STORAGE_CONF'] = oldConf
    await rm(storage, { recursive: true, force: true })
  })

  const sh = (script: string, more = {}) => ({ image: IMAGE, argv: ['/bin/sh', '-c', script], ...more })
  const nextId = () => `pod${process.pid}-${++count}.1`

  async function run(spec: Json, needs = {}) {
    const id = nextId()
    yard.start(id, spec, needs)
    const outcome = await yard.end(id)
    const tasks = (outcome.detail?.['tasks'] ?? []) as unknown as TaskRecord[]
    return { outcome, tasks, out: await yard.text(id, 'out'), err: await yard.text(id, 'err') }
  }

  test('tasks share the scratch directory, run as a plain user, and are recorded', async () => {
    const secret = "a 'b' $c #d"
    const { outcome, out, tasks } = await run({
      tasks: [
        sh('id -u; pwd; echo "$T"; echo one > f; touch /x 2>/dev/null || echo shut'),
        sh('cat f; exit 3'),
        sh('echo never'),
      ],
      env: { T: secret },
    })
    assert.equal(out, `1000\n/home/user\n${secret}\nshut\none\n`)
    assert.deepEqual([outcome.result, outcome.exitCode], ['failed', 3])
    assert.deepEqual(
      tasks.map(task => [task.exitCode, task.imagePullStatus]),
      [
        [0, 'cached'],
        [3, 'cached'],
      ],
    )
    assert.match(tasks[0]?.imageDigest ?? '', /[0-9a-f]{64}/)
    assert.ok((tasks[0]?.wallMs ?? 0) > 0)
  })

  test('without a command the image says what to run, and mounts are seen where they are wanted', async () => {
    const mounts = [{ from: 'data', to: '/mnt/data' }]
    const files = [{ path: 'data/f', content: Buffer.from('text').toString('base64') }]
    const { out } = await run({
      tasks: [{ image: IMAGE }, sh('cat /mnt/data/f data/f', { mounts })],
      files,
      network: false,
    })
    assert.equal(out, 'default\ntexttext')
  })

  test('memory is limited, and what was used is read from the control groups', async () => {
    const needs = { memoryBytes: 64 * 1024 ** 2 }
    const eats = await run({ tasks: [sh('exec dd if=/dev/zero of=/dev/null bs=300M count=1')] }, needs)
    assert.deepEqual([eats.outcome.result, eats.tasks[0]?.exitCode], ['failed', -9])
    const modest = await run({ tasks: [sh('i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done')] })
    assert.ok((modest.tasks[0]?.cpuMs ?? 0) > 10 && (modest.tasks[0]?.maxRssBytes ?? 0) > 100_000)
  })

  test('an image that is not there fails the job', async () => {
    const { outcome, tasks, err } = await run({ tasks: [sh('echo ran'), { image: 'localhost/nowhere:1' }] })
    assert.deepEqual([outcome.result, outcome.reason], ['failed', 'image'])
    assert.equal(outcome.message, 'the image of task 2 could not be had')
    assert.deepEqual(tasks[1], { imagePullStatus: 'failed' })
    assert.match(err, /nowhere:1 is not there/)
  })

  test('a task that fills the disk past its limit is stopped, and leaves no container behind', async () => {
    const id = nextId()
    const grow = 'trap "" TERM; while :; do head -c 1000000 /dev/zero >>big; sleep 0.05; done'
    yard.start(
      id,
      { tasks: [sh(grow), sh('echo never')] },
      { memoryBytes: 100_000_000, diskBytes: 5_000_000 },
    )
    const outcome = await yard.end(id)
    assert.deepEqual(
      [outcome.result, outcome.reason, outcome.detail?.['fault'], await yard.text(id, 'out')],
      ['failed', 'exit', 'disk', ''],
    )
    assert.equal(outcome.message, 'it used more disk space than its limit of 5000000 bytes')
    assert.equal(execFileSync('podman', ['ps', '-a', '-q'], { encoding: 'utf8' }), '')
  })

  test('copies on several nodes run at once, with streams of their own, and end together', async () => {
    const meet = 'echo on $NODE; touch n$NODE; until [ -e n0 -a -e n1 ]; do sleep 0.05; done'
    const nodes = { nodes: 2, nodeVariable: 'NODE' }
    const needs = { cpus: 2, memoryBytes: 256 * 1024 ** 2 }
    const id = nextId()
    const fails = '[ $NODE = 1 ] && exit 3; sleep 300'
    const each = (script: string) => sh(script, { onNodes: 'each' })
    yard.start(id, { ...nodes, tasks: [each(meet), each(fails), each('echo never')], graceMs: 200 }, needs)
    const outcome = await yard.end(id)
    const tasks = outcome.detail?.['tasks'] as unknown as TaskRecord[]
    assert.deepEqual([outcome.exitCode, tasks[0]?.exitCodes, tasks[1]?.exitCodes?.[1]], [3, [0, 0], 3])
    assert.ok((tasks[0]?.maxRssBytes ?? 0) > 100_000)
    assert.deepEqual([await yard.text(id, 'out'), await yard.text(id, 'out.1')], ['on 0\n', 'on 1\n'])
    assert.equal(execFileSync('podman', ['ps', '-a', '-q'], { encoding: 'utf8' }), '')
  })

  test('an image that came as a file is handed to podman once, with its variables and entry point', async () => {
    const file = join(storage, 'mine.tar')
    await writeFile(file, await busyboxTar())
    const config = { entrypoint: ['/bin/echo', 'entry'], cmd: ['cmd'], env: ['PATH=/bin', 'OF=image'] }
    const hash = 'b'.repeat(64)
    await importImage(yard.images, { file, name: storedName(hash), config })
    const image = storedName(hash)
    const own = {
      image,
      argv: ['/bin/sh', '-c', 'echo $OF $MINE'],
      entrypoint: 'none',
      env: { MINE: 'mine' },
    }
    const { out, tasks, outcome } = await run({
      tasks: [{ image }, own, { image, argv: ['x'], imageSha256: hash }],
    })
    assert.equal(outcome.result, 'succeeded', outcome.message)
    assert.equal(out, 'entry cmd\nimage mine\nentry x\n')
    assert.deepEqual(
      tasks.map(task => task.imagePullStatus),
      ['completed', 'cached', 'cached'],
    )
    const other = await run({ tasks: [{ image, imageSha256: 'c'.repeat(64) }] })
    assert.deepEqual([other.outcome.result, other.outcome.reason], ['failed', 'image'])
  })

  test('an image must have the digest that a task demands', async () => {
    const { tasks } = await run({ tasks: [sh('true')] })
    const imageSha256 = /[0-9a-f]{64}/.exec(tasks[0]?.imageDigest ?? '')?.[0]
    assert.equal((await run({ tasks: [sh('true', { imageSha256 })] })).outcome.result, 'succeeded')
    const other = await run({ tasks: [sh('echo ran', { imageSha256: 'a'.repeat(64) })] })
    assert.deepEqual(
      [other.outcome.reason, other.out, other.tasks[0]?.imagePullStatus],
      ['image', '', 'failed'],
    )
  })

  test('a container does not reach what listens on the loopback of the machine', async () => {
    const server = createServer((_, response) => response.end('reached'))
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    try {
      const { port } = server.address() as { port: number }
      const { out } = await run({
        tasks: [sh(`wget -T 2 -q -O - http://127.0.0.1:${port}/ 2>&1 || echo shut`)],
      })
      assert.match(out, /shut\n$/)
    } finally {
      server.close()
    }
  })

  test('a gentle stop reaches the program', async () => {
    const id = nextId()
    yard.start(id, { tasks: [sh('trap "echo bye; exit 5" TERM; echo up; while :; do sleep 0.05; done')] })
    await yard.until(id, 'up')
    yard.executor.stop(id, 'ask', 'cancel')
    const outcome = await yard.end(id)
    assert.deepEqual([outcome.result, await yard.text(id, 'out')], ['stopped', 'up\nbye\n'])
  })

  test('a kill, and the end of the job for sidecars, leaves no container behind', async () => {
    const id = nextId()
    yard.start(id, { tasks: [sh('sleep 300', { sidecar: true }), sh('trap "" TERM; echo up; sleep 300')] })
    await yard.until(id, 'up')
    yard.executor.stop(id, 'kill', 'kill')
    assert.equal((await yard.end(id)).result, 'stopped')
    const beside = await run({ tasks: [sh('sleep 300', { sidecar: true }), sh('echo done')] })
    assert.deepEqual([beside.outcome.result, beside.out], ['succeeded', 'done\n'])
    assert.equal(execFileSync('podman', ['ps', '-a', '-q'], { encoding: 'utf8' }), '')
    const groups = await readdir('/sys/fs/cgroup/memory/switchyard').catch(() => [])
    assert.deepEqual(
      groups.filter(name => name.startsWith(`pod${process.pid}-`)),
      [],
    )
  })
})

test('docker is called with the same list, its own way of removing, and no secret in it', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'switchyard-shim-'))
  try {
    const shim = join(dir, 'docker')
    await writeFile(
      shim,
      `#!/bin/sh\nprintf '%s\\n' "$@" >>${dir}/calls\necho --- >>${dir}/calls\n[ "$1" != image ] || echo sha256:abc\nexit 0\n`,
    )
    await chmod(shim, 0o755)
    const driver = cliDriver({ name: 'docker', program: shim, env: {}, pull: 'missing' })
    const read = readSpec({
      tasks: [
        {
          image: 'some/app:1',
          argv: ['prog', "it's"],
          entrypoint: 'none',
          env: { KEY: 'hush' },
          workdir: 'sub',
        },
      ],
      network: false,
    })
    if ('text' in read) throw new Error(read.text)
    const plan: TaskPlan = {
      spec: read.spec,
      task: read.spec.tasks[0] as TaskPlan['task'],
      containerName: 'switchyard-x',
      dir,
      scratchDir: '/scratch',
      tmpDir: '/tmp-dir',
      env: new Map([['KEY', 'hush']]),
      mounts: [{ from: '/data', to: '/in', readOnly: true }],
      limits: { cpus: 1.5, memoryBytes: 1000 },
      cgroup: { procsFiles: [], parent: '/switchyard/x' },
      image: null,
    }
    const files = await driver.files(plan)
    for (const [name, text] of Object.entries({ run: files.run, pull: files.pull, stop: files.stop })) {
      await writeFile(join(dir, name), text ?? '')
      execFileSync('/bin/sh', [join(dir, name), '0'])
    }
    const calls = (await readFile(join(dir, 'calls'), 'utf8'))
      .trim()
      .split('\n---')
      .map(call => call.trim().split('\n'))
    assert.deepEqual(calls[0], [
      ...['run', '--rm', '--name', 'switchyard-x', '--pull=never', '--read-only', '--cap-drop=all'],
      ...[
        '--security-opt',
        'no-new-privileges',
        '--user',
        '1000:1000',
        '--log-driver=none',
        '--network=none',
      ],
      ...['--memory', '1000b', '--memory-swap', '1000b', '--cpus', '1.5', '--cgroup-parent', '/switchyard/x'],
      ...[
        '-v',
        '/scratch:/home/user',
        '-v',
        '/tmp-dir:/tmp',
        '-v',
        '/data:/in:ro',
        '--env-file',
        `${dir}/env`,
      ],
      ...['--workdir', '/home/user/sub', '--entrypoint', '', 'some/app:1', 'prog', "it's"],
    ])
    assert.deepEqual(calls[1]?.slice(0, 2), ['image', 'inspect'])
    assert.deepEqual(calls[2], ['rm', '-f', 'switchyard-x'])
    assert.equal(files.env, 'KEY=hush\n')
    assert.equal(await readFile(join(dir, 'image.status'), 'utf8'), 'cached sha256:abc 0\n')
    assert.ok((await readdir(dir)).includes('image.status'))
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})

test.each([
  [
    'podman',
    'registry.example:5000/team/app:1',
    ['registry.example:5000'],
    'pull -q --authfile /d/config.json',
  ],
  ['docker', 'team/app', ['docker.io', 'https://index.docker.io/v1/'], '--config /d pull -q'],
] as const)(
  '%s shows a registry the credentials of a task by a file, never by its arguments',
  async (name, image, hosts, asks) => {
    const driver = cliDriver({ name, program: name, env: {}, pull: 'missing' })
    const read = readSpec({ tasks: [{ image, credential: { username: 'u', token: 'hush' } }] })
    if ('text' in read) throw new Error(read.text)
    const files = await driver.files({
      spec: read.spec,
      task: read.spec.tasks[0] as TaskPlan['task'],
      containerName: 'x',
      dir: '/d',
      scratchDir: '/s',
      tmpDir: '/t',
      env: new Map(),
      mounts: [],
      limits: { cpus: null, memoryBytes: null },
      cgroup: null,
      image: null,
    })
    const { auths } = JSON.parse(files.login ?? '') as { auths: Record<string, { auth: string }> }
    assert.deepEqual(Object.keys(auths), hosts)
    assert.equal(Buffer.from(Object.values(auths)[0]!.auth, 'base64').toString(), 'u:hush')
    assert.ok(files.pull?.includes(asks), files.pull)
    assert.ok(!`${files.run}${files.pull}`.includes('hush'))
  },
)

test('a line break in a variable is refused where it cannot be passed', () => {
  const driver = cliDriver({ name: 'podman', program: 'podman', env: {}, pull: 'never' })
  const read = readSpec({ tasks: [{ image: 'a', env: { X: 'a\nb' } }] })
  if ('text' in read) throw new Error(read.text)
  assert.equal(driver.check(read.spec), 'tasks.0.env.X: this driver cannot pass a line break')
})
