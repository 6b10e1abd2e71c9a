// Associations with modalities: whom to call, how long to wait, what went wrong.

import type { JsonObject } from '../../../core/json.ts'
import { Refused } from '../../../core/refusal.ts'
import { Association } from '../../../domains/dicom/network/association.ts'
import type { ProposedContext, Role } from '../../../domains/dicom/network/pdu.ts'
import { implementation } from '../../../domains/dicom/writing/writer.ts'
import { codes, OrthancError } from '../errors.ts'
import { after } from './after.ts'
import { openConnection } from './connection.ts'
import { type Modality, readModality, showModality } from './modality.ts'
import type { NetworkSettings } from './network-settings.ts'

/** Whom to call, and how: fixed when a job is submitted. */
export interface Caller {
  readonly modality: Modality
  /** What we call ourselves, if the modality's own entry does not say. */
  readonly localAet: string
  /** Seconds; undefined: as the modality or the settings say. */
  readonly timeout: number | undefined
}

/** The form in which a caller stays in a job. */
export function showCaller({ modality, localAet, timeout }: Caller): JsonObject {
  return { modality: showModality(modality), localAet, timeout: timeout ?? null }
}

/** Who calls whom, from what `showCaller` kept of it. */
export function readCaller(kept: unknown): Caller {
  const { modality, localAet, timeout } = kept as {
    modality: unknown
    localAet: string
    timeout: number | null
  }
  return { modality: readModality(modality), localAet, timeout: timeout ?? undefined }
}

/** A presentation context without its number. */
export type Proposal = Omit<ProposedContext, 'id'>

/** Body, then modality, then settings; 0 waits for ever. */
export function waitMsOf({ modality, timeout }: Caller, settings: NetworkSettings): number {
  if (timeout !== undefined) return timeout * 1000
  return modality.timeout > 0 ? modality.timeout * 1000 : settings.scuWaitMs
}

/** How we announce ourselves in either role. */
export function ourInformation(settings: NetworkSettings) {
  return {
    pduBytesMax: settings.pduBytesMax,
    implementationClass: implementation.classUid,
    implementationVersion: implementation.versionName,
  }
}

/** Opens an association to a modality. Error 9 says what kept it from being opened. */
export async function callModality(
  caller: Caller,
  settings: NetworkSettings,
  asked: { proposals: readonly Proposal[]; roles?: readonly Role[] },
): Promise<Association> {
  const { modality } = caller
  const waitMs = waitMsOf(caller, settings)
  try {
    const socket = await openConnection(modality, waitMs, settings.tls)
    return await Association.ask(
      socket,
      {
        called: modality.aet,
        calling: modality.localAet || caller.localAet,
        contexts: asked.proposals.map((proposal, index) => ({ id: 2 * index + 1, ...proposal })),
        user: { ...ourInformation(settings), roles: asked.roles ?? [] },
      },
      { pduBytesMax: settings.pduBytesMax, waitMs, artimMs: 5000, after },
    )
  } catch (error) {
    throw networkError('connecting to', modality.aet, error)
  }
}

/** Any failure of the network in the original's form; what the caller did wrong stays as it is. */
export function networkError(doing: string, aet: string, error: unknown): Error {
  if (error instanceof OrthancError || error instanceof Refused) return error
  if (!(error instanceof Error)) throw error
  return new OrthancError(codes.network, `DicomAssociation - ${doing} AET "${aet}": ${error.message}`)
}
