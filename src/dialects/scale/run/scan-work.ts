// Scans a workspace: walks its directory, matches file names against rules, and moves what a rule sends elsewhere.
// Runs on a worker thread; registering what was found is done by the server afterwards. What is to be moved is written
// down before anything moves: a scan that was cut short goes on with that plan, since a second walk would miss what has gone.

import { existsSync } from 'node:fs'
import { lstat, mkdir, open, readdir, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Json, JsonObject } from '../../../core/json.ts'
import type { Work, WorkTools } from '../../../core/work.ts'
import { moveFile, syncFolder } from './move-file.ts'

/** What to scan for. */
export interface ScanInput {
  readonly folder: string
  readonly recursive: boolean
  /** Tried in order; the first that matches a file's name, from its first character, decides. */
  readonly rules: readonly ScanRule[]
  readonly filesMax: number
  /** Where to write down what is to be moved; absent for a scan that only counts and matches. */
  readonly planPath?: string
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
  /** Where it belongs, in the workspace of its rule. */
  readonly movedTo?: string
  /** Another file lies, or is to lie, in that place: this one stays where it is. */
  readonly isCrowdedOut?: boolean
}

interface Found {
  readonly seen: number
  readonly files: readonly FoundFile[]
}

export const scan: Work = async (given, tools) => {
  const input = given as unknown as ScanInput
  const { planPath } = input
  const known = planPath === undefined ? undefined : await readPlan(planPath)
  const found = known ?? (await walk(input, tools))
  if (planPath !== undefined && found.files.some(file => file.movedTo !== undefined)) {
    if (!known) await writePlan(planPath, found)
    for (const file of found.files) {
      tools.signal.throwIfAborted()
      const target = input.rules[file.rule]?.target
      if (file.movedTo === undefined || file.isCrowdedOut || !target) continue
      await moveFile(join(input.folder, file.path), join(target.folder, file.movedTo))
    }
  }
  return { outputs: [{ name: 'found', value: found as unknown as JsonObject }] }
}

async function walk(input: ScanInput, tools: WorkTools): Promise<Found> {
  const rules = input.rules.map(rule => ({ ...rule, matcher: new RegExp(`^(?:${rule.pattern})`, 'u') }))
  const files: FoundFile[] = []
  const taken = new Set<string>()
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
      const place = input.planPath !== undefined && target ? placeOf(input, path, target, taken) : {}
      files.push({ name: entry.name, path, sizeBytes: size, rule: at, ...place })
    }
    tools.progress(0, { seen })
  }
  return { seen, files: files.sort((a, b) => (a.path < b.path ? -1 : 1)) }
}

/** Where a file is to go; the first one to go to a place has it. */
function placeOf(
  input: ScanInput,
  path: string,
  target: NonNullable<ScanRule['target']>,
  taken: Set<string>,
): Pick<FoundFile, 'movedTo' | 'isCrowdedOut'> {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const movedTo = target.path ? join(target.path, name) : path
  const place = join(target.folder, movedTo)
  const isOwn = place === join(input.folder, path)
  if (!isOwn && (taken.has(place) || existsSync(place))) return { movedTo, isCrowdedOut: true }
  taken.add(place)
  return { movedTo }
}

async function readPlan(path: string): Promise<Found | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as Found)
}

// Under its name there is only ever a whole plan.
async function writePlan(path: string, found: Found): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const file = await open(`${path}.part`, 'w')
  try {
    await file.writeFile(JSON.stringify(found as unknown as Json))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.part`, path)
  await syncFolder(dirname(path))
}
