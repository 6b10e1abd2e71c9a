// ArcGIS REST for map services: catalogue, metadata, export, identify, legend.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { isObject } from '../../../core/json.ts'
import { refuse } from '../../../core/refusal.ts'
import type { ImageFormat } from '../../../domains/raster/drawing/encode.ts'
import { legendOf } from '../../../domains/raster/drawing/legend.ts'
import { readRenderer } from '../../../domains/raster/drawing/renderer.ts'
import type { Service, ServiceVariable } from '../../../domains/raster/services/service.ts'
import type { Extent } from '../../../domains/raster/values/raster.ts'
import { type House, pathIn } from '../house.ts'
import { byIndex, showLayer, showService } from './describe.ts'
import { Parameters, readProjection, wrong } from './parameters.ts'
import { sendImage, sendMap } from './send.ts'
import { stepAtInstant } from './time.ts'

const sideMax = 4096
const base = '/arcgis/rest/services'
const methodsOf: Readonly<Record<string, readonly string[]>> = {
  export: ['GET', 'HEAD', 'POST'],
  identify: ['GET', 'HEAD', 'POST'],
  legend: ['GET', 'HEAD', 'POST'],
}

/** Answers a path below the ArcGIS base. */
export async function answerArcgis(
  house: House,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const path = decodePath(pathIn(house, request)).replace(/\/$/, '')
  const parameters = new Parameters(request)
  if (path === base) {
    demandMethod(request, ['GET', 'HEAD'], reply)
    return sendMap(request, reply, parameters, await catalogue(house))
  }
  const match = /^\/arcgis\/rest\/services\/([\w\-/]+?)\/MapServer(?:\/(.*))?$/.exec(path)
  const rest = match?.[2] ?? ''
  const service = match ? await house.shelf.find(match[1]!) : undefined
  if (!service) return refuse('not-found', `There is no service at ${path.slice(0, 300)}`)
  demandMethod(request, methodsOf[rest] ?? ['GET', 'HEAD'], reply)
  switch (rest) {
    case '':
      return sendMap(request, reply, parameters, await showService(service))
    case 'layers':
      return sendMap(request, reply, parameters, {
        layers: await Promise.all(byIndex(service).map(showLayer)),
      })
    case 'export':
      return exportImage(house, request, reply, { service, parameters })
    case 'identify':
      return sendMap(request, reply, parameters, await identify(house, service, parameters))
    case 'legend':
      return sendMap(request, reply, parameters, legend(service, parameters))
  }
  const index = /^(?:layers\/)?(\d{1,9})$/.exec(rest)?.[1]
  const layer = service.variables.find(own => own.index === Number(index))
  if (index === undefined || !layer)
    return refuse('not-found', `The service has no layer at ${rest.slice(0, 100)}`)
  return sendMap(request, reply, parameters, { currentVersion: '10.1', ...(await showLayer(layer)) })
}

/** A path without its escapes; not found where they make no sense. */
export function decodePath(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return refuse('not-found', 'The path has an escape that means nothing')
  }
}

/** Refuses other methods, as 405. */
export function demandMethod(request: FastifyRequest, allowed: readonly string[], reply: FastifyReply): void {
  if (allowed.includes(request.method)) return
  reply.header('allow', allowed.join(', '))
  refuse('bad-request', `${request.method} is not possible here`, { facts: { status: 405 } })
}

async function catalogue(house: House): Promise<object> {
  const names = (await house.shelf.all()).map(({ name }) => name)
  const folders = new Set(
    names.filter(name => name.includes('/')).map(name => name.slice(0, name.lastIndexOf('/'))),
  )
  return {
    currentVersion: '10.1',
    folders: [...folders],
    services: names.map(name => ({ name, type: 'MapServer' })),
  }
}

async function exportImage(
  house: House,
  request: FastifyRequest,
  reply: FastifyReply,
  { service, parameters }: { service: Service; parameters: Parameters },
): Promise<void> {
  const format = readFormat(parameters.text('format') ?? 'png')
  const [width, height] = readSize(parameters)
  const isTransparent = readFlag(parameters, 'transparent', true)
  const box = await readBox(service, parameters, width / height)
  const styles = readStyles(parameters)
  const layers = chosenLayers(service, parameters).map(layer => ({
    path: house.kit.blobs.path(service.hash),
    layer,
    renderer: styles.get(layer.index) ?? layer.renderer,
    step: readStep(house, layer, parameters),
  }))
  const answer = parameters.text('f')?.toLowerCase()
  if (answer === 'json' || answer === 'pjson') {
    return sendMap(
      request,
      reply,
      parameters,
      describeExport(house, request, { service, box, width, height }),
    )
  }
  const order = { image: { layers, box, width, height }, format, isTransparent }
  await sendImage(house, request, reply, { service, order })
}

/** What clients that ask for JSON need: where the image is. */
function describeExport(
  house: House,
  request: FastifyRequest,
  { service, box, width, height }: { service: Service; box: Extent; width: number; height: number },
): object {
  const query = new URLSearchParams(request.url.slice(request.url.indexOf('?') + 1))
  if (Buffer.isBuffer(request.body))
    for (const [name, value] of new URLSearchParams(request.body.toString('utf8'))) query.set(name, value)
  for (const name of [...query.keys()]) if (['f', 'callback'].includes(name.toLowerCase())) query.delete(name)
  query.set('f', 'image')
  const { xmin, ymin, xmax, ymax } = box
  const wkid = Number(query.get('imageSR') ?? query.get('imagesr') ?? query.get('bboxSR')) || 102_100
  return {
    href: `${house.kit.publicUrl(request)}${house.settings.prefix}${base}/${service.name}/MapServer/export?${query}`,
    width,
    height,
    extent: { xmin, ymin, xmax, ymax, spatialReference: { wkid } },
    // At 96 dots an inch, of which a metre has 39.37.
    scale: ((xmax - xmin) / width) * 96 * 39.37,
  }
}

function readFormat(text: string): ImageFormat {
  switch (text.toLowerCase()) {
    case 'png':
    case 'png24':
    case 'png32':
      return 'png'
    case 'png8':
      return 'png8'
    case 'jpg':
    case 'jpeg':
      return 'jpeg'
    case 'gif':
      return 'gif'
    case 'bmp':
      return 'bmp'
    case 'webp':
      return 'webp'
    default:
      return wrong('format', 'must be png, png8, png24, png32, jpg, gif, bmp or webp')
  }
}

function readSize(parameters: Parameters): [number, number] {
  const [width, height] = (parameters.numbers('size', 2) ?? [400, 400]).map(Math.round) as [number, number]
  const isFine = (side: number): boolean => side >= 1 && side <= sideMax
  return isFine(width) && isFine(height)
    ? [width, height]
    : wrong('size', `must be from 1 to ${sideMax} each`)
}

function readFlag(parameters: Parameters, name: string, fallback: boolean): boolean {
  const text = parameters.text(name)?.toLowerCase()
  if (text === undefined) return fallback
  if (['true', '1', 'on', 'yes'].includes(text)) return true
  return ['false', '0', 'off', 'no'].includes(text) ? false : wrong(name, 'must be true or false')
}

/** The box of the image in its projection: the asked one, grown to the image's shape. */
async function readBox(service: Service, parameters: Parameters, shape: number): Promise<Extent> {
  const { projectExtent } = await import('../../../domains/raster/projection/transform.ts')
  const asked = readExtent(service, parameters)
  const projection = parameters.projection('imageSR') ?? service.projection
  return growTo(shape, projection === asked.projection ? asked : projectExtent(asked, projection))
}

function readExtent(service: Service, parameters: Parameters): Extent {
  const text = parameters.text('bbox')
  const given = parameters.projection('bboxSR')
  if (text === undefined) return service.fullExtent
  let edges: (number | undefined)[] | undefined
  let own: string | undefined
  if (text.startsWith('{')) {
    const box = parameters.json('bbox')
    const fields: Record<string, unknown> = isObject(box) ? box : {}
    edges = ['xmin', 'ymin', 'xmax', 'ymax'].map(name => Number(fields[name]))
    if (fields['spatialReference'] !== undefined) own = readProjection(fields['spatialReference'], 'bbox')
  } else edges = parameters.numbers('bbox', 4)
  const [xmin, ymin, xmax, ymax] = edges as [number, number, number, number]
  if (!(xmax > xmin && ymax > ymin)) wrong('bbox', 'must be xmin,ymin,xmax,ymax of a box')
  return { xmin, ymin, xmax, ymax, projection: given ?? own ?? service.projection }
}

function growTo(shape: number, box: Extent): Extent {
  const [width, height] = [box.xmax - box.xmin, box.ymax - box.ymin]
  const round = (ratio: number): number => Math.round(ratio * 10_000)
  if (round(width / height) === round(shape)) return box
  if (width / height > shape) {
    const more = (width / shape - height) / 2
    return { ...box, ymin: box.ymin - more, ymax: box.ymax + more }
  }
  const more = (height * shape - width) / 2
  return { ...box, xmin: box.xmin - more, xmax: box.xmax + more }
}

/** `show:0,2` and its kin; `all`, `visible` and `top` for identify. The top layer comes first. */
function chosenLayers(service: Service, parameters: Parameters): ServiceVariable[] {
  const layers = byIndex(service)
  const text = parameters.text('layers')
  if (text === undefined) return service.rendersTopLayerOnly ? layers.slice(0, 1) : layers
  const match = /^(show|include|hide|exclude|all|visible|top)(?::([\d, ]*))?$/i.exec(text)
  if (!match) return wrong('layers', 'must be show:, hide:, include: or exclude: with indices')
  const word = match[1]!.toLowerCase()
  const ids = (match[2] ?? '')
    .split(',')
    .filter(part => part.trim() !== '')
    .map(Number)
  if (word === 'hide' || word === 'exclude') return layers.filter(({ index }) => !ids.includes(index))
  const named = ids.length > 0 ? layers.filter(({ index }) => ids.includes(index)) : layers
  if (word === 'show' || word === 'include') return layers.filter(({ index }) => ids.includes(index))
  return word === 'top' ? named.slice(0, 1) : named
}

function readStyles(parameters: Parameters): Map<number, unknown> {
  const styles = parameters.json('styles')
  if (styles === undefined) return new Map()
  if (!isObject(styles)) return wrong('styles', 'must be an object of renderers by layer')
  const found = new Map<number, unknown>()
  for (const [index, renderer] of Object.entries(styles)) {
    try {
      readRenderer(renderer)
    } catch (error) {
      wrong('styles', `for layer ${index}: ${(error as Error).message}`)
    }
    found.set(Number(index), renderer)
  }
  return found
}

/** `time=ms` or `ms1,ms2`: the step of the first. */
function readStep(house: House, layer: ServiceVariable, parameters: Parameters): number {
  const text = parameters.text('time')
  if (text === undefined) return 0
  const at = Number(text.split(',', 1)[0])
  return Number.isFinite(at)
    ? stepAtInstant(house, layer, at)
    : wrong('time', 'must be milliseconds since 1970')
}

async function identify(house: House, service: Service, parameters: Parameters): Promise<object> {
  const type = parameters.text('geometryType') ?? 'esriGeometryPoint'
  if (type !== 'esriGeometryPoint') wrong('geometryType', 'must be esriGeometryPoint')
  const place = readPoint(parameters)
  const projection = parameters.projection('sr') ?? place.projection ?? service.projection
  const results: object[] = []
  for (const layer of chosenLayers(service, parameters)) {
    const { values } = await house.painters.facts({
      what: 'values',
      path: house.kit.blobs.path(service.hash),
      layer,
      x: place.x,
      y: place.y,
      projection,
      step: readStep(house, layer, parameters),
    })
    const value = (values as (number | null)[])[0] ?? null
    results.push({
      layerId: layer.index,
      layerName: layer.name,
      value,
      displayFieldName: layer.name,
      attributes: { 'Pixel value': value },
    })
  }
  return { results }
}

function readPoint(parameters: Parameters): { x: number; y: number; projection: string | undefined } {
  if (!parameters.need('geometry').startsWith('{')) {
    const [x, y] = parameters.numbers('geometry', 2) as [number, number]
    return { x, y, projection: undefined }
  }
  const point = parameters.json('geometry')
  const { x, y, spatialReference }: Record<string, unknown> = isObject(point) ? point : {}
  if (typeof x !== 'number' || typeof y !== 'number') return wrong('geometry', 'must have x and y')
  return {
    x,
    y,
    projection: spatialReference === undefined ? undefined : readProjection(spatialReference, 'geometry'),
  }
}

function legend(service: Service, parameters: Parameters): object {
  const styles = readStyles(parameters)
  return {
    layers: byIndex(service).map(layer => ({
      layerId: layer.index,
      layerName: layer.name,
      layerType: 'Raster Layer',
      minScale: 0,
      maxScale: 0,
      legend: legendOf(readRenderer(styles.get(layer.index) ?? layer.renderer)).map(entry => ({
        label: entry.label,
        url: null,
        imageData: Buffer.from(entry.image).toString('base64'),
        contentType: 'image/png',
        height: entry.height,
        width: entry.width,
      })),
    })),
  }
}
