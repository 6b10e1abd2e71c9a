// What a map service is: a file of grids, and its variables as layers.

import type { JsonObject } from '../../../core/json.ts'
import type { Extent } from '../values/raster.ts'

export const timeUnits = [
  ...(['milliseconds', 'seconds', 'minutes', 'hours', 'days', 'weeks'] as const),
  ...(['months', 'years', 'decades', 'centuries'] as const),
] as const
export type TimeUnit = (typeof timeUnits)[number]

/** Steps in time: from start, in intervals, up to end. Instants in ms since 1970. */
export interface TimeFacts {
  readonly start: number
  readonly end: number
  readonly interval: number
  readonly unit: TimeUnit
  readonly calendar: 'standard' | 'noleap' | '360'
}

export interface ServiceVariable {
  readonly index: number
  /** The NetCDF variable. */
  readonly variable: string
  /** What the layer is called. */
  readonly name: string
  readonly description: string | null
  readonly xDimension: string
  readonly yDimension: string
  readonly timeDimension: string | null
  readonly extent: Extent
  readonly time: TimeFacts | null
  /** In the web form. */
  readonly renderer: JsonObject
}

/** A variable that stands on the shelf. */
export interface KeptVariable extends ServiceVariable {
  /** Counts over the variables of all services. */
  readonly id: number
}

export interface Service {
  readonly id: number
  readonly name: string
  readonly description: string
  readonly dataPath: string
  /** The blob with the file. */
  readonly hash: string
  readonly sizeBytes: number
  readonly projection: string
  readonly fullExtent: Extent
  readonly initialExtent: Extent
  readonly time: TimeFacts | null
  readonly rendersTopLayerOnly: boolean
  readonly isTemporary: boolean
  readonly createdAt: number
  /** The job that made it. */
  readonly job: string | null
  readonly variables: readonly KeptVariable[]
}

/** A service as somebody proposes it: the server adds what it alone knows. */
export interface ServiceDraft extends Omit<Service, 'id' | 'createdAt' | 'variables'> {
  readonly variables: readonly ServiceVariable[]
}
