// Tiles in Web Mercator, XYZ: of a whole service, or of one layer at a step in time.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { refuse } from '../../../core/refusal.ts'
import { textOfEpsg } from '../../../domains/raster/projection/epsg.ts'
import { type House, pathIn } from '../house.ts'
import { decodePath, demandMethod } from './arcgis.ts'
import { byIndex } from './describe.ts'
import { sendImage } from './send.ts'
import { stepsOf } from './time.ts'

const side = 256
const edge = 20_037_508.342_789_244

/** Answers below `/tiles/`. */
export async function answerTiles(house: House, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  demandMethod(request, ['GET', 'HEAD'], reply)
  const path = decodePath(pathIn(house, request))
  const found = await findTile(house, path)
  if (!found) return refuse('not-found', `There is no tile at ${path.slice(0, 300)}`)
  const { service, layers, z, x, y, step } = found
  const span = (2 * edge) / 2 ** z
  const box = {
    xmin: -edge + x * span,
    ymin: edge - (y + 1) * span,
    xmax: -edge + (x + 1) * span,
    ymax: edge - y * span,
    projection: textOfEpsg(3857)!,
  }
  const order = {
    image: {
      layers: layers.map(layer => ({
        path: house.kit.blobs.path(service.hash),
        layer,
        renderer: layer.renderer,
        step,
      })),
      box,
      width: side,
      height: side,
    },
    format: 'png' as const,
    isTransparent: true,
  }
  await sendImage(house, request, reply, { service, order })
}

async function findTile(house: House, path: string) {
  const plain = /^\/tiles\/([\w\-/]+)\/(\d{1,2})\/(\d{1,10})\/(\d{1,10})\.png$/.exec(path)
  if (plain) {
    const place = readPlace(plain[2]!, plain[3]!, plain[4]!)
    const service = place && (await house.shelf.find(plain[1]!))
    if (place && service) return { service, layers: byIndex(service), ...place, step: 0 }
  }
  const timed = /^\/tiles\/([\w\-/]+)\/([^/]+)\/(\d{1,2})\/(\d{1,10})\/(\d{1,10})\/(\d{1,9})\.png$/.exec(path)
  if (!timed) return undefined
  const place = readPlace(timed[3]!, timed[4]!, timed[5]!)
  const service = place && (await house.shelf.find(timed[1]!))
  const layers = service?.variables.filter(({ name }) => name === timed[2]) ?? []
  const step = Number(timed[6])
  const isThere = layers.some(({ time }) => step < (time === null ? 1 : (stepsOf(time)?.length ?? Infinity)))
  return place && service && isThere ? { service, layers, ...place, step } : undefined
}

function readPlace(z: string, x: string, y: string): { z: number; x: number; y: number } | undefined {
  const [level, column, row] = [Number(z), Number(x), Number(y)]
  const isThere = level <= 30 && column < 2 ** level && row < 2 ** level
  return isThere ? { z: level, x: column, y: row } : undefined
}
