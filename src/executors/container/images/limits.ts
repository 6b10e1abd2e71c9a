// Everything about an image that an attacker could make large has a number here, and one place that counts it.
import { ImageError } from './image-error.ts'

/** The bounds of one import. */
export interface ImageLimits {
  /** Bytes of all layers together after decompression, tar headers included. */
  readonly maxTotalBytes: number
  /** Bytes of an outer archive after decompression. */
  readonly maxArchiveBytes: number
  /** Tar entries of all layers together. */
  readonly maxEntryCount: number
  /** Bytes of all names and link targets, which are kept in memory while the layers are unpacked. */
  readonly maxNameBytes: number
  readonly maxLayerCount: number
  /** Bytes of one path inside the root. */
  readonly maxPathBytes: number
  /** Directories of one path inside the root. */
  readonly maxDepth: number
  /** Bytes of one manifest, index or configuration. */
  readonly maxJsonBytes: number
  /** Bytes of the extended (pax or GNU long name) headers in front of one entry. */
  readonly maxExtendedHeaderBytes: number
}

/** Wide enough for the largest images in daily use, small enough that a bomb ends before the disk does. */
export const defaultLimits: ImageLimits = {
  maxTotalBytes: 32 * 1024 ** 3,
  maxArchiveBytes: 32 * 1024 ** 3,
  maxEntryCount: 500_000,
  maxNameBytes: 128 * 1024 ** 2,
  maxLayerCount: 512,
  maxPathBytes: 2048,
  maxDepth: 128,
  maxJsonBytes: 4 * 1024 ** 2, // what the OCI distribution specification asks registries to accept
  maxExtendedHeaderBytes: 1024 ** 2,
}

/** What is left of the limits while the layers of one image are unpacked. */
export interface Budget {
  readonly limits: ImageLimits
  takeBytes(count: number): void
  takeEntry(nameBytes: number): void
}

/** A fresh budget for one import. */
export function openBudget(limits: ImageLimits): Budget {
  let byteCount = 0
  let entryCount = 0
  let nameByteCount = 0
  return {
    limits,
    takeBytes(count) {
      byteCount += count
      if (byteCount > limits.maxTotalBytes) {
        throw new ImageError(
          'limit',
          `the layers unpack to more than ${limits.maxTotalBytes} bytes (maxTotalBytes)`,
        )
      }
    },
    takeEntry(nameBytes) {
      entryCount += 1
      nameByteCount += nameBytes
      if (nameByteCount > limits.maxNameBytes) {
        throw new ImageError(
          'limit',
          `the names in the layers are longer than ${limits.maxNameBytes} bytes (maxNameBytes)`,
        )
      }
      if (entryCount > limits.maxEntryCount) {
        throw new ImageError(
          'limit',
          `the layers hold more than ${limits.maxEntryCount} entries (maxEntryCount)`,
        )
      }
    },
  }
}
