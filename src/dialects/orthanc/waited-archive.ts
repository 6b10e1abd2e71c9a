// Archives that a client waits for. They are jobs like all others; the thread that makes one hands its bytes over
// through a socket that only this request knows, so that nothing is kept and a slow client slows the making.

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import type { Job } from '../../core/job.ts'
import type { Answer, Call } from './call.ts'
import { codes, fail, OrthancError } from './errors.ts'
import type { House } from './house.ts'
import { errorCode } from './words.ts'

const zipType = 'application/zip'

/** A folder of this process for sockets; their paths may have little more than a hundred characters. */
export class SocketFolder {
  #path: string | undefined

  next(): string {
    this.#path ??= mkdtempSync(join(tmpdir(), 'switchyard-'))
    return join(this.#path, randomBytes(12).toString('base64url'))
  }

  remove(): void {
    if (this.#path !== undefined) rmSync(this.#path, { recursive: true, force: true })
    this.#path = undefined
  }
}

/** Submits the job, and answers with the archive while it is being made. */
export async function sendStreamed(
  house: House,
  call: Call,
  fileName: string,
  submit: (socketPath: string) => Promise<Job>,
): Promise<Answer> {
  const path = house.sockets.next()
  const { server, connected } = await listen(path)
  const gone = new AbortController()
  call.reply.raw.once('close', () => gone.abort())
  const job = await submit(path).catch(error => {
    server.close()
    throw error
  })
  const { engine } = house.kit
  const cancel = (): void => {
    // The client has gone: what is not made yet need not be made. It may have ended; then there is nothing to do.
    engine
      .write(tx => tx.cancel(job.n))
      .catch(error => house.kit.log.debug({ err: error }, 'a cancel was refused'))
  }
  gone.signal.addEventListener('abort', cancel, { once: true })
  const ended = engine.settled(job.n, { signal: gone.signal })
  // Whoever needs the end hears of it below; a client that left needs nothing.
  ended.catch(() => {}).finally(() => house.plans.forget(path))
  try {
    const socket = await Promise.race([connected, ended.then(() => undefined)])
    if (!socket) throw failureOf(await ended)
    const body = new PassThrough({ highWaterMark: 1024 * 1024 })
    pass(socket, body, ended)
    body.once('close', () => gone.signal.removeEventListener('abort', cancel))
    gone.signal.addEventListener('abort', () => socket.destroy(), { once: true })
    call.reply.header('connection', 'close')
    return { stream: body, type: zipType, headers: { 'content-disposition': `filename="${fileName}"` } }
  } finally {
    server.close()
  }
}

/** Bytes that end without the job's success are not the whole archive: the answer is broken off, not ended. */
function pass(socket: Socket, body: PassThrough, ended: Promise<Job | undefined>): void {
  socket.once('error', error => body.destroy(error))
  body.once('close', () => socket.destroy())
  socket.pipe(body, { end: false })
  socket.once('end', () => {
    ended.then(
      job => {
        if (job?.state === 'succeeded') body.end()
        else body.destroy(new Error(job?.message ?? 'the archive was not finished'))
      },
      error => body.destroy(error instanceof Error ? error : new Error(String(error))),
    )
  })
}

function listen(path: string): Promise<{ server: Server; connected: Promise<Socket> }> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true })
    server.maxConnections = 1
    const connected = new Promise<Socket>(take => server.once('connection', take))
    server.once('error', reject)
    server.listen(path, () => resolve({ server, connected }))
  })
}

/** Waits for a job whose archive is kept, and answers with it; `SynchronousZipStream=false`. */
export async function sendWaitedFor(house: House, call: Call, job: Job, fileName: string): Promise<Answer> {
  const gone = new AbortController()
  call.reply.raw.once('close', () => gone.abort())
  const ended = await house.kit.engine.settled(job.n, { signal: gone.signal })
  const hash = ended?.detail?.['archiveHash']
  const sizeBytes = ended?.detail?.['archiveBytes']
  if (ended?.state !== 'succeeded' || typeof hash !== 'string' || typeof sizeBytes !== 'number')
    throw failureOf(ended)
  const letGo = house.kit.blobs.keep(hash)
  call.reply.raw.once('close', letGo)
  return {
    stream: house.kit.blobs.open(hash),
    type: zipType,
    sizeBytes,
    headers: { 'content-disposition': `filename="${fileName}"` },
  }
}

function failureOf(job: Job | undefined): OrthancError {
  if (!job) return fail(codes.internal, 'The job did not end')
  return new OrthancError(errorCode(job), job.message ?? undefined)
}
