// The data interface: facts about the values of a layer, and the file itself.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { refuse } from '../../../core/refusal.ts'
import type { FactsOrder, LayerPlace } from '../../../domains/raster/drawing/facts.ts'
import { pathOf } from '../../../http/paths.ts'
import { type House, pathIn } from '../house.ts'
import { decodePath, demandMethod } from './arcgis.ts'
import { Parameters, wrong } from './parameters.ts'
import { sendMap } from './send.ts'

const breaksMax = 255

/** Answers below `/data/services/`: the file of a service, and facts about the values of its layers. */
export async function answerData(house: House, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const path = decodePath(pathIn(house, request))
  const parameters = new Parameters(request)
  const file = /^\/data\/services\/([\w\-/]+)\/dataset\.nc$/.exec(path)
  if (file) return sendFile(house, request, reply, file[1]!)
  const match = /^\/data\/services\/([\w\-/]+)\/([^/]+)\/info\/([\w-]+)(\/?)$/.exec(path)
  if (match && match[4] === '') {
    const query = request.url.indexOf('?')
    reply
      .code(301)
      .header('location', `${pathOf(request.url)}/${query === -1 ? '' : request.url.slice(query)}`)
    reply.send(Buffer.alloc(0))
    return
  }
  const service = match ? await house.shelf.find(match[1]!) : undefined
  const layer = service?.variables.find(({ name }) => name === match![2])
  if (!match || !service || !layer) return refuse('not-found', `There is nothing at ${path.slice(0, 300)}`)
  demandMethod(request, ['GET', 'HEAD', 'POST'], reply)
  const place: LayerPlace = { path: house.kit.blobs.path(service.hash), layer }
  const order = readOrder(house, match[3]!, place, parameters)
  if (!order) return refuse('not-found', `There is nothing at ${path.slice(0, 300)}`)
  // The path is that of the file's hash, so that the key names what is looked at.
  const facts = await house.facts.get(JSON.stringify(order), () => house.painters.facts(order))
  sendMap(request, reply, parameters, facts)
}

function readOrder(
  house: House,
  what: string,
  place: LayerPlace,
  parameters: Parameters,
): FactsOrder | undefined {
  switch (what) {
    case 'range':
      return { ...place, what }
    case 'classify': {
      const method = parameters.need('method').toLowerCase()
      if (method !== 'jenks' && method !== 'quantile' && method !== 'equal')
        return wrong('method', 'must be jenks, quantile or equal')
      const breaks = Number(parameters.need('breaks'))
      if (!Number.isInteger(breaks) || breaks < 1 || breaks > breaksMax)
        return wrong('breaks', `must be a whole number from 1 to ${breaksMax}`)
      return { ...place, what, method, breaks }
    }
    case 'unique':
      return { ...place, what, max: house.settings.uniqueValuesMax }
    case 'values-at-point': {
      parameters.need('x')
      parameters.need('y')
      const projection = parameters.projection('projection') ?? place.layer.extent.projection
      return { ...place, what: 'values', x: parameters.number('x')!, y: parameters.number('y')!, projection }
    }
    default:
      return undefined
  }
}

async function sendFile(
  house: House,
  request: FastifyRequest,
  reply: FastifyReply,
  name: string,
): Promise<void> {
  demandMethod(request, ['GET', 'HEAD'], reply)
  const service = await house.shelf.find(name)
  if (!service) return refuse('not-found', `There is no service ${name.slice(0, 300)}`)
  const isTiff = /\.tiff?$/i.test(service.dataPath)
  const file = `${name.slice(name.lastIndexOf('/') + 1)}.${isTiff ? 'tif' : 'nc'}`
  reply
    .header('content-type', isTiff ? 'image/tiff' : 'application/x-netcdf')
    .header('content-length', service.sizeBytes)
  reply
    .header('content-disposition', `attachment; filename="${file}"`)
    .header('etag', `"${service.hash.slice(0, 32)}"`)
  reply.send(request.method === 'HEAD' ? Buffer.alloc(0) : house.kit.blobs.open(service.hash))
}
