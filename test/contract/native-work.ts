// Work for the native API's tests: keeps a text as a file among the blobs, which no built-in function does.

import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Json } from '../../src/core/json.ts'
import type { WorkResult, WorkTools } from '../../src/core/work.ts'
import { keepFile } from '../../src/domains/dicom/archive/keep-file.ts'

/** Stores its input, a text, as the output `file`. */
export async function keep(input: Json, tools: WorkTools): Promise<WorkResult> {
  const bytes = Buffer.from(String(input))
  const path = join(tools.scratchDir, 'file')
  const file = await open(path, 'w')
  await file.writeFile(bytes)
  await file.sync()
  await file.close()
  const hash = createHash('sha256').update(bytes).digest('hex')
  await keepFile(tools.blobsDir, path, hash)
  return { outputs: [{ name: 'file', blob: { hash, sizeBytes: bytes.length, mediaType: 'text/x-kept' } }] }
}
