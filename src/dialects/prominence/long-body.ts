// The documents of submissions. Short ones are read as they come in. Long ones go to disk first, and are taken up one
// after another: however many come at once, and however slowly, only one of them is in memory.

import { open, readFile, rm } from 'node:fs/promises'
import type { FastifyRequest } from 'fastify'
import type { Json } from '../../core/json.ts'
import { refuse } from '../../core/refusal.ts'
import { readJson } from '../../http/json.ts'
import { bytesOf, type Call, readBody } from './call.ts'
import type { Parts } from './parts.ts'

const shortBytesMax = 1024 * 1024

/** Does something with the body as JSON, whatever its content type says. */
export async function withDocument<T>(
  { request }: Call,
  { kit, settings, serial }: Pick<Parts, 'kit' | 'settings' | 'serial'>,
  use: (document: Json) => Promise<T>,
): Promise<T> {
  const { bodyBytesMax } = settings
  const announced = Number(request.headers['content-length'] ?? Number.NaN)
  if (announced <= Math.min(shortBytesMax, bodyBytesMax))
    return use(parse(await readBody(request, bodyBytesMax)))
  if (announced > bodyBytesMax) refuseLength(bodyBytesMax)
  const file = await kit.blobs.scratchFile()
  try {
    await writeDown(request, file, bodyBytesMax)
    return await serial.run('long documents', async () => use(parse(await readFile(file))))
  } finally {
    await rm(file, { force: true })
  }
}

function parse(body: Buffer): Json {
  return body.length === 0
    ? refuse('bad-request', 'the request body is empty, and JSON was expected')
    : readJson(body)
}

async function writeDown(request: FastifyRequest, path: string, bytesMax: number): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    let size = 0
    for await (const chunk of bytesOf(request)) {
      size += chunk.length
      if (size > bytesMax) refuseLength(bytesMax)
      await file.writeFile(chunk)
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error
    refuse('unavailable', 'The server cannot store anything at the moment: its disk is full')
  } finally {
    await file.close()
  }
}

function refuseLength(bytesMax: number): never {
  refuse('too-large', `the request body is larger than ${bytesMax} bytes`)
}
