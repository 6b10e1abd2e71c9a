// The ncdjango dialect: jobs over rasters, their results published as maps, at the paths of the original.

import fastifyMultipart from '@fastify/multipart'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isObject, type Json } from '../../core/json.ts'
import { workAt } from '../../core/work.ts'
import { referredServices } from '../../domains/raster/services/reference.ts'
import type { Service } from '../../domains/raster/services/service.ts'
import { loadJobs } from '../../domains/raster/tasks/registration.ts'
import { readPythonJson } from '../../domains/raster/values/python-json.ts'
import { takeAnyBody } from '../../http/bodies.ts'
import type { Dialect } from '../dialect.ts'
import { answerAdmin } from './admin/routes.ts'
import { TemporaryFiles } from './admin/temporary-files.ts'
import { dialectName, type House, jobKind } from './house.ts'
import { answerCleanup } from './jobs/cleanup.ts'
import { answerJobs, answerRefusal } from './jobs/routes.ts'
import { FactsCache } from './maps/facts-cache.ts'
import { Painters } from './maps/painters.ts'
import { answerMaps } from './maps/routes.ts'
import { TileCache } from './maps/tile-cache.ts'
import { completePublishing, ServiceShelf } from './service-shelf.ts'
import { readSettings } from './settings.ts'

const jobClaim = '/geoprocessing/rest/jobs'
const cleanupClaim = '/geoprocessing/rest/cleanup'
const adminClaim = '/api/admin'
const mapClaims = ['/arcgis/rest', '/data/services', '/tiles', '/wms']
const siteClaims = [jobClaim, adminClaim, ...mapClaims]
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const
const bodyBytesMax = 10 * 1024 * 1024

export const ncdjango: Dialect = {
  name: dialectName,
  claims: [cleanupClaim, ...siteClaims],
  // Jobs are tasks that the server's owner registered, never a program of the caller's choice.
  access: { anonymous: ['read', 'submit'] },
  work: { [jobKind]: workAt(import.meta.url, '../../domains/raster/tasks/run-job.ts', 'runJob') },
  pools: section => {
    const { concurrentJobs } = readSettings(section, process.env)
    return { [dialectName]: concurrentJobs === undefined ? {} : { slots: concurrentJobs } }
  },
  async open(kit) {
    const settings = readSettings(kit.settings, process.env)
    for (const name of settings.unknown)
      kit.log.warn({ setting: name }, 'a setting of ncdjango is not known here')
    const house: House = {
      kit,
      settings,
      jobs: await loadJobs(settings.sources),
      shelf: new ServiceShelf(kit),
      files: new TemporaryFiles(kit, settings.uploadBytes),
      painters: new Painters(kit, settings.renderThreads),
      facts: new FactsCache(),
      tiles: new TileCache(settings.tileCacheBytes),
    }
    kit.prepare(jobKind, async ({ spec }) => withServices(spec, house))
    kit.complete(jobKind, completePublishing)
    const cleaning = new Cleaning(house)
    const { prefix } = settings
    return {
      // Clean-up is ours and not the site's: commands find it where it always is.
      claims: [cleanupClaim, ...siteClaims.map(claim => prefix + claim)],
      routes: async scope => addRoutes(scope, house),
      async ready() {
        cleaning.start()
      },
      async close() {
        cleaning.stop()
        await house.painters.close()
        await house.shelf.close()
      },
    }
  },
}

/** Adds the services that the inputs refer to, as they are when the job starts. */
async function withServices(spec: Json, house: House): Promise<Json> {
  const input = isObject(spec) ? spec['input'] : undefined
  if (!isObject(spec) || !isObject(input) || typeof input['inputs'] !== 'string') return spec
  const names = referredServices(readPythonJson(input['inputs']))
  if (names.length === 0) return spec
  const services: Record<string, Service> = {}
  for (const name of names) {
    const service = await house.shelf.find(name)
    if (service) services[name] = service
  }
  return { ...spec, input: { ...input, services } } as unknown as Json
}

/** Deletes temporary services that have become too old, from time to time. */
class Cleaning {
  readonly #house: House
  #cancel: (() => void) | undefined
  constructor(house: House) {
    this.#house = house
  }

  start(): void {
    const { kit, settings, shelf } = this.#house
    if (settings.cleanupMs === 0) return
    this.#cancel = kit.clock.alarm(kit.clock.now() + settings.cleanupMs, () => {
      shelf
        .cleanUp(settings.serviceAgeMs)
        .catch(error => kit.log.warn({ err: error }, 'temporary services could not be cleaned up'))
        .finally(() => this.#cancel && this.start())
    })
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}

function addRoutes(scope: FastifyInstance, house: House): void {
  takeAnyBody(scope, 'bytes')
  scope.setErrorHandler((error, request, reply) => answerRefusal(house, error, request, reply))
  const add = (
    scope: FastifyInstance,
    claim: string,
    answer: (house: House, request: FastifyRequest, reply: FastifyReply) => Promise<void>,
    config: { anyOrigin?: boolean } = {},
  ): void => {
    for (const url of [claim, `${claim}/*`]) {
      scope.route({
        method: [...methods],
        url,
        bodyLimit: bodyBytesMax,
        config,
        handler: async (request, reply) => {
          await answer(house, request, reply)
          return reply
        },
      })
    }
  }
  const { prefix } = house.settings
  add(scope, prefix + jobClaim, answerJobs)
  add(scope, cleanupClaim, answerCleanup)
  // A map that is asked for by a form is only looked at.
  for (const claim of mapClaims) add(scope, prefix + claim, answerMaps, { anyOrigin: true })
  // Uploads are streams, whatever their size: forms with files are taken apart as they come.
  scope.register(async uploads => {
    await uploads.register(fastifyMultipart, {
      limits: { fileSize: house.settings.uploadBytes, files: 10, fields: 100, fieldSize: 1024 * 1024 },
      throwFileSizeLimit: true,
    })
    add(uploads, prefix + adminClaim, answerAdmin)
  })
}
