import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { DirectoryLock } from './directory-lock.ts'

test('a directory has one holder, who is named to the others', async () => {
  const directory = await setup()
  const lock = DirectoryLock.take(directory)
  expect(() => DirectoryLock.take(directory)).toThrow(`${directory} is in use by process ${process.pid} on `)
  lock.release()
  lock.release()
  DirectoryLock.take(directory).release()
})

test('a holder that is killed holds nothing any more, and a stale name of it does not matter', async () => {
  const directory = await setup()
  const child = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `${importing(directory)} DirectoryLock.take(directory); console.log('locked'); setInterval(() => {}, 1000)`,
  ])
  await once(child.stdout, 'data')
  expect(() => DirectoryLock.take(directory)).toThrow(`in use by process ${child.pid} on `)
  child.kill('SIGKILL')
  await once(child, 'exit')
  // The name that it left might by now be that of some other process: this one, say.
  await writeFile(
    join(directory, 'lock.json'),
    JSON.stringify({ pid: process.pid, host: 'here', since: 'now' }),
  )
  DirectoryLock.take(directory).release()
})

test('a holder that has not written its name yet is still a holder', async () => {
  const directory = await setup()
  const lock = DirectoryLock.take(directory)
  await rm(join(directory, 'lock.json'))
  expect(() => DirectoryLock.take(directory)).toThrow('in use by another process')
  lock.release()
})

test('a refused attempt of the holder itself does not loosen its lock for others', async () => {
  const directory = await setup()
  const lock = DirectoryLock.take(directory)
  expect(() => DirectoryLock.take(directory)).toThrow('in use')
  const child = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `${importing(directory)} DirectoryLock.take(directory)`,
  ])
  child.stderr.resume()
  const [code] = await once(child, 'exit')
  expect(code).toBe(1)
  lock.release()
})

function importing(directory: string): string {
  const module = new URL('./directory-lock.ts', import.meta.url).href
  return `const { DirectoryLock } = await import(${JSON.stringify(module)}); const directory = ${JSON.stringify(directory)};`
}

async function setup(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'directory-lock-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  return directory
}
