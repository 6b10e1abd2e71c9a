// TLS from a certificate and a key file; both are read again when the server is told to (SIGHUP), without a restart.

import { readFile } from 'node:fs/promises'
import { createSecureContext, type SecureContextOptions } from 'node:tls'

export interface TlsFiles {
  readonly cert: string
  readonly key: string
}

/** Reads and tries a certificate and its key; rejects with a sentence that names the file. */
export async function readTls(files: TlsFiles): Promise<SecureContextOptions> {
  const [cert, key] = await Promise.all([read(files.cert, 'certificate'), read(files.key, 'key')])
  const options: SecureContextOptions = { cert, key, minVersion: 'TLSv1.2' }
  try {
    createSecureContext(options)
  } catch (error) {
    throw new Error(
      `The TLS certificate ${files.cert} and key ${files.key} do not work: ${(error as Error).message}`,
    )
  }
  return options
}

async function read(file: string, what: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    throw new Error(`Cannot read the TLS ${what} ${file}: ${(error as Error).message}`)
  }
}
