// Images that no registry has: uploaded archives, and archives on the web. They are imported once, by their content, and
// the tasks then name what came of it.

import { ImageMissing } from '../image-missing.ts'
import { findImage, type ImageStore, importImage } from '../images/index.ts'
import type { ContainerSpec } from '../spec.ts'
import type { StageTools } from './stage.ts'

/** The spec, its tasks naming imported images. */
export async function bringImages(
  spec: ContainerSpec,
  tools: StageTools & { images: ImageStore },
): Promise<ContainerSpec> {
  if (!spec.tasks.some(task => task.imageBlob != null || isWebUrl(task.image))) return spec
  const names = new Map<string, string>()
  for (const { image, imageBlob } of spec.tasks) {
    if (names.has(image) || (imageBlob == null && !isWebUrl(image))) continue
    try {
      names.set(image, await bringOne(image, imageBlob ?? undefined, tools))
    } catch (error) {
      throw new ImageMissing(`the image ${image} could not be had: ${(error as Error).message}`)
    }
  }
  return { ...spec, tasks: spec.tasks.map(task => ({ ...task, image: names.get(task.image) ?? task.image })) }
}

async function bringOne(
  image: string,
  hash: string | undefined,
  { blobs, openUrl, images }: StageTools & { images: ImageStore },
): Promise<string> {
  if (hash !== undefined) return importFile(images, blobs.path(hash), hash)
  const answer = await openUrl(image)
  if (answer.statusCode !== 200) {
    answer.destroy()
    throw new Error(`it was answered with ${answer.statusCode}`)
  }
  const blob = await blobs.write(answer)
  const release = blobs.keep(blob.hash)
  try {
    return await importFile(images, blobs.path(blob.hash), blob.hash)
  } finally {
    // Nothing names the archive any more: the next sweep takes it.
    release()
  }
}

async function importFile(images: ImageStore, file: string, hash: string): Promise<string> {
  const name = `stored/${hash}`
  if ((await findImage(images, name)) === undefined) await importImage(images, { file, name })
  return name
}

function isWebUrl(image: string): boolean {
  return /^https?:\/\//i.test(image)
}
