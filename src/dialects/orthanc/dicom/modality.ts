// A modality: another DICOM application, as configurations and clients describe it (contracts/orthanc.md §4.7).

import { isObject, type JsonObject } from '../../../core/json.ts'
import { codes, fail } from '../errors.ts'

/** What a modality may do here, and what we may ask of it. */
export const allowances = [
  ...['AllowEcho', 'AllowEventReport', 'AllowFind', 'AllowFindWorklist', 'AllowGet', 'AllowMove'],
  ...['AllowNAction', 'AllowStore', 'AllowTranscoding'],
] as const
export type Allowance =
  | 'AllowEcho'
  | 'AllowEventReport'
  | 'AllowFind'
  | 'AllowFindWorklist'
  | 'AllowGet'
  | 'AllowMove'
  | 'AllowNAction'
  | 'AllowStore'
  | 'AllowTranscoding'

export interface Modality {
  readonly aet: string
  readonly host: string
  readonly port: number
  readonly manufacturer: string
  readonly allows: ReadonlySet<string>
  readonly usesTls: boolean
  /** What we call ourselves to it; empty: as we are called everywhere. */
  readonly localAet: string
  /** Seconds; 0: as everywhere. */
  readonly timeout: number
  /** Ours: how often a failed job to it is tried again by itself, and the first pause before that in seconds. */
  readonly retries: number
  readonly retryDelay: number
}

/** Old names are still read; they mean one of the three that are left. */
const manufacturers: Readonly<Record<string, string>> = {
  Generic: 'Generic',
  GenericNoWildcardInDates: 'GenericNoWildcardInDates',
  GenericNoUniversalWildcard: 'GenericNoUniversalWildcard',
  Vitrea: 'Vitrea',
  GE: 'GE',
  ...{
    StoreScp: 'Generic',
    ClearCanvas: 'Generic',
    Dcm4Chee: 'Generic',
    EFilm2: 'Generic',
    MedInria: 'Generic',
  },
  ...{ SyngoVia: 'GenericNoWildcardInDates', AgfaImpax: 'GenericNoWildcardInDates' },
}

/** Reads a modality in either form; errors are the original's. */
export function readModality(value: unknown): Modality {
  if (Array.isArray(value)) {
    if (value.length < 3 || value.length > 4) fail(codes.badFormat)
    const [AET, Host, Port, Manufacturer] = value as unknown[]
    return fromObject({ AET, Host, Port, ...(Manufacturer === undefined ? {} : { Manufacturer }) })
  }
  if (!isObject(value)) fail(codes.badFormat)
  return fromObject(value)
}

function fromObject(body: Readonly<Record<string, unknown>>): Modality {
  const aet = body['AET']
  const host = body['Host']
  if (typeof aet !== 'string' || aet === '') fail(codes.badFormat)
  if (typeof host !== 'string' || host === '') fail(codes.badFormat)
  return {
    aet,
    host,
    port: portOf(body['Port']),
    manufacturer: manufacturerOf(body['Manufacturer'] ?? 'Generic'),
    allows: allowed(body),
    usesTls: flagOf(body, 'UseDicomTls'),
    localAet: textOf(body, 'LocalAet'),
    timeout: countOf(body, 'Timeout'),
    retries: countOf(body, 'Retries'),
    retryDelay: countOf(body, 'RetryDelay', 10),
  }
}

function portOf(value: unknown): number {
  // Numbers in texts are read, too, as the original does.
  const port = typeof value === 'string' && /^\d{1,5}$/.test(value.trim()) ? Number(value) : value
  if (typeof port !== 'number' || !Number.isInteger(port)) fail(codes.badFormat)
  if (port <= 0 || port > 65_535)
    fail(codes.outOfRange, `A TCP port number must be in range [1..65535], but found: ${port}`)
  return port
}

function manufacturerOf(value: unknown): string {
  const known = typeof value === 'string' ? manufacturers[value] : undefined
  if (known === undefined) fail(codes.outOfRange, `Unknown modality manufacturer: "${String(value)}"`)
  return known
}

function allowed(body: Readonly<Record<string, unknown>>): Set<string> {
  const allows = new Set<string>(allowances)
  const set = (name: string, value: boolean): void => void (value ? allows.add(name) : allows.delete(name))
  const commitment = body['AllowStorageCommitment']
  if (typeof commitment === 'boolean')
    for (const name of ['AllowNAction', 'AllowEventReport']) set(name, commitment)
  for (const name of allowances) {
    const value = body[name]
    if (value === undefined) continue
    if (typeof value !== 'boolean') fail(codes.badFormat, `Boolean value expected in field: ${name}`)
    set(name, value)
  }
  return allows
}

function textOf(body: Readonly<Record<string, unknown>>, name: string): string {
  const value = body[name] ?? ''
  if (typeof value !== 'string') fail(codes.badFormat, `String value expected in field: ${name}`)
  return value
}

function flagOf(body: Readonly<Record<string, unknown>>, name: string): boolean {
  const value = body[name] ?? false
  if (typeof value !== 'boolean') fail(codes.badFormat, `Boolean value expected in field: ${name}`)
  return value
}

function countOf(body: Readonly<Record<string, unknown>>, name: string, fallback = 0): number {
  const value = body[name] ?? fallback
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0)
    fail(codes.badFormat, `Unsigned integer value expected in field: ${name}`)
  return value
}

/** All that is known of a modality; also what readModality reads back. */
export function showModality(modality: Modality): JsonObject {
  return {
    AET: modality.aet,
    ...Object.fromEntries(allowances.map(name => [name, modality.allows.has(name)])),
    Host: modality.host,
    LocalAet: modality.localAet,
    Manufacturer: modality.manufacturer,
    Port: modality.port,
    Timeout: modality.timeout,
    UseDicomTls: modality.usesTls,
    ...(modality.retries > 0 ? { Retries: modality.retries, RetryDelay: modality.retryDelay } : {}),
  }
}
