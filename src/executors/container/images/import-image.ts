// Importing an image file: read, check, unpack beside the store, sync, and move into place in one rename.
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Archive, openArchive } from './archive.ts'
import { digestOf } from './digest.ts'
import { syncTree, writeWhole } from './durable-file.ts'
import type { ImageConfig } from './image-config.ts'
import { ImageError } from './image-error.ts'
import { canonicalName } from './image-name.ts'
import {
  type Image,
  type ImageRecord,
  type ImageStore,
  nameImage,
  placeRoot,
  readImage,
  sweepImages,
} from './image-store.ts'
import { findOwner } from './image-user.ts'
import { openIncoming } from './incoming.ts'
import { unpackLayer } from './layer.ts'
import { openBudget } from './limits.ts'
import { type ImageFormat, type ImagePlan, readManifest } from './manifest.ts'
import { openRootWriter } from './root-writer.ts'
import { readSingularity } from './singularity.ts'

/** What to import, and how. */
export interface ImportRequest {
  /**
   * An OCI layout directory; a tar (plain, gzip or zstd) of an OCI layout, a `docker save`, or a root; or a Singularity
   * image (SIF, or a bare SquashFS).
   */
  readonly file: string
  /** NAME[:TAG] to give it; without one, the names in the file. */
  readonly name?: string | undefined
  /** Overrides the guess by content. */
  readonly format?: ImageFormat | undefined
  /** Which image of a file that holds several. */
  readonly pick?: string | undefined
  /** What to run and how, over what the file says; a plain root file system says nothing. */
  readonly config?: Partial<ImageConfig> | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: ImportProgress) => void) | undefined
}

/** How far an import is, in bytes of the stored layers. */
export interface ImportProgress {
  readonly doneBytes: number
  readonly totalBytes: number
}

/** What an import made. */
export interface Imported {
  readonly image: Image
  readonly names: readonly string[]
  /** True when the very same image was there already, and only names were added. */
  readonly wasThere: boolean
}

/** Mount points every root gets, because a read-only root cannot get them later. */
const MOUNT_POINTS = ['dev', 'proc', 'sys', 'tmp', 'mnt', 'home/user']

/** Imports an image. Refused or interrupted, it leaves nothing behind. */
export async function importImage(store: ImageStore, request: ImportRequest): Promise<Imported> {
  const wanted = request.name === undefined ? undefined : canonicalName(request.name)
  await sweepImages(store)
  const workDir = await openIncoming(join(store.dir, 'incoming'))
  let archive: Archive | undefined
  try {
    archive = await openArchive(request.file, { workDir, limits: store.limits, ...signalOf(request) })
    const plan = await readManifest(archive, {
      limits: store.limits,
      format: request.format,
      pick: request.pick,
    })
    const names = wanted === undefined ? plan.names.map(canonicalName) : [wanted]
    if (names.length === 0) throw new ImageError('name', 'the file gives the image no name: say one')
    return await placeImage(store, { request, plan, names, workDir })
  } finally {
    await archive?.close()
    await rm(workDir, { recursive: true, force: true })
  }
}

interface Placing {
  readonly request: ImportRequest
  readonly plan: ImagePlan
  readonly names: readonly string[]
  readonly workDir: string
}

async function placeImage(store: ImageStore, placing: Placing): Promise<Imported> {
  const { plan, request } = placing
  const known = plan.id === undefined ? undefined : identityOf(plan, request, plan.document.diffIds)
  for (let tries = 0; ; tries++) {
    let image = known === undefined ? undefined : await readImage(store, known)
    let wasThere = image !== undefined
    if (image === undefined) {
      const folder = join(placing.workDir, `image${tries}`)
      const record = await unpackImage(store, { ...placing, folder })
      wasThere = !(await placeRoot(store, folder, record.digest))
      image = await readImage(store, record.digest)
    }
    if (image !== undefined) {
      for (const name of placing.names) await nameImage(store, name, image.digest)
      // A removal may have moved the root away before our names were there: then it is unpacked again.
      if ((await readImage(store, image.digest)) !== undefined)
        return { image, names: placing.names, wasThere }
    }
    if (tries === 2) throw new ImageError('in-use', 'the image is being removed at the same time')
  }
}

/**
 * What an image is known by: the digest of its configuration, which covers the layers. A plain root, or an image
 * whose configuration the request changes, gets one of the same kind made of what will be kept.
 */
function identityOf(plan: ImagePlan, request: ImportRequest, diffIds: readonly string[]): string {
  if (plan.id?.startsWith('sha256:') && request.config === undefined) return plan.id
  return digestOf(Buffer.from(JSON.stringify({ config: configOf(plan, request), diffIds })))
}

function configOf(plan: ImagePlan, request: ImportRequest): ImageRecord['config'] {
  const { entrypoint, cmd, env, workingDir, user } = { ...plan.document.config, ...request.config }
  return { entrypoint: [...entrypoint], cmd: [...cmd], env: [...env], workingDir, user }
}

async function unpackImage(store: ImageStore, placing: Placing & { folder: string }): Promise<ImageRecord> {
  const { plan, request, folder } = placing
  const rootDir = join(folder, 'rootfs')
  await mkdir(rootDir, { recursive: true, mode: 0o700 })
  const budget = openBudget(store.limits)
  const writer = openRootWriter(rootDir, {
    budget,
    keepOwners: process.getuid?.() === 0,
    ...signalOf(request),
  })
  const totalBytes = plan.layers.reduce((sum, layer) => sum + layer.blob.sizeBytes, 0)
  let doneBytes = 0
  const onBytes = (count: number) => {
    doneBytes += count
    request.onProgress?.({ doneBytes, totalBytes })
  }
  const diffIds: string[] = []
  for (const layer of plan.layers) {
    diffIds.push(await unpackLayer(layer, { writer, budget, signal: request.signal, onBytes }))
  }
  for (const path of MOUNT_POINTS) await writer.ensureDir(path)
  await writer.finish()
  const singularity = plan.format === 'sif' ? await readSingularity(rootDir) : undefined
  const config = { ...configOf(plan, request), ...(request.config === undefined ? singularity?.config : {}) }
  const record: ImageRecord = {
    digest: identityOf(plan, request, diffIds),
    manifestDigest: plan.manifestDigest ?? null,
    format: plan.format,
    architecture: plan.document.architecture,
    launcher: [...(singularity?.launcher ?? [])],
    config,
    owner: await findOwner(rootDir, config.user),
    layerCount: plan.layers.length,
    fileCount: writer.counts.fileCount,
    sizeBytes: writer.counts.fileBytes,
    skippedCount: writer.counts.skippedCount,
    importedAt: store.now(),
  }
  await writeWhole(join(folder, 'image.json'), JSON.stringify(record))
  await syncTree(folder)
  return record
}

function signalOf(request: ImportRequest): { signal?: AbortSignal } {
  return request.signal === undefined ? {} : { signal: request.signal }
}
