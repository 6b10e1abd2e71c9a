// Control groups against a folder that looks like the kernel's: version 2 cannot be tried on every machine.
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'vitest'
import { openCgroup, probeCgroups } from './cgroup.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'switchyard-cgroup-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const put = async (path: string, text = '') => {
  await mkdir(join(dir, path, '..'), { recursive: true })
  await writeFile(join(dir, path), text)
}
const get = (path: string) => readFile(join(dir, path), 'utf8')

test('version 2: the controllers are handed down, limits are set, and usage is read', async () => {
  await put('cgroup.controllers', 'cpuset cpu io memory pids\n')
  const root = await probeCgroups(dir)
  assert.deepEqual([root?.version, root?.controllers], [2, ['cpu', 'memory', 'pids']])
  assert.equal(await get('cgroup.subtree_control'), '+cpu +memory +pids')
  assert.equal(await get('switchyard/cgroup.subtree_control'), '+cpu +memory +pids')
  if (root === undefined) return
  for (const file of ['memory.max', 'memory.swap.max', 'cpu.max', 'pids.max'])
    await put(`switchyard/a.1/${file}`)
  const group = await openCgroup(root, 'a.1', { cpus: 1.5, memoryBytes: 1000 })
  assert.deepEqual(group.procsFiles, [join(dir, 'switchyard/a.1/cgroup.procs')])
  assert.equal(group.parent, '/switchyard/a.1')
  assert.deepEqual(
    await Promise.all(
      ['memory.max', 'memory.swap.max', 'cpu.max'].map(file => get(`switchyard/a.1/${file}`)),
    ),
    ['1000', '0', '150000 100000'],
  )
  await put('switchyard/a.1/cpu.stat', 'usage_usec 2500\nuser_usec 1\n')
  await put('switchyard/a.1/memory.peak', '4096\n')
  await put('switchyard/a.1/memory.events', 'low 0\noom 1\noom_kill 2\n')
  assert.deepEqual(await group.readUsage(), { cpuMs: 2.5, maxMemoryBytes: 4096, oomKillCount: 2 })
})

test('version 1 beside an empty version 2 tree: each controller has its own group', async () => {
  for (const name of ['memory', 'cpu', 'cpuacct', 'unified']) await mkdir(join(dir, name))
  const root = await probeCgroups(dir)
  assert.deepEqual([root?.version, root?.controllers], [1, ['memory', 'cpu', 'cpuacct']])
  if (root === undefined) return
  const files = [
    'memory/switchyard/a/memory.limit_in_bytes',
    'cpu/switchyard/a/cpu.cfs_quota_us',
    'cpu/switchyard/a/cpu.cfs_period_us',
  ]
  for (const file of files) await put(file)
  const group = await openCgroup(root, 'a', { cpus: 0.5, memoryBytes: 1000 })
  assert.equal(group.procsFiles.length, 3)
  assert.deepEqual(await Promise.all(files.map(get)), ['1000', '50000', '100000'])
  await put('cpuacct/switchyard/a/cpuacct.usage', '3000000\n')
  await put('memory/switchyard/a/memory.max_usage_in_bytes', '8192\n')
  await put('memory/switchyard/a/memory.oom_control', 'oom_kill_disable 0\nunder_oom 0\noom_kill 0\n')
  assert.deepEqual(await group.readUsage(), { cpuMs: 3, maxMemoryBytes: 8192, oomKillCount: 0 })
})

test('without a memory controller, or without any groups, there is nothing to use', async () => {
  assert.equal(await probeCgroups(dir), undefined)
  await put('cgroup.controllers', 'cpu pids\n')
  assert.equal(await probeCgroups(dir), undefined)
  assert.equal(await probeCgroups(join(dir, 'no-such')), undefined)
})
