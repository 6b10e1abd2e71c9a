// Container jobs over unpacked images: real bwrap, real programs.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import type { Json } from '../../core/json.ts'
import { holdImage, listHolds } from './images/index.ts'
import type { TaskRecord } from './task-records.ts'
import { plainUserTrouble, runAsPlainUser } from './testing/plain-user.ts'
import { addBox, missingForRootfs, openYard, type Yard } from './testing/yard.ts'

const missing = missingForRootfs()
const why = missing === undefined ? '' : ` (skipped: ${missing})`
const isRoot = process.getuid?.() === 0

describe.skipIf(missing !== undefined)(`the rootfs driver${why}`, () => {
  let yard: Yard
  let digest: string
  let count = 0
  const nextId = () => `job${++count}.1`
  beforeAll(async () => {
    yard = await openYard()
    digest = await addBox(yard)
  })
  afterAll(() => yard.close())

  const sh = (script: string, more = {}) => ({ image: 'box', argv: ['/bin/sh', '-c', script], ...more })

  async function run(spec: Json, needs = {}) {
    const id = nextId()
    yard.start(id, spec, needs)
    const outcome = await yard.end(id)
    const [out, err] = [await yard.text(id, 'out'), await yard.text(id, 'err')]
    return { id, outcome, out, err, tasks: (outcome.detail?.['tasks'] ?? []) as unknown as TaskRecord[] }
  }

  test('a task runs in its image, sees the scratch directory as its home, and reports what it used', async () => {
    const { outcome, out, err, tasks } = await run({
      tasks: [sh('pwd; echo $HOME; id -u; echo oops >&2; touch made')],
    })
    assert.equal(out, '/home/user\n/home/user\n1000\n')
    assert.equal(err, 'oops\n')
    assert.equal(outcome.result, 'succeeded')
    const [task] = tasks
    assert.deepEqual(
      [task?.exitCode, task?.retries, task?.imagePullStatus, task?.imageDigest],
      [0, 0, 'completed', digest],
    )
    assert.ok((task?.wallMs ?? -1) >= 0 && (task?.maxRssBytes ?? 0) > 100_000)
  })

  test('without a command the image says what to run', async () => {
    assert.equal((await run({ tasks: [{ image: 'box' }] })).out, 'default\n')
  })

  test('an entry point of the image comes first, unless it is left out', async () => {
    await addBox(yard, 'entry', [], { entrypoint: ['/bin/echo', 'entry'], cmd: ['cmd'] })
    assert.equal((await run({ tasks: [{ image: 'entry' }] })).out, 'entry cmd\n')
    assert.equal((await run({ tasks: [{ image: 'entry', argv: ['mine'] }] })).out, 'entry mine\n')
    const none = { image: 'entry', argv: ['/bin/echo', 'alone'], entrypoint: 'none' }
    assert.equal((await run({ tasks: [none] })).out, 'alone\n')
  })

  test('the environment is that of the image, the task and the job, and nothing of the server', async () => {
    await addBox(yard, 'env', [], { env: ['FROM=image', 'BOTH=image'] })
    const task = {
      image: 'env',
      argv: ['/bin/env'],
      env: { BOTH: 'task', ODD: "a 'b' $c\n\\d", ALL: 'task' },
    }
    const { out } = await run({ tasks: [task], env: { ALL: 'job' } })
    for (const line of ['FROM=image', 'BOTH=task', 'ALL=job', "ODD=a 'b' $c", '\\d', 'TMPDIR=/tmp']) {
      assert.ok(out.split('\n').includes(line), line)
    }
    assert.ok(!out.includes('SWITCHYARD'))
  })

  test('words reach the program as they are', async () => {
    const words = ["it's", '"q"', '$HOME', 'a b', '', '*', 'new\nline', '--', '-e', 'é中']
    const { out } = await run({
      tasks: [{ image: 'box', argv: ['/bin/sh', '-c', 'for w; do echo "<$w>"; done', 'sh', ...words] }],
    })
    assert.equal(out, words.map(word => `<${word}>\n`).join(''))
  })

  test('the root is read-only; only the scratch directory and /tmp can be written', async () => {
    const { out } = await run({
      tasks: [
        sh(
          'for f in /x /etc/x /bin/x /home/x; do touch $f 2>/dev/null && echo wrote $f; done; touch /tmp/t h && echo fine',
        ),
      ],
    })
    assert.equal(out, 'fine\n')
  })

  test('tasks run one after the other in the same scratch directory and /tmp', async () => {
    const { out, tasks } = await run({
      tasks: [sh('echo one > f; echo two > /tmp/g'), sh('cat f /tmp/g; echo done')],
    })
    assert.equal(out, 'one\ntwo\ndone\n')
    assert.deepEqual(
      tasks.map(task => [task.exitCode, task.imagePullStatus]),
      [
        [0, 'completed'],
        [0, 'cached'],
      ],
    )
  })

  test('the first failing task ends the job with its exit code', async () => {
    const { outcome, out, tasks } = await run({ tasks: [sh('echo a'), sh('exit 3'), sh('echo never')] })
    assert.deepEqual([outcome.result, outcome.reason, outcome.exitCode], ['failed', 'exit', 3])
    assert.equal(outcome.message, 'task 2 ended with exit code 3')
    assert.equal(out, 'a\n')
    assert.deepEqual(
      tasks.map(task => task.exitCode),
      [0, 3],
    )
  })

  test('failures can be ignored, and the job still says that there was one', async () => {
    const spec = { tasks: [sh('exit 3'), sh('echo after')], ignoreTaskFailures: true }
    const { outcome, out, tasks } = await run(spec)
    assert.deepEqual([outcome.result, outcome.exitCode, out], ['failed', 3, 'after\n'])
    assert.deepEqual(
      tasks.map(task => task.exitCode),
      [3, 0],
    )
    assert.equal((await run({ ...spec, succeedOnTaskFailure: true })).outcome.result, 'succeeded')
  })

  test('a failing task is run again as often as allowed; the last exit code counts', async () => {
    const script = 'n=$(cat n 2>/dev/null || echo 0); echo try $n; echo $((n + 1)) > n; [ $n = 2 ]'
    const good = await run({ tasks: [sh(script)], taskRetries: 5 })
    assert.deepEqual([good.outcome.result, good.tasks[0]?.retries], ['succeeded', 2])
    assert.equal(good.out, 'try 0\ntry 1\ntry 2\n')
    const bad = await run({ tasks: [sh(script)], taskRetries: 1 })
    assert.deepEqual([bad.outcome.exitCode, bad.tasks[0]?.retries], [1, 1])
  })

  test('a task that is ended by a signal has it as a negative exit code', async () => {
    const { outcome, tasks } = await run({ tasks: [sh('kill -9 $$')] })
    assert.deepEqual(
      [tasks[0]?.exitCode, outcome.exitCode, outcome.message],
      [-9, -9, 'it ended by signal 9'],
    )
  })

  test('CPU time and memory are those of the program, over all tries', async () => {
    const { tasks } = await run({
      tasks: [
        sh('i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'),
        sh('dd if=/dev/zero of=/dev/null bs=50M count=1 2>/dev/null'),
      ],
    })
    assert.ok((tasks[0]?.cpuMs ?? 0) > 20, `cpu ${tasks[0]?.cpuMs}`)
    assert.ok((tasks[1]?.maxRssBytes ?? 0) > 45_000_000, `memory ${tasks[1]?.maxRssBytes}`)
  })

  test('a task cannot write its own figures, nor see the files of its attempt', async () => {
    const { out, tasks } = await run({
      tasks: [
        sh(
          'for n in 3 4 5 6 7 8 9; do [ -e /proc/self/fd/$n ] && echo open $n; done; cat /proc/1/environ 2>&1; ls /',
        ),
      ],
    })
    assert.ok(!/open [3-8]/.test(out), out)
    assert.match(out, /denied/i)
    assert.equal(tasks[0]?.exitCode, 0)
  })

  test('secrets in the environment are in no process list, in- or outside', async () => {
    const id = nextId()
    yard.start(id, {
      tasks: [sh('tr "\\0" " " < /proc/1/cmdline; echo; echo up; sleep 30')],
      env: { TOKEN: 'hush-hush' },
      graceMs: 100,
    })
    await yard.until(id, 'up')
    assert.ok(!execFileSync('ps', ['axww', '-o', 'args'], { encoding: 'utf8' }).includes('hush-hush'))
    assert.ok(!(await yard.text(id, 'out')).includes('hush-hush'))
    yard.executor.stop(id, 'kill', 'kill')
    await yard.end(id)
  })

  test('files of the job are in the scratch directory before the first task', async () => {
    const content = Buffer.from('#!/bin/sh\necho ran\n').toString('base64')
    const files = [
      { path: 'run.sh', content, executable: true },
      { path: 'sub/data', content: Buffer.from('data').toString('base64') },
    ]
    assert.equal((await run({ tasks: [sh('./run.sh; cat sub/data')], files })).out, 'ran\ndata')
  })

  test('the working directory may be absolute or below the scratch directory', async () => {
    const files = [{ path: 'sub/x', content: '' }]
    assert.equal((await run({ tasks: [sh('pwd', { workdir: 'sub' })], files })).out, '/home/user/sub\n')
    assert.equal((await run({ tasks: [sh('pwd', { workdir: '/etc' })] })).out, '/etc\n')
  })

  test('a directory of the scratch directory is seen elsewhere, also where the image has nothing of the name', async () => {
    const mounts = [
      { from: 'data', to: '/data/in' },
      { from: 'data', to: '/etc/deep/er', readOnly: true },
      { from: 'own', to: '/mnt' },
    ]
    const files = [{ path: 'data/f', content: Buffer.from('text').toString('base64') }]
    const script =
      'cat /data/in/f /etc/deep/er/f data/f; echo; grep -c root /etc/passwd; echo new > /data/in/g; cat data/g; ' +
      'touch /etc/deep/er/x 2>/dev/null || echo read-only; touch /x /data/x /etc/x 2>/dev/null || echo shut; echo o > /mnt/o; cat own/o'
    const { out } = await run({ tasks: [sh(script, { mounts })], files })
    assert.equal(out, 'texttexttext\n1\nnew\nread-only\nshut\no\n')
  })

  test('a task cannot lead the mounts of the next one astray', async () => {
    const mounts = [{ from: 'data', to: '/data' }]
    const spec = {
      tasks: [
        sh('mv data away; rm -rf data; [ -e data ] || ln -s /etc data; [ -L data ] && echo fooled'),
        sh('ls /data', { mounts }),
      ],
      ignoreTaskFailures: true,
    }
    const { out } = await run(spec)
    assert.equal(out, '')
  })

  test('mounts follow links of the image inside the image only', async () => {
    await addBox(yard, 'links', [
      ['data', { type: 'symlink', linkname: '/real/place' }],
      ['real/place/', {}],
      ['away', { type: 'symlink', linkname: '../../../../../../etc' }],
    ])
    const task = sh('ls /real/place; ls /etc; cat /etc/passwd', {
      image: 'links',
      mounts: [
        { from: 'a', to: '/data' },
        { from: 'a', to: '/away/x' },
      ],
    })
    const files = [{ path: 'a/mine', content: '' }]
    const { out } = await run({ tasks: [task], files })
    assert.match(out, /^mine\nhosts\npasswd\nresolv.conf\nx\n/)
  })

  test('without network there is only the loopback', async () => {
    const { out } = await run({
      tasks: [sh('ls /sys/class/net 2>/dev/null; cat /proc/net/dev | grep : | cut -d: -f1')],
      network: false,
    })
    assert.equal(out.trim(), 'lo')
    const open = await run({ tasks: [sh('cat /proc/net/dev | grep -c :')] })
    assert.equal(
      open.out.trim(),
      String((await readFile('/proc/net/dev', 'utf8')).split('\n').filter(line => line.includes(':')).length),
    )
  })

  test('an executor without network gives none to any job', async () => {
    const shut = await openYard({ network: 'none' })
    try {
      await addBox(shut)
      shut.start('shut.1', { tasks: [sh('cut -d: -f1 /proc/net/dev | tail -n +3')], network: true })
      await shut.end('shut.1')
      assert.equal((await shut.text('shut.1', 'out')).trim(), 'lo')
    } finally {
      await shut.close()
    }
  })

  test('the user is that of the task, of the image, or a plain one', async () => {
    await addBox(yard, 'rooted', [], { user: 'root' })
    assert.equal((await run({ tasks: [sh('id -u; id -g', { user: { uid: 77, gid: 88 } })] })).out, '77\n88\n')
    assert.equal((await run({ tasks: [sh('id -u', { image: 'rooted' })] })).out, '0\n')
  })

  test('a task has no rights on the machine, even as root of its image', async () => {
    const { out } = await run({
      tasks: [
        sh(
          'grep CapEff /proc/self/status; f=/proc/sys/kernel/core_pattern; v=$(cat $f); (echo "$v" > $f) 2>/dev/null || echo shut; mount -t tmpfs x /tmp 2>/dev/null || echo no',
          { user: { uid: 0, gid: 0 } },
        ),
      ],
    })
    assert.equal(out, 'CapEff:\t0000000000000000\nshut\nno\n')
  })

  test('sidecars run beside the tasks, end with them, and have no record', async () => {
    const sidecar = sh('echo side; while :; do date > beat; sleep 0.05; done', { sidecar: true })
    const { outcome, out, tasks } = await run({
      tasks: [sidecar, sh('until [ -s beat ]; do sleep 0.05; done; echo seen')],
    })
    assert.equal(outcome.result, 'succeeded')
    assert.match(out, /side/)
    assert.match(out, /seen/)
    assert.equal(tasks.length, 1)
  })

  test('an image that is not there fails the job before anything runs', async () => {
    const { outcome, tasks, out } = await run({
      tasks: [sh('echo ran'), { image: 'nowhere:1', argv: ['x'] }],
    })
    assert.deepEqual([outcome.result, outcome.reason, out], ['failed', 'image', ''])
    assert.match(outcome.message ?? '', /there is no image nowhere:1/)
    assert.deepEqual(tasks, [{ imagePullStatus: 'failed' }])
  })

  test('an image whose name none of ours can have is not there, either', async () => {
    for (const image of ['shub://who/what', 'UPPER:', 'sha256', 'x'.repeat(500), '-x', 'a//b']) {
      const { outcome, tasks } = await run({ tasks: [{ image, argv: ['x'] }] })
      assert.deepEqual([outcome.result, outcome.reason, image], ['failed', 'image', image])
      assert.deepEqual(tasks, [{ imagePullStatus: 'failed' }])
    }
  })

  test('a program that is not in the image fails the task and says so', async () => {
    const { outcome, err } = await run({ tasks: [{ image: 'box', argv: ['/no/such'] }] })
    assert.equal(outcome.result, 'failed')
    assert.match(err, /\/no\/such: No such file/)
  })

  test('a gentle stop reaches the program, which may end by itself', async () => {
    const id = nextId()
    yard.start(id, {
      tasks: [sh('trap "echo bye; exit 5" TERM; echo up; while :; do sleep 0.05; done'), sh('echo never')],
    })
    await yard.until(id, 'up')
    yard.executor.stop(id, 'ask', 'cancel')
    const outcome = await yard.end(id)
    assert.deepEqual([outcome.result, outcome.reason, outcome.exitCode], ['stopped', 'user', 5])
    assert.equal(await yard.text(id, 'out'), 'up\nbye\n')
  })

  test('a stop between tasks is no success, even when the task that ran ended well', async () => {
    const id = nextId()
    const first = sh('trap "exit 0" TERM; echo up; while :; do sleep 0.05; done')
    yard.start(id, { tasks: [first, sh('echo never')] })
    await yard.until(id, 'up')
    yard.executor.stop(id, 'ask', 'cancel')
    assert.equal((await yard.end(id)).result, 'stopped')
    assert.equal(await yard.text(id, 'out'), 'up\n')
  })

  test('a kill ends everything, also what hid in sessions of its own', async () => {
    const id = nextId()
    const mark = `3599${count}`
    yard.start(id, {
      tasks: [sh(`trap "" TERM; setsid sleep ${mark} & (setsid sleep ${mark} &); echo up; sleep ${mark}`)],
    })
    await yard.until(id, 'up')
    yard.executor.stop(id, 'kill', 'expire')
    const outcome = await yard.end(id)
    assert.deepEqual([outcome.result, outcome.reason], ['stopped', 'timeout'])
    const left = execFileSync('ps', ['axww', '-o', 'args'], { encoding: 'utf8' }).split('\n')
    assert.deepEqual(
      left.filter(line => line.includes(`sleep ${mark}`)),
      [],
    )
  })

  test('a program that ignores the gentle stop is ended after its grace time', async () => {
    const id = nextId()
    yard.start(id, { tasks: [sh('trap "" TERM; echo up; while :; do sleep 0.05; done')], graceMs: 200 })
    await yard.until(id, 'up')
    yard.executor.stop(id, 'ask', 'cancel')
    assert.equal((await yard.end(id)).result, 'stopped')
  })

  test('a task that fills the disk past its limit is stopped, and the outcome says why', async () => {
    const small = await openYard({ diskBeatMs: 50 })
    try {
      await addBox(small)
      const grow = 'while :; do head -c 1000000 /dev/zero >>PLACE; sleep 0.05; done'
      const needs = { cpus: 1, memoryBytes: 100_000_000, diskBytes: 5_000_000 }
      // Directories of any depth count, and so does /tmp.
      const places = ['big', '/tmp/big', '$(mkdir -p a/b/c; echo a/b/c/big)']
      for (const [at, place] of places.entries())
        small.start(`disk${at}.1`, { tasks: [sh(grow.replace('PLACE', place)), sh('echo never')] }, needs)
      small.start(
        'modest.1',
        { tasks: [sh('head -c 1000000 /dev/zero >f; truncate -s 1G holes; sleep 1')] },
        needs,
      )
      for (const at of places.keys()) {
        const outcome = await small.end(`disk${at}.1`)
        assert.deepEqual(
          [outcome.result, outcome.reason, outcome.detail?.['fault']],
          ['failed', 'exit', 'disk'],
        )
        assert.equal(outcome.message, 'it used more disk space than its limit of 5000000 bytes')
        assert.equal(await small.text(`disk${at}.1`, 'out'), '')
      }
      assert.equal((await small.end('modest.1')).result, 'succeeded')
    } finally {
      await small.close()
    }
  })

  test('a task that ended with more on disk than it may, before anybody measured, has failed all the same', async () => {
    const spec = { tasks: [sh('head -c 3000000 /dev/zero >big')] }
    const { outcome } = await run(spec, { diskBytes: 1_000_000 })
    assert.deepEqual([outcome.result, outcome.detail?.['fault']], ['failed', 'disk'])
    assert.equal((await run(spec, { diskBytes: 10_000_000 })).outcome.result, 'succeeded')
  })

  test('the disk space of an attempt is watched on after a restart of the server', async () => {
    const small = await openYard({ diskBeatMs: 50 })
    try {
      await addBox(small)
      const script =
        'echo here; until [ -e go ]; do sleep 0.05; done; while :; do head -c 1000000 /dev/zero >>f; sleep 0.05; done'
      small.start(
        'late.1',
        { tasks: [sh(script)] },
        { cpus: 1, memoryBytes: 100_000_000, diskBytes: 3_000_000 },
      )
      await small.until('late.1', 'here')
      await small.restart()
      await small.executor.look(['late.1'])
      await writeFile(join(small.dir, 'container/attempts/late.1/scratch/go'), '')
      const outcome = await small.end('late.1')
      assert.deepEqual([outcome.result, outcome.detail?.['fault']], ['failed', 'disk'])
    } finally {
      await small.close()
    }
  })

  test('what a task leaves running ends with it', async () => {
    const { outcome, out } = await run({
      tasks: [sh('setsid sleep 3000 & echo left'), sh('ps | grep -c "sleep 300[0]"')],
      ignoreTaskFailures: true,
    })
    assert.equal(out, 'left\n0\n')
    assert.equal(outcome.result, 'failed')
  })

  test.skipIf(!isRoot)(
    'a task that uses more memory than it may is ended for that (skipped when not root)',
    async () => {
      const { outcome, tasks } = await run(
        { tasks: [sh('exec dd if=/dev/zero of=/dev/null bs=300M count=1')] },
        { memoryBytes: 64 * 1024 ** 2 },
      )
      assert.deepEqual([outcome.result, outcome.reason, tasks[0]?.exitCode], ['failed', 'memory', -9])
    },
  )

  test.skipIf(!isRoot)('control groups are gone when the attempt is', async () => {
    const { id } = await run({ tasks: [sh('true')] }, { memoryBytes: 64 * 1024 ** 2, cpus: 1 })
    const dirs = ['/sys/fs/cgroup/memory/switchyard', '/sys/fs/cgroup/switchyard']
    const lists = await Promise.all(dirs.map(dir => readdir(dir).catch(() => [])))
    assert.ok(!lists.flat().includes(id))
  })

  test('an attempt that goes on during a restart of the server is found again, with its figures', async () => {
    const id = nextId()
    yard.start(id, {
      tasks: [sh('echo up; until [ -e /tmp/go ]; do sleep 0.05; done; echo on'), sh('echo two; exit 4')],
    })
    await yard.until(id, 'up')
    await yard.restart()
    const [found] = await yard.executor.look([id])
    assert.equal(found?.type, 'began')
    await writeFile(join(yard.dir, 'container/attempts', id, 'tmp/go'), '')
    const outcome = await yard.end(id)
    assert.deepEqual([outcome.result, outcome.exitCode], ['failed', 4])
    assert.equal(await yard.text(id, 'out'), 'up\non\ntwo\n')
    assert.equal((outcome.detail?.['tasks'] as unknown as TaskRecord[] | undefined)?.[0]?.exitCode, 0)
  })

  test('an attempt that ended while the server was away is reported when it is looked for, again and again', async () => {
    const id = nextId()
    yard.start(id, { tasks: [sh('echo up; sleep 0.3; exit 6')] })
    await yard.until(id, 'up')
    await yard.executor.close()
    await new Promise(resolve => setTimeout(resolve, 1000))
    await yard.restart()
    const looked = await yard.executor.look([id, 'never.1'])
    assert.deepEqual(
      looked.map(report => (report.type === 'ended' ? report.outcome.exitCode : report.type)),
      [6, 'unknown'],
    )
    assert.deepEqual(await yard.executor.look([id]), [looked[0]])
  })

  test('starting an attempt twice runs it once', async () => {
    const id = nextId()
    yard.start(id, { tasks: [sh('echo once')] })
    yard.start(id, { tasks: [sh('echo once')] })
    await yard.end(id)
    yard.start(id, { tasks: [sh('echo once')] })
    await new Promise(resolve => setTimeout(resolve, 200))
    assert.equal(await yard.text(id, 'out'), 'once\n')
  })

  test('a stop that comes before the start is over keeps the job from running', async () => {
    const id = nextId()
    yard.start(id, { tasks: [sh('echo ran')] })
    yard.executor.stop(id, 'kill', 'cancel')
    const outcome = await yard.end(id)
    assert.deepEqual([outcome.result, await yard.text(id, 'out')], ['stopped', ''])
  })

  test('forgetting gives back the image, the folder and the streams', async () => {
    const { id } = await run({ tasks: [sh('mkdir shut; touch shut/f; chmod 0 shut; echo x')] })
    assert.ok((await listHolds(yard.images)).some(hold => hold.holder === id))
    yard.executor.forget([id], { streams: true })
    for (;;) {
      const left = [
        ...(await readdir(join(yard.dir, 'container/attempts'))),
        ...(await listHolds(yard.images)).map(hold => hold.holder),
      ]
      if (!left.includes(id)) break
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    assert.equal(await yard.executor.read(id, 'out', 0, 10), undefined)
    assert.deepEqual(await yard.executor.look([id]), [{ id, type: 'unknown' }])
  })

  test('what a crash left of attempts that were never started is cleared when the executor opens', async () => {
    const dir = join(yard.dir, 'container/attempts/crashed.1')
    await mkdir(join(dir, 'scratch'), { recursive: true })
    const note = {
      driver: 'rootfs',
      taskCount: 1,
      digests: [digest],
      cgroups: [],
      succeedOnTaskFailure: false,
      memoryBytes: null,
    }
    await writeFile(join(dir, 'attempt.json'), JSON.stringify(note))
    await holdImage(yard.images, digest, 'crashed.1')
    const { id } = await run({ tasks: [sh('true')] })
    await yard.restart()
    const left = await readdir(join(yard.dir, 'container/attempts'))
    assert.deepEqual([left.includes('crashed.1'), left.includes(id)], [false, true])
    assert.ok(!(await listHolds(yard.images)).some(hold => hold.holder === 'crashed.1'))
  })

  test('sixteen jobs at once all run', async () => {
    const all = await Promise.all(Array.from({ length: 16 }, (_, i) => run({ tasks: [sh(`echo ${i}`)] })))
    assert.deepEqual(
      all.map(({ out, outcome }) => [out, outcome.result]),
      Array.from({ length: 16 }, (_, i) => [`${i}\n`, 'succeeded']),
    )
  })

  const noPlainUser = plainUserTrouble()
  test.skipIf(noPlainUser !== undefined)(
    `without root the same job runs, with the same figures${noPlainUser ? ` (skipped: ${noPlainUser})` : ''}`,
    async () => {
      await chmod(yard.dir, 0o755)
      const dir = join(yard.dir, 'plain')
      await mkdir(dir)
      await chmod(dir, 0o777)
      await symlink(yard.dir, join(yard.dir, 'self'))
      const script = `
      const { openYard, addBox } = await import(${JSON.stringify(new URL('./testing/yard.ts', import.meta.url).href)})
      const yard = await openYard()
      await addBox(yard)
      const argv = ['/bin/sh', '-c', 'id -u; echo $T; mkdir shut; chmod 0 shut; kill -9 $$']
      yard.start('plain.1', { tasks: [{ image: 'box', argv }], env: { T: 'secret' } }, { memoryBytes: 512 * 1024 ** 2 })
      const outcome = await yard.end('plain.1')
      console.log(JSON.stringify([await yard.text('plain.1', 'out'), await yard.text('plain.1', 'err'), outcome]))
      yard.executor.forget(['plain.1'], { streams: true })
      await yard.close()`
      const answer = runAsPlainUser(script, { env: { ...process.env, TMPDIR: dir, HOME: dir } })
      const [out, err, outcome] = JSON.parse(answer)
      assert.deepEqual([out, err], ['1000\nsecret\n', ''])
      assert.equal(outcome.exitCode, -9)
      assert.ok(outcome.detail.tasks[0].maxRssBytes > 0)
      assert.deepEqual(await readdir(dir), [])
    },
  )
})
