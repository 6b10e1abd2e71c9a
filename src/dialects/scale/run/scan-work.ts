// Scans a workspace: walks its directory, matches file names against rules, and moves what a rule sends elsewhere.
// Runs on a worker thread; registering what was found is done by the server afterwards.

import { constants } from 'node:fs'
import { copyFile, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Json, JsonObject } from '../../../core/json.ts'
import type { Work } from '../../../core/work.ts'

/** What to scan for. */
export interface ScanInput {
  readonly folder: string
  readonly recursive: boolean
  /** Tried in order; the first that matches a file's name, from its first character, decides. */
  readonly rules: readonly ScanRule[]
  readonly filesMax: number
  /** False only counts and matches. */
  readonly moves: boolean
}

/** What becomes of files with certain names. */
export interface ScanRule {
  readonly pattern: string
  /** Where the file goes: another workspace's directory, another path in it, or both. */
  readonly target?: { readonly folder: string; readonly path?: string }
}

/** A file that a rule matched. */
export interface FoundFile {
  readonly name: string
  /** In the scanned workspace. */
  readonly path: string
  readonly sizeBytes: number
  readonly rule: number
  /** Where it was moved to, in the workspace of its rule. */
  readonly movedTo?: string
}

export const scan: Work = async (given, tools) => {
  const input = given as unknown as ScanInput
  const rules = input.rules.map(rule => ({ ...rule, matcher: new RegExp(`^(?:${rule.pattern})`, 'u') }))
  const found: FoundFile[] = []
  let seen = 0
  const folders = ['']
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    tools.signal.throwIfAborted()
    for (const entry of await readdir(join(input.folder, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory() && input.recursive) folders.push(path)
      if (!entry.isFile()) continue
      if (++seen > input.filesMax) throw new Error(`the workspace holds more than ${input.filesMax} files`)
      const at = rules.findIndex(rule => rule.matcher.test(entry.name))
      if (at < 0) continue
      const { size } = await lstat(join(input.folder, path))
      const { target } = rules[at]!
      const movedTo = input.moves && target ? await move(input.folder, path, target) : undefined
      found.push({
        name: entry.name,
        path,
        sizeBytes: size,
        rule: at,
        ...(movedTo !== undefined && { movedTo }),
      })
    }
    tools.progress(0, { seen })
  }
  found.sort((a, b) => (a.path < b.path ? -1 : 1))
  return { outputs: [{ name: 'found', value: { seen, files: found as unknown as Json } as JsonObject }] }
}

async function move(root: string, path: string, target: NonNullable<ScanRule['target']>): Promise<string> {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const to = target.path ? join(target.path, name) : path
  const [source, place] = [join(root, path), join(target.folder, to)]
  if (source === place) return to
  await mkdir(dirname(place), { recursive: true })
  const part = `${place}.part`
  await copyFile(source, part, constants.COPYFILE_FICLONE)
  const file = await open(part, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(part, place)
  await rm(source)
  return to
}
