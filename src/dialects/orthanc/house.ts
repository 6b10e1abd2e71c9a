// What every route of this dialect works with: the archive, the settings, and the options that may change at run time.

import type { Talk } from '../../core/talk.ts'
import type { Dictionary } from '../../domains/dicom/dictionary/dictionary.ts'
import type { Archive } from '../../domains/dicom/store/archive.ts'
import { encodingTerms } from '../../domains/dicom/text/decode.ts'
import type { Kit } from '../dialect.ts'
import type { ArchivePlans } from './archive-plans.ts'
import type { Network } from './dicom/network.ts'
import type { JobHistory } from './job-history.ts'
import type { Meters } from './metrics.ts'
import type { Peers } from './peers/peers.ts'
import type { OrthancSettings } from './settings.ts'
import type { Transfers } from './transfers/transfers.ts'
import type { SocketFolder } from './waited-archive.ts'

export interface House {
  readonly kit: Kit
  readonly settings: OrthancSettings
  readonly dictionary: Dictionary
  readonly archive: Archive
  readonly history: JobHistory
  readonly meters: Meters
  readonly live: LiveOptions
  readonly sockets: SocketFolder
  readonly network: Network
  readonly peers: Peers
  readonly transfers: Transfers
  readonly plans: ArchivePlans
  readonly startedAt: number
  /** Resolves when everything that is kept was read. Jobs that were left may be started before. */
  readonly opened: Promise<void>
  /** The level of the log before clients changed it. */
  readonly usualLogLevel: string
}

/** Options that clients change until the next start. */
export interface LiveOptions {
  logLevels: Map<string, string>
  defaultEncoding: string
  acceptedSyntaxes: readonly string[]
  acceptsUnknownClasses: boolean
  hasMetrics: boolean
}

export const logCategories = ['generic', 'plugins', 'http', 'sqlite', 'dicom', 'jobs', 'lua'] as const

/** The options that clients may change while the server runs, as the configuration has them. */
export function liveOptions(settings: OrthancSettings): LiveOptions {
  return {
    logLevels: new Map(logCategories.map(category => [category, 'default'])),
    defaultEncoding: settings.defaultEncoding,
    acceptedSyntaxes: settings.acceptedSyntaxes,
    acceptsUnknownClasses: settings.acceptsUnknownClasses,
    hasMetrics: settings.hasMetrics,
  }
}

/** Adds work for the talk executor; it begins when the house is open. */
export function addTalk(house: House, kind: string, talk: Talk): void {
  house.kit.talk(kind, async (input, tools) => {
    await house.opened
    return talk(input, tools)
  })
}

/** The DICOM term of the default encoding. */
export function defaultTerm(house: House): string {
  return encodingTerms[house.live.defaultEncoding] ?? 'ISO_IR 100'
}
