// Workspaces and files (contracts/scale.md §4.6).

import type { JsonObject } from '../../../core/json.ts'
import { faultText, findFaults, type Shape } from '../../../domains/recipe/json-shape.ts'
import type { IndexCondition, RecordQuery } from '../../../store/store.ts'
import { slugOf } from '../catalog/slug.ts'
import { deprecatedSince, type Workspace } from '../catalog/things.ts'
import { type FileEntry, fileCollection } from '../files/file-entry.ts'
import { showWorkspace } from '../shapes/catalog.ts'
import { showFile } from '../shapes/files.ts'
import { answerError, notFound } from '../web/answer-error.ts'
import { compareBy, isWithin, sourceFilter } from '../web/filter.ts'
import { pageOf, readPage, showPage } from '../web/page.ts'
import type { Params } from '../web/params.ts'
import { type Answer, type Call, pathNumber, type Route } from '../web/routing.ts'
import type { World } from '../world.ts'
import { showVerdict } from './job-types.ts'

const text: Shape = { type: 'string' }
const configurationShape: Shape = {
  type: 'object',
  required: ['broker'],
  members: {
    version: text,
    broker: {
      type: 'object',
      required: ['type'],
      members: {
        type: { type: 'string', oneOfWords: ['host', 'nfs', 's3'] },
        host_path: text,
        nfs_path: text,
      },
    },
  },
  others: false,
}

/** The routes of workspaces and files. */
export function fileRoutes(world: World): Route[] {
  return [
    {
      method: 'GET',
      path: '/workspaces',
      handle: async call => {
        const names = call.params.texts('name')
        const sorted = [...world.catalog.workspaces.values()]
          .filter(workspace => !names || names.includes(workspace.name))
          .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        return {
          status: 200,
          body: await pageOf(readPage(call.params), call.address, sorted, workspace =>
            showWorkspace(workspace),
          ),
        }
      },
    },
    // A workspace opens a directory of this machine: that is the operator's to decide.
    { method: 'POST', path: '/workspaces', right: 'operate', handle: call => createWorkspace(world, call) },
    {
      method: 'POST',
      path: '/workspaces/validation',
      right: 'read',
      handle: call => {
        call.params.required('title')
        const trouble = refuseConfiguration(call.params.requiredObject('configuration'))
        const errors = trouble === undefined ? [] : [{ name: 'INVALID_CONFIGURATION', description: trouble }]
        return { status: 200, body: showVerdict(errors, []) }
      },
    },
    {
      method: 'GET',
      path: '/workspaces/:id',
      handle: call => ({
        status: 200,
        body: showWorkspace(workspaceOf(world, call), { configuration: true }),
      }),
    },
    {
      method: 'PATCH',
      path: '/workspaces/:id',
      right: 'operate',
      handle: call => editWorkspace(world, call),
    },
    { method: 'GET', path: '/files', handle: call => listFiles(world, call) },
    {
      method: 'GET',
      path: '/files/:id',
      handle: async call => {
        const file = await world.files.get(pathNumber(call, 'id'))
        if (!file) throw notFound()
        return { status: 200, body: showFile(file, world, { full: true }) }
      },
    },
  ]
}

/** The filters of input file lists. */
export function inputFileFilter(params: Params): (file: FileEntry) => boolean {
  const names = params.texts('file_name')
  const field = params.text('time_field') ?? 'last_modified'
  if (!['source', 'data', 'last_modified'].includes(field))
    throw answerError(
      400,
      `Parameter "time_field" values must be one of: ['source', 'data', 'last_modified']`,
    )
  const span = params.span('started', 'ended')
  return file => {
    if (names && !names.includes(file.name)) return false
    if (span.from === undefined && span.to === undefined) return true
    if (field === 'last_modified') return isWithin(file.modifiedAt, span)
    const start = field === 'source' ? file.sourceStartedAt : file.dataStartedAt
    const end = (field === 'source' ? file.sourceEndedAt : file.dataEndedAt) ?? start
    return (
      start !== undefined &&
      (span.to === undefined || start <= span.to) &&
      (span.from === undefined || end! >= span.from)
    )
  }
}

async function createWorkspace(world: World, call: Call): Promise<Answer> {
  const { params } = call
  params.required('title')
  const title = params.text('title')!
  // Read before anything is changed: whoever is turned down must leave nothing behind.
  const description = params.text('description') ?? null
  const baseUrl = params.text('base_url') ?? null
  const isActive = params.flag('is_active') ?? true
  const configuration = params.requiredObject('configuration')
  const trouble = refuseConfiguration(configuration)
  if (trouble !== undefined) throw answerError(400, `Workspace configuration invalid: ${trouble}`)
  const name = slugOf(title)
  if (name === '' || name === 'validation')
    throw answerError(400, `Unable to create workspace titled "${title}"`)
  if (world.catalog.workspaceNamed(name)) throw answerError(400, `A workspace named ${name} exists already`)
  const workspace = await world.commit(tx => {
    const made: Workspace = {
      id: tx.next('scale.workspace'),
      name,
      title,
      description,
      baseUrl,
      isActive,
      createdAt: tx.now,
      deprecatedAt: isActive ? null : tx.now,
      modifiedAt: tx.now,
      configuration: withoutVersion(configuration),
    }
    world.save(tx, { kind: 'workspace', value: made })
    return made
  })
  const headers = { location: `${call.base}/workspaces/${workspace.id}/` }
  return { status: 201, headers, body: showWorkspace(workspace, { configuration: true }) }
}

async function editWorkspace(world: World, call: Call): Promise<Answer> {
  const { params } = call
  const given = workspaceOf(world, call)
  const configuration = params.object('configuration')
  const trouble = configuration && refuseConfiguration(configuration)
  if (trouble !== undefined) throw answerError(400, `Workspace configuration invalid: ${trouble}`)
  const isActive = params.flag('is_active')
  const [title, description, baseUrl] = [
    params.text('title'),
    params.text('description'),
    params.text('base_url'),
  ]
  await world.commit(tx => {
    const workspace = world.catalog.workspaces.get(given.id)!
    const value: Workspace = {
      ...workspace,
      title: title ?? workspace.title,
      description: description ?? workspace.description,
      baseUrl: baseUrl ?? workspace.baseUrl,
      isActive: isActive ?? workspace.isActive,
      deprecatedAt: deprecatedSince(workspace, isActive, tx.now),
      modifiedAt: tx.now,
      configuration: configuration ? withoutVersion(configuration) : workspace.configuration,
    }
    world.save(tx, { kind: 'workspace', value })
  })
  return { status: 204 }
}

function refuseConfiguration(configuration: JsonObject): string | undefined {
  const [fault] = findFaults(configuration, configurationShape)
  if (fault) return `Invalid configuration: ${faultText(fault)}`
  const broker = configuration['broker'] as JsonObject
  if (broker['type'] === 'host') {
    if (typeof broker['host_path'] !== 'string') return 'Host broker requires "host_path" to be populated'
    if (!broker['host_path'].startsWith('/')) return 'Host broker requires "host_path" to be an absolute path'
  }
  if (broker['type'] === 'nfs' && typeof broker['nfs_path'] !== 'string')
    return 'NFS broker requires "nfs_path" to be populated'
  if (broker['type'] === 's3') return 'S3 brokers are not available on this server'
  return undefined
}

function withoutVersion({ version: _, ...configuration }: JsonObject): JsonObject {
  return configuration
}

function workspaceOf(world: World, call: Call): Workspace {
  const workspace = world.catalog.workspaces.get(pathNumber(call, 'id'))
  if (!workspace) throw notFound()
  return workspace
}

async function listFiles(world: World, call: Call): Promise<Answer> {
  const { params } = call
  const wish = readPage(params)
  const { where, matches, isPlain } = fileFilter(world, params)
  const orders = params.orders()
  const { records } = world.kit
  const order = storedOrder(orders)
  if (isPlain && order) {
    // The store keeps this order itself: what is before the page is passed over unread.
    const query = { collection: fileCollection, where }
    const count = await records.count(query)
    const page = await records.list({ ...query, order, skip: wish.offset, limit: wish.size })
    const items = page.items.map(record => showFile(record.body as unknown as FileEntry, world))
    return { status: 200, body: showPage(wish, count, call.address, items) }
  }
  const found: FileEntry[] = []
  let after: string | undefined
  do {
    const query = {
      collection: fileCollection,
      where,
      order: { index: 'modified' },
      limit: 1000,
      ...(after && { after }),
    }
    const page = await records.list(query)
    for (const record of page.items)
      if (matches(record.body as unknown as FileEntry)) found.push(record.body as unknown as FileEntry)
    after = page.next
  } while (after)
  if (orders.length > 0)
    found.sort(compareBy(orders.map(order => ({ key: fileKey(order.field), isDown: order.isDown }))))
  return { status: 200, body: await pageOf(wish, call.address, found, file => showFile(file, world)) }
}

/** The order of the store for what a request asks; undefined when it keeps none like it. */
function storedOrder(orders: ReturnType<Params['orders']>): RecordQuery['order'] | undefined {
  const [{ field, isDown: down } = { field: 'last_modified', isDown: false }] = orders
  // Files arrive in the order of their ids.
  if (field === 'id') return down ? '-seq' : 'seq'
  const index = orders.length > 1 ? undefined : indexOfOrder.get(field)
  return index === undefined ? undefined : { index, down }
}

const indexOfOrder: ReadonlyMap<string, string> = new Map([
  ['last_modified', 'modified'],
  ['created', 'created'],
  ['file_name', 'name'],
  ['file_type', 'type'],
  ['media_type', 'media'],
])

function fileKey(field: string): (file: FileEntry) => string | number | null {
  switch (field) {
    case 'id':
      return file => file.id
    case 'file_name':
      return file => file.name
    case 'file_size':
      return file => file.sizeBytes
    case 'file_type':
      return file => file.fileType
    case 'media_type':
      return file => file.mediaType
    case 'created':
      return file => file.createdAt
    case 'last_modified':
      return file => file.modifiedAt
    case 'data_started':
      return file => file.dataStartedAt ?? null
    case 'data_ended':
      return file => file.dataEndedAt ?? null
    case 'source_started':
      return file => file.sourceStartedAt ?? null
    case 'source_ended':
      return file => file.sourceEndedAt ?? null
    default:
      throw answerError(400, `Cannot order by "${field}"`)
  }
}

function fileFilter(
  world: World,
  params: Params,
): { where: IndexCondition[]; matches: (file: FileEntry) => boolean; isPlain: boolean } {
  const where: IndexCondition[] = []
  const oneOf = (name: string, values: readonly (string | number)[] | undefined): void => {
    if (values) where.push({ name, in: values })
  }
  oneOf('name', params.texts('file_name'))
  oneOf('type', params.texts('file_type'))
  oneOf('media', params.texts('media_type'))
  oneOf('job', params.integers('job_id'))
  oneOf('output', params.texts('job_output'))
  oneOf('recipe', params.integers('recipe_id'))
  oneOf('recipe-type', params.integers('recipe_type_id'))
  oneOf('node', params.texts('recipe_node'))
  oneOf('batch', params.integers('batch_id'))
  oneOf('job-type', params.integers('job_type_id'))
  const typeNames = params.texts('job_type_name')
  if (typeNames)
    oneOf(
      'job-type',
      [...world.catalog.jobTypes.values()].filter(type => typeNames.includes(type.name)).map(type => type.id),
    )
  const modified = params.span('modified_started', 'modified_ended')
  const created = params.span('created_started', 'created_ended')
  if (modified.from !== undefined || modified.to !== undefined) where.push({ name: 'modified', ...modified })
  if (created.from !== undefined || created.to !== undefined) where.push({ name: 'created', ...created })
  const searches = params.texts('file_name_search')
  const countries = params.texts('countries')
  const data = params.span('data_started', 'data_ended')
  const bySource = sourceFilter(params)
  const asksData = data.from !== undefined || data.to !== undefined
  return {
    where,
    isPlain: !searches && !countries && !asksData && !bySource,
    matches: file =>
      (!searches || searches.some(search => file.name.includes(search))) &&
      // Countries are not known to this server, so no file lies in any.
      !countries &&
      (!asksData ||
        (file.dataStartedAt !== undefined &&
          (data.from === undefined || file.dataStartedAt >= data.from) &&
          (data.to === undefined || (file.dataEndedAt ?? file.dataStartedAt) <= data.to))) &&
      (!bySource || bySource(file)),
  }
}
