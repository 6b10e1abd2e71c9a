// Two ends of an association in one process, for tests.

import { duplexPair } from 'node:stream'
import { Association, type AssociationOptions } from '../association.ts'
import type { AssociateRq, ProposedContext, Role } from '../pdu.ts'

export const verification = '1.2.840.10008.1.1'
export const implicitLittle = '1.2.840.10008.1.2'

/** Timers of the machine: the tests of time-outs use short ones. */
export const after = (ms: number, run: () => void): (() => void) => {
  const timer = setTimeout(run, ms)
  return () => clearTimeout(timer)
}

export const options: AssociationOptions = { pduBytesMax: 16_384, waitMs: 10_000, artimMs: 5_000, after }

export function aRequest(
  contexts: readonly ProposedContext[] = [
    { id: 1, abstractSyntax: verification, transferSyntaxes: [implicitLittle] },
  ],
  { pduBytesMax = 16_384, roles = [] as readonly Role[] } = {},
): Omit<AssociateRq, 'type' | 'protocolVersion' | 'applicationContext'> {
  return {
    called: 'CALLED',
    calling: 'CALLING',
    contexts,
    user: { pduBytesMax, implementationClass: '1.2.3', implementationVersion: 'TEST', roles },
  }
}

/** Accepts every context with its first syntax. */
export function acceptAll(rq: AssociateRq, pduBytesMax = 16_384) {
  return {
    accept: {
      type: 'ac' as const,
      called: rq.called,
      calling: rq.calling,
      contexts: rq.contexts.map(({ id, transferSyntaxes }) => ({
        id,
        result: 0,
        transferSyntax: transferSyntaxes[0] ?? '',
      })),
      user: { pduBytesMax, implementationClass: '1.2.4', implementationVersion: 'TEST', roles: [] },
    },
  }
}

/** An open association: the end that asked, and the one that answered. */
export async function openPair(
  facts: {
    scu?: Partial<AssociationOptions>
    scp?: Partial<AssociationOptions>
    contexts?: ProposedContext[]
  } = {},
): Promise<{ scu: Association; scp: Association }> {
  const [near, far] = duplexPair()
  const scpOptions = { ...options, ...facts.scp }
  const scuOptions = { ...options, ...facts.scu }
  const [scp, scu] = await Promise.all([
    Association.serve(far, rq => acceptAll(rq, scpOptions.pduBytesMax), scpOptions),
    Association.ask(near, aRequest(facts.contexts, { pduBytesMax: scuOptions.pduBytesMax }), scuOptions),
  ])
  return { scu, scp: scp! }
}
