// Jobs: queue, list, details, cancel, requeue, executions, logs, input files (contracts/scale.md §4.5).

import { attemptIdOf } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/json.ts'
import { fileIdsOf } from '../../../domains/recipe/data.ts'
import { emptyConfiguration } from '../../../domains/recipe/seed/configuration.ts'
import { sendJson } from '../../../http/json.ts'
import { demandOverrides } from '../catalog/edit-job-type.ts'
import { exeIdOf, readExeId } from '../instances/execution.ts'
import { findJobs, jobsToMove, saysNothing } from '../instances/find.ts'
import { cancelJobs, requeueJobs } from '../instances/move-jobs.ts'
import { queueJob } from '../instances/queue.ts'
import type { JobRow } from '../instances/rows.ts'
import {
  type Execution,
  executionsOf,
  showExecution,
  showExecutionDetails,
  showJob,
  showJobDetails,
} from '../shapes/jobs.ts'
import { answerError, notFound } from '../web/answer-error.ts'
import { pageOf, pageOfWindow, readPage } from '../web/page.ts'
import type { Params } from '../web/params.ts'
import { type Answer, type Call, pathNumber, type Route } from '../web/routing.ts'
import { htmlLog, type LogLine, linesOf, plainLog, searchLog } from '../web/send-log.ts'
import { showTime } from '../web/time-text.ts'
import type { World } from '../world.ts'
import { causeOf, inputFiles } from './recipes.ts'

/** As much of each stream is shown at most; the end is what people look for. */
const logBytesMax = 4 * 1024 * 1024

/** The routes of jobs and their executions. */
export function jobRoutes(world: World): Route[] {
  return [
    {
      method: 'GET',
      path: '/jobs',
      handle: async call => {
        const wish = readPage(call.params)
        const found = await findJobs(world, call.params, wish)
        return {
          status: 200,
          body: await pageOfWindow(wish, call.address, found, row => showJob(row, world)),
        }
      },
    },
    { method: 'POST', path: '/jobs', handle: call => queueFrom(world, call) },
    {
      method: 'GET',
      path: '/jobs/:id',
      handle: async call => ({ status: 200, body: await showJobDetails(await jobOf(world, call), world) }),
    },
    {
      method: 'POST',
      path: '/jobs/cancel',
      handle: async call => {
        await cancelJobs(world, chosen(world, call.params))
        return { status: 202 }
      },
    },
    {
      method: 'POST',
      path: '/jobs/requeue',
      handle: async call => {
        const priority = call.params.integer('priority')
        await requeueJobs(world, chosen(world, call.params), priority)
        return { status: 202 }
      },
    },
    {
      method: 'GET',
      path: '/jobs/:id/input_files',
      handle: async call => {
        const data = await world.runs.inputOf(await jobOf(world, call))
        const only = call.params.texts('job_input')
        const ids = only
          ? [...data.files].filter(([name]) => only.includes(name)).flatMap(([, list]) => [...list])
          : fileIdsOf(data)
        return inputFiles(world, call, ids)
      },
    },
    { method: 'GET', path: '/jobs/:id/executions', handle: call => listExecutions(world, call) },
    {
      method: 'GET',
      path: '/jobs/:id/executions/:number',
      handle: async call => {
        const row = await jobOf(world, call)
        const execution = await executionNumbered(world, row, pathNumber(call, 'number'))
        return { status: 200, body: await showExecutionDetails(row, execution, world) }
      },
    },
    { method: 'GET', path: '/job-executions/:id/logs/:stream', handle: call => sendLog(world, call) },
  ]
}

async function queueFrom(world: World, call: Call): Promise<Answer> {
  const { params } = call
  const typeId = params.requiredInteger('job_type_id')
  const input = params.object('input') ?? {}
  const overrides = params.object('configuration')
  const type = world.catalog.jobTypes.get(typeId)
  if (!type) throw notFound()
  const configuration = overrides
    ? demandOverrides(overrides, 'Job configuration invalid: ')
    : emptyConfiguration
  const id = await queueJob(world, { type, input, configuration, cause: causeOf(call) })
  const row = await world.archive.job(id)
  if (!row) throw new Error(`job ${id} was started, but has no row`)
  const headers = { location: `${call.base}/jobs/${id}/` }
  return { status: 201, headers, body: await showJobDetails(asQueued(row), world) }
}

// The answer tells of the job as it was queued, even if it has begun or ended since.
function asQueued(row: JobRow): JobRow {
  return {
    ...row,
    mainState: 'ready',
    postState: row.postState === null ? null : 'blocked',
    status: 'QUEUED',
    attempts: 0,
    startedAt: null,
    endedAt: null,
    reason: null,
    exitCode: null,
    changedAt: row.createdAt,
    modifiedAt: row.createdAt,
    queuedAt: row.queuedAt ?? row.createdAt,
  }
}

function chosen(world: World, params: Params): JobRow[] {
  if (world.settings.refuseEmptyFilters && saysNothing(params) && params.flag('all') !== true)
    throw answerError(400, 'No filter was given, which would mean every job; say ?all=true to mean that')
  return jobsToMove(world, params)
}

async function listExecutions(world: World, call: Call): Promise<Answer> {
  const row = await jobOf(world, call)
  const { params } = call
  const [status, nodes] = [params.texts('status'), params.integers('node_id')]
  const [errors, categories] = [params.integers('error_id'), params.texts('error_category')]
  const files = await world.files.filesOf(await world.runs.inputOf(row))
  const inputBytes = [...files.values()].reduce((sum, file) => sum + file.sizeBytes, 0)
  const shown = (await executionsOf(row, world)).map(execution =>
    showExecution(row, execution, world, inputBytes),
  )
  const matches = (execution: JsonObject): boolean => {
    const error = execution['error'] as JsonObject | null
    return (
      (!status || status.includes(String(execution['status']))) &&
      (!nodes || nodes.includes(1)) &&
      (!errors || (error !== null && errors.includes(Number(error['id'])))) &&
      (!categories || (error !== null && categories.includes(String(error['category']))))
    )
  }
  return {
    status: 200,
    body: await pageOf(readPage(params), call.address, shown.filter(matches), item => item),
  }
}

async function executionNumbered(world: World, row: JobRow, number: number): Promise<Execution> {
  const found = (await executionsOf(row, world)).find(execution => execution.number === number)
  if (!found) throw notFound()
  return found
}

async function sendLog(world: World, call: Call): Promise<Answer | 'streamed'> {
  const stream = call.path['stream']
  if (stream !== 'stdout' && stream !== 'stderr' && stream !== 'combined') throw notFound()
  const { job, number } = readExeId(pathNumber(call, 'id'))
  const row = await world.archive.job(job)
  if (!row?.isVisible) throw notFound()
  const execution = await executionNumbered(world, row, number)
  call.params.time('started')
  const lines = await readLog(world, row, number - row.exesBefore, stream)
  if (lines.length === 0) return { status: 204 }
  const accept = call.request.headers.accept ?? ''
  if (accept.includes('text/html')) {
    call.reply
      .code(200)
      .header('content-type', 'text/html')
      .send(Buffer.from(htmlLog(lines)))
  } else if (accept.includes('text/plain')) {
    call.reply
      .code(200)
      .header('content-type', 'text/plain')
      .send(Buffer.from(plainLog(lines)))
  } else {
    const facts = {
      exe: `scale_job_${exeIdOf(job, number)}`,
      at: showTime(execution.startedAt ?? row.createdAt),
    }
    sendJson(call.reply.code(200), searchLog(lines, facts))
  }
  return 'streamed'
}

async function readLog(
  world: World,
  row: JobRow,
  attempt: number,
  stream: 'stdout' | 'stderr' | 'combined',
): Promise<LogLine[]> {
  const engineJob = await world.engineJob(row.main)
  const executor = engineJob && world.kit.engine.executors.get(engineJob.executor)
  if (!engineJob || !executor) return []
  const lines: LogLine[] = []
  for (const [name, word] of [
    ['out', 'stdout'],
    ['err', 'stderr'],
  ] as const) {
    if (stream !== 'combined' && stream !== word) continue
    const id = attemptIdOf(engineJob.id, attempt)
    const head = await executor.read(id, name, 0, 0)
    if (!head || head.sizeBytes === 0) continue
    const from = Math.max(0, head.sizeBytes - logBytesMax)
    const chunk = await executor.read(id, name, from, logBytesMax)
    if (chunk) lines.push(...linesOf(word, chunk.bytes))
  }
  return lines
}

async function jobOf(world: World, call: Call): Promise<JobRow> {
  const row = await world.archive.job(pathNumber(call, 'id'))
  if (!row?.isVisible) throw notFound()
  return row
}
