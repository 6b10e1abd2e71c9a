// A file that the dialect knows: a source that was ingested, or a product of a job. The bytes stay in their workspace.

import type { Json, JsonObject } from '../../../core/json.ts'
import type { FilteredFile } from '../../../domains/recipe/data-filter.ts'
import type { SourceFacts } from '../../../domains/recipe/seed/side-car.ts'
import type { RecordChange } from '../../../store/store.ts'

/** A file. */
export interface FileEntry extends SourceFacts {
  readonly id: number
  readonly name: string
  /** Relative to its workspace. */
  readonly path: string
  readonly workspaceId: number
  readonly fileType: 'SOURCE' | 'PRODUCT'
  readonly mediaType: string
  readonly sizeBytes: number
  readonly dataTypes: readonly string[]
  readonly metaData: JsonObject
  readonly geometry: string | null
  readonly isDeleted: boolean
  readonly createdAt: number
  readonly deletedAt: number | null
  readonly modifiedAt: number
  /** What made it; absent for sources. */
  readonly job?: {
    readonly id: number
    readonly typeId: number
    readonly exeId: number
    readonly output: string
    readonly recipe: number | null
    readonly recipeTypeId: number | null
    readonly node: string | null
    readonly batch: number | null
  }
  /** What makes two products the same: job type, name and input. */
  readonly identity?: string
  readonly supersededAt: number | null
}

export const fileCollection = 'scale.file'

/** The change that writes a file down, findable by what lists filter on. */
export function putFile(file: FileEntry): RecordChange {
  const index: [string, string | number][] = [
    ['modified', file.modifiedAt],
    ['created', file.createdAt],
    ['name', file.name],
    ['type', file.fileType],
    ['media', file.mediaType],
    ['place', `${file.workspaceId} ${file.path}`],
  ]
  const add = (name: string, value: string | number | null | undefined): void => {
    if (value !== null && value !== undefined) index.push([name, value])
  }
  add('job', file.job?.id)
  add('job-type', file.job?.typeId)
  add('output', file.job?.output)
  add('recipe', file.job?.recipe)
  add('recipe-type', file.job?.recipeTypeId)
  add('node', file.job?.node)
  add('batch', file.job?.batch)
  add('identity', file.supersededAt === null ? file.identity : undefined)
  return {
    put: { collection: fileCollection, id: String(file.id), body: { ...file } as unknown as Json, index },
  }
}

/** What conditions may ask about a file. */
export function filteredFile(file: FileEntry): FilteredFile {
  return {
    fileName: file.name,
    mediaType: file.mediaType,
    dataTypes: file.dataTypes,
    metaData: file.metaData,
  }
}

/** When and by what a file was sensed. */
export function sourceFactsOf(file: SourceFacts): SourceFacts {
  return {
    ...(file.sourceStartedAt !== undefined && { sourceStartedAt: file.sourceStartedAt }),
    ...(file.sourceEndedAt !== undefined && { sourceEndedAt: file.sourceEndedAt }),
    ...(file.sourceSensorClass !== undefined && { sourceSensorClass: file.sourceSensorClass }),
    ...(file.sourceSensor !== undefined && { sourceSensor: file.sourceSensor }),
    ...(file.sourceCollection !== undefined && { sourceCollection: file.sourceCollection }),
    ...(file.sourceTask !== undefined && { sourceTask: file.sourceTask }),
  }
}
