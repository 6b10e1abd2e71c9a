// Bytes of jobs: their log streams, while they run and after, and their output files. Both with ranges.

import { Readable } from 'node:stream'
import { z } from 'zod'
import { attemptIdOf } from '../../../core/ids.ts'
import type { Job } from '../../../core/job.ts'
import { refuse } from '../../../core/refusal.ts'
import type { Executor } from '../../../executors/executor.ts'
import { sendJson } from '../../../http/json.ts'
import { sendBytes } from '../../../http/ranges.ts'
import type { Kit } from '../../dialect.ts'
import { type NativeRoute, route } from '../route.ts'
import { logQuery } from '../shapes.ts'
import { findJob } from '../visible.ts'

const rangeMeaning = 'One range of bytes, such as bytes=0-99 or bytes=-500'
/** How much of a log is read at a time. */
const chunkBytes = 256 * 1024

/** Routes of what jobs write: their streams and output files. */
export function streamRoutes(kit: Kit): NativeRoute[] {
  const { engine } = kit
  return [
    route({
      method: 'GET',
      path: '/jobs/:id/logs/:stream',
      id: 'getLog',
      summary:
        'A log stream (`out`, `err`) of its newest attempt, or of `attempt`. `offset` and `limit`, or a Range header, for a part.',
      right: 'read',
      query: logQuery,
      headers: { Range: rangeMeaning },
      answers: { 200: 'text/plain; charset=utf-8', 206: 'text/plain; charset=utf-8', 416: 'nothing' },
      handle: async call => {
        const job = await findJob(engine, call.principal, call.params['id']!)
        const { executor, id } = attemptOf(kit, job, call.query)
        const stream = call.params['stream']!
        const head = await executor.read(id, stream, 0, 0)
        if (head === undefined) refuse('not-found', `Job ${job.id} has no log stream ${stream.slice(0, 100)}`)
        const from = Math.min(call.query.offset ?? 0, head.sizeBytes)
        const to = Math.min(from + (call.query.limit ?? Number.MAX_SAFE_INTEGER), head.sizeBytes)
        // Where a reader goes on: what is there now, while more may come.
        call.reply.header('x-next-offset', to)
        sendBytes(call.request, call.reply, {
          sizeBytes: to - from,
          mediaType: 'text/plain; charset=utf-8',
          open: range => Readable.from(readLog({ executor, id, stream }, from + range.from, from + range.to)),
        })
        return undefined
      },
    }),
    route({
      method: 'GET',
      path: '/jobs/:id/outputs/:name',
      id: 'getOutput',
      summary: 'One result: a file with ranges and a validator, or a value as JSON.',
      right: 'read',
      headers: {
        Range: rangeMeaning,
        'If-None-Match': 'Validators of what the client has: 304 where the file is one of them',
        'If-Range': 'Gives the range only of a file with this validator, and else the whole of it',
      },
      answers: { 200: ['*/*', z.json()], 206: '*/*', 304: 'nothing', 416: 'nothing' },
      handle: async call => {
        const job = await findJob(engine, call.principal, call.params['id']!)
        const name = call.params['name']!
        const output = (await engine.history.outputs(job.n)).find(other => other.name === name)
        if (output === undefined) refuse('not-found', `Job ${job.id} has no output ${name.slice(0, 200)}`)
        const { blob } = output
        if (blob === undefined) {
          sendJson(call.reply, output.value ?? null)
          return undefined
        }
        if ((await kit.blobs.stat(blob.hash)) === undefined)
          refuse('not-found', `Output ${name} is not kept any more`)
        sendBytes(call.request, call.reply, {
          sizeBytes: blob.sizeBytes,
          mediaType: blob.mediaType ?? 'application/octet-stream',
          etag: `"${blob.hash}"`,
          open: range => kit.blobs.open(blob.hash, range),
        })
        return undefined
      },
    }),
  ]
}

function attemptOf(kit: Kit, job: Job, query: z.output<typeof logQuery>): { executor: Executor; id: string } {
  const number = query.attempt ?? job.attempts
  if (number < 1 || number > job.attempts) {
    refuse(
      'not-found',
      job.attempts === 0 ? `Job ${job.id} was never started` : `Job ${job.id} has ${job.attempts} attempts`,
    )
  }
  const executor = kit.engine.executors.get(job.executor)
  if (executor === undefined) refuse('not-found', `There is no executor called ${job.executor} here any more`)
  return { executor, id: attemptIdOf(job.id, number) }
}

/** The bytes of a stream between two offsets; ends early when the stream does. */
async function* readLog(
  log: { executor: Executor; id: string; stream: string },
  from: number,
  to: number,
): AsyncGenerator<Uint8Array> {
  for (let at = from; at < to; ) {
    const chunk = await log.executor.read(log.id, log.stream, at, Math.min(chunkBytes, to - at))
    if (chunk === undefined || chunk.bytes.length === 0) return
    yield chunk.bytes
    at += chunk.bytes.length
  }
}
