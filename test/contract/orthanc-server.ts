// A whole server with the Orthanc dialect alone, for tests.

import { orthanc } from '../../src/dialects/orthanc/index.ts'
import { startWhole, type WholeServer } from '../support/whole-server.ts'

export type OrthancServer = WholeServer

/** Starts a server with these options of the original. */
export function startOrthanc(options: Record<string, unknown> = {}): Promise<OrthancServer> {
  return startWhole(orthanc, options)
}
