// Images that were drawn lately, by what was asked: bounded in bytes, the least recently used go first.

import { createHash } from 'node:crypto'

export interface CachedImage {
  readonly bytes: Uint8Array
  readonly type: string
  readonly etag: string
}

export class TileCache {
  readonly #bytesMax: number
  readonly #images = new Map<string, CachedImage>()
  /** Images that are being drawn: whoever asks meanwhile waits for the same one. */
  readonly #drawing = new Map<string, Promise<CachedImage>>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** The image of this key, drawn if it is not there. */
  async get(key: string, draw: () => Promise<{ bytes: Uint8Array; type: string }>): Promise<CachedImage> {
    const known = this.#images.get(key)
    if (known) {
      this.#images.delete(key)
      this.#images.set(key, known)
      return known
    }
    const under = this.#drawing.get(key)
    if (under) return under
    const drawing = draw().then(image => this.#keep(key, image))
    this.#drawing.set(key, drawing)
    return drawing.finally(() => this.#drawing.delete(key))
  }

  #keep(key: string, { bytes, type }: { bytes: Uint8Array; type: string }): CachedImage {
    const image = { bytes, type, etag: etagOf(key) }
    this.#images.set(key, image)
    this.#bytes += bytes.length
    for (const [oldKey, old] of this.#images) {
      if (this.#bytes <= this.#bytesMax) break
      this.#images.delete(oldKey)
      this.#bytes -= old.bytes.length
    }
    return image
  }
}

/** What was asked says what comes: files of services never change, and the key names file, renderer and box. */
export function etagOf(key: string): string {
  return `"${createHash('sha256').update(key).digest('hex').slice(0, 32)}"`
}
