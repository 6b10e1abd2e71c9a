// WMS 1.1.1 and 1.3.0 for desktop clients: capabilities, maps, what is at a pixel, legends.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { refuse } from '../../../core/refusal.ts'
import type { ImageFormat } from '../../../domains/raster/drawing/encode.ts'
import { legendOf } from '../../../domains/raster/drawing/legend.ts'
import { readRenderer } from '../../../domains/raster/drawing/renderer.ts'
import { textOfEpsg } from '../../../domains/raster/projection/epsg.ts'
import type { Service, ServiceVariable, TimeFacts } from '../../../domains/raster/services/service.ts'
import { type Extent, lonLat } from '../../../domains/raster/values/raster.ts'
import { sendJson } from '../../../http/json.ts'
import { refusalOf } from '../../../http/refusal-of.ts'
import { type House, pathIn } from '../house.ts'
import { decodePath, demandMethod } from './arcgis.ts'
import { byIndex, mercator } from './describe.ts'
import { Parameters } from './parameters.ts'
import { sendImage } from './send.ts'
import { readWmsTime, showWmsTime, stepAtInstant } from './time.ts'

const sideMax = 4096

class WmsFault extends Error {
  readonly code: string | undefined
  constructor(text: string, code?: string) {
    super(text)
    this.code = code
  }
}

type Version = '1.1.1' | '1.3.0'

/** Answers below `/wms/`. */
export async function answerWms(house: House, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  demandMethod(request, ['GET', 'HEAD'], reply)
  const name = /^\/wms\/([\w\-/]+?)\/?$/.exec(decodePath(pathIn(house, request)))?.[1]
  const service = name === undefined ? undefined : await house.shelf.find(name)
  if (!service) return refuse('not-found', 'There is no such service')
  const parameters = new Parameters(request)
  const version: Version =
    parameters.text('version')?.startsWith('1.1') || parameters.text('wmtver') ? '1.1.1' : '1.3.0'
  try {
    const kind = (parameters.text('service') ?? 'WMS').toUpperCase()
    if (kind !== 'WMS') throw new WmsFault(`${kind} is not served here`, 'InvalidParameterValue')
    switch ((parameters.text('request') ?? '').toLowerCase()) {
      case 'getcapabilities':
      case 'capabilities':
        return await sendCapabilities(house, request, reply, { service, version })
      case 'getmap':
      case 'map':
        return await sendMapImage(house, request, reply, { service, parameters, version })
      case 'getfeatureinfo':
        return await sendFeatureInfo(house, reply, { service, parameters, version })
      case 'getlegendgraphic':
        return sendLegend(reply, { service, parameters })
      default:
        throw new WmsFault(
          'REQUEST must be GetCapabilities, GetMap, GetFeatureInfo or GetLegendGraphic',
          'OperationNotSupported',
        )
    }
  } catch (error) {
    const refusal = refusalOf(error)
    const text = error instanceof WmsFault ? error.message : refusal?.text
    if (text === undefined || refusal?.kind === 'unavailable') throw error
    const isTime = refusal?.field?.toLowerCase() === 'time'
    const code = error instanceof WmsFault ? error.code : isTime ? 'InvalidDimensionValue' : undefined
    sendFault(reply, version, { text, code })
  }
}

function sendFault(
  reply: FastifyReply,
  version: Version,
  { text, code }: { text: string; code: string | undefined },
): void {
  const attribute = code === undefined ? '' : ` code="${code}"`
  const space = version === '1.3.0' ? ' xmlns="http://www.opengis.net/ogc"' : ''
  const type = version === '1.3.0' ? 'text/xml' : 'application/vnd.ogc.se_xml'
  sendXml(
    reply.code(400),
    `<ServiceExceptionReport version="${version}"${space}><ServiceException${attribute}>${escapeXml(text)}</ServiceException></ServiceExceptionReport>`,
    type,
  )
}

function sendXml(reply: FastifyReply, body: string, type = 'text/xml'): void {
  reply.header('content-type', type)
  reply.send(Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${body}\n`))
}

function escapeXml(text: string): string {
  const named: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  // Control characters have no place in XML at all.
  return text.replace(/[&<>"]/g, mark => named[mark]!).replace(/[^\t\n\r\u0020-\ufffd]/g, ' ')
}

function layersOf(service: Service, parameters: Parameters, name: string): ServiceVariable[] {
  const text = parameters.text(name)
  if (text === undefined) throw new WmsFault(`${name} is missing`, 'LayerNotDefined')
  return text.split(',').map(wanted => {
    const layer = service.variables.find(own => own.name === wanted.trim())
    if (!layer) throw new WmsFault(`There is no layer ${wanted}`, 'LayerNotDefined')
    return layer
  })
}

/** The asked box. In 1.3.0 EPSG:4326 has latitude before longitude. */
function readBox(parameters: Parameters, version: Version): Extent {
  const name = version === '1.3.0' ? 'crs' : 'srs'
  const code = (parameters.text(name) ?? parameters.text('crs') ?? parameters.text('srs') ?? '').toUpperCase()
  const number = /^EPSG:(\d+)$/.exec(code)?.[1]
  const projection =
    code === 'CRS:84' ? lonLat : number === undefined ? undefined : textOfEpsg(Number(number))
  const faultCode = version === '1.3.0' ? 'InvalidCRS' : 'InvalidSRS'
  if (projection === undefined) throw new WmsFault(`The projection ${code} is not known here`, faultCode)
  const [a, b, c, d] = parameters.numbers('bbox', 4) ?? [0, 0, 0, 0]
  const isSwapped = version === '1.3.0' && (number === '4326' || number === '4269' || number === '4258')
  const [xmin, ymin, xmax, ymax] = isSwapped ? [b, a, d, c] : [a, b, c, d]
  if (!(xmax! > xmin! && ymax! > ymin!)) throw new WmsFault('BBOX must be a box')
  return { xmin: xmin!, ymin: ymin!, xmax: xmax!, ymax: ymax!, projection }
}

function readSide(parameters: Parameters, name: string): number {
  const side = parameters.number(name)
  if (side === undefined || !(side >= 1 && side <= sideMax))
    throw new WmsFault(`${name} must be from 1 to ${sideMax}`)
  return Math.round(side)
}

async function sendMapImage(
  house: House,
  request: FastifyRequest,
  reply: FastifyReply,
  { service, parameters, version }: { service: Service; parameters: Parameters; version: Version },
): Promise<void> {
  const styles = (parameters.text('styles') ?? '')
    .split(',')
    .filter(style => style !== '' && style !== 'default')
  if (styles.length > 0) throw new WmsFault(`There is no style ${styles[0]}`, 'StyleNotDefined')
  const layers = layersOf(service, parameters, 'layers')
  const format = formatOf(parameters.text('format') ?? '')
  const at = readWmsTime(parameters.text('time'))
  const order = {
    image: {
      // The last layer of a WMS request lies on top.
      layers: [...layers].reverse().map(layer => ({
        path: house.kit.blobs.path(service.hash),
        layer,
        renderer: layer.renderer,
        step: at === undefined ? 0 : stepAtInstant(house, layer, at),
      })),
      box: readBox(parameters, version),
      width: readSide(parameters, 'width'),
      height: readSide(parameters, 'height'),
    },
    format,
    isTransparent: parameters.text('transparent')?.toUpperCase() === 'TRUE',
  }
  await sendImage(house, request, reply, { service, order })
}

function formatOf(text: string): ImageFormat {
  const type = text.toLowerCase().split(';', 1)[0]
  if (type === 'image/png') return 'png'
  if (type === 'image/png8') return 'png8'
  if (type === 'image/jpeg' || type === 'image/jpg') return 'jpeg'
  if (type === 'image/gif') return 'gif'
  if (type === 'image/webp') return 'webp'
  throw new WmsFault(`The format ${text} is not available`, 'InvalidFormat')
}

async function sendFeatureInfo(
  house: House,
  reply: FastifyReply,
  { service, parameters, version }: { service: Service; parameters: Parameters; version: Version },
): Promise<void> {
  const box = readBox(parameters, version)
  const [width, height] = [readSide(parameters, 'width'), readSide(parameters, 'height')]
  const i = parameters.number('i') ?? parameters.number('x')
  const j = parameters.number('j') ?? parameters.number('y')
  if (i === undefined || j === undefined || i < 0 || j < 0 || i >= width || j >= height)
    throw new WmsFault('I and J must be a pixel of the map', 'InvalidPoint')
  const at = readWmsTime(parameters.text('time'))
  const found: Record<string, number | null> = {}
  for (const layer of layersOf(service, parameters, 'query_layers')) {
    const { values } = await house.painters.facts({
      what: 'values',
      path: house.kit.blobs.path(service.hash),
      layer,
      x: box.xmin + ((i + 0.5) * (box.xmax - box.xmin)) / width,
      y: box.ymax - ((j + 0.5) * (box.ymax - box.ymin)) / height,
      projection: box.projection,
      step: at === undefined ? 0 : stepAtInstant(house, layer, at),
    })
    found[layer.name] = (values as (number | null)[])[0] ?? null
  }
  if (/json/i.test(parameters.text('info_format') ?? '')) {
    sendJson(reply, found)
    return
  }
  const lines = Object.entries(found).map(([name, value]) => `${name} = ${value ?? 'no data'}\n`)
  reply.header('content-type', 'text/plain; charset=utf-8').send(Buffer.from(lines.join('')))
}

function sendLegend(
  reply: FastifyReply,
  { service, parameters }: { service: Service; parameters: Parameters },
): void {
  const [layer] = layersOf(service, parameters, parameters.text('layer') === undefined ? 'layers' : 'layer')
  const wanted = Number(parameters.text('rule') ?? 0)
  const entries = legendOf(readRenderer(layer!.renderer))
  reply.header('content-type', 'image/png').send(Buffer.from((entries[wanted] ?? entries[0]!).image))
}

async function sendCapabilities(
  house: House,
  request: FastifyRequest,
  reply: FastifyReply,
  { service, version }: { service: Service; version: Version },
): Promise<void> {
  const { projectExtent } = await import('../../../domains/raster/projection/transform.ts')
  const isNew = version === '1.3.0'
  const url = escapeXml(`${house.kit.publicUrl(request)}${house.settings.prefix}/wms/${service.name}?`)
  const link = `<OnlineResource xmlns:xlink="http://www.w3.org/1999/xlink" xlink:type="simple" xlink:href="${url}"/>`
  const way = `<DCPType><HTTP><Get>${link}</Get></HTTP></DCPType>`
  const reference = isNew ? 'CRS' : 'SRS'
  const codes = [...(isNew ? ['CRS:84'] : []), 'EPSG:4326', 'EPSG:3857', 'EPSG:900913']
  const layers = byIndex(service).map(layer => {
    const degrees = projectExtent(layer.extent, lonLat)
    const metres = projectExtent(layer.extent, mercator)
    return [
      `<Layer queryable="1"><Name>${escapeXml(layer.name)}</Name><Title>${escapeXml(layer.name)}</Title>`,
      ...codes.map(code => `<${reference}>${code}</${reference}>`),
      isNew
        ? `<EX_GeographicBoundingBox><westBoundLongitude>${degrees.xmin}</westBoundLongitude><eastBoundLongitude>${degrees.xmax}</eastBoundLongitude><southBoundLatitude>${degrees.ymin}</southBoundLatitude><northBoundLatitude>${degrees.ymax}</northBoundLatitude></EX_GeographicBoundingBox>`
        : `<LatLonBoundingBox minx="${degrees.xmin}" miny="${degrees.ymin}" maxx="${degrees.xmax}" maxy="${degrees.ymax}"/>`,
      ...(isNew ? [boxElement('CRS', 'CRS:84', degrees)] : []),
      boxElement(reference, 'EPSG:4326', isNew ? turned(degrees) : degrees),
      boxElement(reference, 'EPSG:3857', metres),
      layer.time === null ? '' : timeElements(layer.time, isNew),
      '<Style><Name>default</Name><Title>default</Title></Style></Layer>',
    ].join('')
  })
  const head = isNew
    ? '<WMS_Capabilities version="1.3.0" xmlns="http://www.opengis.net/wms">'
    : '<WMT_MS_Capabilities version="1.1.1">'
  const operation = (name: string, formats: readonly string[]): string =>
    `<${name}>${formats.map(format => `<Format>${format}</Format>`).join('')}${way}</${name}>`
  const body = [
    head,
    `<Service><Name>${isNew ? 'WMS' : 'OGC:WMS'}</Name><Title>${escapeXml(service.name)}</Title><Abstract>${escapeXml(service.description)}</Abstract>${link}</Service>`,
    '<Capability><Request>',
    operation('GetCapabilities', [isNew ? 'text/xml' : 'application/vnd.ogc.wms_xml']),
    operation('GetMap', ['image/png', 'image/jpeg', 'image/webp', 'image/gif']),
    operation('GetFeatureInfo', ['text/plain', 'application/json']),
    '</Request>',
    `<Exception><Format>${isNew ? 'XML' : 'application/vnd.ogc.se_xml'}</Format></Exception>`,
    `<Layer><Title>${escapeXml(service.name)}</Title>${codes.map(code => `<${reference}>${code}</${reference}>`).join('')}${layers.join('')}</Layer>`,
    `</Capability>${isNew ? '</WMS_Capabilities>' : '</WMT_MS_Capabilities>'}`,
  ].join('')
  sendXml(reply, body, isNew ? 'text/xml' : 'application/vnd.ogc.wms_xml')
}

/** In 1.1.1 what the dimension is, and what values it has, are two elements. */
function timeElements(time: TimeFacts, isNew: boolean): string {
  const { extent, usual } = showWmsTime(time)
  const more = `default="${usual}" nearestValue="1"`
  return isNew
    ? `<Dimension name="time" units="ISO8601" ${more}>${extent}</Dimension>`
    : `<Dimension name="time" units="ISO8601"/><Extent name="time" ${more}>${extent}</Extent>`
}

function boxElement(
  name: string,
  code: string,
  box: Pick<Extent, 'xmin' | 'ymin' | 'xmax' | 'ymax'>,
): string {
  return `<BoundingBox ${name}="${code}" minx="${box.xmin}" miny="${box.ymin}" maxx="${box.xmax}" maxy="${box.ymax}"/>`
}

function turned({ xmin, ymin, xmax, ymax }: Extent) {
  return { xmin: ymin, ymin: xmin, xmax: ymax, ymax: xmax }
}
