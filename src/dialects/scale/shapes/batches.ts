// Batches and datasets as clients read them (contracts/scale.md §4.8).

import type { JsonObject } from '../../../core/json.ts'
import type { Batch } from '../batches/batches.ts'
import type { Dataset } from '../batches/datasets.ts'
import { recipesOfBatch } from '../batches/run-batch.ts'
import { type JobRow, noCounts } from '../instances/rows.ts'
import { showDuration, showTime } from '../web/time-text.ts'
import type { World } from '../world.ts'
import { showRecipeTypeBase } from './catalog.ts'
import { showJobCounts } from './job-counts.ts'
import { showBatchBase } from './jobs.ts'
import { nodesOf } from './recipes.ts'

/** A batch in lists. */
export function showBatch(batch: Batch, world: World): JsonObject {
  const type = world.catalog.recipeTypes.get(batch.recipeTypeId)!
  const revision = world.catalog.recipeTypeRevision(type.name, batch.revision)!
  return {
    ...showBatchBase(batch.id, world),
    recipe_type: showRecipeTypeBase(type),
    recipe_type_rev: { id: revision.id, recipe_type: { id: type.id }, revision_num: batch.revision },
    event: { id: batch.eventId, type: 'USER', occurred: showTime(batch.eventAt) },
    is_superseded: batch.isSuperseded,
    root_batch: showBatchBase(batch.rootId, world),
    superseded_batch: showBatchBase(batch.supersededId, world),
    is_creation_done: batch.isCreationDone,
    ...showBatchCounts(batch, world),
    superseded: showTime(batch.supersededAt),
    last_modified: showTime(batch.modifiedAt),
  }
}

/** A batch by itself. */
export async function showBatchDetails(batch: Batch, world: World): Promise<JsonObject> {
  const type = world.catalog.recipeTypes.get(batch.recipeTypeId)!
  const revision = world.catalog.recipeTypeRevision(type.name, batch.revision)!
  const shown = showBatch(batch, world)
  return {
    ...shown,
    recipe_type_rev: {
      id: revision.id,
      recipe_type: showRecipeTypeBase(type),
      revision_num: batch.revision,
      created: showTime(revision.createdAt),
    },
    event: { ...(shown['event'] as JsonObject), description: { user: batch.user || 'Anonymous' } },
    definition: batch.definition,
    configuration: batch.configuration,
    job_metrics: await showMetrics(batch, world),
  }
}

/** The counters of a batch. */
export function showBatchCounts(batch: Batch, world: World): JsonObject {
  const tally = world.instances.ledgers.tallyOf(batch.id)
  return {
    ...showJobCounts(tally.jobs),
    recipes_estimated: batch.recipesEstimated,
    recipes_total: tally.recipes,
    recipes_completed: tally.completed,
  }
}

/** For each job node of the recipe type, how its jobs in the batch stand. */
export async function showMetrics(batch: Batch, world: World): Promise<JsonObject> {
  const type = world.catalog.recipeTypes.get(batch.recipeTypeId)!
  const { definition } = world.catalog.recipeTypeRevision(type.name, batch.revision)!
  const jobs = new Map<string, JobRow[]>()
  for (const node of definition.nodes.values()) if (node.type.kind === 'job') jobs.set(node.name, [])
  for (const recipe of await recipesOfBatch(world, batch.id))
    for (const [name, ref] of await nodesOf(recipe, world)) {
      const row = ref.is === 'job' ? await world.archive.job(ref.id) : undefined
      if (row?.isVisible) jobs.get(name)?.push(row)
    }
  return Object.fromEntries([...jobs].map(([name, rows]) => [name, showNodeMetrics(rows)]))
}

/** A dataset in lists: with the number of its files. */
export function showDataset(dataset: Dataset): JsonObject {
  const files = new Set(dataset.members.flatMap(member => Object.values(member.data.files).flat()))
  return { ...showDatasetBase(dataset), files: files.size }
}

/** A dataset by itself. */
export async function showDatasetDetails(dataset: Dataset, world: World): Promise<JsonObject> {
  const pairs = dataset.members.flatMap(member =>
    Object.entries(member.data.files).flatMap(([name, ids]) => ids.map(id => ({ name, id }))),
  )
  const files = await world.files.getMany(pairs.map(({ id }) => id))
  return {
    ...showDatasetBase(dataset),
    members: dataset.members.map(member => ({
      id: member.id,
      created: showTime(member.createdAt),
      file_ids: Object.values(member.data.files).flat(),
    })),
    files: pairs.map(({ name, id }, index) => ({
      id: index + 1,
      parameter_name: name,
      scale_file: { id, file_name: files.get(id)?.name ?? null, countries: [] },
    })),
  }
}

function showDatasetBase(dataset: Dataset): JsonObject {
  return {
    id: dataset.id,
    title: dataset.title,
    description: dataset.description,
    created: showTime(dataset.createdAt),
    definition: dataset.definition,
  }
}

function showNodeMetrics(rows: readonly JobRow[]): JsonObject {
  const counts = noCounts()
  for (const row of rows) counts[row.status]++
  const times = rows
    .filter(row => row.status === 'COMPLETED' && row.startedAt !== null && row.endedAt !== null)
    .map(row => row.endedAt! - row.startedAt!)
  const show = (durationMs: number): string | null => (times.length === 0 ? null : showDuration(durationMs))
  const [low, high] = [
    times.reduce((a, b) => Math.min(a, b), Number.MAX_SAFE_INTEGER),
    times.reduce((a, b) => Math.max(a, b), 0),
  ]
  return {
    ...showJobCounts(counts),
    min_seed_duration: null,
    avg_seed_duration: null,
    max_seed_duration: null,
    min_job_duration: show(low),
    avg_job_duration: show(times.reduce((a, b) => a + b, 0) / Math.max(times.length, 1)),
    max_job_duration: show(high),
  }
}
