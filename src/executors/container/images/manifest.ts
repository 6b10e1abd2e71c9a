// What an image file says it holds: finds the configuration and the layers of an OCI layout, of a `docker save`
// archive, or of a plain root file system, and checks every document against its digest.
import { z } from 'zod'
import type { Archive, Blob, SquashfsBlob } from './archive.ts'
import { digestOf, RunningDigest, splitDigest } from './digest.ts'
import { type ConfigDocument, emptyConfig, firstIssue, readConfig } from './image-config.ts'
import { ImageError } from './image-error.ts'
import type { ImageLimits } from './limits.ts'
import type { RandomBytes } from './squashfs.ts'
import { quote } from './tar-reader.ts'

/** The kinds of image files. */
export type ImageFormat = 'oci' | 'docker' | 'rootfs' | 'sif'

/** One layer and the digests it must have: of its bytes as stored, and of its tar. */
export interface LayerPlan {
  readonly blob: Blob
  /** Of an image that is no tar: the same bytes, by their places. */
  readonly squashfs?: RandomBytes
  readonly digest: string | undefined
  readonly diffId: string | undefined
}

/** All that is needed to unpack an image. */
export interface ImagePlan {
  readonly format: ImageFormat
  /** Digest of the configuration; undefined for a plain root, whose tar is its identity. */
  readonly id: string | undefined
  readonly manifestDigest: string | undefined
  readonly document: ConfigDocument
  readonly layers: readonly LayerPlan[]
  /** The names the file itself gives the image. */
  readonly names: readonly string[]
}

/** Which of several images to take, and what to assume. */
export interface ManifestOptions {
  readonly limits: ImageLimits
  readonly format?: ImageFormat | undefined
  /** The name of one image in a file that holds several. */
  readonly pick?: string | undefined
}

/** Reads the plan of an opened image file. */
export async function readManifest(archive: Archive, options: ManifestOptions): Promise<ImagePlan> {
  if (archive.squashfs !== undefined) return planSquashfs(archive.squashfs, options.format)
  const format = options.format ?? (await guessFormat(archive, options.limits))
  if (format === 'sif') throw new ImageError('format', 'the file is no Singularity image')
  if (format === 'oci') return readOciLayout(archive, options)
  if (format === 'docker') return readDockerArchive(archive, options)
  if (archive.whole === undefined) {
    throw new ImageError('format', 'the directory is no OCI layout (no oci-layout and index.json in it)')
  }
  return {
    format,
    id: undefined,
    manifestDigest: undefined,
    document: { config: emptyConfig, architecture: '', diffIds: [] },
    layers: [{ blob: archive.whole, digest: undefined, diffId: undefined }],
    names: [],
  }
}

/** What a Singularity image runs, and how, is said by files in it: see singularity.ts. */
function planSquashfs(squashfs: SquashfsBlob, format: ImageFormat | undefined): ImagePlan {
  if (format !== undefined && format !== 'sif')
    throw new ImageError('format', `the file is a Singularity image, not ${format}`)
  return {
    format: 'sif',
    id: undefined,
    manifestDigest: undefined,
    document: { config: emptyConfig, architecture: squashfs.architecture, diffIds: [] },
    layers: [{ blob: squashfs, squashfs, digest: undefined, diffId: undefined }],
    names: [],
  }
}

async function guessFormat(archive: Archive, limits: ImageLimits): Promise<ImageFormat> {
  if ((await archive.find('oci-layout')) !== undefined && (await archive.find('index.json')) !== undefined)
    return 'oci'
  const manifest = await archive.find('manifest.json')
  // A root file system may hold a manifest.json of its own; only one of the right shape makes it an image archive.
  if (manifest !== undefined && manifest.sizeBytes <= limits.maxJsonBytes) {
    const json = await readJson(manifest, 'manifest.json', limits).catch(() => undefined)
    if (dockerShape.safeParse(json).success) return 'docker'
  }
  return 'rootfs'
}

const descriptorShape = z.object({
  mediaType: z.string().default(''),
  digest: z.string(),
  size: z.number().int().nonnegative(),
  platform: z.object({ architecture: z.string(), os: z.string() }).partial().optional(),
  annotations: z.record(z.string(), z.string()).optional(),
})
type Descriptor = z.infer<typeof descriptorShape>

const indexShape = z.object({ manifests: z.array(descriptorShape) })
const manifestShape = z.object({ config: descriptorShape, layers: z.array(descriptorShape) })
const dockerShape = z
  .array(
    z.object({
      Config: z.string(),
      RepoTags: z.array(z.string()).nullish(),
      Layers: z
        .array(z.string())
        .nullish()
        .transform(list => list ?? []),
    }),
  )
  .min(1)

const REF_NAME = 'org.opencontainers.image.ref.name'
const FULL_NAME = 'io.containerd.image.name'
const INDEX_DEPTH_MAX = 4

async function readOciLayout(archive: Archive, options: ManifestOptions): Promise<ImagePlan> {
  const { limits } = options
  const indexBlob = await archive.find('index.json')
  if (indexBlob === undefined) throw new ImageError('format', 'the OCI layout has no index.json')
  let index = check(indexShape, await readJson(indexBlob, 'index.json', limits), 'index.json')
  const top = choose(index.manifests, options.pick)
  let chosen = top
  for (let depth = 0; ; depth++) {
    if (depth > INDEX_DEPTH_MAX) throw new ImageError('format', 'the OCI layout nests its indexes too deep')
    const json = await readJson(await ociBlob(archive, chosen), chosen.digest, limits, chosen.digest)
    if (!indexShape.safeParse(json).success) {
      const manifest = check(manifestShape, json, `the manifest ${chosen.digest}`)
      const configBlob = await ociBlob(archive, manifest.config)
      const configJson = await readJson(configBlob, 'the image configuration', limits, manifest.config.digest)
      const document = readConfig(configJson)
      const blobs: LayerPlan[] = []
      checkLayerCount(manifest.layers.length, document, limits)
      for (const [i, layer] of manifest.layers.entries()) {
        const blob = await ociBlob(archive, layer)
        blobs.push({ blob, digest: layer.digest, diffId: document.diffIds[i] })
      }
      return {
        format: 'oci',
        id: manifest.config.digest,
        manifestDigest: chosen.digest,
        document,
        layers: blobs,
        names: namesOf(top),
      }
    }
    index = check(indexShape, json, `the index ${chosen.digest}`)
    chosen = choosePlatform(index.manifests)
  }
}

function namesOf(descriptor: Descriptor): string[] {
  const full = descriptor.annotations?.[FULL_NAME]
  const ref = descriptor.annotations?.[REF_NAME]
  // A bare tag in this annotation is no name of an image.
  return full !== undefined ? [full] : ref?.includes(':') || ref?.includes('/') ? [ref] : []
}

function choose(manifests: readonly Descriptor[], pick: string | undefined): Descriptor {
  if (pick !== undefined) {
    const found = manifests.find(each =>
      [each.digest, each.annotations?.[REF_NAME], each.annotations?.[FULL_NAME]].includes(pick),
    )
    if (found === undefined) throw new ImageError('unknown', `the file holds no image ${quote(pick)}`)
    return found
  }
  const refs = new Set(
    manifests.map(each => each.annotations?.[FULL_NAME] ?? each.annotations?.[REF_NAME] ?? ''),
  )
  if (refs.size > 1) {
    const list = [...refs].slice(0, 20).map(quote).join(', ')
    throw new ImageError('format', `the file holds several images, pick one: ${list}`)
  }
  return choosePlatform(manifests)
}

const architectures: Record<string, string> = { x64: 'amd64', arm64: 'arm64', ia32: '386', ppc64: 'ppc64le' }

function choosePlatform(manifests: readonly Descriptor[]): Descriptor {
  const mine = architectures[process.arch] ?? process.arch
  const [only] = manifests
  if (manifests.length === 1 && only !== undefined) return only
  const found = manifests.find(each => each.platform?.os === 'linux' && each.platform.architecture === mine)
  if (found === undefined) throw new ImageError('format', `the file holds no image for linux/${mine}`)
  return found
}

async function ociBlob(archive: Archive, descriptor: Descriptor): Promise<Blob> {
  const parts = splitDigest(descriptor.digest)
  if (parts === undefined)
    throw new ImageError('format', `${quote(descriptor.digest)} is no sha256 or sha512 digest`)
  const blob = await archive.find(`blobs/${parts.algorithm}/${parts.hex}`)
  if (blob === undefined) throw new ImageError('format', `the file lacks the blob ${descriptor.digest}`)
  if (blob.sizeBytes !== descriptor.size) {
    throw new ImageError(
      'digest',
      `the blob ${descriptor.digest} has ${blob.sizeBytes} bytes, not ${descriptor.size}`,
    )
  }
  return blob
}

async function readDockerArchive(archive: Archive, options: ManifestOptions): Promise<ImagePlan> {
  const { limits, pick } = options
  const manifestBlob = await archive.find('manifest.json')
  if (manifestBlob === undefined) throw new ImageError('format', 'the archive has no manifest.json')
  const images = check(dockerShape, await readJson(manifestBlob, 'manifest.json', limits), 'manifest.json')
  const image = pick === undefined ? images[0] : images.find(each => each.RepoTags?.includes(pick))
  if (image === undefined) throw new ImageError('unknown', `the file holds no image ${quote(pick ?? '')}`)
  if (pick === undefined && images.length > 1) {
    const list = images.slice(0, 20).map(each => quote(each.RepoTags?.[0] ?? each.Config))
    throw new ImageError('format', `the file holds several images, pick one: ${list.join(', ')}`)
  }
  const configBlob = await archive.find(image.Config)
  if (configBlob === undefined) throw new ImageError('format', `the archive lacks ${quote(image.Config)}`)
  const configBytes = await readSmall(configBlob, 'the image configuration', limits)
  const id = digestOf(configBytes)
  const named = /(?:^|\/)([0-9a-f]{64})(?:\.json)?$/.exec(image.Config)?.[1]
  if (named !== undefined && id !== `sha256:${named}`) {
    throw new ImageError('digest', `the image configuration has the digest ${id}, not sha256:${named}`)
  }
  const document = readConfig(parseJson(configBytes, 'the image configuration'))
  checkLayerCount(image.Layers.length, document, limits)
  const layers: LayerPlan[] = []
  for (const [i, path] of image.Layers.entries()) {
    const blob = await archive.find(path)
    if (blob === undefined) throw new ImageError('format', `the archive lacks the layer ${quote(path)}`)
    layers.push({ blob, digest: undefined, diffId: document.diffIds[i] })
  }
  const names = pick === undefined ? (image.RepoTags ?? []) : [pick]
  return { format: 'docker', id, manifestDigest: undefined, document, layers, names }
}

function checkLayerCount(count: number, document: ConfigDocument, limits: ImageLimits): void {
  if (count > limits.maxLayerCount) {
    throw new ImageError(
      'limit',
      `the image has ${count} layers, more than ${limits.maxLayerCount} (maxLayerCount)`,
    )
  }
  if (count !== document.diffIds.length) {
    throw new ImageError('format', `${count} layers, but rootfs.diff_ids names ${document.diffIds.length}`)
  }
}

async function readJson(blob: Blob, what: string, limits: ImageLimits, digest?: string): Promise<unknown> {
  const bytes = await readSmall(blob, what, limits)
  const algorithm = digest === undefined ? undefined : splitDigest(digest)?.algorithm
  if (algorithm !== undefined) {
    const running = new RunningDigest([algorithm])
    running.update(bytes)
    const found = running.end(algorithm)
    if (found !== digest)
      throw new ImageError('digest', `${what}: its content has the digest ${found}, not ${digest}`)
  }
  return parseJson(bytes, what)
}

async function readSmall(blob: Blob, what: string, limits: ImageLimits): Promise<Buffer> {
  if (blob.sizeBytes > limits.maxJsonBytes) {
    throw new ImageError('limit', `${what} has more than ${limits.maxJsonBytes} bytes (maxJsonBytes)`)
  }
  const parts: Buffer[] = []
  for await (const part of blob.chunks()) parts.push(part)
  return Buffer.concat(parts)
}

function parseJson(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new ImageError('format', `${what} is not JSON`)
  }
}

function check<T>(shape: z.ZodType<T>, json: unknown, what: string): T {
  const parsed = shape.safeParse(json)
  if (!parsed.success) throw new ImageError('format', `${what}: ${firstIssue(parsed.error)}`)
  return parsed.data
}
