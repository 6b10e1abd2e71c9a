// Batches and datasets (contracts/scale.md §4.8).

import type { Json, JsonObject } from '../../../core/json.ts'
import { showDiff } from '../../../domains/recipe/diff.ts'
import { type Batch, putBatch } from '../batches/batches.ts'
import { allDatasets, createDataset, getDataset } from '../batches/datasets.ts'
import { type BatchVerdict, createBatch, validateBatch } from '../batches/run-batch.ts'
import type { RecipeType } from '../catalog/things.ts'
import {
  showBatch,
  showBatchCounts,
  showBatchDetails,
  showDataset,
  showDatasetDetails,
  showMetrics,
} from '../shapes/batches.ts'
import { showRecipeTypeBase } from '../shapes/catalog.ts'
import { showBatchBase } from '../shapes/jobs.ts'
import { answerError, notFound } from '../web/answer-error.ts'
import { compareBy, isWithin } from '../web/filter.ts'
import { pageOf, readPage } from '../web/page.ts'
import type { Params } from '../web/params.ts'
import { type Answer, type Call, pathNumber, type Route } from '../web/routing.ts'
import type { World } from '../world.ts'
import { showVerdict } from './job-types.ts'
import { causeOf } from './recipes.ts'

/** The routes of batches and datasets. */
export function batchRoutes(world: World): Route[] {
  return [
    { method: 'GET', path: '/batches', handle: call => listBatches(world, call) },
    { method: 'POST', path: '/batches', handle: call => create(world, call) },
    { method: 'POST', path: '/batches/validation', right: 'read', handle: call => validate(world, call) },
    { method: 'GET', path: '/batches/comparison/:root', handle: call => compareBatches(world, call) },
    {
      method: 'GET',
      path: '/batches/:id',
      handle: async call => ({ status: 200, body: await showBatchDetails(batchOf(world, call), world) }),
    },
    { method: 'PATCH', path: '/batches/:id', handle: call => edit(world, call) },
    {
      method: 'GET',
      path: '/datasets',
      handle: async call => {
        const datasets = await allDatasets(world)
        return { status: 200, body: await pageOf(readPage(call.params), call.address, datasets, showDataset) }
      },
    },
    { method: 'POST', path: '/datasets', handle: call => createSet(world, call) },
    {
      method: 'GET',
      path: '/datasets/:id',
      handle: async call => {
        const dataset = await getDataset(world, pathNumber(call, 'id'))
        if (!dataset) throw notFound()
        return { status: 200, body: await showDatasetDetails(dataset, world) }
      },
    },
  ]
}

async function listBatches(world: World, call: Call): Promise<Answer> {
  const { params } = call
  const [types, roots] = [params.integers('recipe_type_id'), params.integers('root_batch_id')]
  const [isDone, isSuperseded] = [params.flag('is_creation_done'), params.flag('is_superseded')]
  const span = params.span('started', 'ended')
  const found = world.batches
    .all()
    .filter(
      batch =>
        (!types || types.includes(batch.recipeTypeId)) &&
        (!roots || roots.includes(batch.rootId)) &&
        (isDone === undefined || batch.isCreationDone === isDone) &&
        (isSuperseded === undefined || batch.isSuperseded === isSuperseded) &&
        isWithin(batch.modifiedAt, span),
    )
  const keys: Record<string, (batch: Batch) => string | number | null> = {
    id: batch => batch.id,
    title: batch => batch.title,
    created: batch => batch.createdAt,
    last_modified: batch => batch.modifiedAt,
  }
  const orders = params.orders()
  const wanted = (orders.length > 0 ? orders : [{ field: 'last_modified', isDown: false }]).map(
    ({ field, isDown }) => {
      const key = Object.hasOwn(keys, field) ? keys[field] : undefined
      if (!key)
        throw answerError(400, `Cannot order by "${field}". Fields are: ${Object.keys(keys).join(', ')}`)
      return { key, isDown }
    },
  )
  const sorted = found.toSorted(compareBy(wanted))
  return {
    status: 200,
    body: await pageOf(readPage(params), call.address, sorted, batch => showBatch(batch, world)),
  }
}

async function create(world: World, call: Call): Promise<Answer> {
  const { params } = call
  const { type, verdict, configuration } = await readBatch(world, params)
  if (verdict.errors[0]) throw answerError(400, verdict.errors[0].description)
  const batch = await createBatch(world, type, {
    title: params.text('title') ?? '',
    description: params.text('description') ?? null,
    verdict,
    configuration,
    user: causeOf(call).user,
  })
  // Told as it was at its creation, before any of its recipes was made.
  const body = await showBatchDetails({ ...batch, id: batch.id }, world)
  return { status: 201, headers: { location: `${call.base}/batches/${batch.id}/` }, body: asNew(body) }
}

function asNew(body: JsonObject): JsonObject {
  const zeroed = (shown: JsonObject): JsonObject =>
    Object.fromEntries(
      Object.entries(shown).map(([name, value]) => {
        if (/^jobs_|^recipes_(total|completed)$/.test(name)) return [name, 0]
        return [name, name.endsWith('_duration') ? null : value]
      }),
    )
  const metrics = Object.entries(body['job_metrics'] as Record<string, JsonObject>).map(([name, node]) => [
    name,
    zeroed(node),
  ])
  return { ...zeroed(body), is_creation_done: false, job_metrics: Object.fromEntries(metrics) }
}

async function validate(world: World, call: Call): Promise<Answer> {
  const { type, verdict } = await readBatch(world, call.params)
  const revision =
    verdict.previous && world.catalog.recipeTypeRevision(type.name, verdict.previous.batch.revision)
  const body: JsonObject = {
    ...showVerdict(verdict.errors, []),
    recipes_estimated: verdict.recipesEstimated,
    recipe_type: showRecipeTypeBase(type),
    ...(verdict.previous &&
      revision && {
        prev_batch: {
          recipe_type_rev: { id: revision.id, recipe_type: { id: type.id }, revision_num: revision.revision },
          diff: showDiff(verdict.previous.diff),
        },
      }),
  }
  return { status: 200, body }
}

async function readBatch(
  world: World,
  params: Params,
): Promise<{ type: RecipeType; verdict: BatchVerdict; configuration: JsonObject }> {
  const typeId = params.requiredInteger('recipe_type_id')
  const definition = params.requiredObject('definition')
  const configuration = params.object('configuration') ?? {}
  const type = world.catalog.recipeTypes.get(typeId)
  if (!type) throw answerError(400, `Unknown recipe type: ${typeId}`)
  return { type, verdict: await validateBatch(world, type, definition, configuration), configuration }
}

async function edit(world: World, call: Call): Promise<Answer> {
  const { params } = call
  const given = batchOf(world, call)
  const [title, description] = [params.text('title'), params.text('description')]
  const configuration = params.object('configuration')
  await world.commit(tx => {
    const batch: Batch = {
      ...world.batches.get(given.id)!,
      title: title ?? given.title,
      description: description ?? given.description,
      configuration: configuration ?? given.configuration,
      modifiedAt: tx.now,
    }
    tx.record(putBatch(batch))
    world.batches.keep(batch)
  })
  return { status: 204 }
}

async function compareBatches(world: World, call: Call): Promise<Answer> {
  const rootId = pathNumber(call, 'root')
  const batches = world.batches.all().filter(batch => batch.rootId === rootId)
  if (batches.length === 0) throw notFound()
  const counts = batches.map(batch => showBatchCounts(batch, world))
  const metrics = await Promise.all(batches.map(batch => showMetrics(batch, world)))
  const nodes = new Set(metrics.flatMap(shown => Object.keys(shown)))
  const jobMetrics = [...nodes].map(name => [
    name,
    sideBySide(metrics.map(shown => (shown[name] ?? {}) as JsonObject)),
  ])
  return {
    status: 200,
    body: {
      batches: batches.map(batch => showBatchBase(batch.id, world)),
      metrics: { ...sideBySide(counts), job_metrics: Object.fromEntries(jobMetrics) },
    },
  }
}

/** For each member, its values in every one of the objects. */
function sideBySide(objects: readonly JsonObject[]): JsonObject {
  const names = new Set(objects.flatMap(shown => Object.keys(shown)))
  return Object.fromEntries([...names].map(name => [name, objects.map((shown): Json => shown[name] ?? null)]))
}

async function createSet(world: World, call: Call): Promise<Answer> {
  const { params } = call
  params.required('title')
  const definition = params.requiredObject('definition')
  const data = params.value('data') ?? []
  if (!Array.isArray(data)) throw answerError(400, 'Parameter must be a list: "data"')
  const dataset = await createDataset(world, {
    title: params.text('title')!,
    description: params.text('description') ?? null,
    definition,
    data,
  })
  const headers = { location: `${call.base}/datasets/${dataset.id}/` }
  return { status: 201, headers, body: await showDatasetDetails(dataset, world) }
}

function batchOf(world: World, call: Call): Batch {
  const batch = world.batches.get(pathNumber(call, 'id'))
  if (!batch) throw notFound()
  return batch
}
