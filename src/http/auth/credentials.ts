// The Authorization header, taken apart.

export type Credentials =
  | { readonly type: 'token'; readonly token: string }
  | { readonly type: 'password'; readonly user: string; readonly password: string }
  /** A header was sent that says nothing we understand. */
  | { readonly type: 'unreadable' }

/** What an Authorization header says; undefined when there is none. */
export function readCredentials(header: string | undefined): Credentials | undefined {
  if (header === undefined) return undefined
  const space = header.indexOf(' ')
  if (space === -1) return { type: 'unreadable' }
  const rest = header.slice(space + 1).trim()
  switch (header.slice(0, space).toLowerCase()) {
    case 'bearer':
      return rest === '' ? { type: 'unreadable' } : { type: 'token', token: rest }
    case 'basic':
      return readBasic(rest)
    default:
      return { type: 'unreadable' }
  }
}

function readBasic(text: string): Credentials {
  const decoded = Buffer.from(text, 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  if (colon === -1) return { type: 'unreadable' }
  return { type: 'password', user: decoded.slice(0, colon), password: decoded.slice(colon + 1) }
}
