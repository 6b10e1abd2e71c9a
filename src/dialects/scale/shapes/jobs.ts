// Jobs and executions as clients read them (contracts/scale.md §4.5 and §6.7).

import { hostname } from 'node:os'
import type { Attempt } from '../../../core/job.ts'
import type { Json, JsonObject } from '../../../core/json.ts'
import { type Data, emptyData, showData } from '../../../domains/recipe/data.ts'
import { showConfiguration } from '../../../domains/recipe/seed/configuration.ts'
import { mebibytes } from '../../../domains/recipe/seed/resources.ts'
import { mergeSources } from '../../../domains/recipe/seed/side-car.ts'
import { sourceFactsOf } from '../files/file-entry.ts'
import { clusterIdOf, exeIdOf } from '../instances/execution.ts'
import { executionCount, type JobRow, type RecipeRow } from '../instances/rows.ts'
import type { Run } from '../run/runs.ts'
import { showTime } from '../web/time-text.ts'
import type { Status } from '../words.ts'
import type { World } from '../world.ts'
import {
  secretsOf,
  showErrorBase,
  showJobTypeBase,
  showJobTypeRevision,
  showRecipeTypeBase,
} from './catalog.ts'
import { showSource } from './files.ts'
import { errorOfFacts, errorOfRow } from './job-error.ts'

/** Where containers see their directories; shown for every job, since clients look for these paths. */
const shownFolders = { input: '/scale/input_data', output: '/scale/output_data' }

/** A job in lists. */
export async function showJob(row: JobRow, world: World): Promise<JsonObject> {
  return shownJob(row, world, await inputFacts(row, world))
}

/** A job by itself. */
export async function showJobDetails(row: JobRow, world: World): Promise<JsonObject> {
  const { catalog } = world
  const type = catalog.jobTypes.get(row.typeId)!
  const revision = catalog.jobTypeRevision(row.typeId, row.revision)!
  const input = await inputFacts(row, world)
  const spec = await world.runs.specOf(row)
  const configuration = { ...world.runs.configurationOf(row, spec), priority: row.priority }
  const run = await world.runs.describe(row, Math.max(row.attempts, 1), shownFolders)
  const by = await world.archive.job(row.supersededBy)
  const replaced = await world.archive.job(row.supersedes)
  return {
    ...(await shownJob(row, world, input)),
    job_type_rev: showJobTypeRevision(revision, type, { manifest: true }),
    superseded_job: replaced ? showJobBase(replaced, world) : null,
    superseded_by_job: by ? showJobBase(by, world) : null,
    resources: { resources: showResources(run) },
    execution: showsExecution(row) ? await showExecutionDetails(row, executionOf(row), world) : null,
    input: showData(input.data),
    output: showData(row.status === 'COMPLETED' ? await world.files.outputOf(row) : emptyData),
    configuration: showConfiguration(configuration, secretsOf(type)),
    // Ours: which input was wrong, or why it could not start, without a look into the server's log.
    error_text: row.status === 'FAILED' ? await failureText(row, world) : null,
  }
}

/** A job beside what it belongs to. */
export function showJobBase(row: JobRow, world: World): JsonObject {
  return {
    id: row.id,
    job_type: showJobTypeBase(world.catalog.jobTypes.get(row.typeId)!),
    status: row.status,
  }
}

/** The recipe of a job or sub-recipe, in short. */
export function showRecipeBase(row: RecipeRow, world: World): JsonObject {
  const type = world.catalog.recipeTypes.get(row.typeId)!
  const revision = world.catalog.recipeTypeRevision(type.name, row.revision)!
  return {
    id: row.id,
    recipe_type: showRecipeTypeBase(type),
    recipe_type_rev: { id: revision.id },
    event: { id: row.eventId },
  }
}

/** The batch of something, in short. */
export function showBatchBase(id: number | null, world: World): JsonObject | null {
  const batch = id === null ? undefined : world.batches.get(id)
  if (!batch) return null
  return {
    id: batch.id,
    title: batch.title,
    description: batch.description,
    created: showTime(batch.createdAt),
  }
}

async function failureText(row: JobRow, world: World): Promise<string | null> {
  const job = await world.engineJob(row.postState === 'failed' ? row.post : row.main)
  return job?.message ?? null
}

interface InputFacts {
  readonly data: Data
  readonly names: JsonObject
  readonly bytes: number | null
  readonly source: JsonObject
}

// A job that was never queued has no input yet, as far as clients are told.
async function inputFacts(row: JobRow, world: World): Promise<InputFacts> {
  if (row.queuedAt === null && row.mainState === 'blocked')
    return { data: emptyData, names: {}, bytes: null, source: showSource({}) }
  const data = await world.runs.inputOf(row)
  const files = await world.files.filesOf(data)
  const names = [...data.files].map(([name, ids]): [string, Json] => [
    name,
    ids.map(id => files.get(id)?.name ?? ''),
  ])
  const list = [...files.values()]
  return {
    data,
    names: Object.fromEntries(names),
    // A job outside of recipes gets its size only when it is processed, which for clients is when it starts.
    bytes:
      row.recipe === null
        ? row.startedAt === null || list.length === 0
          ? null
          : sizeOf(list)
        : sizeOf(list),
    source: showSource(mergeSources(list.map(sourceFactsOf))),
  }
}

function sizeOf(files: readonly { readonly sizeBytes: number }[]): number {
  return files.reduce((sum, file) => sum + file.sizeBytes, 0)
}

async function shownJob(row: JobRow, world: World, input: InputFacts): Promise<JsonObject> {
  const { catalog } = world
  const type = catalog.jobTypes.get(row.typeId)!
  const revision = catalog.jobTypeRevision(row.typeId, row.revision)!
  const recipe = row.supersededAt === null ? await world.archive.recipe(row.recipe) : undefined
  const error = errorOfRow(row, catalog)
  const hasRun = row.startedAt !== null && row.status !== 'CANCELED'
  const isIdle = row.status === 'PENDING' || row.status === 'BLOCKED'
  return {
    id: row.id,
    job_type: showJobTypeBase(type),
    status: row.status,
    job_type_rev: { id: revision.id, job_type: { id: type.id }, revision_num: row.revision },
    event: { id: row.eventId, type: 'USER', occurred: showTime(row.eventAt) },
    ingest_event: null,
    recipe: recipe ? showRecipeBase(recipe, world) : null,
    batch: showBatchBase(row.batch, world),
    is_superseded: row.supersededAt !== null,
    superseded_job: row.supersedes === null ? null : { id: row.supersedes },
    node: hasRun ? { id: 1, hostname: hostname() } : null,
    error: error ? showErrorBase(error) : null,
    max_tries: row.maxTries,
    num_exes: executionCount(row),
    input_file_size: input.bytes === null ? null : mebibytes(input.bytes),
    input_files: input.names,
    created: showTime(row.createdAt),
    queued: isIdle && row.attempts === 0 ? null : showTime(row.queuedAt),
    started: showTime(row.startedAt),
    ended: showTime(row.status === 'CANCELED' ? null : row.endedAt),
    last_status_change: showTime(row.changedAt),
    superseded: showTime(row.supersededAt),
    last_modified: showTime(row.modifiedAt),
    ...input.source,
  }
}

/** One execution of a job. */
export interface Execution {
  readonly number: number
  readonly status: Status
  readonly queuedAt: number | null
  readonly startedAt: number | null
  readonly endedAt: number | null
  readonly reason: JobRow['reason']
  readonly exitCode: number | null
  readonly message: string | null
}

/** The execution that is going on, or the last one. */
export function executionOf(row: JobRow): Execution {
  return {
    number: row.exesBefore + row.attempts,
    status: row.status,
    queuedAt: row.queuedAt,
    startedAt: row.startedAt,
    endedAt: row.endedAt,
    reason: row.reason,
    exitCode: row.exitCode,
    message: null,
  }
}

/** All executions of a job that have begun, newest first. */
export async function executionsOf(row: JobRow, world: World): Promise<Execution[]> {
  const past = (await world.kit.engine.history.attempts(row.main)).map(attempt => pastExecution(row, attempt))
  const current = row.attempts > 0 ? [executionOf(row)] : []
  const byNumber = new Map([...past, ...current].map(execution => [execution.number, execution]))
  return [...byNumber.values()].toSorted((a, b) => b.number - a.number)
}

function pastExecution(row: JobRow, attempt: Attempt): Execution {
  const status = { succeeded: 'COMPLETED', failed: 'FAILED', stopped: 'CANCELED', lost: 'FAILED' } as const
  return {
    number: row.exesBefore + attempt.number,
    status: status[attempt.result],
    queuedAt: row.queuedAt,
    startedAt: attempt.startedAt,
    endedAt: attempt.endedAt,
    reason: attempt.reason,
    exitCode: attempt.exitCode,
    message: attempt.message,
  }
}

/** An execution in lists. */
export function showExecution(
  row: JobRow,
  execution: Execution,
  world: World,
  inputBytes: number,
): JsonObject {
  const { catalog } = world
  const type = catalog.jobTypes.get(row.typeId)!
  const revision = catalog.jobTypeRevision(row.typeId, row.revision)!
  const { reason, exitCode } = execution
  const error =
    execution.status === 'FAILED'
      ? errorOfFacts({ typeId: row.typeId, revision: row.revision, reason, exitCode }, catalog)
      : undefined
  return {
    id: exeIdOf(row.id, execution.number),
    status: execution.status,
    exe_num: execution.number,
    cluster_id: clusterIdOf(row.id, execution.number),
    created: showTime(execution.startedAt ?? execution.queuedAt ?? row.createdAt),
    queued: showTime(execution.queuedAt),
    started: showTime(execution.startedAt),
    ended: showTime(execution.endedAt),
    job: { id: row.id },
    node: { id: 1, hostname: hostname() },
    error: error ? showErrorBase(error) : null,
    job_type: showJobTypeBase(type),
    timeout: Math.round(revision.manifest.timeoutMs / 1000),
    input_file_size: mebibytes(inputBytes),
  }
}

/** An execution by itself: with its command line, environment and outputs. */
export async function showExecutionDetails(
  row: JobRow,
  execution: Execution,
  world: World,
): Promise<JsonObject> {
  const run = await world.runs.describe(row, execution.number - row.exesBefore, shownFolders)
  const isDone = execution.status === 'COMPLETED'
  const output = isDone ? await world.files.outputOf(row) : emptyData
  return {
    ...showExecution(row, execution, world, run.inputBytes),
    // Told once the execution has ended, as the original does.
    task_results: execution.endedAt === null ? null : { version: '1.0', tasks: showTasks(row, execution) },
    resources: { resources: showResources(run) },
    configuration: showRun(run, world),
    output: isDone ? { version: '7', ...showData(output) } : null,
  }
}

function showsExecution(row: JobRow): boolean {
  return row.attempts > 0 && !['PENDING', 'BLOCKED', 'CANCELED', 'QUEUED'].includes(row.status)
}

function showTasks(row: JobRow, execution: Execution): JsonObject[] {
  const task = (type: string, more: JsonObject): JsonObject => ({
    task_id: `${clusterIdOf(row.id, execution.number)}_${type}`,
    type,
    ...more,
  })
  const { startedAt, endedAt, exitCode, status } = execution
  if (startedAt === null) return [task('main', { was_launched: false })]
  const main: JsonObject = {
    was_launched: true,
    launched: showTime(startedAt),
    was_started: true,
    started: showTime(startedAt),
    ...(endedAt !== null && {
      was_timed_out: execution.reason === 'timeout',
      ended: showTime(endedAt),
      status: status === 'COMPLETED' ? 'FINISHED' : status === 'CANCELED' ? 'KILLED' : 'FAILED',
      exit_code: exitCode ?? (status === 'COMPLETED' ? 0 : null),
    }),
  }
  return [task('main', main)]
}

function showResources(run: Run): JsonObject {
  return Object.fromEntries(run.resources)
}

function showRun(run: Run, world: World): JsonObject {
  const secrets = secretsOf(run.type)
  const masked = new Set(
    [...secrets].map(name => run.configuration.settings.get(name)).filter(value => value),
  )
  const mask = (text: string): string =>
    [...masked].reduce<string>((shown, secret) => shown.replaceAll(secret!, '*****'), text)
  const settings = [...run.configuration.settings].map(([name, value]) => [
    name,
    secrets.has(name) ? '*****' : value,
  ])
  const task_id = `${clusterIdOf(run.row.id, run.number)}_main`
  const env = Object.entries(run.env).map(
    ([name, value]) => [name, masked.has(value) ? '*****' : value] as const,
  )
  const files = [...run.data.files].map(([name, ids]): [string, Json] => [
    name,
    ids.map(id => {
      const file = run.files.get(id)
      const workspace = file && world.catalog.workspaces.get(file.workspaceId)
      return {
        id,
        type: file?.fileType ?? 'SOURCE',
        workspace_name: workspace?.name ?? null,
        workspace_path: file?.path ?? null,
        is_deleted: file?.isDeleted ?? true,
      }
    }),
  ])
  const outputs = run.revision.manifest.fileOutputs.map(({ name }) => [
    name,
    run.configuration.outputWorkspaces.get(name) ?? run.configuration.defaultWorkspace ?? null,
  ])
  const args = typeof run.args === 'string' ? run.args : run.args.join(' ')
  return {
    version: '2.0',
    tasks: [
      {
        task_id,
        type: 'main',
        args: mask(args),
        env_vars: Object.fromEntries(env),
        ...(settings.length > 0 && { settings: Object.fromEntries(settings) }),
        resources: showResources(run),
        docker_params: env.map(([name, value]) => ({ flag: 'env', value: `${name}=${value}` })),
      },
    ],
    input_files: Object.fromEntries(files),
    output_workspaces: Object.fromEntries(outputs),
  }
}
