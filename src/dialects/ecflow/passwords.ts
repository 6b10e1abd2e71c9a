// The custom password file: `USER HOST PORT PASSWORD` in clear, after a version line. Contract ecflow §2.3.

import { createHash, timingSafeEqual } from 'node:crypto'
import { WatchedFile } from './watched-file.ts'

export interface PasswordEntry {
  readonly user: string
  readonly host: string
  readonly port: string
  readonly password: string
}

/** Reads the file; throws a sentence that names the line. */
export function readPasswords(text: string): PasswordEntry[] {
  const entries: PasswordEntry[] = []
  const seen = new Set<string>()
  let version: string | undefined
  text.split('\n').forEach((line, index) => {
    const bare = line.replace(/#.*$/, '').trim()
    if (bare === '') return
    if (version === undefined) {
      if (!/^\d+\.\d+\.\d+$/.test(bare))
        throw new Error(`line ${index + 1}: expected a version such as 4.5.0`)
      version = bare
      return
    }
    const [user, host, port, password, ...rest] = bare.split(/\s+/)
    if (password === undefined || rest.length > 0)
      throw new Error(`line ${index + 1}: expected USER HOST PORT PASSWORD`)
    const key = `${user} ${host} ${port}`
    if (seen.has(key)) throw new Error(`line ${index + 1}: ${key} is there already`)
    seen.add(key)
    entries.push({ user: user!, host: host!, port: port!, password })
  })
  return entries
}

/** The password file of one server, read at the first use and when told to. */
export class Passwords {
  readonly #file: WatchedFile<PasswordEntry[]>
  readonly #hosts: readonly string[]
  readonly #port: string

  constructor(path: string, server: { hosts: readonly string[]; port: string }) {
    this.#hosts = server.hosts
    this.#port = server.port
    this.#file = new WatchedFile({
      path,
      read: readPasswords,
      absent: [],
      now: () => 0,
      lookMs: Number.POSITIVE_INFINITY,
    })
  }

  get path(): string {
    return this.#file.path
  }

  reload(): Promise<boolean> {
    return this.#file.reload()
  }

  async isRight(user: string, password: string): Promise<boolean> {
    const entries = await this.#file.get()
    let isRight = false
    for (const entry of entries) {
      const isHere = this.#hosts.includes(entry.host) && entry.port === this.#port
      if (sameText(entry.password, password) && entry.user === user && isHere) isRight = true
    }
    return isRight
  }
}

/** Takes the same time whatever is different. */
function sameText(one: string, other: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(one), digest(other))
}
