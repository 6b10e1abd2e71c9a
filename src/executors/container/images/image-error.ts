// The one error that reading, unpacking and storing of images raises for what the caller can mend: a bad archive,
// a limit, an unknown name. Anything else thrown from this room is a bug or the disk.

/** Why an image was refused: `format` not an image we read, `unsafe` hostile, `limit` too large, `digest` content
 * differs from its digest, `name` bad name, `unknown` no such image, `in-use` held by an attempt. */
export type ImageErrorCode = 'format' | 'unsafe' | 'limit' | 'digest' | 'name' | 'unknown' | 'in-use'

/** A refusal with a sentence for the operator. */
export class ImageError extends Error {
  readonly code: ImageErrorCode

  constructor(code: ImageErrorCode, message: string) {
    super(message)
    this.name = 'ImageError'
    this.code = code
  }
}
