// The images of one data directory: unpacked roots under their digest, and names that point to them. Every step is a
// whole-file write or a rename, so any number of processes may list, import, remove and use images at once.
//   images/roots/HEX/{image.json,rootfs/}   images/names/NAME:TAG.json   images/uses/HEX/HOLDER
//   images/incoming/…  imports at work, and roots on their way out
import { mkdir, readdir, readFile, rename, rm, rmdir, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { syncDir, writeWhole } from './durable-file.ts'
import { ImageError } from './image-error.ts'
import { canonicalName, nameFile } from './image-name.ts'
import { openIncoming, sweepIncoming } from './incoming.ts'
import { defaultLimits, type ImageLimits } from './limits.ts'
import { quote } from './tar-reader.ts'

/** An opened store. */
export interface ImageStore {
  /** The `images` folder of the data directory. */
  readonly dir: string
  readonly limits: ImageLimits
  now(): number
}

const imageShape = z.object({
  digest: z.string(),
  manifestDigest: z.string().nullable(),
  format: z.enum(['oci', 'docker', 'rootfs', 'sif']),
  architecture: z.string(),
  /** Comes before any command, also before one that leaves the entry point out. */
  launcher: z.array(z.string()).default([]),
  config: z.object({
    entrypoint: z.array(z.string()),
    cmd: z.array(z.string()),
    env: z.array(z.string()),
    workingDir: z.string(),
    user: z.string(),
  }),
  /** Whom `config.user` means by the image's own passwd and group files; null when they do not know it. */
  owner: z.object({ uid: z.number(), gid: z.number() }).nullable(),
  layerCount: z.number(),
  fileCount: z.number(),
  sizeBytes: z.number(),
  skippedCount: z.number(),
  importedAt: z.number(),
})

/** What is kept beside an unpacked root. */
export type ImageRecord = z.infer<typeof imageShape>

/** An image that can be run. */
export interface Image extends ImageRecord {
  /** The unpacked root; never written to. */
  readonly rootDir: string
}

/** An image with the names that point to it. */
export interface NamedImage extends Image {
  readonly names: readonly string[]
}

const nameShape = z.object({ name: z.string(), digest: z.string() })

/** Opens (and makes) the store of a data directory and clears what crashed imports and removals left. */
export async function openImageStore(options: {
  dataDir: string
  limits?: Partial<ImageLimits>
  now: () => number
}): Promise<ImageStore> {
  const dir = join(options.dataDir, 'images')
  for (const part of ['', 'roots', 'names', 'uses', 'incoming']) {
    await mkdir(join(dir, part), { recursive: true, mode: 0o700 })
  }
  const store: ImageStore = { dir, limits: { ...defaultLimits, ...options.limits }, now: options.now }
  await sweepImages(store)
  return store
}

/** The image a name or a digest means; undefined when the store has none. */
export async function findImage(store: ImageStore, reference: string): Promise<Image | undefined> {
  const digest = await findDigest(store, reference)
  return digest === undefined ? undefined : readImage(store, digest)
}

/** All images, by name; those without a name come last. */
export async function listImages(store: ImageStore): Promise<NamedImage[]> {
  const namesByDigest = new Map<string, string[]>()
  for (const { name, digest } of await readNames(store)) {
    const names = namesByDigest.get(digest)
    if (names === undefined) namesByDigest.set(digest, [name])
    else names.push(name)
  }
  const images: NamedImage[] = []
  for (const hex of await readdir(join(store.dir, 'roots'))) {
    const image = await readImage(store, `sha256:${hex}`)
    if (image !== undefined) images.push({ ...image, names: namesByDigest.get(image.digest)?.sort() ?? [] })
  }
  return images.sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1))
}

const sortKey = (image: NamedImage) =>
  `${image.names.length > 0 ? 0 : 1}${image.names[0] ?? ''} ${image.digest}`

/** Points a name to an image that is there. */
export async function nameImage(store: ImageStore, name: string, digest: string): Promise<void> {
  const canonical = canonicalName(name)
  await writeWhole(join(store.dir, 'names', nameFile(canonical)), JSON.stringify({ name: canonical, digest }))
}

/** What a removal did. */
export interface Removal {
  readonly name: string | undefined
  readonly digest: string
  /** False when other names still point to the image, and only this name went. */
  readonly isRootRemoved: boolean
}

/**
 * Removes a name, and the image with its last name. An image that an attempt holds is refused, unless `force` says
 * that the holders are known to be gone.
 */
export async function removeImage(
  store: ImageStore,
  reference: string,
  options: { force?: boolean } = {},
): Promise<Removal> {
  const digest = await findDigest(store, reference)
  if (digest === undefined) throw new ImageError('unknown', `there is no image ${quote(reference)}`)
  const all = (await readNames(store)).filter(each => each.digest === digest)
  const named = all.filter(each => each.name === nameIn(reference))
  // By its digest, all names go.
  const mine = named.length > 0 ? named : all
  const isLast = mine.length === all.length
  if (isLast && !options.force) await refuseHeld(store, reference, digest)
  for (const { name } of mine) await unlink(join(store.dir, 'names', nameFile(name))).catch(ignoreAbsent)
  await syncDir(join(store.dir, 'names'))
  const isRootRemoved = isLast && (await removeRoot(store, digest, options.force ?? false))
  return { name: mine[0]?.name, digest, isRootRemoved }
}

/** Keeps an image from being removed until `holder` lets it go. Refused when the image is gone. */
export async function holdImage(store: ImageStore, digest: string, holder: string): Promise<Image> {
  const dir = join(store.dir, 'uses', hexOf(digest))
  for (let tries = 0; ; tries++) {
    // The hold comes before the look at the root: removal moves the root before it looks for holds (removeRoot), so
    // whichever comes second sees the other.
    while (!(await noteHold(dir, holder)));
    const image = await readImage(store, digest)
    if (image !== undefined) return image
    await releaseImage(store, digest, holder)
    // A removal that finds us puts the root back: worth a second look.
    if (tries === 4) throw new ImageError('unknown', `the image ${digest} is not in the store any more`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

/** Whether the holder's file is there now: the last holder's release may take the folder away at any moment, even from mkdir. */
async function noteHold(dir: string, holder: string): Promise<boolean> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    await writeFile(join(dir, holderFile(holder)), '')
    return true
  } catch (error) {
    ignoreAbsent(error as NodeJS.ErrnoException)
    return false
  }
}

/** Lets an image go; letting go twice is no error. */
export async function releaseImage(store: ImageStore, digest: string, holder: string): Promise<void> {
  const dir = join(store.dir, 'uses', hexOf(digest))
  await unlink(join(dir, holderFile(holder))).catch(ignoreAbsent)
  await rmdir(dir).catch(() => undefined) // others still hold it, or it is gone already: both are fine
}

/** Who holds which image, so that an executor can let go for attempts that ended while it was away. */
export async function listHolds(store: ImageStore): Promise<{ digest: string; holder: string }[]> {
  const holds: { digest: string; holder: string }[] = []
  for (const hex of await readdir(join(store.dir, 'uses'))) {
    for (const holder of await holdersOf(store, `sha256:${hex}`))
      holds.push({ digest: `sha256:${hex}`, holder })
  }
  return holds
}

/** Whether the root of a digest is there. */
export async function readImage(store: ImageStore, digest: string): Promise<Image | undefined> {
  const dir = join(store.dir, 'roots', hexOf(digest))
  const text = await readFile(join(dir, 'image.json'), 'utf8').catch(ignoreAbsent)
  if (text === undefined) return undefined
  return { ...imageShape.parse(JSON.parse(text)), rootDir: join(dir, 'rootfs') }
}

/** Moves a finished root into place; false when another import was faster. */
export async function placeRoot(store: ImageStore, folder: string, digest: string): Promise<boolean> {
  try {
    await rename(folder, join(store.dir, 'roots', hexOf(digest)))
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false
    throw error
  }
  await syncDir(join(store.dir, 'roots'))
  return true
}

async function removeRoot(store: ImageStore, digest: string, isForced: boolean): Promise<boolean> {
  const place = join(store.dir, 'roots', hexOf(digest))
  const folder = await openIncoming(join(store.dir, 'incoming'))
  const away = join(folder, hexOf(digest))
  const isMoved = await rename(place, away).then(
    () => true,
    error => ignoreAbsent(error) ?? false, // another removal was faster
  )
  if (isMoved) {
    const isNamed = (await readNames(store)).some(each => each.digest === digest)
    const isHeld = !isForced && (await holdersOf(store, digest)).length > 0
    // Someone took it in this very moment: back it goes.
    if ((isNamed || isHeld) && (await putBack(away, place))) {
      await rm(folder, { recursive: true, force: true })
      return false
    }
    await syncDir(join(store.dir, 'roots'))
  }
  await rm(folder, { recursive: true, force: true })
  return true
}

/** False when the same image was imported anew meanwhile: that one serves everybody. */
async function putBack(away: string, place: string): Promise<boolean> {
  return rename(away, place).then(
    () => true,
    error => {
      if (error.code === 'ENOTEMPTY' || error.code === 'EEXIST') return false
      throw error
    },
  )
}

/** Removes what crashed imports and removals left; a root that is held in spite of its removal is put back. */
export async function sweepImages(store: ImageStore): Promise<void> {
  const rescue = async (folder: string): Promise<void> => {
    for (const hex of await readdir(folder).catch(() => [])) {
      if (!/^[0-9a-f]{64}$/.test(hex) || (await holdersOf(store, `sha256:${hex}`)).length === 0) continue
      await putBack(join(folder, hex), join(store.dir, 'roots', hex))
    }
  }
  await sweepIncoming(join(store.dir, 'incoming'), { now: store.now(), rescue })
}

async function refuseHeld(store: ImageStore, reference: string, digest: string): Promise<void> {
  const holders = await holdersOf(store, digest)
  if (holders.length === 0) return
  const list = holders.slice(0, 5).join(', ')
  throw new ImageError(
    'in-use',
    `the image ${quote(reference)} is used by ${list}${holders.length > 5 ? ' …' : ''}`,
  )
}

async function holdersOf(store: ImageStore, digest: string): Promise<string[]> {
  return (await readdir(join(store.dir, 'uses', hexOf(digest))).catch(ignoreAbsent)) ?? []
}

async function readNames(store: ImageStore): Promise<{ name: string; digest: string }[]> {
  const found: { name: string; digest: string }[] = []
  for (const file of await readdir(join(store.dir, 'names'))) {
    if (file.startsWith('.')) continue
    const entry = await readName(store, file)
    if (entry !== undefined) found.push(entry)
  }
  return found
}

async function readName(
  store: ImageStore,
  file: string,
): Promise<{ name: string; digest: string } | undefined> {
  const text = await readFile(join(store.dir, 'names', file), 'utf8').catch(ignoreAbsent)
  return text === undefined ? undefined : nameShape.parse(JSON.parse(text))
}

/** NAME[:TAG], NAME@sha256:…, sha256:…, or at least twelve digits of it where no image has them as its name. */
async function findDigest(store: ImageStore, reference: string): Promise<string | undefined> {
  const name = nameIn(reference)
  const named = name === undefined ? undefined : await readName(store, nameFile(name))
  if (named !== undefined) return named.digest
  const pinned = reference.split('@')[1] ?? reference
  if (!isDigestLike(pinned)) return undefined
  const digits = pinned.replace(/^sha256:/, '')
  for (const hex of await readdir(join(store.dir, 'roots'))) {
    if (hex.startsWith(digits)) return `sha256:${hex}`
    // A pinned name speaks of the manifest, as registries do.
    if (
      digits.length === 64 &&
      (await readImage(store, `sha256:${hex}`))?.manifestDigest === `sha256:${digits}`
    ) {
      return `sha256:${hex}`
    }
  }
  return undefined
}

/** The name that a reference is, unless it speaks of a digest. */
function nameIn(reference: string): string | undefined {
  return reference.includes('@') || reference.startsWith('sha256:') ? undefined : canonicalName(reference)
}

function isDigestLike(reference: string): boolean {
  return /^(sha256:[0-9a-f]{12,64}|[0-9a-f]{12,64})$/.test(reference)
}

function hexOf(digest: string): string {
  const hex = /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1]
  if (hex === undefined) throw new ImageError('name', `${quote(digest)} is no sha256 digest`)
  return hex
}

function holderFile(holder: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/.test(holder))
    throw new ImageError('name', `${quote(holder)} cannot hold`)
  return holder
}

function ignoreAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined
  throw error
}
