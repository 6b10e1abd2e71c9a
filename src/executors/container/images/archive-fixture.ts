// Archives for the tests of this room, made with another writer than our reader: tar-stream.
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import tar from 'tar-stream'
import { digestOf } from './digest.ts'
import { type ImageStore, openImageStore } from './image-store.ts'
import type { ImageLimits } from './limits.ts'

/** One member of an archive: a path and its text, or a header as tar-stream takes it. */
export type Item = readonly [name: string, content: string | Buffer | Partial<tar.Header>]

/** A tar of these members, in this order. */
export async function tarOf(items: readonly Item[]): Promise<Buffer> {
  const pack = tar.pack()
  for (const [name, content] of items) {
    const header = typeof content === 'string' || Buffer.isBuffer(content) ? {} : content
    const body = header === content ? '' : (content as string | Buffer)
    const isDir = name.endsWith('/')
    const options = {
      name,
      mode: isDir || /^(usr\/)?(bin|lib\w*)\//.test(name) ? 0o755 : 0o644,
      mtime: new Date(1e12),
      ...header,
    }
    pack.entry((isDir ? { type: 'directory', ...options } : options) as tar.Header, body)
  }
  pack.finalize()
  const parts: Buffer[] = []
  for await (const part of pack) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

/** What an image of the tests is made of. */
export interface ImageParts {
  readonly layers: readonly Buffer[]
  readonly config?: Record<string, unknown>
  readonly names?: readonly string[]
  readonly compress?: (tar: Buffer) => Buffer
}

function configJson(parts: ImageParts): Buffer {
  const diffIds = parts.layers.map(layer => digestOf(layer))
  const document = {
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['/bin/sh'], Env: ['PATH=/bin'], ...parts.config },
    rootfs: { type: 'layers', diff_ids: diffIds },
  }
  return Buffer.from(JSON.stringify(document))
}

/** The members of an OCI layout. */
export function ociItems(parts: ImageParts): Item[] {
  const config = configJson(parts)
  const blobs = parts.layers.map(layer => (parts.compress ?? gzipSync)(layer))
  const describe = (mediaType: string, bytes: Buffer) => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  })
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      config: describe('application/vnd.oci.image.config.v1+json', config),
      layers: blobs.map(blob => describe('application/vnd.oci.image.layer.v1.tar+gzip', blob)),
    }),
  )
  const index = {
    schemaVersion: 2,
    manifests: (parts.names ?? ['made:here']).map(name => ({
      ...describe('application/vnd.oci.image.manifest.v1+json', manifest),
      annotations: { 'org.opencontainers.image.ref.name': name },
    })),
  }
  return [
    ['oci-layout', '{"imageLayoutVersion":"1.0.0"}'],
    ['index.json', JSON.stringify(index)],
    ...[config, manifest, ...blobs].map((blob): Item => [`blobs/sha256/${digestOf(blob).slice(7)}`, blob]),
  ]
}

/** The members of a `docker save` archive, layers first, as older versions write them. */
export function dockerItems(parts: ImageParts): Item[] {
  const config = configJson(parts)
  const configName = `${digestOf(config).slice(7)}.json`
  const layers = parts.layers.map((layer, i): Item => [`layer${i}/layer.tar`, layer])
  const manifest = [
    { Config: configName, RepoTags: parts.names ?? ['made:here'], Layers: layers.map(([name]) => name) },
  ]
  return [...layers, [configName, config], ['manifest.json', JSON.stringify(manifest)]]
}

/** A world of its own: a directory with a store in it, and ways to look into both. */
export interface World {
  readonly dir: string
  readonly store: ImageStore
  file(name: string, bytes: Buffer | string): Promise<string>
  close(): Promise<void>
}

/** Opens a world. */
export async function openWorld(limits: Partial<ImageLimits> = {}): Promise<World> {
  const dir = await mkdtemp(join(tmpdir(), 'switchyard-images-'))
  const store = await openImageStore({ dataDir: join(dir, 'data'), limits, now: () => 1_700_000_000_000 })
  return {
    dir,
    store,
    async file(name, bytes) {
      await mkdir(join(dir, name, '..'), { recursive: true })
      await writeFile(join(dir, name), bytes)
      return join(dir, name)
    },
    close: () => rm(dir, { recursive: true, force: true }),
  }
}

/** A tree as text: path → content, `-> target` for links, '/' for directories. */
export async function treeOf(dir: string, prefix = ''): Promise<Record<string, string>> {
  const tree: Record<string, string> = {}
  for (const entry of await readdir(join(dir, prefix), { withFileTypes: true })) {
    const path = join(prefix, entry.name)
    if (entry.isDirectory()) Object.assign(tree, { [`${path}/`]: '/' }, await treeOf(dir, path))
    else if (entry.isSymbolicLink()) tree[path] = `-> ${await readlink(join(dir, path))}`
    else if (entry.isFile()) tree[path] = await readFile(join(dir, path), 'utf8')
    else tree[path] = 'special'
  }
  return tree
}

/** The permission bits of a path. */
export async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o7777).toString(8)
}
