// The options of the original, under their own names: from its configuration file, and from our own section. Unknown
// ones are named in the log; those that mean something here are checked.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isObject, type Json } from '../../core/json.ts'
import { type OwnEntry, vrs } from '../../domains/dicom/dictionary/dictionary.ts'
import { tagFromHex } from '../../domains/dicom/tag.ts'
import { encodingTerms } from '../../domains/dicom/text/decode.ts'
import { type NetworkSettings, ownNetworkOptions, readNetworkSettings } from './dicom/network-settings.ts'
import options from './options.json' with { type: 'json' }
import { type PeerSettings, readPeerSettings } from './peers/peer-settings.ts'
import { parseLenient } from './read-json.ts'
import { readTransferSettings, type TransferSettings } from './transfers/transfer-settings.ts'

export interface OrthancSettings {
  readonly name: string
  readonly httpPort: number
  readonly dicomAet: string
  readonly dicomPort: number
  readonly isHttps: boolean
  readonly describesErrors: boolean
  readonly compresses: boolean
  /** Undefined: decided by `RemoteAccessAllowed`. */
  readonly isAuthenticated: boolean
  readonly users: ReadonlyMap<string, string>
  readonly isLocalOnly: boolean
  readonly concurrentJobs: number
  readonly jobsHistorySize: number
  readonly savesJobs: boolean
  readonly mediaArchiveSize: number
  readonly streamsZips: boolean
  readonly overwriteInstances: boolean
  readonly stableMs: number
  readonly storageBytesMax: number
  readonly patientsMax: number
  readonly defaultEncoding: string
  readonly acceptedSyntaxes: readonly string[]
  readonly acceptsUnknownClasses: boolean
  readonly hasMetrics: boolean
  readonly checksRevisions: boolean
  readonly logsExports: boolean
  readonly findLimit: number
  readonly findInstancesLimit: number
  readonly isCaseSensitive: boolean
  readonly network: NetworkSettings
  readonly peers: PeerSettings
  readonly transfers: TransferSettings
  readonly dictionary: readonly OwnEntry[]
  readonly hasVendorTags: boolean
  readonly userMetadata: ReadonlyMap<string, number>
  readonly userContent: ReadonlyMap<string, { number: number; mediaType: string }>
  /** Ours: names in archives keep letters beyond ASCII. */
  readonly hasUtf8Names: boolean
  /** Ours: how hard archives are deflated, 0 (not at all) to 9. */
  readonly archiveLevel: number
  /** Options that are given and that nobody here knows. */
  readonly unknown: readonly string[]
}

const ownOptions = new Set<string>([
  ...ownNetworkOptions,
  ...[
    'configuration',
    'Utf8ArchiveNames',
    'ArchiveLevel',
    'AuthenticationEnabled',
    'HttpsVerifyCertificates',
    'Transfers',
  ],
  ...[
    'DicomTlsCertificate',
    'DicomTlsPrivateKey',
    'DicomTlsTrustedCertificates',
    'Locale',
    'PeersConfiguration',
  ],
])

/** Reads the section of the dialect: its own options, and the file or folder that `configuration` names; `env`: what such files may name. */
export function readSettings(section: Json, env: Environment): OrthancSettings {
  const own = isObject(section) ? section : {}
  const file = own['configuration']
  const given = { ...(file === undefined ? {} : readConfiguration(file, env)), ...own }
  const all: Record<string, unknown> = { ...options.defaults, ...given }
  const read = reader(all)
  const isRemote = read.flag('RemoteAccessAllowed')
  const encoding = read.text('DefaultEncoding')
  if (!(encoding in encodingTerms)) wrong('DefaultEncoding', `does not know the encoding ${encoding}`)
  const jobs = read.count('ConcurrentJobs')
  const defaultCreator = read.text('DefaultPrivateCreator')
  return {
    name: read.text('Name'),
    httpPort: read.count('HttpPort'),
    dicomAet: read.text('DicomAet'),
    dicomPort: read.count('DicomPort'),
    isHttps: read.flag('SslEnabled'),
    describesErrors: read.flag('HttpDescribeErrors'),
    compresses: read.flag('HttpCompressionEnabled'),
    isAuthenticated:
      all['AuthenticationEnabled'] === undefined ? isRemote : read.flag('AuthenticationEnabled'),
    users: read.map('RegisteredUsers', value => (typeof value === 'string' ? value : undefined)),
    isLocalOnly: !isRemote,
    concurrentJobs: jobs,
    jobsHistorySize: read.count('JobsHistorySize'),
    savesJobs: read.flag('SaveJobs') && all['ForgetJobs'] !== true,
    mediaArchiveSize: read.count('MediaArchiveSize'),
    streamsZips: read.flag('SynchronousZipStream'),
    overwriteInstances: read.flag('OverwriteInstances'),
    stableMs: read.count('StableAge') * 1000,
    storageBytesMax: read.count('MaximumStorageSize') * 1024 * 1024,
    patientsMax: read.count('MaximumPatientCount'),
    defaultEncoding: encoding,
    acceptedSyntaxes: expandSyntaxes(all['AcceptedTransferSyntaxes']),
    acceptsUnknownClasses: read.flag('UnknownSopClassAccepted'),
    hasMetrics: read.flag('MetricsEnabled'),
    checksRevisions: read.flag('CheckRevisions'),
    logsExports: read.flag('LogExportedResources'),
    findLimit: read.count('LimitFindResults'),
    findInstancesLimit: read.count('LimitFindInstances'),
    isCaseSensitive: read.flag('CaseSensitivePN'),
    network: readNetworkSettings(all, given),
    peers: readPeerSettings(all),
    transfers: readTransferSettings(all['Transfers']),
    dictionary: readDictionary(all['Dictionary'], defaultCreator),
    hasVendorTags: read.flag('LoadPrivateDictionary'),
    userMetadata: read.map('UserMetadata', readUserNumber),
    userContent: read.map('UserContentType', readContentType),
    hasUtf8Names: all['Utf8ArchiveNames'] === true,
    archiveLevel: readLevel(all['ArchiveLevel']),
    unknown: Object.keys(given).filter(name => !(name in options.defaults) && !ownOptions.has(name)),
  }
}

/** The transfer syntaxes that a pattern, or a list of patterns, names. */
export function expandSyntaxes(patterns: unknown): string[] {
  const list = Array.isArray(patterns) ? patterns : [patterns]
  const tests = list.map(pattern => {
    if (typeof pattern !== 'string') wrong('AcceptedTransferSyntaxes', 'must be a text or a list of texts')
    const source = pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(/\*/g, '.*')
      .replace(/\?/g, '.')
    return new RegExp(`^${source}$`)
  })
  return options.transferSyntaxes.filter(uid => tests.some(test => test.test(uid)))
}

/** Whether this is a transfer syntax that the original knows. */
export function isTransferSyntax(uid: string): boolean {
  return options.transferSyntaxes.includes(uid)
}

function wrong(option: string, why: string): never {
  throw new Error(`The Orthanc option ${option} ${why}`)
}

/** Variables that files of options may name. */
export type Environment = Readonly<Record<string, string | undefined>>

/** `${NAME}` and `${NAME:-otherwise}` in the text of a file; nothing stands for a variable that is not set. */
function withVariables(text: string, env: Environment): string {
  return text.replace(
    /\$\{(\w+)(?::-([^}]*))?\}/g,
    (_, name: string, otherwise?: string) => env[name] ?? otherwise ?? '',
  )
}

/** A configuration: an object, a file, or a folder whose files are merged in the order of their names. */
function readConfiguration(source: unknown, env: Environment): Record<string, unknown> {
  if (isObject(source)) return source
  if (typeof source !== 'string') wrong('configuration', 'must name a file or a folder, or hold the options')
  const files = statSync(source).isDirectory()
    ? readdirSync(source)
        .filter(name => name.endsWith('.json'))
        .sort()
        .map(name => join(source, name))
    : [source]
  const merged: Record<string, unknown> = {}
  for (const file of files) {
    const value = parseLenient(withVariables(readFileSync(file, 'utf8'), env))
    if (!isObject(value)) throw new Error(`The Orthanc configuration ${file} is not a JSON object`)
    Object.assign(merged, value)
  }
  return merged
}

function reader(all: Readonly<Record<string, unknown>>) {
  return {
    text(name: string): string {
      const value = all[name]
      if (typeof value !== 'string') wrong(name, 'must be a text')
      return value
    },
    flag(name: string): boolean {
      const value = all[name]
      if (typeof value !== 'boolean') wrong(name, 'must be true or false')
      return value
    },
    count(name: string): number {
      const value = all[name]
      if (typeof value !== 'number' || !Number.isInteger(value) || value < 0)
        wrong(name, 'must be a whole number')
      return value
    },
    map<T>(name: string, read: (value: unknown) => T | undefined): Map<string, T> {
      const value = all[name]
      if (!isObject(value)) wrong(name, 'must be an object')
      const map = new Map<string, T>()
      for (const [key, item] of Object.entries(value)) {
        const found = read(item)
        if (found === undefined) wrong(name, `has a value for ${key} that cannot be used`)
        map.set(key, found)
      }
      return map
    },
  }
}

/** Beyond 3, pixels become hardly smaller, and the time grows. */
function readLevel(value: unknown): number {
  if (value === undefined) return 3
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 9) {
    wrong('ArchiveLevel', 'must be a whole number from 0 to 9')
  }
  return value
}

function readUserNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1024 && value <= 65535
    ? value
    : undefined
}

function readContentType(value: unknown): { number: number; mediaType: string } | undefined {
  const [number, mediaType] = Array.isArray(value) ? value : [value, 'application/octet-stream']
  const known = readUserNumber(number)
  return known === undefined || typeof mediaType !== 'string' ? undefined : { number: known, mediaType }
}

/** `"gggg,eeee": [VR, name, minimum, maximum, creator]`. */
function readDictionary(value: unknown, defaultCreator: string): OwnEntry[] {
  if (!isObject(value)) wrong('Dictionary', 'must be an object')
  return Object.entries(value).map(([key, entry]) => {
    const tag = tagFromHex(key)
    const [vr, name, min = 1, max = 1, creator = ''] = Array.isArray(entry) ? entry : []
    if (tag === undefined || typeof vr !== 'string' || !vrs.has(vr) || typeof name !== 'string') {
      wrong(
        'Dictionary',
        `has an entry ${key} that is not [VR, name, minimum, maximum, creator] with a known VR`,
      )
    }
    const vm = max === 0 ? `${min}-n` : min === max ? `${min}` : `${min}-${max}`
    const isOdd = Math.floor(tag / 0x10000) % 2 === 1
    return { tag, vr, vm, keyword: name, creator: String(creator) || (isOdd ? defaultCreator : '') }
  })
}

export { options }
