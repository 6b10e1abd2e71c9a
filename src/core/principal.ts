// Who asks: a name, the groups it belongs to, and what its role allows.

/** Roles, each one including those after it. */
export const roles = ['admin', 'operator', 'submitter', 'viewer'] as const
export type Role = (typeof roles)[number]

export interface Principal {
  readonly name: string
  /** How it was recognised: `token`, `jwt`, `basic`, `anonymous`, `child` (a running attempt), `local` (--no-auth). */
  readonly scheme: string
  readonly role: Role
  readonly groups: readonly string[]
  readonly email?: string
  /** Set when the caller is a running job that acts for its owner: the job's or flow's id. */
  readonly job?: string
}

/** What a request needs: read anything, submit and manage one's own, manage everybody's, administer the server. */
export type Right = 'read' | 'submit' | 'operate' | 'administer'

const rightsOf: Record<Role, readonly Right[]> = {
  admin: ['read', 'submit', 'operate', 'administer'],
  operator: ['read', 'submit', 'operate'],
  submitter: ['read', 'submit'],
  viewer: ['read'],
}

/** Whether the principal's role includes a right. */
export function may(principal: Principal, right: Right): boolean {
  return rightsOf[principal.role].includes(right)
}

/** Whether the principal may change a thing: its own with `submit`, anybody's with `operate`. */
export function mayChange(principal: Principal, owner: string): boolean {
  return may(principal, 'operate') || (may(principal, 'submit') && principal.name === owner)
}
