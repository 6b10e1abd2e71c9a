// Where the bytes of a DICOM file come from: memory, or a file of which only small windows are held at a time.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

export interface ByteSource {
  readonly sizeBytes: number
  /** Bytes from `at`, exactly `length` of them; the caller has checked that they exist. Not to be written to. */
  read(at: number, length: number): Uint8Array
  /** Some bytes from `at`, at least `least` of them if they exist: what parsing runs on. */
  window(at: number, least: number): Uint8Array
}

/** A source over bytes in memory. */
export function memorySource(bytes: Uint8Array): ByteSource {
  return {
    sizeBytes: bytes.length,
    read: (at, length) => bytes.subarray(at, at + length),
    window: at => bytes.subarray(at),
  }
}

export interface FileSource extends ByteSource {
  close(): void
}

const windowBytes = 64 * 1024

/** A source over a file; reads are synchronous, for worker threads and for the short beginnings of files. */
export function fileSource(path: string): FileSource {
  const fd = openSync(path, 'r')
  return { ...openSource(fd), close: () => closeSync(fd) }
}

/** The same over a file that is open and stays so. */
export function openSource(fd: number): ByteSource {
  const sizeBytes = fstatSync(fd).size
  const read = (at: number, length: number): Uint8Array => {
    const bytes = new Uint8Array(length)
    let done = 0
    while (done < length) {
      const got = readSync(fd, bytes, done, length - done, at + done)
      if (got === 0) break
      done += got
    }
    return done === length ? bytes : bytes.subarray(0, done)
  }
  return {
    sizeBytes,
    read,
    window: (at, least) => read(at, Math.max(0, Math.min(sizeBytes - at, Math.max(least, windowBytes)))),
  }
}
