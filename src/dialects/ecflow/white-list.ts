// The white list: which users may read and write which paths. An empty list lets everyone do everything.

import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { WatchedFile } from './watched-file.ts'

export interface WhiteList {
  /** Paths each user may write to, and those each may only read; `*` is everybody. */
  readonly write: ReadonlyMap<string, readonly string[]>
  readonly read: ReadonlyMap<string, readonly string[]>
}

const includesMax = 20

/** Reads the list; throws a sentence that names file and line. */
export function readWhiteList(text: string, path: string, depth = 0): WhiteList {
  const write = new Map<string, string[]>()
  const read = new Map<string, string[]>()
  let version: number[] | undefined
  text.split('\n').forEach((line, index) => {
    const where = `${path}, line ${index + 1}`
    const include = /^\s*#include\s+(\S+)/.exec(line)?.[1]
    if (include !== undefined) {
      if (depth >= includesMax) throw new Error(`${where}: includes are nested too deeply`)
      const file = resolve(dirname(path), include)
      const inner = readWhiteList(readFileSync(file, 'utf8'), file, depth + 1)
      merge(write, inner.write)
      merge(read, inner.read)
      return
    }
    const bare = line.replace(/#.*$/, '').trim()
    if (bare === '') return
    if (version === undefined && /^\d+\.\d+\.\d+$/.test(bare)) {
      version = bare.split('.').map(Number)
      if (compareVersions(version, [4, 4, 5]) < 0)
        throw new Error(`${where}: expected version 4.4.5 or later`)
      return
    }
    if (version === undefined && depth === 0) throw new Error(`${where}: expected a version such as 4.4.14`)
    const [who = '', ...paths] = bare.split(/[\s,]+/)
    const isReader = who.startsWith('-')
    const user = isReader ? who.slice(1) : who
    if (user === '') throw new Error(`${where}: expected a user name`)
    for (const it of paths)
      if (!it.startsWith('/')) throw new Error(`${where}: expected absolute paths, not ${it}`)
    const list = isReader ? read : write
    list.set(user, [...(list.get(user) ?? []), ...(paths.length > 0 ? paths : ['/'])])
  })
  return { write, read }
}

function merge(into: Map<string, string[]>, from: ReadonlyMap<string, readonly string[]>): void {
  for (const [user, paths] of from) into.set(user, [...(into.get(user) ?? []), ...paths])
}

function compareVersions(one: readonly number[], other: readonly number[]): number {
  for (let i = 0; i < 3; i++) if (one[i]! !== other[i]!) return one[i]! - other[i]!
  return 0
}

/** Whether a user may write to a path: `/` asks for everything. A path grants itself and what is below it. */
export function mayWrite(list: WhiteList, user: string, path: string): boolean {
  if (list.write.size === 0 && list.read.size === 0) return true
  const granted = [...(list.write.get(user) ?? []), ...(list.write.get('*') ?? [])]
  return granted.some(it => grants(it, path))
}

/** Whether a granted path covers another one. */
export function grants(granted: string, path: string): boolean {
  if (granted === '/') return true
  const bare = granted.replace(/\/+$/, '')
  return path === bare || path.startsWith(`${bare}/`)
}

const empty: WhiteList = { write: new Map(), read: new Map() }

/** The list of one server, read at the first use and when told to. */
export function whiteListFile(path: string): WatchedFile<WhiteList> {
  return new WatchedFile({
    path,
    read: text => readWhiteList(text, path),
    absent: empty,
    now: () => 0,
    lookMs: Number.POSITIVE_INFINITY,
  })
}
