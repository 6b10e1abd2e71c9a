// DIR/server.json: how commands on the same machine find the running server, and a key that lets them in. Written
// for the owner only when the server answers, removed when it stops; the key is good for this run only.

import { rm } from 'node:fs/promises'
import { z } from 'zod'
import { readIfThere, writePrivate } from '../http/auth/private-file.ts'
import type { DataDir } from './data-dir.ts'

const content = z.object({
  url: z.string(),
  pid: z.number(),
  /** An admin token of this run. */
  token: z.string(),
  startedAt: z.number(),
  /** File with the certificate that it uses. */
  certificate: z.string().optional(),
})
export type ServerFile = z.infer<typeof content>

/** Leaves word of a server that is up. */
export async function writeServerFile(dir: DataDir, file: ServerFile): Promise<void> {
  await writePrivate(dir.serverFile, JSON.stringify(file))
}

/** What the file says; undefined when there is none, or its process is gone. */
export async function readServerFile(dir: DataDir): Promise<ServerFile | undefined> {
  const text = await readIfThere(dir.serverFile)
  if (text === undefined) return undefined
  const read = content.safeParse(parse(text))
  return read.success && isAlive(read.data.pid) ? read.data : undefined
}

/** The server is down; there may be no such file. */
export async function removeServerFile(dir: DataDir): Promise<void> {
  await rm(dir.serverFile, { force: true })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // Not ours: as good as absent.
  }
}
