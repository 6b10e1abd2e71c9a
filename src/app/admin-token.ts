// The admin token: the operator's own where one was given, else a random one in the data directory.

import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { adminTokenFile } from '../http/auth/keyring.ts'
import { makePrivate } from '../http/auth/private-file.ts'
import { tokenPrefix } from '../http/auth/token-files.ts'
import type { Settings } from './settings/schema.ts'

const tokenLengthMin = 16

/** The token of SWITCHYARD_ADMIN_TOKEN or auth.adminTokenFile; undefined when neither is set. */
export async function readAdminToken(
  settings: Settings,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  const file = settings.auth.adminTokenFile
  const given =
    env['SWITCHYARD_ADMIN_TOKEN'] || (file === undefined ? undefined : (await readFile(file, 'utf8')).trim())
  if (given === undefined || given === '') return undefined
  if (!/^[\x21-\x7e]+$/.test(given))
    throw new Error('The admin token may not hold blanks or characters beyond ASCII')
  return given
}

/** Whether a token given by hand is short enough to be guessed. */
export function isWeakToken(token: string): boolean {
  return token.length < tokenLengthMin
}

/** Makes DIR/admin-token where it is missing. Says where it is, and whether it is new. */
export async function makeAdminToken(dataDir: string): Promise<{ file: string; isNew: boolean }> {
  const file = join(dataDir, adminTokenFile)
  const isNew = await makePrivate(file, `${tokenPrefix}${randomBytes(32).toString('base64url')}\n`)
  return { file, isNew }
}
