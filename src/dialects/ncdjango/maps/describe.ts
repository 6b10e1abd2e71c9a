// Services and layers as ArcGIS clients are told about them.

import { epsgIn } from '../../../domains/raster/projection/epsg.ts'
import type { Service, ServiceVariable, TimeFacts } from '../../../domains/raster/services/service.ts'
import type { Extent } from '../../../domains/raster/values/raster.ts'
import { stepsOf } from './time.ts'

export const mercator = 'EPSG:3857'

interface ShownExtent {
  readonly xmin: number
  readonly ymin: number
  readonly xmax: number
  readonly ymax: number
  readonly spatialReference: { readonly wkid: number }
}

/** In its own projection where that has a number, else in Web Mercator. */
export async function showExtent(extent: Extent): Promise<ShownExtent> {
  const wkid = epsgIn(extent.projection)
  const { projectExtent } = await import('../../../domains/raster/projection/transform.ts')
  const { xmin, ymin, xmax, ymax } = wkid === undefined ? projectExtent(extent, mercator) : extent
  return { xmin, ymin, xmax, ymax, spatialReference: { wkid: wkid ?? 102_100 } }
}

/** A map service as ArcGIS clients read it. */
export async function showService(service: Service): Promise<object> {
  const initialExtent = await showExtent(service.initialExtent)
  return {
    currentVersion: '10.1',
    serviceDescription: service.description,
    mapName: service.name,
    description: service.description,
    copyrightText: '',
    supportsDynamicLayers: true,
    layers: byIndex(service).map(({ index, name }) => ({
      id: index,
      name,
      defaultVisibility: true,
      parentLayerId: -1,
      subLayerIds: null,
      minScale: 0,
      maxScale: 0,
    })),
    spatialReference: initialExtent.spatialReference,
    singleFusedMapCache: false,
    initialExtent,
    fullExtent: await showExtent(service.fullExtent),
    supportedImageFormatTypes: 'PNG,PNG8,PNG24,PNG32,JPEG,GIF,BMP',
    capabilities: 'Map,Query',
    supportedQueryFormat: 'JSON',
    ...(service.time === null ? {} : { timeInfo: serviceTime(service.time) }),
  }
}

/** A layer of a service as ArcGIS clients read it. */
export async function showLayer(layer: ServiceVariable): Promise<object> {
  return {
    id: layer.index,
    name: layer.name,
    type: 'Raster Layer',
    description: layer.description,
    geometryType: null,
    hasZ: false,
    hasM: false,
    copyrightText: null,
    parentLayer: null,
    subLayers: null,
    minScale: 0,
    maxScale: 0,
    defaultVisibility: true,
    extent: await showExtent(layer.extent),
    displayField: layer.variable,
    maxRecordCount: 1000,
    supportsStatistics: false,
    supportsAdvancedQueries: false,
    capabilities: 'Map,Query',
    supportedQueryFormats: 'JSON',
    isDataVersioned: false,
    ...(layer.time === null ? {} : { timeInfo: layerTime(layer.time) }),
  }
}

/** Layers, the top one first. */
export function byIndex(service: Service): ServiceVariable[] {
  return [...service.variables].sort((a, b) => a.index - b.index)
}

function unitWord(time: TimeFacts): string {
  return `esriTimeUnits${time.unit[0]!.toUpperCase()}${time.unit.slice(1)}`
}

function extentOfTime(time: TimeFacts): [number, number] {
  const steps = stepsOf(time)
  return [time.start, steps?.[steps.length - 1] ?? time.end]
}

function serviceTime(time: TimeFacts): object {
  return {
    timeExtent: extentOfTime(time),
    timeRelation: 'esriTimeRelationOverlaps',
    defaultTimeInterval: time.interval,
    defaultTimeIntervalUnits: unitWord(time),
    hasLiveData: false,
  }
}

function layerTime(time: TimeFacts): object {
  return {
    timeExtent: extentOfTime(time),
    timeInterval: time.interval,
    timeIntervalUnits: unitWord(time),
    exportOptions: { useTime: true, timeDataCumulative: false },
    hasLiveData: false,
  }
}
