// The users of the configuration file, made ready for logging in.

import { readFile } from 'node:fs/promises'
import { hashPassword, isPasswordHash } from '../http/auth/passwords.ts'
import type { UserRecord } from '../http/auth/user-files.ts'
import { SettingsError } from './settings/read-settings.ts'
import type { Settings } from './settings/schema.ts'

/** Users by name. A password that is given in a file is hashed once, at start. */
export async function configuredUsers(settings: Settings): Promise<Map<string, UserRecord>> {
  const users = new Map<string, UserRecord>()
  for (const [name, { passwordHash, passwordFile, role, groups, email }] of Object.entries(
    settings.auth.users,
  )) {
    if (name === '' || name.includes(':'))
      throw new SettingsError([`auth.users: a user cannot be called "${name}"`])
    if (passwordHash !== undefined && !isPasswordHash(passwordHash)) {
      throw new SettingsError([
        `auth.users.${name}.passwordHash is not one that \`switchyard user hash\` printed`,
      ])
    }
    const hash = passwordHash ?? (await hashPassword(await readPassword(name, passwordFile!)))
    users.set(name, { name, passwordHash: hash, role, groups, ...(email !== undefined ? { email } : {}) })
  }
  return users
}

async function readPassword(name: string, file: string): Promise<string> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new SettingsError([`auth.users.${name}.passwordFile cannot be read: ${(error as Error).message}`])
  }
  const password = text.replace(/\r?\n$/, '')
  if (password === '') throw new SettingsError([`auth.users.${name}.passwordFile holds no password`])
  return password
}
