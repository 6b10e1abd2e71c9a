// What refusals look like to clients of the job API, and to those of the maps.

import type { Refusal } from '../../core/refusal.ts'

/** The status of each kind of refusal. */
export function statusOf(refusal: Refusal): number {
  switch (refusal.kind) {
    case 'bad-request':
      return typeof refusal.facts?.['status'] === 'number' ? refusal.facts['status'] : 400
    case 'bad-field':
    case 'illegal-move':
    case 'conflict':
    case 'key-reused':
    case 'cannot-fit':
    case 'not-supported':
      return 400
    // The original never answers 401 here: contracts/ncdjango.md §2.1.1.
    case 'not-authenticated':
    case 'not-allowed':
      return 403
    case 'not-found':
      return 404
    case 'too-large':
      return 413
    case 'quota-exceeded':
      return 429
    case 'unavailable':
      return 503
  }
}

/** The body of an error of the maps. */
export function mapError(code: number, message: string): { error: { code: number; message: string } } {
  return { error: { code, message } }
}
