// A whole server with the ncdjango dialect alone, for tests.

import { ncdjango } from '../../src/dialects/ncdjango/index.ts'
import { startWhole, type WholeServer } from '../support/whole-server.ts'

export type NcdjangoServer = WholeServer

/** Starts a server with these settings. */
export function startNcdjango(options: Record<string, unknown> = {}): Promise<NcdjangoServer> {
  return startWhole(ncdjango, options)
}
