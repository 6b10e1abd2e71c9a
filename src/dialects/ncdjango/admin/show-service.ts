// Services, variables and temporary files as the admin API shows them: keys in the alphabet's order, as recorded.

import type { KeptVariable, Service, TimeFacts } from '../../../domains/raster/services/service.ts'
import { timeSteps } from '../../../domains/raster/services/time-steps.ts'
import { showBox, showInstant } from './fields.ts'
import type { TemporaryFile } from './temporary-files.ts'

export const adminBase = '/api/admin'

/** The address of a resource; `prefix` is what all paths begin with. */
export function addressOf(
  prefix: string,
  kind: 'services' | 'variables' | 'temporary-files',
  id: number | string,
): string {
  return `${prefix}${adminBase}/${kind}/${id}/`
}

/** In lists variables are addresses; one service alone has them whole. */
export function showService(
  service: Service,
  { isWhole, prefix }: { isWhole: boolean; prefix: string },
): object {
  const { time } = service
  return {
    calendar: time?.calendar ?? null,
    data_path: service.dataPath,
    description: service.description,
    full_extent: showBox(service.fullExtent),
    id: service.id,
    initial_extent: showBox(service.initialExtent),
    name: service.name,
    projection: service.projection,
    render_top_layer_only: service.rendersTopLayerOnly,
    resource_uri: addressOf(prefix, 'services', service.id),
    supports_time: time !== null,
    time_end: time === null ? null : showInstant(time.end),
    time_interval: time?.interval ?? null,
    time_interval_units: time?.unit ?? null,
    time_start: time === null ? null : showInstant(time.start),
    variables: service.variables.map(variable =>
      isWhole ? showVariable(variable, service.id, prefix) : addressOf(prefix, 'variables', variable.id),
    ),
  }
}

/** A variable as the admin API shows it. */
export function showVariable(variable: KeptVariable, service: number, prefix: string): object {
  const { time } = variable
  return {
    description: variable.description,
    full_extent: showBox(variable.extent),
    id: variable.id,
    index: variable.index,
    name: variable.name,
    projection: variable.extent.projection,
    renderer: variable.renderer,
    resource_uri: addressOf(prefix, 'variables', variable.id),
    service: addressOf(prefix, 'services', service),
    supports_time: time !== null,
    time_dimension: variable.timeDimension,
    time_end: time === null ? null : showInstant(time.end),
    time_start: time === null ? null : showInstant(time.start),
    time_steps: time === null ? null : countSteps(time),
    variable: variable.variable,
    x_dimension: variable.xDimension,
    y_dimension: variable.yDimension,
  }
}

/** Calendars that we cannot walk through have no number of steps. */
function countSteps(time: TimeFacts): number | null {
  return time.calendar === 'standard' ? timeSteps(time).length : null
}

/** A file that was sent and is no service yet, as the admin API shows it. */
export function showTemporaryFile(file: TemporaryFile, prefix: string): object {
  return {
    date: new Date(file.createdAt).toISOString().replace('Z', '000'),
    filename: file.filename,
    resource_uri: addressOf(prefix, 'temporary-files', file.uuid),
    uuid: file.uuid,
  }
}
