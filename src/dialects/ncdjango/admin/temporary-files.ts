// Files that an administrator has sent and not made a service of yet: blobs with a name, and what is inside of a ZIP.

import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { extname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Json } from '../../../core/json.ts'
import { zipMembers } from '../../../domains/dicom/zip/zip-reader.ts'
import type { Service } from '../../../domains/raster/services/service.ts'
import type { Tx } from '../../../engine/engine.ts'
import type { BlobRef } from '../../../store/blobs.ts'
import type { Kit } from '../../dialect.ts'
import { ApiRefusal } from '../jobs/read-submission.ts'
import { makeUuid } from '../make-uuid.ts'

const collection = 'ncdjango.temporary-file'
const nameMax = 100
const grids = ['.nc', '.nc4', '.cdf', '.tif', '.tiff']
const uuidText = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export interface TemporaryFile extends BlobRef {
  readonly uuid: string
  readonly filename: string
  readonly createdAt: number
}

/** A file of grids, and what it is called. */
export interface GridBlob extends BlobRef {
  readonly filename: string
}

export class TemporaryFiles {
  readonly #kit: Kit
  readonly #bytesMax: number

  constructor(kit: Kit, bytesMax: number) {
    this.#kit = kit
    this.#bytesMax = bytesMax
  }

  /** Takes a file in; durable when it resolves. */
  async add(uuid: string, filename: string, source: AsyncIterable<Uint8Array>): Promise<TemporaryFile> {
    const { blobs, engine } = this.#kit
    const blob = await blobs.write(source, { limitBytes: this.#bytesMax })
    return engine.write(tx => {
      const file = { ...blob, uuid, filename: shortened(filename), createdAt: tx.now }
      tx.record({ put: { collection, id: uuid, body: file as unknown as Json } })
      tx.blob({ ...blob, delta: 1 })
      return file
    })
  }

  async find(uuid: string): Promise<TemporaryFile | undefined> {
    if (!uuidText.test(uuid)) return undefined
    return (await this.#kit.records.get(collection, uuid))?.body as unknown as TemporaryFile | undefined
  }

  async all(): Promise<TemporaryFile[]> {
    const found: TemporaryFile[] = []
    let after: string | undefined
    do {
      const page = await this.#kit.records.list({
        collection,
        limit: 500,
        ...(after === undefined ? {} : { after }),
      })
      found.push(...page.items.map(({ body }) => body as unknown as TemporaryFile))
      after = page.next
    } while (after !== undefined)
    return found
  }

  /** Puts the file of a service that is taken down among these, within a batch. */
  keep(tx: Tx, { hash, sizeBytes, dataPath }: Service): void {
    const uuid = makeUuid(this.#kit.random)
    const file: TemporaryFile = { hash, sizeBytes, uuid, filename: shortened(dataPath), createdAt: tx.now }
    tx.record({ put: { collection, id: uuid, body: file as unknown as Json } })
    tx.blob({ hash, sizeBytes, delta: 1 })
  }

  /** Forgets a file, within a batch. */
  drop(tx: Tx, { uuid, hash, sizeBytes }: TemporaryFile): void {
    tx.record({ drop: { collection, id: uuid } })
    tx.blob({ hash, sizeBytes, delta: -1 })
  }

  /** Calls with the path of the grids in a file; they are unpacked for as long as it takes. */
  async withGrids<T>(file: TemporaryFile, use: (path: string) => Promise<T>): Promise<T> {
    const { blobs } = this.#kit
    if (!isZip(file)) return use(blobs.path(checkedName(file)))
    const path = await blobs.scratchFile()
    try {
      await this.#unpack(file, bytes => pipeline(bytes, createWriteStream(path, { mode: 0o600 })))
      return await use(path)
    } finally {
      await rm(path, { force: true })
    }
  }

  /** The grids in a file as a blob of their own, kept from being swept until `release` is called. */
  async gridBlob(file: TemporaryFile): Promise<GridBlob & { release: () => void }> {
    const { blobs } = this.#kit
    if (!isZip(file)) {
      checkedName(file)
      return { ...file, release: blobs.keep(file.hash) }
    }
    let blob: BlobRef | undefined
    const filename = await this.#unpack(file, async bytes => {
      blob = await blobs.write(bytes, { limitBytes: this.#bytesMax })
    })
    return { ...blob!, filename, release: blobs.keep(blob!.hash) }
  }

  /** Hands over the last member that holds grids; gives its name without folders. */
  async #unpack(
    file: TemporaryFile,
    take: (bytes: AsyncIterable<Uint8Array>) => Promise<void>,
  ): Promise<string> {
    const limits = { membersMax: 10_000, memberBytesMax: this.#bytesMax, totalBytesMax: this.#bytesMax }
    const path = this.#kit.blobs.path(file.hash)
    let last: string | undefined
    for await (const { name } of zipMembers(path, limits)) if (isGrid(name)) last = name
    if (last === undefined) throw new ApiRefusal(400, 'The zip file holds no NetCDF file')
    for await (const member of zipMembers(path, limits)) {
      if (member.name !== last) continue
      await take(member.read())
      break
    }
    // Folders of a member are its own business: they never become paths of ours.
    return shortened(last.slice(Math.max(last.lastIndexOf('/'), last.lastIndexOf('\\')) + 1))
  }
}

function isZip({ filename }: TemporaryFile): boolean {
  return extname(filename).toLowerCase() === '.zip'
}

function isGrid(name: string): boolean {
  return grids.includes(extname(name).toLowerCase())
}

/** The hash, where the name says that the file holds grids. */
function checkedName({ filename, hash }: TemporaryFile): string {
  if (!isGrid(filename))
    throw new ApiRefusal(400, 'Only NetCDF files, GeoTIFF files, and zip files of these can be used')
  return hash
}

/** Long names are cut, and keep their ending. */
function shortened(filename: string): string {
  const name = filename.slice(Math.max(filename.lastIndexOf('/'), filename.lastIndexOf('\\')) + 1) || 'file'
  if (name.length <= nameMax) return name
  const ending = extname(name).slice(0, 20)
  return name.slice(0, nameMax - ending.length) + ending
}
