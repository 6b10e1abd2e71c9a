// People who log in with a name and a password, as files in DIR/users written by `user add`: one each.

import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { roles } from '../../core/principal.ts'
import { isErrno, readIfThere, writePrivate } from './private-file.ts'
import { hashOf } from './token-files.ts'

const userRecord = z.strictObject({
  name: z.string(),
  passwordHash: z.string(),
  role: z.enum(roles),
  groups: z.array(z.string()),
  email: z.string().optional(),
})
export type UserRecord = z.infer<typeof userRecord>

/** Where the users of a data directory are kept. */
export function usersFolder(dataDir: string): string {
  return join(dataDir, 'users')
}

/** Adds a user, or replaces the one of that name. */
export async function saveUser(dataDir: string, user: UserRecord): Promise<void> {
  await writePrivate(fileOf(dataDir, user.name), JSON.stringify(user))
}

/** A user's record; undefined when there is no such user. */
export async function readUser(dataDir: string, name: string): Promise<UserRecord | undefined> {
  const text = await readIfThere(fileOf(dataDir, name))
  if (text === undefined) return undefined
  return userRecord.parse(JSON.parse(text))
}

/** All users, by name. */
export async function listUsers(dataDir: string): Promise<UserRecord[]> {
  const users: UserRecord[] = []
  for (const file of await filesIn(usersFolder(dataDir))) {
    const text = await readIfThere(join(usersFolder(dataDir), file))
    if (text !== undefined) users.push(userRecord.parse(JSON.parse(text)))
  }
  return users.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Says whether there was such a user. */
export async function removeUser(dataDir: string, name: string): Promise<boolean> {
  if ((await readUser(dataDir, name)) === undefined) return false
  await rm(fileOf(dataDir, name), { force: true })
  return true
}

// Named by the hash of the name: any name will do, also one with a slash.
function fileOf(dataDir: string, name: string): string {
  return join(usersFolder(dataDir), `${hashOf(name)}.json`)
}

async function filesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter(name => /^[0-9a-f]{64}\.json$/.test(name))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}
