// Connections to modalities: opened within a time, and an association over them.

import { connect, type Socket } from 'node:net'
import type { JsonObject } from '../../../core/json.ts'
import { Refused } from '../../../core/refusal.ts'
import { Association, type AssociationOptions } from '../../../domains/dicom/network/association.ts'
import { AssociationFailed } from '../../../domains/dicom/network/failure.ts'
import type { ProposedContext, Role } from '../../../domains/dicom/network/pdu.ts'
import { implementation } from '../../../domains/dicom/writing/writer.ts'
import { codes, OrthancError } from '../errors.ts'
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

export const after: AssociationOptions['after'] = (ms, run) => {
  const timer = setTimeout(run, ms)
  return () => clearTimeout(timer)
}

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
    const socket = await openConnection(modality, waitMs)
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

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  EHOSTUNREACH: 'No route to host',
  ENETUNREACH: 'Network is unreachable',
  ENOTFOUND: 'The host name is not known',
  EAI_AGAIN: 'The host name cannot be looked up',
  ETIMEDOUT: 'Connection timed out',
}

function openConnection({ host, port }: Modality, waitMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true, keepAlive: true })
    const fail = (why: string): void => {
      socket.destroy()
      reject(new AssociationFailed('lost', `TCP Initialization Error: ${why}`))
    }
    const callOff =
      waitMs === 0
        ? () => {}
        : after(waitMs, () => fail(`Connection timed out after ${waitMs / 1000} seconds`))
    socket.once('connect', () => {
      callOff()
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      callOff()
      fail(reasons[error.code ?? ''] ?? error.message)
    })
  })
}
