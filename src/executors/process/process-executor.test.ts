import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test as testAlone } from 'vitest'
import { executorConformance } from '../conformance.ts'
import { eventually } from '../testing/eventually.ts'
import { findMemoryLimiter, removeMemoryGroups } from './memory-limit.ts'
import { aProcessYard, isAlive, keeperOf, lines, sh } from './testing/process-yard.ts'

// Each has a world of its own, and most of its time is waiting.
const test = testAlone.concurrent

executorConformance({
  name: 'process',
  moduleUrl: new URL('./testing/sample-executor.ts', import.meta.url).href,
  samples: folder => ({
    succeeds: { argv: ['true'] },
    fails: { spec: sh('exit 7'), exitCode: 7 },
    runsLong: { argv: ['sleep', '300'] },
    ignoresAsking: { ...sh('trap "" TERM; while :; do sleep 0.1; done'), graceMs: 200 },
    prints: {
      spec: sh(`printf 'first line\\nsecond: %s\\n' żółw; until test -e ${folder}/go; do sleep 0.02; done`),
      stream: 'out',
      text: 'first line\nsecond: żółw\n',
      until: 'go',
    },
    marks: path => sh(`echo ran >>'${path}'`),
    impossible: { argv: [] },
    leavesProcess: path => sh(`setsid sh -c 'while :; do echo tick >>${path}; sleep 0.05; done' & sleep 300`),
  }),
})

test('a program sees the environment it was given, the mark, and nothing of the server', async () => {
  await using yard = await aProcessYard()
  const id = yard.submit({ argv: ['/usr/bin/env'], env: { COLOUR: 'blue = green', EMPTY: '' } })
  await yard.end(id)
  const names = new Map(
    lines(await yard.text(id)).map(line => [line.split('=')[0], line.slice(line.indexOf('=') + 1)]),
  )
  expect([...names.keys()].sort()).toEqual(['COLOUR', 'EMPTY', 'HOME', 'LANG', 'PATH', 'SWITCHYARD_ATTEMPT'])
  expect(names.get('COLOUR')).toBe('blue = green')
  expect(names.get('SWITCHYARD_ATTEMPT')).toBe(id)
})

test('a program has a session and a group of its own, no blocked or ignored signals and no stray descriptors', async () => {
  await using yard = await aProcessYard()
  // Its own view of itself: a shell blocks signals while it starts something.
  const self = yard.submit({ argv: ['cat', '/proc/self/stat', '/proc/self/status'] })
  const open = yard.submit(sh('ls /proc/$$/fd'))
  await Promise.all([yard.end(self), yard.end(open)])
  const [stat, ...status] = lines(await yard.text(self))
  const [pid, , , , group, session] = stat!.split(' ')
  expect([group, session]).toEqual([pid, pid])
  // Signals 32 and 33 belong to the C library, which makes whatever `make` starts ignore them; nobody can change that.
  const masks = status
    .filter(line => /^Sig(Blk|Ign)/.test(line))
    .map(line => BigInt(`0x${line.split('\t')[1]}`))
  expect(masks.map(mask => mask & ~0x180000000n)).toEqual([0n, 0n])
  expect(lines(await yard.text(open))).toEqual(['0', '1', '2'])
})

test('arguments arrive as they are, whatever is in them', async () => {
  await using yard = await aProcessYard()
  const odd = ['a b', '', "it's", '"$HOME"', '`id`', 'line\nbreak', 'żółw', '-n', '*', '\\']
  const id = yard.submit({ argv: ['printf', '[%s]', ...odd] })
  await yard.end(id)
  expect(await yard.text(id)).toBe(odd.map(text => `[${text}]`).join(''))
})

test('standard input is the text given, or nothing at all', async () => {
  await using yard = await aProcessYard()
  const text = 'żółw\n'.repeat(50_000)
  const [given, none] = [yard.submit({ argv: ['cat'], stdin: text }), yard.submit({ argv: ['cat'] })]
  expect((await yard.end(given)).result).toBe('succeeded')
  expect((await yard.end(none)).result).toBe('succeeded')
  expect(await yard.text(given)).toBe(text)
  expect(await yard.text(none)).toBe('')
})

test('a stop right behind the start of one whose input is still being written ends it once, without a run', async () => {
  await using yard = await aProcessYard()
  const id = yard.submit({ argv: ['cat'], stdin: 'x'.repeat(1_000_000) })
  yard.executor.stop(id, 'ask', 'cancel')
  expect(await yard.end(id)).toMatchObject({ result: 'stopped', reason: 'user' })
  await sleep(100)
  expect(yard.ends(id)).toHaveLength(1)
})

test('it runs in the folder it wants', async () => {
  await using yard = await aProcessYard()
  const id = yard.submit({ argv: ['pwd'], cwd: realpathSync(yard.folder) })
  await yard.end(id)
  expect(await yard.text(id)).toBe(`${realpathSync(yard.folder)}\n`)
})

test('both streams are kept apart', async () => {
  await using yard = await aProcessYard()
  const id = yard.submit(sh('echo to out; echo to err >&2'))
  await yard.end(id)
  expect([await yard.text(id, 'out'), await yard.text(id, 'err')]).toEqual(['to out\n', 'to err\n'])
})

test('a signal of its own making is told by name, and as 128 more', async () => {
  await using yard = await aProcessYard()
  const id = yard.submit(sh('kill -KILL $$'))
  expect(await yard.end(id)).toMatchObject({
    result: 'failed',
    reason: 'exit',
    exitCode: 137,
    message: 'it ended by SIGKILL',
  })
})

test('a program that signals its own group does not hide how it ended', async () => {
  await using yard = await aProcessYard()
  const id = yard.submit(sh('sleep 100 & trap "exit 9" TERM; kill 0'))
  expect(await yard.end(id)).toMatchObject({ result: 'failed', exitCode: 9 })
})

test('CPU time and memory of the whole family are told', async () => {
  await using yard = await aProcessYard()
  const script = `perl -e '$x = "x" x 60_000_000; $i++ while $i < 4_000_000; print length $x'`
  const id = yard.submit(sh(`${script}; true`))
  const { usage } = await yard.end(id)
  expect(usage!.maxRssBytes).toBeGreaterThan(50_000_000)
  expect(usage!.maxRssBytes).toBeLessThan(1_000_000_000)
  expect(usage!.cpuMs).toBeGreaterThan(20)
  expect(usage!.wallMs).toBeGreaterThan(20)
})

test.each([
  ['a program that is nowhere', { argv: ['no-such-program'] }, /cannot run no-such-program: No such file/],
  ['a folder in place of a program', { argv: ['/tmp'] }, /cannot run \/tmp: Permission denied/],
  [
    'a working folder that is not there',
    { argv: ['true'], cwd: '/no/such' },
    /cannot enter the folder \/no\/such/,
  ],
  [
    'a line of arguments that is too long',
    { argv: ['true', 'x'.repeat(3_000_000)] },
    /Argument list too long/,
  ],
])('%s is a failed launch that says why', async (_, spec, sentence) => {
  await using yard = await aProcessYard()
  const outcome = await yard.end(yard.submit(spec))
  expect(outcome).toMatchObject({
    result: 'failed',
    reason: 'launch',
    message: expect.stringMatching(sentence),
  })
})

test('a program that exits with 127 itself has been launched', async () => {
  await using yard = await aProcessYard()
  expect(await yard.end(yard.submit(sh('exit 127')))).toMatchObject({ reason: 'exit', exitCode: 127 })
})

test('a script without its first line is run by the shell, and a program is found along the PATH given', async () => {
  await using yard = await aProcessYard()
  const bin = join(yard.folder, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'greet'), 'echo hello "$1"\n')
  chmodSync(join(bin, 'greet'), 0o755)
  const id = yard.submit({ argv: ['greet', 'a b'], env: { PATH: `/no/such:${bin}` } })
  expect((await yard.end(id)).result).toBe('succeeded')
  expect(await yard.text(id)).toBe('hello a b\n')
})

test('what it left in the background is ended with it, unless it may leave something', async () => {
  await using yard = await aProcessYard()
  const script = 'sleep 300 & echo $!; setsid sleep 300 & echo $!; sleep 0.1'
  const [ends, leaves] = [yard.submit(sh(script)), yard.submit({ ...sh(script), leftovers: 'leave' })]
  expect((await yard.end(ends)).result).toBe('succeeded')
  expect((await yard.end(leaves)).result).toBe('succeeded')
  const pids = async (id: string) => lines(await yard.text(id)).map(Number)
  expect((await pids(ends)).map(isAlive)).toEqual([false, false])
  const left = await pids(leaves)
  expect(left.map(isAlive)).toEqual([true, true])
  for (const pid of left) process.kill(pid, 'SIGKILL')
})

test('a program asked to stop may clean up, and how it ended is told', async () => {
  await using yard = await aProcessYard()
  const id = yard.submit(sh('trap "echo cleaned; exit 3" TERM; echo ready; while :; do sleep 0.02; done'))
  await eventually(async () => expect(await yard.text(id)).toBe('ready\n'))
  yard.executor.stop(id, 'ask', 'cancel')
  expect(await yard.end(id)).toMatchObject({
    result: 'stopped',
    exitCode: 3,
    usage: { wallMs: expect.any(Number) },
  })
  expect(await yard.text(id)).toBe('ready\ncleaned\n')
})

test('one that ends well although it was asked to stop has succeeded', async () => {
  await using yard = await aProcessYard()
  const id = yard.submit(sh('trap "exit 0" TERM; echo ready; while :; do sleep 0.02; done'))
  await eventually(async () => expect(await yard.text(id)).toBe('ready\n'))
  yard.executor.stop(id, 'ask', 'cancel')
  expect((await yard.end(id)).result).toBe('succeeded')
})

test('a runaway stream ends its program, and is cut to its limit', async () => {
  await using yard = await aProcessYard()
  const id = yard.submit({ argv: ['yes'], limits: { streamBytes: 100_000 } })
  expect(await yard.end(id)).toMatchObject({
    result: 'failed',
    reason: 'exit',
    message: 'its stream out grew over the limit of 100000 bytes',
  })
  expect((await yard.executor.read(id, 'out', 0, 10))!.sizeBytes).toBe(100_000)
})

test('a file larger than the limit ends the program that writes it', async () => {
  await using yard = await aProcessYard()
  const path = join(yard.folder, 'large')
  const id = yard.submit({
    argv: ['dd', 'if=/dev/zero', `of=${path}`, 'bs=1000', 'count=100'],
    limits: { fileBytes: 50_000 },
  })
  expect(await yard.end(id)).toMatchObject({
    result: 'failed',
    reason: 'exit',
    message: 'it wrote a file larger than its limit of 50000 bytes',
  })
  expect(readFileSync(path).length).toBe(50_000)
})

test('CPU time that runs out is a time-out', async () => {
  await using yard = await aProcessYard()
  const id = yard.submit({ ...sh('while :; do :; done'), limits: { cpuSeconds: 1 } })
  expect(await yard.end(id)).toMatchObject({
    result: 'failed',
    reason: 'timeout',
    message: 'it used up its CPU time of 1 s',
  })
})

const eater = {
  argv: ['perl', '-e', 'push @x, "x" x 1_000_000 while 1'],
  limits: { memoryBytes: 64 * 1024 * 1024 },
}

test('memory that runs out is told as such by the cgroup, which is removed again', async context => {
  await using yard = await aProcessYard()
  const limiter = findMemoryLimiter(join(tmpdir(), 'trial'))
  removeMemoryGroups(limiter)
  if (limiter.how === 'rlimit') return context.skip('no memory cgroup can be made here')
  const [eats, modest] = [yard.submit(eater), yard.submit({ argv: ['true'], limits: eater.limits })]
  expect(await yard.end(eats)).toMatchObject({
    result: 'failed',
    reason: 'memory',
    exitCode: 137,
    message: 'it used more memory than its limit of 67108864 bytes',
  })
  expect((await yard.end(modest)).result).toBe('succeeded')
  const groups = findMemoryLimiter(join(yard.folder, 'spool'))
  expect(groups.how === 'rlimit' || existsSync(join(groups.folder, eats))).toBe(false)
})

test('without a cgroup the address space is limited, and a program that came near has run out of memory', async () => {
  await using yard = await aProcessYard({ memoryLimiter: { how: 'rlimit' } })
  expect(await yard.end(yard.submit(eater))).toMatchObject({ result: 'failed', reason: 'memory' })
})

test('when its keeper is killed, the program goes with it, and the attempt is lost', async () => {
  await using yard = await aProcessYard()
  const id = yard.submit(sh('setsid sleep 300 & echo $!; echo $$; sleep 300'))
  await eventually(async () => expect(lines(await yard.text(id))).toHaveLength(2))
  const pids = lines(await yard.text(id)).map(Number)
  process.kill(keeperOf(yard.folder, id), 'SIGKILL')
  expect(await yard.end(id)).toMatchObject({ result: 'failed', reason: 'lost' })
  await eventually(() => expect(pids.map(isAlive)).toEqual([false, false]))
})

test('when only the helper is killed, what runs is still told, and the next is started by another', async () => {
  await using yard = await aProcessYard()
  const before = yard.executor.helperPid!
  const runs = yard.submit(sh('sleep 0.5; exit 4'))
  await yard.begin(runs)
  process.kill(before, 'SIGKILL')
  const path = join(yard.folder, 'marks')
  const next = Array.from({ length: 30 }, () => yard.submit(sh(`echo ran >>${path}`)))
  for (const id of next) expect((await yard.end(id)).result).toBe('succeeded')
  expect(lines(readFileSync(path, 'utf8'))).toHaveLength(30)
  expect(await yard.end(runs)).toMatchObject({ result: 'failed', exitCode: 4 })
  expect(yard.executor.helperPid).not.toBe(before)
})

test('orders that a killed helper had not read are run by the next, once each', async () => {
  await using yard = await aProcessYard()
  const path = join(yard.folder, 'marks')
  const ids = Array.from({ length: 60 }, () => yard.submit(sh(`echo ran >>${path}`)))
  process.kill(yard.executor.helperPid!, 'SIGKILL')
  for (const id of ids) expect((await yard.end(id)).result).toBe('succeeded')
  expect(lines(readFileSync(path, 'utf8'))).toHaveLength(60)
})

test('one that was adopted and then loses its keeper is lost, too', async () => {
  const first = await aProcessYard()
  const id = first.submit({ argv: ['sleep', '300'] })
  await first.begin(id)
  await first.executor.close()
  await using yard = await aProcessYard({}, first.folder)
  expect(await yard.executor.look([id])).toMatchObject([{ type: 'began' }])
  process.kill(keeperOf(yard.folder, id), 'SIGKILL')
  expect(await yard.end(id)).toMatchObject({ result: 'failed', reason: 'lost' })
})

test('what lost its keeper while no server was there is lost at once, and nothing of it runs', async () => {
  const first = await aProcessYard()
  const id = first.submit(sh('setsid sleep 300 & echo $!; sleep 300'))
  await eventually(async () => expect(lines(await first.text(id))[0]).not.toBe(''))
  const pid = Number(await first.text(id))
  await first.executor.close()
  process.kill(keeperOf(first.folder, id), 'SIGKILL')
  await using yard = await aProcessYard({}, first.folder)
  expect(await yard.executor.look([id])).toMatchObject([{ type: 'ended', outcome: { reason: 'lost' } }])
  await eventually(() => expect(isAlive(pid)).toBe(false))
})

test('a server waits for the starts of the one before it, and starts none of them again', async () => {
  const first = await aProcessYard()
  const path = join(first.folder, 'marks')
  const helper = first.executor.helperPid!
  process.kill(helper, 'SIGSTOP') // its orders lie in the pipe when the next server comes
  const specs = Array.from({ length: 20 }, () => sh(`echo ran >>${path}`))
  const ids = specs.map(spec => first.submit(spec))
  await sleep(50)
  const closed = first.executor.close()
  const opened = aProcessYard({}, first.folder)
  await sleep(100)
  process.kill(helper, 'SIGCONT')
  await closed
  await using yard = await opened
  const seen = await yard.executor.look(ids)
  expect(seen.filter(({ type }) => type === 'unknown')).toEqual([])
  yard.start(ids.map((id, index) => [id, specs[index]!]))
  await eventually(() => expect(lines(readFileSync(path, 'utf8'))).toHaveLength(20))
  await sleep(200)
  expect(lines(readFileSync(path, 'utf8'))).toHaveLength(20)
})

test('a stop that is asked of an attempt before it was looked for is told when it ends', async () => {
  const first = await aProcessYard()
  const id = first.submit({ argv: ['sleep', '300'] })
  await first.begin(id)
  await first.executor.close()
  await using yard = await aProcessYard({}, first.folder)
  yard.executor.stop(id, 'ask', 'expire')
  expect(await yard.end(id)).toMatchObject({ result: 'stopped', reason: 'timeout' })
})

test('limits that were run into are told as such also after a restart', async () => {
  const first = await aProcessYard()
  const id = first.submit({
    ...sh('sleep 0.3; exec dd if=/dev/zero of=large bs=1000 count=100'),
    cwd: first.folder,
    limits: { fileBytes: 50_000 },
  })
  await first.begin(id)
  await first.executor.close()
  await using yard = await aProcessYard({}, first.folder)
  yard.start([[id, sh('exit 99')]])
  expect(await yard.end(id)).toMatchObject({
    reason: 'exit',
    message: 'it wrote a file larger than its limit',
  })
})

test('the input of an attempt that runs is not written anew when it is started again', async () => {
  await using yard = await aProcessYard()
  const spec = { ...sh('sleep 0.2; cat'), stdin: 'the input\n' }
  const id = yard.submit(spec)
  await yard.begin(id)
  yard.start([[id, { ...spec, stdin: 'another' }]])
  await yard.end(id)
  expect(await yard.text(id)).toBe('the input\n')
})

test('after a restart of the machine, what ran then is lost, and what had ended is not', async () => {
  const yard = await aProcessYard()
  const [runs, ended] = [yard.submit({ argv: ['sleep', '300'] }), yard.submit(sh('exit 5'))]
  await yard.begin(runs)
  await yard.end(ended)
  const keeper = keeperOf(yard.folder, runs)
  await yard.executor.close()
  process.kill(keeper, 'SIGKILL')
  const table = join(yard.folder, 'spool', 'attempts')
  const text = readFileSync(table, 'latin1')
  writeFileSync(
    table,
    text.replace(/^switchyard attempts 1 \S+/, start => start.replace(/[0-9a-f]/g, '0')),
    'latin1',
  )
  await using again = await aProcessYard({}, yard.folder)
  expect(await again.executor.look([runs, ended])).toMatchObject([
    {
      type: 'ended',
      outcome: { result: 'failed', reason: 'lost', message: 'the machine was restarted while it ran' },
    },
    { type: 'ended', outcome: { result: 'failed', exitCode: 5 } },
  ])
})

test('a spool that another server uses is refused', async () => {
  await using yard = await aProcessYard()
  await expect(aProcessYard({ lockWaitMs: 50 }, yard.folder)).rejects.toThrow(/another server holds .*lock/)
})

test('without perl it says so when it is opened', async () => {
  await expect(aProcessYard({ perl: 'no-such-perl' })).rejects.toThrow(
    'cannot start no-such-perl: it is not installed',
  )
})

test.each([
  [{ argv: ['true'], argvs: [] }, /argvs/],
  [{ argv: [''] }, /spec.argv.0/],
  [{ argv: ['a\0b'] }, /spec.argv.0: must not contain a NUL/],
  [{ argv: ['true'], env: { 'A B': '' } }, /spec.env/],
  [{ argv: ['true'], env: { A: 1 } }, /spec.env.A/],
  [{ argv: ['true'], cwd: 'here' }, /spec.cwd: must be an absolute path/],
  [{ argv: ['true'], limits: { memoryBytes: 1 } }, /spec.limits.memoryBytes: must be at least 1 MiB/],
  [{ argv: ['true'], graceMs: -1 }, /spec.graceMs/],
])('the spec %j is refused', async (spec, sentence) => {
  await using yard = await aProcessYard()
  expect(yard.executor.check(spec as never)).toMatch(sentence)
})
