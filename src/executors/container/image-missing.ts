// An image that a job needs and that cannot be had; and the names of images that came as files instead of by import.

/** An image that the store does not have. */
export class ImageMissing extends Error {}

const STORED = 'stored/'

/** The name of an image that came as a file, by the SHA-256 of the file. */
export function storedName(hash: string): string {
  return `${STORED}${hash}`
}

/** The digest of the file that an image came as; empty for others. */
export function storedDigest(name: string): string {
  return name.startsWith(STORED) ? `sha256:${name.slice(STORED.length)}` : ''
}
