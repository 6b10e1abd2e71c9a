// After the last task: the declared outputs become blobs. Everything that is there is kept, also when something else is
// missing: what a failed job did bring is what people look at.

import type { OutputDraft } from '../../../core/job.ts'
import { refuse } from '../../../core/refusal.ts'
import type { Blobs } from '../../../store/blobs.ts'
import { firstMatch, isPattern } from './first-match.ts'
import { type InsideRoot, openInside } from './inside-path.ts'
import { type PackBudget, packTree } from './pack-tree.ts'
import { StageFault } from './stage-fault.ts'
import type { CollectItem } from './stage-spec.ts'

export interface TakenOut {
  readonly outputs: readonly OutputDraft[]
  readonly ms: number
  /** The first thing that went wrong. */
  readonly fault?: StageFault
}

interface TakeOutTools {
  readonly root: InsideRoot
  readonly blobs: Blobs
  /** How much disk the job had. */
  readonly bytesMax: number
}

/** Collects the outputs of a job. */
export async function takeOut(
  items: readonly CollectItem[],
  { root, blobs, bytesMax }: TakeOutTools,
): Promise<TakenOut> {
  const begunAt = performance.now()
  // By length: the job's disk was measured by what it takes, and a file with holes may be longer than any disk. Twice,
  // since a file may be declared by itself and in its directory.
  const budget = { bytes: 2 * bytesMax }
  const outputs: OutputDraft[] = []
  let fault: StageFault | undefined
  for (const item of items) {
    const before = budget.bytes
    try {
      outputs.push(await takeOne(item, { root, blobs, budget }))
    } catch (error) {
      budget.bytes = before
      fault ??=
        error instanceof StageFault
          ? error
          : new StageFault(
              'stage-out',
              'upload',
              `${item.path} could not be kept: ${(error as Error).message}`,
            )
    }
  }
  const ms = Math.max(1, Math.round(performance.now() - begunAt))
  return { outputs, ms, ...(fault === undefined ? {} : { fault }) }
}

async function takeOne(
  { output, path, as }: CollectItem,
  { root, blobs, budget }: { root: InsideRoot; blobs: Blobs; budget: PackBudget },
): Promise<OutputDraft> {
  const found = isPattern(path) ? ((await firstMatch(root, path)) ?? path) : path
  if (as === 'tgz') {
    const handle = await openInside(root, found)
    const isDirectory = (await handle?.stat())?.isDirectory() ?? false
    await handle?.close()
    const packed = isDirectory ? await packTree(root, found, budget) : undefined
    if (packed === undefined) throw new StageFault('stage-out', 'pack', `there is no directory ${path}`)
    return { name: output, blob: { ...(await blobs.write(packed)), mediaType: 'application/gzip' } }
  }
  const handle = await openInside(root, found)
  const info = await handle?.stat()
  if (handle === undefined || !info?.isFile()) {
    await handle?.close()
    throw new StageFault('stage-out', 'missing', `there is no file ${path}`)
  }
  if (info.size > budget.bytes) {
    await handle.close()
    refuse('too-large', 'It is more than the job may hold')
  }
  budget.bytes -= info.size
  const blob = await blobs.write(handle.createReadStream(), { limitBytes: info.size })
  return { name: output, blob: { ...blob, mediaType: 'application/octet-stream' } }
}
