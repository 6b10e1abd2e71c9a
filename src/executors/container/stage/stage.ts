// Moves files in and out for the attempts of the container executor, and remembers in their folders what it takes to
// finish after a restart of the server.

import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Outcome } from '../../../core/job.ts'
import type { Blobs } from '../../../store/blobs.ts'
import type { AttemptFolder } from '../attempt-folder.ts'
import { writeWhole } from '../attempt-folder.ts'
import { HOME, type Mount } from '../driver.ts'
import type { ImageStore } from '../images/index.ts'
import type { ContainerSpec } from '../spec.ts'
import { bringImages } from './bring-images.ts'
import { bringIn } from './bring-in.ts'
import type { InsideRoot } from './inside-path.ts'
import { packTree } from './pack-tree.ts'
import { StageFault } from './stage-fault.ts'
import type { CollectItem } from './stage-spec.ts'
import { takeOut } from './take-out.ts'

/** What moving files needs from the rest of the house. */
export interface StageTools {
  readonly blobs: Blobs
  /** Opens a user's URL under the rules of this installation. */
  readonly openUrl: (url: string) => Promise<IncomingMessage>
}

interface StageNote {
  /** Files that streams are merged into: they lie beside the scratch directory. */
  readonly merged: readonly string[]
  readonly collect: readonly CollectItem[]
  readonly stageInMs: number
  /** How much disk the job has; as much as there is, unless said. */
  readonly diskBytes?: number | undefined
  /** Directories of the scratch directory that lie elsewhere, because tasks see them elsewhere too. */
  readonly shared: readonly string[]
}

/** Without a word about disk space a job may bring in this much. */
const bytesMaxUsual = 10_000_000_000

export class Stage {
  readonly #tools: StageTools
  /** Blobs that are kept from being swept until their outcome is committed. */
  readonly #kept = new Map<string, (() => void)[]>()

  constructor(tools: StageTools) {
    this.#tools = tools
  }

  /** Images that are files (uploaded, on the web, on a volume) are imported; the tasks then name what came of it. */
  bringImages(
    spec: ContainerSpec,
    where: { images: ImageStore; volumes: readonly Mount[] },
  ): Promise<ContainerSpec> {
    return bringImages(spec, { ...this.#tools, ...where })
  }

  /** Before the first task; the folder is made and nothing runs in it yet. Throws StageFault. */
  async bringIn(folder: AttemptFolder, spec: ContainerSpec, diskBytes: number | undefined): Promise<void> {
    const { fetch, collect } = spec.stage
    const merged = [...new Set(spec.tasks.flatMap(task => (task.mergeInto == null ? [] : [task.mergeInto])))]
    if (fetch.length + collect.length === 0 && !spec.inside) return
    const stageInMs = await bringIn(fetch, {
      ...this.#tools,
      scratchDir: folder.scratchDir,
      bytesMax: diskBytes ?? bytesMaxUsual,
    })
    const shared = [...new Set(spec.tasks.flatMap(task => task.mounts.map(({ from }) => from)))]
    const note: StageNote = { collect, stageInMs, shared, merged, diskBytes }
    await writeWhole(noteFile(folder), note)
  }

  /** After the last task: the outcome with the outputs in it. */
  async takeOut(folder: AttemptFolder, id: string, outcome: Outcome): Promise<Outcome> {
    const note = await readStageNote(folder)
    if (note === undefined) return outcome
    const detail = { ...outcome.detail, ...(note.stageInMs > 0 ? { stageInMs: note.stageInMs } : {}) }
    const isOfUse =
      outcome.result === 'succeeded' || outcome.result === 'failed' || outcome.reason === 'timeout'
    if (note.collect.length === 0 || !isOfUse || outcome.reason === 'image') return { ...outcome, detail }
    const taken = await takeOut(note.collect, {
      root: rootOf(folder, note),
      blobs: this.#tools.blobs,
      bytesMax: note.diskBytes ?? Number.MAX_SAFE_INTEGER,
    })
    this.keep(id, taken.outputs)
    const told: Outcome = { ...outcome, outputs: taken.outputs, detail: { ...detail, stageOutMs: taken.ms } }
    if (taken.fault === undefined) return told
    // What a task's exit code says is less than that its results are missing; a time-out, or a fault, says more.
    if (outcome.result !== 'succeeded' && outcome.reason !== 'exit') return told
    if (outcome.detail?.['fault'] != null) return told
    return { ...told, ...failureOf(taken.fault), detail: { ...told.detail, fault: taken.fault.fault } }
  }

  /** Whether everything that an outcome names is still there. */
  async isWhole({ outputs = [] }: Outcome): Promise<boolean> {
    for (const { blob } of outputs)
      if (blob !== undefined && (await this.#tools.blobs.stat(blob.hash)) === undefined) return false
    return true
  }

  /** Keeps the outputs of an attempt from being swept. */
  keep(id: string, outputs: Outcome['outputs'] = []): void {
    const hashes = outputs.flatMap(({ blob }) => (blob === undefined ? [] : [blob.hash]))
    if (hashes.length === 0) return
    this.release(id)
    this.#kept.set(
      id,
      hashes.map(hash => this.#tools.blobs.keep(hash)),
    )
  }

  /** The outcome is committed, or forgotten: its rows keep the outputs now. */
  release(id: string): void {
    for (const release of this.#kept.get(id) ?? []) release()
    this.#kept.delete(id)
  }
}

/** The outcome of an attempt whose files could not be moved; undefined for other errors. */
export function outcomeOfFault(error: unknown): Outcome | undefined {
  if (!(error instanceof StageFault)) return undefined
  return { ...failureOf(error), detail: { fault: error.fault } }
}

/** A gzipped tar of a path in the scratch directory of an attempt that runs; undefined when there is no such thing. */
export async function packInside(folder: AttemptFolder, path: string): Promise<Readable | undefined> {
  const note = await readStageNote(folder)
  return packTree(rootOf(folder, note), path, { bytes: note?.diskBytes ?? Number.MAX_SAFE_INTEGER })
}

/** Where an attempt's files are, as programs in it see them. */
function rootOf({ dir, scratchDir, sharedDir }: AttemptFolder, note: StageNote | undefined): InsideRoot {
  const elsewhere = new Map((note?.shared ?? []).map(name => [name, join(sharedDir, name)]))
  for (const [at, name] of (note?.merged ?? []).entries()) elsewhere.set(name, join(dir, `merged.${at + 1}`))
  return { dir: scratchDir, seenAt: HOME, elsewhere }
}

function failureOf({ reason, message }: StageFault) {
  return { result: 'failed', reason, message } as const
}

function noteFile({ dir }: AttemptFolder): string {
  return join(dir, 'stage.json')
}

async function readStageNote(folder: AttemptFolder): Promise<StageNote | undefined> {
  const text = await readFile(noteFile(folder), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as StageNote)
}
