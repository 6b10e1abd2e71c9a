// Services as a resource: made of a temporary file, changed, taken down.

import { isObject } from '../../../core/json.ts'
import type { Service, ServiceVariable } from '../../../domains/raster/services/service.ts'
import { readJson } from '../../../http/json.ts'
import { ApiRefusal } from '../jobs/read-submission.ts'
import { type Fields, wrongField } from './fields.ts'
import { readFilters } from './lists.ts'
import { adjusted, readServiceFacts, readVariables } from './read-service.ts'
import type { AdminCall } from './routes.ts'

const serviceFields = [
  ...['calendar', 'data_path', 'description', 'full_extent', 'id', 'initial_extent', 'name', 'projection'],
  ...['render_top_layer_only', 'resource_uri', 'supports_time', 'time_end', 'time_interval'],
  ...['time_interval_units', 'time_start', 'variables'],
]

/** The services that a query asks for. */
export async function listServices({ house, query }: AdminCall): Promise<Service[]> {
  const filters = readFilters(query, {
    fields: new Set(serviceFields),
    allowed: { name: ['exact', 'in'] },
    relations: new Set(['variables']),
  })
  const names = filters.get('name')
  if (names === undefined) return house.shelf.all()
  const found = await Promise.all([...new Set(names)].slice(0, 1000).map(name => house.shelf.find(name)))
  return found.filter(service => service !== undefined).sort((a, b) => a.id - b.id)
}

/** The JSON object that was sent. */
export function readBody({ request }: AdminCall): Fields {
  const body = request.body as Buffer | undefined
  let value: unknown
  try {
    value = body === undefined ? {} : readJson(body.toString('utf8'))
  } catch {
    throw new ApiRefusal(400, { error: 'The body is not valid JSON.' })
  }
  return isObject(value) ? value : refuseBody()
}

function refuseBody(): never {
  throw new ApiRefusal(400, { error: 'The body must be an object.' })
}

/** Makes a service of a temporary file, which becomes the service's own. */
export async function addService(call: AdminCall): Promise<Service> {
  const { house } = call
  const fields = readBody(call)
  const { tmp_file: address } = fields
  if (address === undefined || address === null || address === '')
    throw new ApiRefusal(400, "Missing required 'tmp_file' parameter")
  const uuid = /\/temporary-files\/([0-9a-f-]{36})\/?$/.exec(String(address))?.[1] ?? ''
  const file = await house.files.find(uuid)
  if (!file) return wrongField('tmp_file', 'names no temporary file')
  const facts = readServiceFacts(fields)
  const variables = readVariables(fields['variables'] ?? [], facts)
  const grids = await house.files.gridBlob(file)
  try {
    await checkLayout(call, grids.hash, variables)
    const draft = {
      ...facts,
      dataPath: `${facts.name}/${grids.filename}`,
      hash: grids.hash,
      sizeBytes: grids.sizeBytes,
      isTemporary: false,
      job: null,
      variables,
    }
    const service = await house.shelf.add(draft, {
      async check() {
        if (!(await house.files.find(uuid))) wrongField('tmp_file', 'names no temporary file')
      },
      also: tx => house.files.drop(tx, file),
    })
    return service ?? wrongField('name', 'is taken by another service')
  } finally {
    grids.release()
  }
}

/** Every variable must be in the file, with the dimensions that are said. */
export async function checkLayout(
  { house }: AdminCall,
  hash: string,
  variables: readonly ServiceVariable[],
): Promise<void> {
  const path = house.kit.blobs.path(hash)
  const layout = (await house.painters.facts({ what: 'layout', path })) as Record<string, readonly string[]>
  for (const { variable, xDimension, yDimension, timeDimension } of variables) {
    const dimensions = Object.hasOwn(layout, variable) ? layout[variable]! : undefined
    if (!dimensions) return wrongField('variable', `names ${variable}, which is not in the file`)
    for (const [name, dimension] of [
      ['x_dimension', xDimension],
      ['y_dimension', yDimension],
      ['time_dimension', timeDimension],
    ] as const) {
      if (dimension !== null && !dimensions.includes(dimension))
        wrongField(name, `names ${dimension}, which ${variable} does not have`)
    }
  }
}

/** Changes what is said of a service; false when there is none. What is left out stays. */
export async function changeService(call: AdminCall, id: number): Promise<boolean> {
  const { house } = call
  const fields = readBody(call)
  const changed = await house.shelf.change(id, async service => {
    const facts = readServiceFacts(fields, service)
    const kept = adjusted(service.variables, service, facts)
    const given = fields['variables']
    const variables = given === undefined ? kept : readVariables(given, facts, kept)
    await checkLayout(call, service.hash, variables)
    return { ...service, ...facts, variables }
  })
  if (changed === 'taken') return wrongField('name', 'is taken by another service')
  return changed !== undefined
}

/** Takes a service down. Its file goes with it where `delete_data` says so, and else is a temporary file again. */
export function removeService({ house, query }: AdminCall, id: number): Promise<boolean> {
  const isFileKept = !['true', '1'].includes((query.get('delete_data') ?? '').toLowerCase())
  return house.shelf.remove(id, (tx, service) => {
    if (isFileKept) house.files.keep(tx, service)
  })
}
