// The declared outputs of jobs: links to what the executor collected, or what the job put by itself.

import type { FastifyRequest } from 'fastify'
import type { Job } from '../../core/job.ts'
import { refuse } from '../../core/refusal.ts'
import { baseName } from './compile.ts'
import { everyRecord } from './every-record.ts'
import type { Grant } from './links.ts'
import { substitute } from './parameters.ts'
import type { Parts } from './parts.ts'
import type { ShownOutput } from './shapes.ts'
import type { ToldJob } from './spec.ts'
import { countedFor, countedOf, putOutputs } from './stored.ts'

const linkMs = 7 * 86_400_000

interface PutOutput {
  readonly name: string
  /** Whose quota it counts against. */
  readonly owner: string
  readonly hash: string
  readonly sizeBytes: number
}

/** The stored outputs of a job, by `outputFiles:<name>` and `outputDirs:<name>`. */
export async function shownOutputs(
  parts: Parts,
  { job, told, request }: { job: Job; told: ToldJob; request: FastifyRequest },
): Promise<Map<string, ShownOutput>> {
  const shown = new Map<string, ShownOutput>()
  const { outputFiles = [], outputDirs = [] } = told.document
  if (outputFiles.length + outputDirs.length === 0 || job.attempts === 0) return shown
  const stored = await storedOutputs(parts, job)
  const parameters = told.parameters ?? new Map<string, string>()
  for (const [member, names] of Object.entries({ outputFiles, outputDirs }))
    for (const name of names) {
      const isDir = member === 'outputDirs'
      const fileName = baseName(substitute(name, parameters)) + (isDir ? '.tgz' : '')
      const blob = stored.get(`${member}:${name}`) ?? stored.get(`put:${fileName}`)
      if (blob === undefined) continue
      const url = parts.links.make(
        parts.kit.publicUrl(request),
        { may: 'get', hash: blob.hash },
        { expiresAt: parts.kit.clock.now() + linkMs, fileName },
      )
      shown.set(`${member}:${name}`, { url, sizeBytes: blob.sizeBytes })
    }
  return shown
}

/** Streams what a running job puts by itself into a blob of its own. */
export async function putJobOutput(
  parts: Parts,
  { job: uuid, owner, name }: Extract<Grant, { may: 'put-output' }>,
  source: AsyncIterable<Uint8Array>,
): Promise<void> {
  const { kit, settings, stored } = parts
  const job = await kit.engine.job({ id: uuid })
  if (job === undefined || job.owner !== owner) refuse('not-found', 'Job does not exist')
  const id = `${uuid}/${name}`
  const findOld = () => kit.records.get(putOutputs, id)
  const room = await stored.room(owner, id, countedOf(await findOld()))
  const blob = await kit.blobs.write(source, { limitBytes: Math.min(settings.uploadBytesMax, room) })
  const release = kit.blobs.keep(blob.hash)
  try {
    await stored.change(owner, async () => {
      const record = await findOld()
      const old = record?.body as unknown as PutOutput | undefined
      return {
        more: countedFor(id, blob.sizeBytes) - countedOf(record),
        write(tx) {
          if (old !== undefined) tx.blob({ hash: old.hash, sizeBytes: old.sizeBytes, delta: -1 })
          tx.blob({ hash: blob.hash, sizeBytes: blob.sizeBytes, delta: 1 })
          const body = { name: baseName(name), owner, ...blob }
          tx.record({
            put: { collection: putOutputs, id, parent: uuid, body, index: [['owner', owner]] },
          })
        },
      }
    })
  } finally {
    release()
  }
}

async function storedOutputs(
  { kit }: Parts,
  job: Job,
): Promise<Map<string, { hash: string; sizeBytes: number }>> {
  await kit.engine.committed()
  const stored = new Map<string, { hash: string; sizeBytes: number }>()
  for await (const { body } of everyRecord(kit.records, { collection: putOutputs, parent: job.id })) {
    const { name, hash, sizeBytes } = body as unknown as PutOutput
    stored.set(`put:${name}`, { hash, sizeBytes })
  }
  for (const { name, blob } of await kit.engine.history.outputs(job.n))
    if (blob !== undefined) stored.set(name, blob)
  return stored
}
