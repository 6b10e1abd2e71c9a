import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { findMemoryLimiter } from './memory-limit.ts'

/** A /proc of our own making. Its folders are ordinary ones, in which no control file appears by itself. */
function setup(cgroup: string, mounts: (folder: string) => string) {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-cgroup-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'proc'))
  mkdirSync(join(folder, 'mount', 'own'), { recursive: true })
  writeFileSync(join(folder, 'proc', 'cgroup'), cgroup)
  writeFileSync(join(folder, 'proc', 'mounts'), mounts(folder))
  return { folder, find: () => findMemoryLimiter('owner', join(folder, 'proc')) }
}

test('without cgroups the address space is what can be limited', () => {
  expect(setup('', () => '').find()).toEqual({ how: 'rlimit' })
  expect(findMemoryLimiter('owner', '/no/such/proc')).toEqual({ how: 'rlimit' })
})

test('an ordinary folder is not taken for a cgroup, and nothing is left in it', () => {
  const { folder, find } = setup('4:memory:/own\n', at => `cgroup ${at}/mount cgroup rw,memory 0 0\n`)
  expect(find()).toEqual({ how: 'rlimit' })
  expect(existsSync(join(folder, 'mount', 'own', 'memory.limit_in_bytes'))).toBe(false)
})

test('a v2 tree that does not hand the memory controller down is not used', () => {
  const { folder, find } = setup('0::/own\n', at => `cgroup2 ${at}/mount cgroup2 rw 0 0\n`)
  writeFileSync(join(folder, 'mount', 'own', 'cgroup.subtree_control'), 'cpu pids')
  expect(find()).toEqual({ how: 'rlimit' })
})
