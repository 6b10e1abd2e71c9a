import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { makeBackup, manifestFile, restoreBackup } from './backup.ts'
import { dataDirAt } from './data-dir.ts'

async function setup() {
  const folder = await mkdtemp(join(tmpdir(), 'backup-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const data = join(folder, 'data')
  const script = join(data, 'dialects', 'ecflow', 'home', 'task.ecf')
  await mkdir(join(script, '..'), { recursive: true })
  await writeFile(script, 'as it was\n')
  const target = join(folder, 'backups', 'monday')
  const back = (during: (draft: string) => Promise<void> = async () => {}) =>
    makeBackup({
      store: {
        async backup(draft) {
          await writeFile(join(draft, 'yard.db'), 'rows')
          await during(draft)
        },
      },
      dir: dataDirAt(data),
      target,
      images: false,
      now: Date.now,
    })
  return { folder, script, target, back }
}

const isThere = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )

test('what is changed in place after a backup is in the backup as it was', async () => {
  const { script, target, back } = await setup()
  await back()
  await appendFile(script, 'edited\n')
  const kept = join(target, 'dialects', 'ecflow', 'home', 'task.ecf')
  expect(await readFile(kept, 'utf8')).toBe('as it was\n')
})

test('a backup that is killed leaves nothing under its name, and can be made again', async () => {
  const { target, back } = await setup()
  let seen: boolean | undefined
  await back(async () => {
    seen = await isThere(target)
  })
  expect(seen).toBe(false)
  const names = await readdir(target)
  expect(names).toEqual(expect.arrayContaining([manifestFile, 'yard.db', 'dialects']))
  expect(names.filter(name => name.startsWith('.'))).toEqual([])
})

test('one that fails leaves nothing at all', async () => {
  const { folder, back } = await setup()
  await expect(
    back(async () => {
      throw new Error('no')
    }),
  ).rejects.toThrow('no')
  expect(await readdir(join(folder, 'backups'))).toEqual([])
})

test('a folder that is there and empty is filled, what makes it whole last', async () => {
  const { folder, target, back } = await setup()
  await mkdir(target, { recursive: true })
  await back()
  expect(await readdir(target)).toContain(manifestFile)
  const restored = join(folder, 'restored')
  await mkdir(restored)
  await restoreBackup(target, dataDirAt(restored))
  expect(await readFile(join(restored, 'yard.db'), 'utf8')).toBe('rows')
  await expect(restoreBackup(target, dataDirAt(restored))).rejects.toThrow('nothing is overwritten')
})
