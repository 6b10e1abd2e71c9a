// What jobs print: the streams of all attempts of a job, one after another, from a byte offset.

import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { attemptIdOf } from '../../core/ids.ts'
import type { Job } from '../../core/job.ts'
import { refuse } from '../../core/refusal.ts'
import { type Call, idIn, sendText, serve } from './call.ts'
import { stepKey } from './draft.ts'
import { anyFlow, anyJob } from './listing.ts'
import type { Parts } from './parts.ts'
import { readInteger } from './query.ts'
import { nodesOf } from './resources.ts'

type StreamName = 'stdout' | 'stderr'

const readBytesMax = 1024 * 1024

/** Serves the streams of jobs, and of jobs of workflows by their names. */
export function streamRoutes(app: FastifyInstance, parts: Parts): void {
  for (const stream of ['stdout', 'stderr'] as const)
    serve(app, parts, `/jobs/:id(\\d+)/${stream}`, { GET: call => ofJob(call, parts, stream) })
  // Job names may have slashes in them, so the rest of the path is taken apart here.
  serve(app, parts, '/workflows/:id(\\d+)/*', { GET: call => ofWorkflow(call, parts) })
}

async function ofJob(call: Call, parts: Parts, stream: StreamName): Promise<unknown> {
  const job = await anyJob(parts, idIn(call.params))
  if (job === undefined) refuse('bad-field', 'Job does not exist')
  if (job.owner !== call.who.name) refuse('not-allowed', 'Not authorized to access this job')
  const node = readInteger(call.query.get('node') ?? '0', 'node')
  return answer(call, parts, { job, stream, node })
}

async function ofWorkflow(call: Call, parts: Parts): Promise<unknown> {
  const words = (call.params['*'] ?? '').split('/')
  const stream = words.pop()
  if (stream !== 'stdout' && stream !== 'stderr') refuse('not-found', 'Not found')
  const flow = await anyFlow(parts, idIn(call.params))
  if (flow === undefined) refuse('bad-field', 'Workflow does not exist')
  if (flow.owner !== call.who.name) refuse('not-allowed', 'Not authorized to access this workflow')
  const said = call.query.get('node') ?? '0'
  // The client swaps its arguments for stderr: .../0[/I]/stderr?node=JOB. contracts/prominence.md §4.5.
  const isSwapped = !/^[+-]?\d+$/.test(said)
  const place = isSwapped ? [said, ...words.slice(1)] : words
  const n = await jobOfPlace(parts, flow.n, place)
  const job = n === 0 ? undefined : await anyJob(parts, n)
  if (job === undefined) refuse('bad-field', `${stream} does not exist`)
  return answer(call, parts, { job, stream, node: isSwapped ? 0 : readInteger(said, 'node') })
}

/** The newest job of `JOB` or `JOB/INDEX` in a workflow; 0 when there is none yet. */
async function jobOfPlace({ kit }: Parts, flow: number, place: readonly string[]): Promise<number> {
  const whole = stepKey(place.join('/'))
  const instance = `${stepKey(place.slice(0, -1).join('/'))}/${place.at(-1)}`
  const find = (key: string) => kit.engine.node(flow, key)
  // A job of a factory without an index: the client offers it, and means the first instance.
  const found = (await find(whole)) ?? (await find(instance)) ?? (await find(`${whole}/0`))
  return found?.job ?? 0
}

async function answer(
  call: Call,
  parts: Parts,
  { job, stream, node }: { job: Job; stream: StreamName; node: number },
): Promise<unknown> {
  const offset = readInteger(call.query.get('offset') ?? '0', 'offset')
  const document = (await parts.specs.job(job))?.document
  const nodes = document === undefined ? 1 : nodesOf(document.resources, job)
  if (node < 0 || node >= nodes) refuse('bad-field', `${stream} does not exist`)
  const name = `${stream === 'stdout' ? 'out' : 'err'}${node === 0 ? '' : `.${node}`}`
  return sendPieces(call, readStream(parts, job, name, Math.max(0, offset)))
}

/** What fits one piece goes out with its length, more of it as it is read. */
async function sendPieces(call: Call, pieces: AsyncGenerator<Uint8Array>): Promise<unknown> {
  const first = await pieces.next()
  if (first.done || first.value.length < readBytesMax) {
    const second = first.done ? first : await pieces.next()
    if (second.done) return sendText(call, first.value ?? new Uint8Array())
    return sendText(call, Readable.from(chained([first.value as Uint8Array, second.value], pieces)))
  }
  return sendText(call, Readable.from(chained([first.value], pieces)))
}

async function* chained(
  held: readonly Uint8Array[],
  rest: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Buffer> {
  for (const piece of held) yield Buffer.from(piece)
  for await (const piece of rest) yield Buffer.from(piece)
}

/** A stream over all attempts, from an offset, up to where each attempt's ended when it was looked at. */
async function* readStream(
  { kit }: Parts,
  job: Job,
  stream: string,
  offset: number,
): AsyncGenerator<Uint8Array> {
  const executor = kit.engine.executors.get(job.executor)
  let skip = offset
  for (let attempt = 1; attempt <= job.attempts && executor !== undefined; attempt++) {
    const id = attemptIdOf(job.id, attempt)
    const first = await executor.read(id, stream, skip, readBytesMax)
    const end = first?.sizeBytes ?? 0
    if (first !== undefined && first.bytes.length > 0) yield first.bytes
    // One that is still written to would never end otherwise.
    for (let at = skip + (first?.bytes.length ?? 0); at < end; ) {
      const chunk = await executor.read(id, stream, at, Math.min(readBytesMax, end - at))
      if (chunk === undefined || chunk.bytes.length === 0) break
      yield chunk.bytes
      at += chunk.bytes.length
    }
    skip = Math.max(0, skip - end)
  }
}
