// What every route of this dialect works with.

import type { FastifyRequest } from 'fastify'
import type { RegisteredJob } from '../../domains/raster/tasks/registration.ts'
import { pathOf } from '../../http/paths.ts'
import type { Kit } from '../dialect.ts'
import type { TemporaryFiles } from './admin/temporary-files.ts'
import type { FactsCache } from './maps/facts-cache.ts'
import type { Painters } from './maps/painters.ts'
import type { TileCache } from './maps/tile-cache.ts'
import type { ServiceShelf } from './service-shelf.ts'
import type { NcdjangoSettings } from './settings.ts'

export interface House {
  readonly kit: Kit
  readonly settings: NcdjangoSettings
  readonly jobs: ReadonlyMap<string, RegisteredJob>
  readonly shelf: ServiceShelf
  readonly files: TemporaryFiles
  readonly painters: Painters
  readonly tiles: TileCache
  readonly facts: FactsCache
}

/** The path of a request below the prefix under which the dialect is mounted. */
export function pathIn(house: House, request: FastifyRequest): string {
  return pathOf(request.url).slice(house.settings.prefix.length)
}

export const dialectName = 'ncdjango'
export const jobKind = 'ncdjango.job'
