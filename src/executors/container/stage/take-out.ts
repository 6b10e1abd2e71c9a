// After the last task: the declared outputs become blobs. Everything that is there is kept, also when something else is
// missing: what a failed job did bring is what people look at.

import type { OutputDraft } from '../../../core/job.ts'
import type { Blobs } from '../../../store/blobs.ts'
import { firstMatch, isPattern } from './first-match.ts'
import { type InsideRoot, openInside } from './inside-path.ts'
import { packTree } from './pack-tree.ts'
import { StageFault } from './stage-fault.ts'
import type { CollectItem } from './stage-spec.ts'

export interface TakenOut {
  readonly outputs: readonly OutputDraft[]
  readonly ms: number
  /** The first thing that went wrong. */
  readonly fault?: StageFault
}

/** Collects the outputs of a job. */
export async function takeOut(
  items: readonly CollectItem[],
  { root, blobs }: { root: InsideRoot; blobs: Blobs },
): Promise<TakenOut> {
  const begunAt = performance.now()
  const outputs: OutputDraft[] = []
  let fault: StageFault | undefined
  for (const item of items) {
    try {
      outputs.push(await takeOne(item, { root, blobs }))
    } catch (error) {
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
  { root, blobs }: { root: InsideRoot; blobs: Blobs },
): Promise<OutputDraft> {
  const found = isPattern(path) ? ((await firstMatch(root, path)) ?? path) : path
  if (as === 'tgz') {
    const handle = await openInside(root, found)
    const isDirectory = (await handle?.stat())?.isDirectory() ?? false
    await handle?.close()
    const packed = isDirectory ? await packTree(root, found) : undefined
    if (packed === undefined) throw new StageFault('stage-out', 'pack', `there is no directory ${path}`)
    return { name: output, blob: { ...(await blobs.write(packed)), mediaType: 'application/gzip' } }
  }
  const handle = await openInside(root, found)
  if (handle === undefined || !(await handle.stat()).isFile()) {
    await handle?.close()
    throw new StageFault('stage-out', 'missing', `there is no file ${path}`)
  }
  const blob = await blobs.write(handle.createReadStream())
  return { name: output, blob: { ...blob, mediaType: 'application/octet-stream' } }
}
