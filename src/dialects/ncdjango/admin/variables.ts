// Variables as a resource: the layers of services, each reached by its own number.

import type { KeptVariable, Service } from '../../../domains/raster/services/service.ts'
import { wrongField } from './fields.ts'
import { readFilters } from './lists.ts'
import { checkUnique, readVariable } from './read-service.ts'
import type { AdminCall } from './routes.ts'
import { checkLayout, readBody } from './services.ts'

const variableFields = [
  ...['description', 'full_extent', 'id', 'index', 'name', 'projection', 'renderer', 'resource_uri'],
  ...['service', 'supports_time', 'time_dimension', 'time_end', 'time_start', 'time_steps', 'variable'],
  ...['x_dimension', 'y_dimension'],
]

export interface OwnedVariable {
  readonly variable: KeptVariable
  readonly service: Service
}

/** The variables that a query asks for. */
export async function listVariables({ house, query }: AdminCall): Promise<OwnedVariable[]> {
  const filters = readFilters(query, {
    fields: new Set(variableFields),
    allowed: { name: ['exact', 'in'], service: ['exact'] },
    relations: new Set(['service']),
  })
  const [wanted] = filters.get('service') ?? []
  const services =
    wanted === undefined
      ? await house.shelf.all()
      : [await house.shelf.byId(/^\d{1,15}$/.test(wanted) ? Number(wanted) : -1)]
  const names = filters.get('name')
  const found: OwnedVariable[] = []
  for (const service of services)
    for (const variable of service?.variables ?? [])
      if (names === undefined || names.includes(variable.name)) found.push({ variable, service: service! })
  return found
}

/** A variable with its service; undefined when there is none of this id. */
export async function variableById({ house }: AdminCall, id: number): Promise<OwnedVariable | undefined> {
  const service = await house.shelf.ofVariable(id)
  const variable = service?.variables.find(own => own.id === id)
  return service && variable ? { variable, service } : undefined
}

/** Adds a layer to a service; gives its number. */
export async function addVariable(call: AdminCall): Promise<number> {
  const fields = readBody(call)
  const address = /\/services\/(\d{1,15})\/?$/.exec(String(fields['service'] ?? ''))?.[1]
  if (address === undefined) return wrongField('service', 'must be the address of a service')
  const changed = await call.house.shelf.change(Number(address), async service => {
    const { id: _, ...made } = readVariable(fields, service)
    const variables = [...service.variables, made]
    checkUnique(variables)
    await checkLayout(call, service.hash, [made])
    return { ...service, variables }
  })
  if (changed === undefined || changed === 'taken') return wrongField('service', 'names no service')
  return changed.variables[changed.variables.length - 1]!.id
}

/** Changes a layer; false when there is none. What is left out stays. */
export async function changeVariable(call: AdminCall, id: number): Promise<boolean> {
  const fields = readBody(call)
  return changeOwner(call, id, async service => {
    const variables: KeptVariable[] = []
    for (const own of service.variables) {
      if (own.id !== id) variables.push(own)
      else {
        const changed = { ...readVariable(fields, service, own), id }
        await checkLayout(call, service.hash, [changed])
        variables.push(changed)
      }
    }
    checkUnique(variables)
    return variables
  })
}

/** Takes a layer out of its service; false when there is none. */
export function removeVariable(call: AdminCall, id: number): Promise<boolean> {
  return changeOwner(call, id, async service => service.variables.filter(own => own.id !== id))
}

async function changeOwner(
  call: AdminCall,
  id: number,
  change: (service: Service) => Promise<KeptVariable[]>,
): Promise<boolean> {
  const own = await variableById(call, id)
  if (!own) return false
  const changed = await call.house.shelf.change(own.service.id, async service => ({
    ...service,
    variables: await change(service),
  }))
  return changed !== undefined
}
