// Small statements of our own that others carry for us: signed, with an end, readable by nobody's permission.

import { createHmac, timingSafeEqual } from 'node:crypto'

export interface SignedTexts {
  /** A statement as text. `until` is epoch ms. */
  write(statement: object, until: number): string
  /** The statement in a text of ours; undefined when it is not ours, was changed, or is over. */
  read(text: string, now: number): { [name: string]: unknown } | undefined
  /** What goes with a name, and can be made again from it: a secret that nobody has to store. */
  secretOf(name: string): string
}

/** Statements signed with a secret. */
export function signedTexts(secret: Uint8Array): SignedTexts {
  const sign = (payload: string) => createHmac('sha256', secret).update(payload).digest('base64url')
  return {
    write(statement, until) {
      const payload = Buffer.from(JSON.stringify({ ...statement, until: Math.ceil(until / 1000) }))
      const text = payload.toString('base64url')
      return `${text}.${sign(text)}`
    },
    read(text, now) {
      const [payload = '', signature = '', ...more] = text.split('.')
      if (more.length > 0 || !isSame(signature, sign(payload))) return undefined
      const { until, ...statement } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as {
        until: number
      }
      return until * 1000 > now ? statement : undefined
    },
    secretOf: name => sign(`secret of ${name}`),
  }
}

/** Whether two texts are the same, in a time that tells nothing about where they differ. */
export function isSame(given: string, expected: string): boolean {
  const a = Buffer.from(given)
  const b = Buffer.from(expected)
  return a.length === b.length && timingSafeEqual(a, b)
}
