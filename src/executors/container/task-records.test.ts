// Task records from the files of a runner, also from files that somebody else wrote.
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'vitest'
import { readTaskRecords, signedExitCode } from './task-records.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'switchyard-records-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

async function put(path: string, text: string, atMs?: number): Promise<void> {
  const file = join(dir, 'tasks', path)
  await mkdir(join(file, '..'), { recursive: true })
  await writeFile(file, text)
  if (atMs !== undefined) await utimes(file, atMs / 1000, atMs / 1000)
}

const read = (taskCount: number) =>
  readTaskRecords(dir, { taskCount, usageOf: async () => undefined, endedAt: 90_000 })

test('times and figures of all tries add up, and the last exit code counts', async () => {
  await put('1/begin.0', '', 10_000)
  await put('1/code.0', '1\n', 12_000)
  await put('1/usage.0', '0.50 0.25 2000\n')
  await put('1/begin.1', '', 13_000)
  await put('1/code.1', '137\n', 13_500)
  await put('1/usage.1', '0.10 0.00 1000\n')
  await put('1/image.status', 'completed sha256:abc 7\n')
  assert.deepEqual(await read(2), [
    {
      exitCode: -9,
      retries: 1,
      wallMs: 2500,
      cpuMs: 850,
      maxRssBytes: 2_048_000,
      imagePullStatus: 'completed',
      imageDigest: 'sha256:abc',
      imagePullMs: 7,
    },
  ])
})

test('a task that was cut off has no exit code, and ran until the attempt ended', async () => {
  await put('1/begin.0', '', 40_000)
  assert.deepEqual(await read(1), [{ exitCode: null, retries: 0, wallMs: 50_000 }])
})

test('a task whose image could not be had has only the facts of the image', async () => {
  await put('1/image.status', 'failed\n')
  assert.deepEqual(await read(1), [{ imagePullStatus: 'failed' }])
})

test('of a usage file only a last line of the right form is believed, however long the file is', async () => {
  await put('1/begin.0', '', 1000)
  await put('1/code.0', '0\n', 2000)
  await put(
    '1/usage.0',
    `${'9.9 9.9 999999999\n'.repeat(10_000)}Command terminated by signal 9\n0.02 0.01 100\n`,
  )
  assert.deepEqual([(await read(1))[0]?.cpuMs, (await read(1))[0]?.maxRssBytes], [30, 102_400])
  await put('1/usage.0', 'nonsense')
  assert.equal((await read(1))[0]?.cpuMs, undefined)
})

test('exit codes above 128 are signals, as far as there are signals', () => {
  assert.deepEqual(
    [0, 1, 128, 129, 137, 143, 192, 193, 255].map(signedExitCode),
    [0, 1, 128, -1, -9, -15, -64, 193, 255],
  )
})
