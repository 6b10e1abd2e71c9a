// Scans and ingests (contracts/scale.md §4.6).

import type { Json, JsonObject } from '../../../core/json.ts'
import { faultText, findFaults, type Shape } from '../../../domains/recipe/json-shape.ts'
import type { IndexCondition } from '../../../store/store.ts'
import { slugOf } from '../catalog/slug.ts'
import { type Ingest, ingestCollection, putScan, rulesOf, type Scan } from '../files/scans.ts'
import { showWorkspace } from '../shapes/catalog.ts'
import { showFile } from '../shapes/files.ts'
import { showJobBase } from '../shapes/jobs.ts'
import { AnswerError, answerError, notFound } from '../web/answer-error.ts'
import { pageOf, readPage, showPage } from '../web/page.ts'
import { type Answer, type Call, pathNumber, type Route } from '../web/routing.ts'
import { showTime } from '../web/time-text.ts'
import type { World } from '../world.ts'
import { showVerdict } from './job-types.ts'

const text: Shape = { type: 'string' }
const scanShape: Shape = {
  type: 'object',
  required: ['workspace', 'scanner', 'files_to_ingest'],
  members: {
    version: text,
    workspace: text,
    scanner: {
      type: 'object',
      required: ['type'],
      members: { type: { type: 'string', oneOfWords: ['dir', 's3'] } },
    },
    recursive: { type: 'boolean' },
    files_to_ingest: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        required: ['filename_regex'],
        members: {
          filename_regex: text,
          data_types: { type: 'array', items: text },
          new_workspace: text,
          new_file_path: text,
        },
        others: false,
      },
    },
    recipe: {
      type: 'object',
      required: ['name'],
      members: { name: text, revision_num: { type: 'integer' } },
    },
  },
  others: false,
}

/** The routes of scans and ingests. A scan reads directories of this machine: that is the operator's to decide. */
export function scanRoutes(world: World): Route[] {
  return [
    {
      method: 'GET',
      path: '/scans',
      handle: async call => {
        const names = call.params.texts('name')
        const scans = (await world.scans.all()).filter(scan => !names || names.includes(scan.name))
        const sorted = scans.toSorted((a, b) => a.modifiedAt - b.modifiedAt || a.id - b.id)
        return {
          status: 200,
          body: await pageOf(readPage(call.params), call.address, sorted, scan =>
            showScan(scan, world, false),
          ),
        }
      },
    },
    { method: 'POST', path: '/scans', right: 'operate', handle: call => createScan(world, call) },
    {
      method: 'POST',
      path: '/scans/validation',
      right: 'read',
      handle: call => {
        const trouble = refuseConfiguration(world, call.params.requiredObject('configuration'))
        const errors =
          trouble === undefined ? [] : [{ name: 'INVALID_SCAN_CONFIGURATION', description: trouble }]
        return { status: 200, body: showVerdict(errors, []) }
      },
    },
    {
      method: 'GET',
      path: '/scans/:id',
      handle: async call => ({ status: 200, body: await showScan(await scanOf(world, call), world, true) }),
    },
    { method: 'PATCH', path: '/scans/:id', right: 'operate', handle: call => editScan(world, call) },
    {
      method: 'POST',
      path: '/scans/:id/process',
      right: 'operate',
      handle: call => processScan(world, call),
    },
    { method: 'GET', path: '/ingests', handle: call => listIngests(world, call) },
    {
      method: 'GET',
      path: '/ingests/:id',
      handle: async call => {
        const record = await world.kit.records.get(ingestCollection, String(pathNumber(call, 'id')))
        if (!record) throw notFound()
        return { status: 200, body: await showIngest(record.body as unknown as Ingest, world) }
      },
    },
  ]
}

async function createScan(world: World, call: Call): Promise<Answer> {
  const { params } = call
  params.required('title')
  const title = params.text('title')!
  const description = params.text('description') ?? null
  const configuration = params.requiredObject('configuration')
  const trouble = refuseConfiguration(world, configuration)
  if (trouble !== undefined) throw answerError(400, `Scan configuration invalid: ${trouble}`)
  const scan = await world.commit(tx => {
    const made: Scan = {
      id: tx.next('scale.scan'),
      name: slugOf(title),
      title,
      description,
      configuration: withoutVersion(configuration),
      jobId: null,
      dryRunJobId: null,
      fileCount: null,
      isRegistered: false,
      createdAt: tx.now,
      modifiedAt: tx.now,
    }
    tx.record(putScan(made))
    return made
  })
  return {
    status: 201,
    headers: { location: `${call.base}/scans/${scan.id}/` },
    body: await showScan(scan, world, true),
  }
}

async function editScan(world: World, call: Call): Promise<Answer> {
  const { params } = call
  const scan = await scanOf(world, call)
  if (scan.jobId !== null)
    throw answerError(400, 'The scan has been launched already and cannot be edited any more')
  const [title, description] = [params.text('title'), params.text('description')]
  const configuration = params.object('configuration')
  const trouble = configuration && refuseConfiguration(world, configuration)
  if (trouble !== undefined) throw answerError(400, `Scan configuration invalid: ${trouble}`)
  await world.commit(tx =>
    tx.record(
      putScan({
        ...scan,
        title: title ?? scan.title,
        description: description ?? scan.description,
        configuration: configuration ? withoutVersion(configuration) : scan.configuration,
        modifiedAt: tx.now,
      }),
    ),
  )
  return { status: 204 }
}

async function processScan(world: World, call: Call): Promise<Answer> {
  const scan = await scanOf(world, call)
  const ingest = call.params.flag('ingest') ?? false
  if (ingest && scan.jobId !== null) throw new AnswerError(409, { detail: 'Ingest Scan already launched' })
  const launched = await world.scans.launch(scan, { ingest, user: call.principal.name })
  return { status: 201, body: await showScan(launched, world, true) }
}

async function listIngests(world: World, call: Call): Promise<Answer> {
  const { params } = call
  const wish = readPage(params)
  const where: IndexCondition[] = []
  const [statuses, names, scans] = [
    params.texts('status'),
    params.texts('file_name'),
    params.integers('scan_id'),
  ]
  if (statuses) where.push({ name: 'status', in: statuses })
  if (names) where.push({ name: 'name', in: names })
  const span = params.span('started', 'ended')
  if (span.from !== undefined || span.to !== undefined) where.push({ name: 'ended', ...span })
  // Strikes do not exist here, so nothing was ever ingested by one.
  if (params.has('strike_id')) return { status: 200, body: showPage(wish, 0, call.address, []) }
  const query = {
    collection: ingestCollection,
    where,
    ...(scans?.[0] !== undefined && { parent: String(scans[0]) }),
  }
  const count = await world.kit.records.count(query)
  const page = await world.kit.records.list({
    ...query,
    order: { index: 'ended' },
    skip: wish.offset,
    limit: wish.size,
  })
  const items = page.items.map(record => showIngest(record.body as unknown as Ingest, world))
  return { status: 200, body: showPage(wish, count, call.address, await Promise.all(items)) }
}

async function showScan(scan: Scan, world: World, isFull: boolean): Promise<JsonObject> {
  const job = async (id: number | null): Promise<Json> => {
    const row = await world.archive.job(id)
    return row ? showJobBase(row, world) : null
  }
  return {
    id: scan.id,
    name: scan.name,
    title: scan.title,
    description: scan.description,
    job: await job(scan.jobId),
    dry_run_job: await job(scan.dryRunJobId),
    file_count: scan.fileCount,
    created: showTime(scan.createdAt),
    last_modified: showTime(scan.modifiedAt),
    ...(isFull && { configuration: scan.configuration }),
  }
}

async function showIngest(ingest: Ingest, world: World): Promise<JsonObject> {
  const scan = await world.scans.get(ingest.scanId)
  const file = ingest.fileId === null ? undefined : await world.files.get(ingest.fileId)
  const workspace = world.catalog.workspaces.get(ingest.workspaceId)
  const target =
    ingest.newWorkspaceId === null ? undefined : world.catalog.workspaces.get(ingest.newWorkspaceId)
  const id = (value: number | null | undefined): Json => (value ? { id: value } : null)
  return {
    id: ingest.id,
    file_name: ingest.fileName,
    scan: scan
      ? {
          id: scan.id,
          name: scan.name,
          title: scan.title,
          description: scan.description,
          job: id(scan.jobId),
          dry_run_job: id(scan.dryRunJobId),
        }
      : null,
    strike: null,
    status: ingest.status,
    bytes_transferred: null,
    transfer_started: null,
    transfer_ended: null,
    media_type: ingest.mediaType,
    file_size: ingest.sizeBytes,
    data_type_tags: [...ingest.dataTypes],
    file_path: ingest.filePath,
    workspace: workspace ? showWorkspace(workspace) : null,
    new_file_path: ingest.newFilePath,
    new_workspace: target ? showWorkspace(target) : null,
    job: { id: ingest.jobId },
    ingest_started: showTime(ingest.startedAt),
    ingest_ended: showTime(ingest.endedAt),
    source_file: file ? { ...showFile(file, world), is_parsed: false, parsed: null } : null,
    data_started: null,
    data_ended: null,
    created: showTime(ingest.startedAt),
    last_modified: showTime(ingest.endedAt),
  }
}

function refuseConfiguration(world: World, configuration: JsonObject): string | undefined {
  const [fault] = findFaults(configuration, scanShape)
  if (fault) return `Invalid configuration: ${faultText(fault)}`
  const names = [
    String(configuration['workspace']),
    ...rulesOf({ configuration }).map(rule => rule.new_workspace),
  ]
  for (const name of names)
    if (name !== undefined && !world.catalog.workspaceNamed(name)) return `Unknown workspace name: ${name}`
  for (const rule of rulesOf({ configuration })) {
    if (!isPattern(rule.filename_regex)) return `Invalid file name regex: ${rule.filename_regex}`
    const path = rule.new_file_path
    if (path !== undefined && (path.startsWith('/') || path.split('/').includes('..')))
      return 'Invalid new_file_path: it must be relative and stay within its workspace'
  }
  const recipe = (configuration['recipe'] as JsonObject | undefined)?.['name']
  if (recipe !== undefined && !world.catalog.recipeTypeNamed(String(recipe)))
    return `Unknown recipe type name: ${String(recipe)}`
  return undefined
}

function isPattern(pattern: string): boolean {
  try {
    new RegExp(`^(?:${pattern})`, 'u')
    return true
  } catch {
    // What the engine cannot compile is told to the user as a wrong pattern.
    return false
  }
}

function withoutVersion({ version: _, ...configuration }: JsonObject): JsonObject {
  return configuration
}

async function scanOf(world: World, call: Call): Promise<Scan> {
  const scan = await world.scans.get(pathNumber(call, 'id'))
  if (!scan) throw notFound()
  return scan
}
