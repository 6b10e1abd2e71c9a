// Services and variables as an administrator describes them: read onto what was there before, or onto nothing.

import type { JsonObject } from '../../../core/json.ts'
import { readRenderer, writeRenderer } from '../../../domains/raster/drawing/renderer.ts'
import {
  type KeptVariable,
  type Service,
  type ServiceVariable,
  type TimeFacts,
  timeUnits,
} from '../../../domains/raster/services/service.ts'
import { timeSteps } from '../../../domains/raster/services/time-steps.ts'
import * as field from './fields.ts'
import { type Fields, readField, wrongField } from './fields.ts'

const calendars = ['standard', 'noleap', '360'] as const
const variablesMax = 1000

/** What an administrator says of a service; the file is another matter. */
export type ServiceFacts = Pick<
  Service,
  'name' | 'description' | 'projection' | 'fullExtent' | 'initialExtent' | 'time' | 'rendersTopLayerOnly'
>

/** What a request says of a service; what it leaves out is as it was. */
export function readServiceFacts(fields: Fields, was?: ServiceFacts): ServiceFacts {
  const projection = readField(fields, 'projection', { read: field.projection, was: was?.projection })
  const full = readField(fields, 'full_extent', { read: field.box, was: was?.fullExtent })
  const initial = readField(fields, 'initial_extent', {
    read: field.box,
    was: was?.initialExtent ?? full,
  })
  return {
    name: readField(fields, 'name', { read: readName, was: was?.name }),
    description:
      readField(fields, 'description', { read: field.optionalText, was: was?.description ?? '' }) ?? '',
    projection,
    fullExtent: { ...full, projection },
    initialExtent: { ...initial, projection },
    time: readServiceTime(fields, was?.time ?? null),
    rendersTopLayerOnly: readField(fields, 'render_top_layer_only', {
      read: field.flag,
      was: was?.rendersTopLayerOnly ?? true,
    }),
  }
}

/** Names are parts of paths: letters, digits, `_`, `-`, and `/` between parts. */
function readName(value: unknown, name: string): string {
  const text = field.text(256)(value, name)
  const isFine = /^[\w-]+(\/[\w-]+)*$/.test(text)
  return isFine ? text : wrongField(name, 'may have letters, digits, _ and -, and / between them')
}

function readServiceTime(fields: Fields, was: TimeFacts | null): TimeFacts | null {
  const supports = readField(fields, 'supports_time', { read: field.flag, was: was !== null })
  if (!supports) return null
  const units = field.oneOf(timeUnits)
  const time: TimeFacts = {
    start: readField(fields, 'time_start', { read: field.instant, was: was?.start }),
    end: readField(fields, 'time_end', { read: field.instant, was: was?.end }),
    interval: readField(fields, 'time_interval', { read: field.interval, was: was?.interval }),
    unit: readField(fields, 'time_interval_units', { read: units, was: was?.unit }),
    calendar: readField(fields, 'calendar', { read: field.oneOf(calendars), was: was?.calendar }),
  }
  return checkTime(time)
}

/** Steps must come to an end, and in this world. */
function checkTime(time: TimeFacts): TimeFacts {
  if (time.end < time.start) return wrongField('time_end', 'must not be before time_start')
  if (time.calendar !== 'standard') return time
  try {
    timeSteps(time)
    return time
  } catch (error) {
    return wrongField('time_interval', `is too small: ${(error as Error).message}`)
  }
}

/** The variables of a service: objects, or the addresses of those that it has. */
export function readVariables(
  value: unknown,
  facts: ServiceFacts,
  was: readonly KeptVariable[] = [],
): ServiceVariable[] {
  if (!Array.isArray(value) || value.length > variablesMax)
    return wrongField('variables', `must be a list of at most ${variablesMax} variables`)
  const read = value.map(item => {
    const known = was.find(({ id }) => id === idOf(item))
    if (typeof item === 'string')
      return known ?? wrongField('variables', `has no variable ${item.slice(0, 200)}`)
    return readVariable(item, facts, known)
  })
  checkUnique(read)
  return read
}

function idOf(item: unknown): number {
  if (typeof item === 'string') return Number(/\/variables\/(\d{1,15})\/?$/.exec(item)?.[1])
  return typeof item === 'object' && item !== null ? Number((item as { id?: unknown }).id) : Number.NaN
}

/** One NetCDF variable is one layer of a service, and each has a place of its own. */
export function checkUnique(variables: readonly ServiceVariable[]): void {
  for (const name of ['variable', 'index'] as const) {
    const values = new Set(variables.map(variable => variable[name]))
    if (values.size !== variables.length) wrongField(name, 'is given to two variables of the service')
  }
}

/** What a request says of a variable of a service; what it leaves out is as it was. */
export function readVariable(
  value: unknown,
  service: ServiceFacts,
  was?: KeptVariable,
): ServiceVariable & { readonly id?: number } {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return wrongField('variables', 'must hold objects')
  const fields = value as Fields
  const name = field.text(256)
  const variable = readField(fields, 'variable', { read: name, was: was?.variable })
  const projection = readField(fields, 'projection', {
    read: (given, key) => (given === null ? service.projection : field.projection(given, key)),
    was: was?.extent.projection ?? service.projection,
  })
  const extent = readField(fields, 'full_extent', {
    read: field.box,
    was: was?.extent ?? service.fullExtent,
  })
  const timeDimension = readField(fields, 'time_dimension', {
    read: (given, key) => (given === null ? null : name(given, key)),
    was: was?.timeDimension ?? null,
  })
  return {
    ...(was === undefined ? {} : { id: was.id }),
    index: readField(fields, 'index', { read: field.position, was: was?.index }),
    variable,
    name: readField(fields, 'name', { read: name, was: was?.name ?? variable }),
    description: readField(fields, 'description', {
      read: field.optionalText,
      was: was?.description ?? null,
    }),
    xDimension: readField(fields, 'x_dimension', { read: name, was: was?.xDimension }),
    yDimension: readField(fields, 'y_dimension', { read: name, was: was?.yDimension }),
    timeDimension,
    extent: { ...extent, projection },
    time: readVariableTime(fields, { service, was: was?.time ?? null, timeDimension }),
    renderer: readField(fields, 'renderer', { read: rendererOf, was: was?.renderer }),
  }
}

function rendererOf(value: unknown, name: string): JsonObject {
  try {
    return writeRenderer(readRenderer(value))
  } catch (error) {
    return wrongField(name, `is not a renderer: ${(error as Error).message}`)
  }
}

/** The steps are those of the service; start and end may be its own. */
function readVariableTime(
  fields: Fields,
  {
    service,
    was,
    timeDimension,
  }: { service: ServiceFacts; was: TimeFacts | null; timeDimension: string | null },
): TimeFacts | null {
  const supports = readField(fields, 'supports_time', { read: field.flag, was: was !== null })
  if (!supports) return null
  if (service.time === null) return wrongField('supports_time', 'needs a service that supports time')
  if (timeDimension === null) return wrongField('time_dimension', 'is needed where time is supported')
  const own = (given: unknown, name: string, usual: number): number =>
    given === null ? usual : field.instant(given, name)
  const { start, end } = service.time
  const time = {
    ...service.time,
    start: readField(fields, 'time_start', {
      read: (given, name) => own(given, name, start),
      was: was?.start ?? start,
    }),
    end: readField(fields, 'time_end', {
      read: (given, name) => own(given, name, end),
      was: was?.end ?? end,
    }),
  }
  return checkTime(time)
}

/** The variables of a service whose own facts have changed: projection and steps in time go with it. */
export function adjusted(
  variables: readonly KeptVariable[],
  old: ServiceFacts,
  facts: ServiceFacts,
): KeptVariable[] {
  return variables.map(variable => ({
    ...variable,
    extent:
      variable.extent.projection === old.projection
        ? { ...variable.extent, projection: facts.projection }
        : variable.extent,
    time:
      variable.time === null || facts.time === null
        ? null
        : { ...facts.time, start: variable.time.start, end: variable.time.end },
  }))
}
