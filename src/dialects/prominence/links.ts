// Links that work without a token for a limited time: what they allow is written into them, and signed.

import { signedTexts } from './signed-text.ts'

/** What a link allows. */
export type Grant =
  /** Put an object: under whose name, where, and with which content. */
  | { readonly may: 'put'; readonly id: string; readonly owner: string; readonly sha256?: string }
  /** Put a result of a running job. */
  | { readonly may: 'put-output'; readonly job: string; readonly owner: string; readonly name: string }
  /** Get a blob. */
  | { readonly may: 'get'; readonly hash: string }
  /** Get the newest snapshot of a job, as long as it is kept. */
  | { readonly may: 'get-snapshot'; readonly job: string }

/** Where links live; below it comes the signed grant, then a file name for people. */
export const linkPath = '/prominence/storage'

export interface Links {
  /** The absolute address of a grant, good until `expiresAt` (epoch ms). */
  make(base: string, grant: Grant, options: { expiresAt: number; fileName: string }): string
  /** The grant in a part of a path; undefined when it is not ours, was changed, or is over. */
  read(signed: string, now: number): Grant | undefined
}

/** In a path, a name of dots is no name. */
function plainName(fileName: string): string {
  return /^\.*$/.test(fileName) ? 'file' : fileName
}

/** Links signed with a secret. */
export function openLinks(secret: Uint8Array): Links {
  const texts = signedTexts(secret)
  return {
    make: (base, grant, { expiresAt, fileName }) =>
      `${base}${linkPath}/${texts.write(grant, expiresAt)}/${encodeURIComponent(plainName(fileName))}`,
    read: (signed, now) => texts.read(signed, now) as Grant | undefined,
  }
}
