// Every way in which a request can be turned down, as Scale's clients know it: `{"detail": …}` or, for data that does not
// fit, a bare JSON string (contracts/scale.md §2).

import type { Json } from '../../../core/json.ts'
import type { RefusalKind, Refused } from '../../../core/refusal.ts'

/** A request that is answered with an error; thrown by readers and rooms, shown by the error handler. */
export class AnswerError extends Error {
  readonly status: number
  readonly body: Json
  constructor(status: number, body: Json) {
    super(typeof body === 'string' ? body : JSON.stringify(body))
    this.name = 'AnswerError'
    this.status = status
    this.body = body
  }
}

/** An error with the usual body. */
export function answerError(status: number, detail: string): AnswerError {
  return new AnswerError(status, { detail })
}

/** 404 in the usual words. */
export function notFound(): AnswerError {
  return answerError(404, 'Not found.')
}

/** Data, or an inactive type, is told as a bare string. */
export function bareError(text: string): AnswerError {
  return new AnswerError(400, text)
}

/** What a refusal of the core looks like in this dialect. */
export function showRefusal(error: Refused): AnswerError {
  const { kind, text } = error.refusal
  return answerError(statusOf(kind), detailOf(kind, text))
}

function statusOf(kind: RefusalKind): number {
  switch (kind) {
    case 'bad-request':
    case 'bad-field':
    case 'cannot-fit':
    case 'key-reused':
      return 400
    // Session authentication comes first in the original, which is why it says 403 and not 401.
    case 'not-authenticated':
    case 'not-allowed':
      return 403
    case 'not-found':
      return 404
    case 'illegal-move':
    case 'conflict':
      return 409
    case 'too-large':
      return 413
    case 'quota-exceeded':
      return 429
    case 'not-supported':
      return 501
    case 'unavailable':
      return 503
  }
}

function detailOf(kind: RefusalKind, text: string): string {
  if (kind === 'not-authenticated') return 'Authentication credentials were not provided.'
  if (kind === 'not-allowed') return 'You do not have permission to perform this action.'
  return kind === 'not-found' ? 'Not found.' : text
}
