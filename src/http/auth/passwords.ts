// Password hashes: scrypt with its parameters beside the hash, so that they can be raised later. It is slow and wants
// 128 MiB each time on purpose, so only two run at once and only a few wait.

import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { refuse } from '../../core/refusal.ts'

const cost = { N: 2 ** 17, r: 8, p: 1 }
const keyBytes = 32

/** The hash of a new password: `scrypt$N$r$p$salt$key`. */
export async function hashPassword(password: string, parameters = cost): Promise<string> {
  const salt = randomBytes(16)
  const key = await derive(password, salt, parameters)
  const { N, r, p } = parameters
  return ['scrypt', N, r, p, salt.toString('base64url'), key.toString('base64url')].join('$')
}

/** Whether a text is a hash as hashPassword writes it, with parameters that are sane. */
export function isPasswordHash(text: string): boolean {
  return readHash(text) !== undefined
}

/** Checks a password; never more than two at a time, and refuses with `unavailable` when too many wait. */
export class PasswordCheck {
  #running = 0
  readonly #waiting: (() => void)[] = []
  readonly #waitingMax: number
  // Checked against when the user is unknown, so that the time taken does not tell who exists.
  readonly #decoy =
    `scrypt$${cost.N}$${cost.r}$${cost.p}$${Buffer.alloc(16).toString('base64url')}$${Buffer.alloc(keyBytes).toString('base64url')}`

  constructor(options: { waitingMax?: number } = {}) {
    this.#waitingMax = options.waitingMax ?? 32
  }

  async matches(password: string, hash: string | undefined): Promise<boolean> {
    const read = readHash(hash ?? this.#decoy)
    if (read === undefined) return false
    await this.#enter()
    try {
      const key = await derive(password, read.salt, read)
      return timingSafeEqual(key, read.key) && hash !== undefined
    } finally {
      this.#leave()
    }
  }

  #enter(): Promise<void> | void {
    if (this.#running < 2) {
      this.#running++
      return
    }
    if (this.#waiting.length >= this.#waitingMax) {
      refuse('unavailable', 'Too many passwords are being checked at the moment; try again in a few seconds')
    }
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  // A place is handed on to who waits longest; only when nobody does is it free again.
  #leave(): void {
    const next = this.#waiting.shift()
    if (next !== undefined) next()
    else this.#running--
  }
}

function readHash(text: string) {
  const [scheme, n, r, p, salt, key] = text.split('$')
  if (scheme !== 'scrypt' || salt === undefined || key === undefined) return undefined
  const parameters = { N: Number(n), r: Number(r), p: Number(p) }
  const bytes = Buffer.from(key, 'base64url')
  const isSane =
    Number.isInteger(Math.log2(parameters.N)) &&
    parameters.N >= 2 ** 10 &&
    parameters.N <= 2 ** 20 &&
    parameters.r >= 1 &&
    parameters.r <= 16 &&
    parameters.p >= 1 &&
    parameters.p <= 4
  return isSane && bytes.length === keyBytes
    ? { ...parameters, salt: Buffer.from(salt, 'base64url'), key: bytes }
    : undefined
}

function derive(password: string, salt: Buffer, { N, r, p }: typeof cost): Promise<Buffer> {
  // The memory needed is 128·N·r, and Node refuses it unless the bound is above.
  const maxmem = 256 * N * r
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, keyBytes, { N, r, p, maxmem }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    )
  })
}
