// Scans of workspaces and what they ingest: how files come into this dialect (contracts/scale.md §4.6). The walking is a
// job of its own; when it has ended, what it found is registered here, in steps that may be repeated.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Json, JsonObject } from '../../../core/json.ts'
import { Serial } from '../../../core/serial.ts'
import { emptyConfiguration } from '../../../domains/recipe/seed/configuration.ts'
import { guessMediaType } from '../../../domains/recipe/seed/media-type.ts'
import type { Tx } from '../../../engine/engine.ts'
import type { RecordChange } from '../../../store/store.ts'
import { systemJobTypeName } from '../catalog/system-types.ts'
import { workspaceFolder } from '../catalog/things.ts'
import { readJobFacts, showJobFacts } from '../instances/job-facts.ts'
import { jobRow } from '../instances/load.ts'
import { queueRecipe } from '../instances/queue.ts'
import type { JobRow } from '../instances/rows.ts'
import type { FoundFile, ScanInput } from '../run/scan-work.ts'
import { AnswerError } from '../web/answer-error.ts'
import type { World } from '../world.ts'
import { type FileEntry, fileCollection, putFile } from './file-entry.ts'

export const scanCollection = 'scale.scan'
export const ingestCollection = 'scale.ingest'
/** The kind of the walking job. */
export const scanKind = 'scale.scan'

/** A rule of a scan, as users write it. */
export interface IngestRule {
  readonly filename_regex: string
  readonly data_types?: readonly string[]
  readonly new_workspace?: string
  readonly new_file_path?: string
}

/** A scan. */
export interface Scan {
  readonly id: number
  readonly name: string
  readonly title: string
  readonly description: string | null
  readonly configuration: JsonObject
  readonly jobId: number | null
  readonly dryRunJobId: number | null
  readonly fileCount: number | null
  readonly isRegistered: boolean
  readonly createdAt: number
  readonly modifiedAt: number
}

/** A file's way in. */
export interface Ingest {
  readonly id: number
  readonly scanId: number
  readonly jobId: number
  readonly fileName: string
  readonly filePath: string
  readonly workspaceId: number
  readonly newWorkspaceId: number | null
  readonly newFilePath: string
  readonly status: 'INGESTED' | 'DUPLICATE'
  readonly mediaType: string
  readonly sizeBytes: number
  readonly dataTypes: readonly string[]
  readonly fileId: number | null
  /** Its recipe was queued, or refused. */
  readonly hasRecipe?: boolean
  readonly startedAt: number
  readonly endedAt: number
}

/** How many files are registered in one commit. */
const chunkSize = 500

export class Scans {
  readonly #world: World
  readonly #registering = new Serial()

  constructor(world: World) {
    this.#world = world
  }

  async get(id: number): Promise<Scan | undefined> {
    const record = await this.#world.kit.records.get(scanCollection, String(id))
    return record?.body as unknown as Scan | undefined
  }

  async all(): Promise<Scan[]> {
    const page = await this.#world.kit.records.list({ collection: scanCollection, limit: 10_000 })
    return page.items.map(record => record.body as unknown as Scan)
  }

  /** Starts the walking job of a scan. */
  async launch(scan: Scan, options: { ingest: boolean; user: string }): Promise<Scan> {
    const { catalog, settings } = this.#world
    const type = catalog.jobTypeNamed(systemJobTypeName, '1.0.0')!
    const workspace = catalog.workspaceNamed(String(scan.configuration['workspace']))
    const folder = workspace && workspaceFolder(workspace)
    if (folder === undefined) throw new Error('the workspace of the scan is not on this machine')
    const inputFor = (job: number): ScanInput => ({
      folder,
      recursive: scan.configuration['recursive'] !== false,
      rules: rulesOf(scan).map(rule => {
        const target =
          rule.new_workspace === undefined ? workspace : catalog.workspaceNamed(rule.new_workspace)
        const targetFolder = target && workspaceFolder(target)
        const moves = rule.new_workspace !== undefined || rule.new_file_path !== undefined
        return {
          pattern: rule.filename_regex,
          ...(moves &&
            targetFolder !== undefined && {
              target: {
                folder: targetFolder,
                ...(rule.new_file_path !== undefined && { path: rule.new_file_path }),
              },
            }),
        }
      }),
      filesMax: settings.filesMax,
      ...(options.ingest && { planPath: this.#planOf(job) }),
    })
    return this.#world.commit(tx => {
      const { now } = tx
      const id = tx.next('scale.job')
      const detail = showJobFacts({
        id,
        typeId: type.id,
        revision: type.revision,
        recipe: null,
        node: null,
        step: 'scan',
        eventId: tx.next('scale.event'),
        eventAt: now,
        batch: null,
        collects: false,
        scan: scan.id,
        ingests: options.ingest,
      })
      const job = tx.submit({
        dialect: 'scale',
        executor: 'function',
        kind: scanKind,
        spec: { function: scanKind, input: inputFor(id) as unknown as Json },
        name: type.name,
        ref: String(id),
        pool: settings.pool,
        owner: options.user,
        detail,
      })
      this.#world.instances.addJob(jobRow(job)!)
      const next: Scan = {
        ...scan,
        ...(options.ingest ? { jobId: id } : { dryRunJobId: id }),
        modifiedAt: now,
      }
      tx.record(putScan(next))
      return next
    })
  }

  /** Registers what a scan found; a no-op for dry runs, and for what is registered already. */
  async register(row: JobRow): Promise<void> {
    const job = await this.#world.engineJob(row.main)
    const facts = readJobFacts(job?.detail ?? null)
    if (!facts?.ingests) return
    const scanId = facts.scan
    await this.#registering.run(String(scanId), async () => {
      const scan = await this.get(scanId)
      if (!scan || scan.isRegistered) return
      const [output] = await this.#world.kit.engine.history.outputs(row.main)
      const found = (output?.value ?? { seen: 0, files: [] }) as unknown as {
        seen: number
        files: FoundFile[]
      }
      const told = new Set((await this.#ingestsOf(scan)).map(ingest => ingest.filePath))
      const left = found.files.filter(file => !told.has(file.path))
      for (let at = 0; at < left.length; at += chunkSize)
        await this.#registerSome(scan, row, left.slice(at, at + chunkSize))
      await this.#queueRecipes(scan, row)
      await this.#world.commit(tx =>
        tx.record(putScan({ ...scan, fileCount: found.seen, isRegistered: true, modifiedAt: tx.now })),
      )
      await rm(this.#planOf(row.id), { force: true })
    })
  }

  /** Where a walking job writes down what it is about to move. */
  #planOf(job: number): string {
    return join(this.#world.kit.dir, 'scans', `${job}.json`)
  }

  async #registerSome(scan: Scan, row: JobRow, files: readonly FoundFile[]): Promise<void> {
    const { catalog } = this.#world
    const rules = rulesOf(scan)
    const source = catalog.workspaceNamed(String(scan.configuration['workspace']))!
    const placed = files.map(file => {
      const rule = rules[file.rule]!
      const workspace =
        (rule.new_workspace === undefined ? undefined : catalog.workspaceNamed(rule.new_workspace)) ?? source
      const path = file.movedTo ?? file.path
      return { file, rule, workspace, path, place: `${workspace.id} ${path}` }
    })
    const known = await this.#knownPlaces(placed.map(({ place }) => place))
    await this.#world.commit(tx => {
      const { now } = tx
      for (const { file, rule, workspace, path, place } of placed) {
        const isDuplicate = file.isCrowdedOut === true || known.has(place)
        if (!isDuplicate) known.add(place)
        const mediaType = guessMediaType(file.name)
        const dataTypes = rule.data_types ?? []
        const entry = isDuplicate
          ? undefined
          : sourceFile({
              id: tx.next('scale.file'),
              file,
              path,
              workspaceId: workspace.id,
              mediaType,
              dataTypes,
              now,
            })
        if (entry) tx.record(putFile(entry))
        const ingest: Ingest = {
          id: tx.next('scale.ingest'),
          scanId: scan.id,
          jobId: row.id,
          fileName: file.name,
          filePath: file.path,
          workspaceId: source.id,
          newWorkspaceId: rule.new_workspace === undefined ? null : workspace.id,
          newFilePath: file.isCrowdedOut ? '' : (file.movedTo ?? ''),
          status: isDuplicate ? 'DUPLICATE' : 'INGESTED',
          mediaType,
          sizeBytes: file.sizeBytes,
          dataTypes: [...dataTypes],
          fileId: entry?.id ?? null,
          startedAt: row.startedAt ?? now,
          endedAt: now,
        }
        tx.record(putIngest(ingest))
      }
    })
  }

  /** Everything that a scan has registered so far. */
  async #ingestsOf(scan: Scan): Promise<Ingest[]> {
    const ingests: Ingest[] = []
    let after: string | undefined
    do {
      const page = await this.#world.kit.records.list({
        collection: ingestCollection,
        parent: String(scan.id),
        limit: 1000,
        ...(after && { after }),
      })
      ingests.push(...page.items.map(record => record.body as unknown as Ingest))
      after = page.next
    } while (after)
    return ingests
  }

  async #knownPlaces(places: readonly string[]): Promise<Set<string>> {
    const found = new Set<string>()
    const where = [{ name: 'place', in: places }]
    let after: string | undefined
    do {
      const page = await this.#world.kit.records.list({
        collection: fileCollection,
        where,
        limit: 1000,
        ...(after && { after }),
      })
      for (const record of page.items) {
        const file = record.body as unknown as FileEntry
        if (!file.isDeleted) found.add(`${file.workspaceId} ${file.path}`)
      }
      after = page.next
    } while (after)
    return found
  }

  // Each recipe comes in one commit with the note that it has come: cut short, this goes on where it was.
  async #queueRecipes(scan: Scan, row: JobRow): Promise<void> {
    const wish = scan.configuration['recipe'] as JsonObject | undefined
    const type = wish && this.#world.catalog.recipeTypeNamed(String(wish['name']))
    const number = typeof wish?.['revision_num'] === 'number' ? wish['revision_num'] : undefined
    const revision = type && this.#world.catalog.recipeTypeRevision(type.name, number ?? type.revision)
    const input =
      revision && [...revision.definition.input.values()].find(parameter => parameter.kind === 'file')
    if (!type || !revision || !input) return
    const cause = { user: '', batch: null, ingestEvent: { id: row.eventId, occurredAt: row.eventAt } }
    for (const ingest of await this.#ingestsOf(scan)) {
      if (ingest.fileId === null || ingest.hasRecipe) continue
      const note = (tx: Tx): void => tx.record(putIngest({ ...ingest, hasRecipe: true }))
      const data = { files: { [input.name]: [ingest.fileId] } }
      const order = { type, revision, input: data, configuration: emptyConfiguration, cause, also: note }
      try {
        await queueRecipe(this.#world, order)
      } catch (error) {
        if (!(error instanceof AnswerError)) throw error
        const facts = { err: error, file: ingest.fileId }
        this.#world.kit.log.warn(facts, 'no recipe could be queued for an ingested file')
        await this.#world.commit(note)
      }
    }
  }
}

/** The rules of a scan. */
export function rulesOf(scan: Pick<Scan, 'configuration'>): IngestRule[] {
  return (scan.configuration['files_to_ingest'] ?? []) as unknown as IngestRule[]
}

/** The change that writes a scan down. */
export function putScan(scan: Scan): RecordChange {
  return { put: { collection: scanCollection, id: String(scan.id), body: { ...scan } as unknown as Json } }
}

function putIngest(ingest: Ingest): RecordChange {
  const index: [string, string | number][] = [
    ['status', ingest.status],
    ['name', ingest.fileName],
    ['ended', ingest.endedAt],
  ]
  const body = { ...ingest } as unknown as Json
  return {
    put: { collection: ingestCollection, id: String(ingest.id), parent: String(ingest.scanId), body, index },
  }
}

function sourceFile(facts: {
  id: number
  file: FoundFile
  path: string
  workspaceId: number
  mediaType: string
  dataTypes: readonly string[]
  now: number
}): FileEntry {
  return {
    id: facts.id,
    name: facts.file.name,
    path: facts.path,
    workspaceId: facts.workspaceId,
    fileType: 'SOURCE',
    mediaType: facts.mediaType,
    sizeBytes: facts.file.sizeBytes,
    dataTypes: [...facts.dataTypes],
    metaData: {},
    geometry: null,
    isDeleted: false,
    createdAt: facts.now,
    deletedAt: null,
    modifiedAt: facts.now,
    supersededAt: null,
  }
}
