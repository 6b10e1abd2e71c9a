// The dialect's section of the configuration: our names, and the original's (NC_…), which may also be environment
// variables. What is not known is named in the log.

import { resolve } from 'node:path'
import { isObject, type Json } from '../../core/json.ts'
import type { ResultFormat } from '../../domains/raster/netcdf/publish.ts'
import type { JobSources } from '../../domains/raster/tasks/registration.ts'

export interface NcdjangoSettings {
  readonly sources: JobSources
  /** What all paths begin with: empty, or `/site`. */
  readonly prefix: string
  /** Temporary services older than this are deleted. */
  readonly serviceAgeMs: number
  /** How often that is looked after; 0 = never by itself. */
  readonly cleanupMs: number
  readonly cellsShownMax: number
  readonly uniqueValuesMax: number
  /** What published rasters are written as. */
  readonly resultFormat: ResultFormat
  /** Whether images are WebP for whoever takes that, whatever format is asked for. */
  readonly forcesWebp: boolean
  readonly hasBestFitTime: boolean
  /** Jobs at the same time; as many as the executor has threads unless said. */
  readonly concurrentJobs: number | undefined
  readonly renderThreads: number | undefined
  readonly tileCacheBytes: number
  /** Addresses of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[]
  /** The largest file that may be uploaded, and unpacked. */
  readonly uploadBytes: number
  /** Hosts and networks that files may be fetched from for upload-by-url; none: there is no such path. */
  readonly uploadFrom: readonly string[]
  readonly unknown: readonly string[]
}

const names: Readonly<Record<string, string>> = {
  jobs: 'NC_REGISTERED_JOBS',
  maxTemporaryServiceAge: 'NC_MAX_TEMPORARY_SERVICE_AGE',
  allowBestFitTimeIndex: 'NC_ALLOW_BEST_FIT_TIME_INDEX',
  maxUniqueValues: 'NC_MAX_UNIQUE_VALUES',
  forceWebp: 'NC_FORCE_WEBP',
}
const own = [
  ...['enabled', 'demoJobs', 'cleanupInterval', 'cellsShown', 'concurrentJobs', 'renderThreads'],
  ...[
    'tileCacheBytes',
    'trustedProxies',
    'rasterRoot',
    'uploadBytes',
    'uploadFrom',
    'resultFormat',
    'folder',
    'prefix',
  ],
]

/** The original's settings that have nothing to decide here: where files lie, and how finely maps are bent. */
const needless = [
  ...['NC_SERVICE_DATA_ROOT', 'NC_TEMPORARY_FILE_LOCATION', 'NC_INSTALLED_INTERFACES', 'NC_ENABLE_STRIDING'],
  ...['NC_WARP_MAX_DEPTH', 'NC_WARP_PROJECTION_THRESHOLD'],
]

/** Reads the section; throws naming the setting that is wrong. */
export function readSettings(
  section: Json,
  env: Readonly<Record<string, string | undefined>> = {},
): NcdjangoSettings {
  const given: Record<string, unknown> = isObject(section) ? section : {}
  const value = (name: string): unknown => {
    const theirs = names[name]
    return given[name] ?? (theirs === undefined ? undefined : (given[theirs] ?? env[theirs]))
  }
  const number = (name: string, fallback: number): number => {
    const found = value(name) ?? fallback
    const read = typeof found === 'string' && found.trim() !== '' ? Number(found) : found
    if (typeof read !== 'number' || !Number.isFinite(read) || read < 0)
      throw new Error(`dialects.ncdjango.${name} must be a number of at least 0`)
    return read
  }
  const count = (name: string): number | undefined => {
    if (value(name) === undefined) return undefined
    const read = number(name, 1)
    if (!Number.isInteger(read) || read < 1)
      throw new Error(`dialects.ncdjango.${name} must be a whole number of at least 1`)
    return read
  }
  const flag = (name: string, fallback: boolean): boolean => {
    const found = value(name) ?? fallback
    if (found === 'true' || found === 'True' || found === true) return true
    if (found === 'false' || found === 'False' || found === false) return false
    throw new Error(`dialects.ncdjango.${name} must be true or false`)
  }
  const jobs = value('jobs')
  if (jobs !== undefined && typeof jobs !== 'string' && !isObject(jobs))
    throw new Error('dialects.ncdjango.jobs must be the path of a module or file, or an object')
  const folder = value('folder') ?? process.cwd()
  if (typeof folder !== 'string') throw new Error('dialects.ncdjango.folder must be a path')
  const root = value('rasterRoot')
  if (root !== undefined && typeof root !== 'string')
    throw new Error('dialects.ncdjango.rasterRoot must be a path')
  const texts = (name: string): readonly string[] => {
    const found = value(name) ?? []
    if (!Array.isArray(found) || !found.every(item => typeof item === 'string'))
      throw new Error(`dialects.ncdjango.${name} must be a list of addresses`)
    return found
  }
  const format = value('resultFormat') ?? 'netcdf-3'
  if (format !== 'netcdf-3' && format !== 'netcdf-4')
    throw new Error('dialects.ncdjango.resultFormat must be netcdf-3 or netcdf-4')
  const place = value('prefix') ?? ''
  const prefix = typeof place === 'string' ? place.replace(/^\/*|\/*$/g, '/').replace(/\/+$/, '') : undefined
  if (prefix === undefined || !/^(\/[\w.~-]+)*$/.test(prefix))
    throw new Error('dialects.ncdjango.prefix must be a path such as /site')
  const known = new Set([...own, ...needless, ...Object.keys(names), ...Object.values(names)])
  return {
    sources: {
      jobs: jobs as JobSources['jobs'],
      hasDemoJobs: flag('demoJobs', true),
      folder,
      rasterRoot: root === undefined ? root : resolve(folder, root),
    },
    serviceAgeMs: number('maxTemporaryServiceAge', 43_200) * 1000,
    cleanupMs: number('cleanupInterval', 3600) * 1000,
    cellsShownMax: number('cellsShown', 250_000),
    uniqueValuesMax: number('maxUniqueValues', 100),
    prefix,
    resultFormat: format,
    forcesWebp: flag('forceWebp', false),
    hasBestFitTime: flag('allowBestFitTimeIndex', true),
    concurrentJobs: count('concurrentJobs'),
    renderThreads: count('renderThreads'),
    tileCacheBytes: number('tileCacheBytes', 64 * 1024 * 1024),
    trustedProxies: texts('trustedProxies'),
    uploadBytes: number('uploadBytes', 2 * 1024 ** 3),
    uploadFrom: texts('uploadFrom'),
    unknown: Object.keys(given).filter(name => !known.has(name)),
  }
}
