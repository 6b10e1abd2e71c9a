// Options of the DICOM network, under the original's names: contracts/orthanc.md §3.10 and §3.12.

import { isObject } from '../../../core/json.ts'
import { type Modality, readModality } from './modality.ts'
import { readTlsSettings, type TlsSettings } from './tls-settings.ts'

export interface NetworkSettings {
  /** Whether associations are taken at all. */
  readonly listens: boolean
  /** A port that cannot be had stops the start only where somebody asked for it. */
  readonly isPortAsked: boolean
  readonly port: number
  /** The address to listen on. */
  readonly host: string
  readonly checksCalled: boolean
  readonly checksHost: boolean
  readonly isStrict: boolean
  /** Services that strangers may use. */
  readonly strangers: Readonly<Record<'echo' | 'find' | 'get' | 'move' | 'store', boolean>>
  readonly tls: TlsSettings
  readonly scpWaitMs: number
  readonly scuWaitMs: number
  readonly associationsMax: number
  readonly pduBytesMax: number
  readonly echoChecksFind: boolean
  readonly transcodes: boolean
  /** The syntax to turn into first, where a peer leaves the choice. */
  readonly preferredSyntax: string
  /** Whether a C-MOVE is answered when all is sent, or at once, with a job that sends. */
  readonly movesSynchronously: boolean
  readonly queriesMax: number
  /** Ours: how many jobs may send to one destination at a time; 0 for no limit. */
  readonly destinationJobsMax: number
  readonly modalities: ReadonlyMap<string, Modality>
  /** Modalities of the configuration do not count; only those that were put by REST. */
  readonly isModalitiesInDatabase: boolean
}

/** Names of options that only Switchyard has. */
export const ownNetworkOptions = ['DicomBind', 'JobsPerDestination'] as const

/** Reads the options; `all` has the defaults in it, `given` only what somebody wrote. */
export function readNetworkSettings(
  all: Readonly<Record<string, unknown>>,
  given: Readonly<Record<string, unknown>>,
): NetworkSettings {
  const flag = (name: string): boolean => {
    const value = all[name]
    if (typeof value !== 'boolean') wrong(name, 'must be true or false')
    return value
  }
  const number = (name: string, min: number, max: number, fallback?: number): number => {
    const value = all[name] ?? fallback
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
      wrong(name, `must be a whole number from ${min} to ${max}`)
    return value
  }
  const text = (name: string): string => {
    const value = all[name]
    if (typeof value !== 'string') wrong(name, 'must be a text')
    return value
  }
  // Without a word about DICOM in the configuration, no port is opened that nobody asked for.
  const isAsked = Object.keys(given).some(name => name.startsWith('Dicom') || name === 'configuration')
  return {
    listens: flag('DicomServerEnabled') && isAsked,
    isPortAsked: given['DicomPort'] !== undefined,
    port: number('DicomPort', 0, 65_535),
    host:
      all['DicomBind'] === undefined ? (flag('RemoteAccessAllowed') ? '::' : '127.0.0.1') : text('DicomBind'),
    checksCalled: flag('DicomCheckCalledAet'),
    checksHost: flag('DicomCheckModalityHost'),
    isStrict: flag('StrictAetComparison'),
    strangers: {
      echo: flag('DicomAlwaysAllowEcho'),
      find: flag('DicomAlwaysAllowFind'),
      get: flag('DicomAlwaysAllowGet'),
      move: flag('DicomAlwaysAllowMove'),
      store: flag('DicomAlwaysAllowStore'),
    },
    tls: readTlsSettings(name => all[name]),
    scpWaitMs: number('DicomScpTimeout', 0, 1_000_000) * 1000,
    scuWaitMs: number('DicomScuTimeout', 0, 1_000_000) * 1000,
    associationsMax: number('DicomThreadsCount', 1, 10_000),
    pduBytesMax: number('MaximumPduLength', 4096, 131_072),
    echoChecksFind: flag('DicomEchoChecksFind'),
    transcodes: flag('TranscodeDicomProtocol'),
    preferredSyntax: text('DicomScuPreferredTransferSyntax'),
    movesSynchronously: flag('SynchronousCMove'),
    queriesMax: number('QueryRetrieveSize', 1, 1_000_000),
    destinationJobsMax: number('JobsPerDestination', 0, 1_000_000, 0),
    modalities: readModalities(all['DicomModalities']),
    isModalitiesInDatabase: flag('DicomModalitiesInDatabase'),
  }
}

function readModalities(value: unknown): Map<string, Modality> {
  if (!isObject(value)) wrong('DicomModalities', 'must be an object')
  const modalities = new Map<string, Modality>()
  for (const [name, entry] of Object.entries(value)) {
    try {
      modalities.set(name, readModality(entry))
    } catch (error) {
      wrong('DicomModalities', `has a modality ${name} that cannot be used: ${(error as Error).message}`)
    }
  }
  return modalities
}

function wrong(option: string, why: string): never {
  throw new Error(`The Orthanc option ${option} ${why}`)
}
