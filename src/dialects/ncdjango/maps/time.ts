// Steps in time as map clients ask for them, in the ways of ArcGIS (milliseconds) and of WMS (ISO 8601).

import type { ServiceVariable, TimeFacts } from '../../../domains/raster/services/service.ts'
import { nearestStep, timeSteps } from '../../../domains/raster/services/time-steps.ts'
import type { House } from '../house.ts'
import { wrong } from './parameters.ts'

/** The step of a layer that an instant (ms) means: the nearest, or only an exact one where that is configured. */
export function stepAtInstant(house: House, layer: ServiceVariable, at: number): number {
  if (layer.time === null || layer.timeDimension === null) return 0
  const steps =
    stepsOf(layer.time) ?? wrong('time', `is not possible with the calendar ${layer.time.calendar}`)
  const step = nearestStep(steps, at)
  if (!house.settings.hasBestFitTime && steps[step] !== at)
    return wrong('time', 'is not one of the time steps')
  return step
}

/** All steps; undefined for calendars that we cannot walk through. */
export function stepsOf(time: TimeFacts): readonly number[] | undefined {
  return time.calendar === 'standard' ? timeSteps(time) : undefined
}

/** The first instant of a WMS `TIME`: one, a list, or the start of a period; undefined means the default. */
export function readWmsTime(text: string | undefined): number | undefined {
  if (text === undefined || text.toLowerCase() === 'default' || text.toLowerCase() === 'current')
    return undefined
  const first = text.split(/[,/]/, 1)[0]!.trim()
  const match =
    /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:?\d\d)?)?)?)?Z?$/i.exec(
      first,
    )
  const [, year, month = '01', day = '01', clock = '00:00', zone = 'Z'] = match ?? []
  const at = match ? Date.parse(`${year}-${month}-${day}T${clock}${zone.toUpperCase()}`) : Number.NaN
  return Number.isNaN(at) ? wrong('TIME', 'must be an instant such as 2000-01-01T00:00:00Z') : at
}

/** What WMS capabilities say of a layer's time: `start/end/period`. */
export function showWmsTime(time: TimeFacts): { extent: string; usual: string } {
  const steps = stepsOf(time)
  const last = steps?.[steps.length - 1] ?? time.end
  const show = (at: number): string => new Date(at).toISOString().replace('.000Z', 'Z')
  return { extent: `${show(time.start)}/${show(last)}/${periodOf(time)}`, usual: show(time.start) }
}

function periodOf({ interval, unit }: TimeFacts): string {
  switch (unit) {
    case 'milliseconds':
      return `PT${interval / 1000}S`
    case 'seconds':
      return `PT${interval}S`
    case 'minutes':
      return `PT${interval}M`
    case 'hours':
      return `PT${interval}H`
    case 'days':
      return `P${interval}D`
    case 'weeks':
      return `P${interval * 7}D`
    case 'months':
      return `P${interval}M`
    case 'years':
      return `P${interval}Y`
    case 'decades':
      return `P${interval * 10}Y`
    case 'centuries':
      return `P${interval * 100}Y`
  }
}
