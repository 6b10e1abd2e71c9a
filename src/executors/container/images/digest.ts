// Content digests as images write them: `sha256:` and hexadecimal digits.
import { createHash, type Hash } from 'node:crypto'

const forms: Record<string, RegExp> = { sha256: /^[0-9a-f]{64}$/, sha512: /^[0-9a-f]{128}$/ }

/** The parts of a digest, or undefined when it is not one we can check. */
export function splitDigest(digest: string): { algorithm: string; hex: string } | undefined {
  const [algorithm = '', hex = '', ...rest] = digest.split(':')
  return rest.length === 0 && Object.hasOwn(forms, algorithm) && forms[algorithm]?.test(hex)
    ? { algorithm, hex }
    : undefined
}

/** The sha256 digest of bytes. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** Hashes what flows by with every algorithm asked for. */
export class RunningDigest {
  readonly #hashes = new Map<string, Hash>()

  constructor(algorithms: Iterable<string>) {
    for (const algorithm of algorithms) this.#hashes.set(algorithm, createHash(algorithm))
  }

  update(bytes: Uint8Array): void {
    for (const hash of this.#hashes.values()) hash.update(bytes)
  }

  /** The digest of everything so far, by one of the algorithms; may be asked once for each. */
  end(algorithm: string): string {
    const hash = this.#hashes.get(algorithm)
    if (hash === undefined) throw new Error(`no running ${algorithm}`)
    return `${algorithm}:${hash.digest('hex')}`
  }
}
