// The data set of a stored instance as it goes over the network: without its file's header, small ones in memory,
// large ones as a stream, and converted where the peer takes another layout.

import { open, readFile } from 'node:fs/promises'
import { dataSetOffset } from '../../../domains/dicom/reading/data-set-offset.ts'
import { readDataSetAsync } from '../../../domains/dicom/reading/reader.ts'
import { memorySource } from '../../../domains/dicom/reading/source.ts'
import { metaText, type Resource } from '../../../domains/dicom/store/bodies.ts'
import { fileOf } from '../../../domains/dicom/store/browse.ts'
import { transcodeAside } from '../../../domains/dicom/transcoding/transcode.ts'
import type { Unpacker } from '../../../domains/dicom/transcoding/unpack-aside.ts'
import { codes, OrthancError } from '../errors.ts'
import { defaultTerm, type House } from '../house.ts'

/** What has to be known of an instance to send it. */
export interface InstanceFile {
  readonly sopClass: string
  readonly sopInstance: string
  readonly transferSyntax: string
  readonly sizeBytes: number
  /** A blob, or bytes that are at hand. */
  readonly from: { readonly hash: string } | { readonly bytes: Uint8Array }
}

const wholeBytesMax = 1024 * 1024
/** The headers of files are some hundred bytes long. */
const headBytes = 64 * 1024
/** Longer ones are not converted: they would have to be held in memory. */
const convertBytesMax = 1024 * 1024 * 1024

/** An instance as the index knows it. */
export function instanceFile(instance: Resource): InstanceFile {
  const { hash, sizeBytes } = fileOf(instance)
  return {
    sopClass: metaText(instance.body, 'SopClassUid') ?? '',
    sopInstance: instance.body.main['0008,0018'] ?? '',
    transferSyntax: metaText(instance.body, 'TransferSyntax') ?? '',
    sizeBytes,
    from: { hash },
  }
}

/** What is to be sent of an instance, with its bytes where they are few; undefined when it is not there. */
export async function findFile(house: House, id: string): Promise<InstanceFile | undefined> {
  const instance = await house.archive.browse.get('instance', id)
  if (!instance) return undefined
  const file = instanceFile(instance)
  const place = house.kit.blobs.find(fileOf(instance).hash)
  return 'bytes' in place ? { ...file, from: place } : file
}

/** The bytes behind the header. */
export async function readInstanceData(
  house: House,
  file: InstanceFile,
): Promise<Uint8Array | AsyncIterable<Uint8Array>> {
  const small = await readSmallData(house, file)
  if (small) return small
  const { hash } = file.from as { hash: string }
  const head = Buffer.alloc(headBytes)
  const handle = await open(house.kit.blobs.path(hash))
  try {
    await handle.read(head, 0, headBytes, 0)
  } finally {
    await handle.close()
  }
  const from = dataSetOffset(head)
  if (from !== undefined) return house.kit.blobs.open(hash, { from, to: file.sizeBytes })
  const all = await readFile(house.kit.blobs.path(hash))
  return all.subarray(await offsetOf(house, all))
}

/** The same, if it is short enough to be held. */
export async function readSmallData(house: House, file: InstanceFile): Promise<Uint8Array | undefined> {
  const whole = await readWhole(house, file, wholeBytesMax)
  return whole?.subarray(dataSetOffset(whole) ?? (await offsetOf(house, whole)))
}

/** The data set in another syntax, where its pixels can be turned into it. */
export async function converted(
  house: House,
  file: InstanceFile,
  { transferSyntax, unpacker }: { transferSyntax: string; unpacker: Unpacker },
): Promise<Uint8Array> {
  const whole = await readWhole(house, file, convertBytesMax)
  if (!whole) throw new OrthancError(codes.network, 'an instance of more than a gigabyte cannot be converted')
  const set = await readDataSetAsync(memorySource(whole), { dictionary: house.dictionary, keep: 'all' })
  const turned = await transcodeAside(set, transferSyntax, { defaultTerm: defaultTerm(house), unpacker })
  if (!turned) {
    const why = `the pixels of ${file.sopInstance} cannot be turned from ${file.transferSyntax} into ${transferSyntax}`
    throw new OrthancError(codes.network, why)
  }
  return turned.subarray(dataSetOffset(turned))
}

async function readWhole(
  house: House,
  file: InstanceFile,
  bytesMax: number,
): Promise<Uint8Array | undefined> {
  if ('bytes' in file.from) return file.from.bytes
  const place = house.kit.blobs.find(file.from.hash)
  if ('bytes' in place) return place.bytes
  return file.sizeBytes <= bytesMax ? readFile(place.path) : undefined
}

/** For files without a preamble, or with an odd header: as the reader understands them. */
async function offsetOf(house: House, bytes: Uint8Array): Promise<number> {
  const set = await readDataSetAsync(memorySource(bytes), { dictionary: house.dictionary, keep: 'top' })
  return set.fileDataSetAt
}
