// Finds files, and publishes what jobs brought: gives products their ids and the job its output data. Publishing is
// repeatable: whoever needs a job's outputs first makes sure that it has happened.

import type { Json, JsonObject } from '../../../core/json.ts'
import { Serial } from '../../../core/serial.ts'
import { type Data, emptyData, fileIdsOf, readData, showData } from '../../../domains/recipe/data.ts'
import type { SourceFacts } from '../../../domains/recipe/seed/side-car.ts'
import type { RecordChange } from '../../../store/store.ts'
import { exeIdOf } from '../instances/execution.ts'
import type { JobRow } from '../instances/rows.ts'
import type { World } from '../world.ts'
import { type FileEntry, fileCollection, putFile } from './file-entry.ts'

const outputCollection = 'scale.output'

/** A file as collecting found it and put it into its workspace. */
export interface CapturedFile {
  readonly name: string
  readonly path: string
  readonly workspaceId: number
  readonly sizeBytes: number
  readonly mediaType: string
  readonly facts: SourceFacts
  readonly geometry: string | null
  readonly metaData: JsonObject
}

/** What a program says of one of its input files. */
export interface Description {
  readonly facts: SourceFacts
  readonly metaData: JsonObject
  readonly geometry?: string
}

export class Files {
  readonly #world: World
  readonly #publishing = new Serial()

  constructor(world: World) {
    this.#world = world
  }

  async get(id: number): Promise<FileEntry | undefined> {
    return (await this.getMany([id])).get(id)
  }

  async getMany(ids: readonly number[]): Promise<Map<number, FileEntry>> {
    if (ids.length === 0) return new Map()
    const records = await this.#world.kit.records.getMany(fileCollection, ids.map(String))
    return new Map(
      [...records.values()].map(record => [Number(record.id), record.body as unknown as FileEntry]),
    )
  }

  /** The files of data, by id; those that are not known are absent. */
  filesOf(data: Data): Promise<Map<number, FileEntry>> {
    return this.getMany(fileIdsOf(data))
  }

  /** A job's output data; empty while it is not complete. */
  async outputOf(job: JobRow): Promise<Data> {
    if (job.post === 0 || job.postState !== 'succeeded') return emptyData
    const record = await this.#world.kit.records.get(outputCollection, String(job.id))
    if (record) return dataOf(record.body)
    return this.#publishing.run(String(job.id), () => this.#publish(job))
  }

  async #publish(row: JobRow): Promise<Data> {
    const { records } = this.#world.kit
    const known = await records.get(outputCollection, String(row.id))
    if (known) return dataOf(known.body)
    const job = await this.#world.engineJob(row.post)
    const captured = (job?.detail?.['captured'] ?? {}) as {
      json?: JsonObject
      files?: Record<string, CapturedFile[]>
      described?: Record<string, Description>
    }
    const input = await this.#world.runs.inputOf(row)
    const olds = new Map<string, FileEntry>()
    const identities = new Map<CapturedFile, string>()
    for (const file of Object.values(captured.files ?? {}).flat()) {
      const identity = JSON.stringify([row.typeId, file.name, showData(input)])
      identities.set(file, identity)
      const where = [{ name: 'identity', is: identity }]
      const found = await records.list({ collection: fileCollection, where, limit: 1 })
      if (found.items[0]) olds.set(identity, found.items[0].body as unknown as FileEntry)
    }
    const described = Object.entries(captured.described ?? {})
    const inputFiles = described.length === 0 ? new Map<number, FileEntry>() : await this.filesOf(input)
    const recipe = await this.#world.archive.recipe(row.recipe)
    return this.#world.commit(tx => {
      // In one commit with the outputs: repeated, it would say the same again.
      for (const [name, { facts, metaData, geometry }] of described) {
        const file = inputFiles.get(input.files.get(name)?.[0] ?? 0)
        if (!file) continue
        const added = { ...facts, metaData, ...(geometry !== undefined && { geometry }) }
        tx.record(putFile({ ...file, ...added, modifiedAt: tx.now }))
      }
      const output = { files: {} as Record<string, number[]>, json: captured.json ?? {} }
      for (const [name, list] of Object.entries(captured.files ?? {}))
        output.files[name] = list.map(file => {
          const id = tx.next('scale.file')
          const identity = identities.get(file)!
          const old = olds.get(identity)
          // The newer product of the same program on the same input takes the older one's place.
          if (old) tx.record(putFile({ ...old, supersededAt: tx.now, modifiedAt: tx.now }))
          const entry: FileEntry = {
            id,
            name: file.name,
            path: file.path,
            workspaceId: file.workspaceId,
            fileType: 'PRODUCT',
            mediaType: file.mediaType,
            sizeBytes: file.sizeBytes,
            dataTypes: [],
            metaData: file.metaData,
            geometry: file.geometry,
            isDeleted: false,
            createdAt: tx.now,
            deletedAt: null,
            modifiedAt: tx.now,
            ...file.facts,
            job: {
              id: row.id,
              typeId: row.typeId,
              exeId: exeIdOf(row.id, row.exesBefore + row.attempts),
              output: name,
              recipe: row.recipe,
              recipeTypeId: recipe?.typeId ?? null,
              node: row.node,
              batch: row.batch,
            },
            identity,
            supersededAt: null,
          }
          tx.record(putFile(entry))
          return id
        })
      tx.record({ put: { collection: outputCollection, id: String(row.id), body: output as Json } })
      return dataOf(output as Json)
    })
  }
}

/** The change that takes out what a job said of its outputs; the files stay. */
export function dropOutput(job: number): RecordChange {
  return { drop: { collection: outputCollection, id: String(job) } }
}

function dataOf(body: Json): Data {
  const reading = readData(body as JsonObject)
  return reading.ok ? reading.value : emptyData
}
