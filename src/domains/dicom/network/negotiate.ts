// Which of the proposed presentation contexts are accepted, and with which transfer syntax: DICOM PS3.8 §9.3.3.

import { syntaxes } from '../reading/syntax.ts'
import type { AnsweredContext, AssociateAc, AssociateRq, Role, UserInformation } from './pdu.ts'

export interface Services {
  /** Whether a class is served to this caller at all. */
  serves(abstractSyntax: string): boolean
  /** Syntaxes that are taken for a class, the preferred ones first. */
  syntaxesFor(abstractSyntax: string): readonly string[]
  /** Classes of which the caller may be the receiver: what C-GET sends back. */
  givesRole(sopClass: string): boolean
  /** How many operations of the caller are performed side by side, where it asks for that. */
  readonly operationsMax: number
}

/** Explicit little endian if it is offered, else implicit, else the first in the order of `taken`. */
export function chooseSyntax(offered: readonly string[], taken: readonly string[]): string | undefined {
  const common = offered.filter(uid => taken.includes(uid))
  for (const uid of [syntaxes.explicitLittle, syntaxes.implicitLittle]) if (common.includes(uid)) return uid
  return taken.find(uid => common.includes(uid))
}

/** Our answer to a request. */
export function answerTo(
  request: AssociateRq,
  services: Services,
  user: Omit<UserInformation, 'roles' | 'window'>,
): AssociateAc {
  const contexts = request.contexts.map(({ id, abstractSyntax, transferSyntaxes }): AnsweredContext => {
    const fallback = transferSyntaxes[0] ?? syntaxes.implicitLittle
    if (!services.serves(abstractSyntax)) return { id, result: 3, transferSyntax: fallback }
    const chosen = chooseSyntax(transferSyntaxes, services.syntaxesFor(abstractSyntax))
    return chosen === undefined
      ? { id, result: 4, transferSyntax: fallback }
      : { id, result: 0, transferSyntax: chosen }
  })
  const roles = request.user.roles.filter(role => services.givesRole(role.sopClass)).map(answerRole)
  const { window } = request.user
  const given = window && { window: { invoked: least(window.invoked, services.operationsMax), performed: 1 } }
  return {
    type: 'ac',
    ...{ called: request.called, calling: request.calling, contexts },
    user: { ...user, roles, ...given },
  }
}

/** The smaller of two windows, of which 0 is the largest. */
function least(asked: number, most: number): number {
  return asked === 0 ? most : Math.min(asked, most)
}

/** Every role that was asked for is given: who may do what is decided with each command. */
function answerRole(role: Role): Role {
  return { sopClass: role.sopClass, isScu: role.isScu, isScp: role.isScp }
}
