// Secrets that the server makes for itself and keeps in its data directory: keys for signing, one file each.

import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makePrivate } from './private-file.ts'

/** Reads 32 secret bytes by name, making them at the first time. */
export async function readSecret(dataDir: string, name: string): Promise<Uint8Array> {
  if (!/^[a-z0-9][a-z0-9-]{0,60}$/.test(name))
    throw new Error(`A secret cannot be called ${JSON.stringify(name)}`)
  const file = join(dataDir, 'secrets', name)
  await makePrivate(file, randomBytes(32).toString('hex') + '\n')
  const text = (await readFile(file, 'utf8')).trim()
  if (!/^[0-9a-f]{32,}$/i.test(text))
    throw new Error(`The secret in ${file} is not written in hexadecimal digits`)
  return Buffer.from(text, 'hex')
}
