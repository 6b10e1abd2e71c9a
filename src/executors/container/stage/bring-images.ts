// Images that no registry has: uploaded archives, archives on the web, and files on mounted volumes. They are imported
// once, by their content, and the tasks then name what came of it.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Mount } from '../driver.ts'
import { ImageMissing, storedName } from '../image-missing.ts'
import { findImage, type ImageStore, importImage } from '../images/index.ts'
import type { ContainerSpec } from '../spec.ts'
import type { StageTools } from './stage.ts'

/** What bringing images needs. */
export interface ImageTools extends StageTools {
  readonly images: ImageStore
  /** The volumes that the job sees: a path below one of them may be an image. */
  readonly volumes: readonly Mount[]
}

/** The spec, its tasks naming imported images. */
export async function bringImages(spec: ContainerSpec, tools: ImageTools): Promise<ContainerSpec> {
  const isFile = ({ image, imageBlob }: ContainerSpec['tasks'][number]) =>
    imageBlob != null || isWebUrl(image) || image.startsWith('/')
  if (!spec.tasks.some(isFile)) return spec
  const names = new Map<string, string>()
  for (const task of spec.tasks) {
    if (names.has(task.image) || !isFile(task)) continue
    try {
      names.set(task.image, await bringOne(task.image, task.imageBlob ?? undefined, tools))
    } catch (error) {
      throw new ImageMissing(`the image ${task.image} could not be had: ${(error as Error).message}`)
    }
  }
  return { ...spec, tasks: spec.tasks.map(task => ({ ...task, image: names.get(task.image) ?? task.image })) }
}

async function bringOne(image: string, hash: string | undefined, tools: ImageTools): Promise<string> {
  const { blobs, openUrl, images } = tools
  if (hash !== undefined) return importFile(images, blobs.path(hash), hash)
  if (image.startsWith('/')) {
    const file = await fileOnVolume(image, tools.volumes)
    return importFile(images, file, await hashOf(file))
  }
  const answer = await openUrl(image)
  if (answer.statusCode !== 200) {
    answer.destroy()
    throw new Error(`it was answered with ${answer.statusCode}`)
  }
  const blob = await blobs.write(answer, { limitBytes: images.limits.maxArchiveBytes })
  const release = blobs.keep(blob.hash)
  try {
    return await importFile(images, blobs.path(blob.hash), blob.hash)
  } finally {
    // Nothing names the archive any more: the next sweep takes it.
    release()
  }
}

/** Links on a volume are its users' work: they may not lead out of it. */
async function fileOnVolume(path: string, volumes: readonly Mount[]): Promise<string> {
  for (const { from, to } of volumes) {
    if (!path.startsWith(`${to}/`)) continue
    const file = await realpath(join(from, path.slice(to.length))).catch(() => undefined)
    if (file === undefined || !(await stat(file)).isFile()) throw new Error('there is no such file')
    if (!file.startsWith(`${from}/`)) throw new Error('it leads out of its volume')
    return file
  }
  throw new Error('it is on no storage that the job mounts')
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}

async function importFile(images: ImageStore, file: string, hash: string): Promise<string> {
  const name = storedName(hash)
  if ((await findImage(images, name)) === undefined) await importImage(images, { file, name })
  return name
}

function isWebUrl(image: string): boolean {
  return /^https?:\/\//i.test(image)
}
