// Puts a file into a place so that it is there whole or not at all, whatever happens in between. Repeating is harmless.

import { constants } from 'node:fs'
import { access, copyFile, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Copies a file beside its place, syncs it, and renames it into the place. */
export async function copyDurably(source: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true })
  const part = `${target}.part`
  await copyFile(source, part, constants.COPYFILE_FICLONE)
  const file = await open(part, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(part, target)
}

/** Moves a file; one that has been moved already stays as it is. Throws when it is in neither place. */
export async function moveFile(source: string, target: string): Promise<void> {
  if (source === target) return
  if (!(await isThere(source)) && (await isThere(target))) return
  await copyDurably(source, target)
  // The copy's name has to be on disk before the only other one goes.
  await syncFolder(dirname(target))
  await rm(source, { force: true })
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
