// Files as clients read them (contracts/scale.md §4.6).

import type { JsonObject } from '../../../core/json.ts'
import type { FileEntry } from '../files/file-entry.ts'
import { showTime } from '../web/time-text.ts'
import type { World } from '../world.ts'
import { showJobTypeBase, showRecipeTypeBase } from './catalog.ts'

/** A file; by itself also its meta-data. */
export function showFile(file: FileEntry, world: World, options: { full?: boolean } = {}): JsonObject {
  const { catalog } = world
  const workspace = catalog.workspaces.get(file.workspaceId)
  const { job } = file
  const jobType = job && catalog.jobTypes.get(job.typeId)
  const recipeType = job?.recipeTypeId ? catalog.recipeTypes.get(job.recipeTypeId) : undefined
  const batch = job?.batch ? world.batches.get(job.batch) : undefined
  return {
    id: file.id,
    file_name: file.name,
    workspace: workspace ? { id: workspace.id, name: workspace.name } : null,
    data_type_tags: [...file.dataTypes],
    media_type: file.mediaType,
    file_type: file.fileType,
    file_size: file.sizeBytes,
    file_path: file.path,
    is_deleted: file.isDeleted,
    url: workspace?.baseUrl ? `${workspace.baseUrl.replace(/\/$/, '')}/${file.path}` : null,
    created: showTime(file.createdAt),
    deleted: showTime(file.deletedAt),
    data_started: showTime(file.dataStartedAt),
    data_ended: showTime(file.dataEndedAt),
    ...showSource(file),
    last_modified: showTime(file.modifiedAt),
    geometry: file.geometry,
    center_point: null,
    countries: [],
    job_type: jobType ? showJobTypeBase(jobType) : null,
    job: job ? { id: job.id } : null,
    job_exe: job ? { id: job.exeId } : null,
    job_output: job?.output ?? null,
    recipe_type: recipeType ? showRecipeTypeBase(recipeType) : null,
    recipe: job?.recipe ? { id: job.recipe } : null,
    recipe_node: job?.node ?? null,
    batch: batch ? { id: batch.id, title: batch.title } : null,
    is_superseded: file.supersededAt !== null,
    superseded: showTime(file.supersededAt),
    ...(options.full && { meta_data: file.metaData }),
  }
}

/** The source_* members of files, jobs and recipes. */
export function showSource(facts: {
  readonly sourceStartedAt?: number
  readonly sourceEndedAt?: number
  readonly sourceSensorClass?: string
  readonly sourceSensor?: string
  readonly sourceCollection?: string
  readonly sourceTask?: string
}): JsonObject {
  return {
    source_started: showTime(facts.sourceStartedAt),
    source_ended: showTime(facts.sourceEndedAt),
    source_sensor_class: facts.sourceSensorClass ?? null,
    source_sensor: facts.sourceSensor ?? null,
    source_collection: facts.sourceCollection ?? null,
    source_task: facts.sourceTask ?? null,
  }
}
