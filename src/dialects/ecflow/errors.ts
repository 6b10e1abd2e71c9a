// Refusals in the original's shape. Clients show the message; none parses it.

import { type RefusalKind, Refused } from '../../core/refusal.ts'
import { DefinitionError } from '../../domains/suite/language/definition-error.ts'
import { refusalOf } from '../../http/refusal-of.ts'

/** An error whose status this dialect alone knows. */
export class AnswerError extends Error {
  override readonly name = 'AnswerError'
  readonly status: number

  constructor(status: number, text: string) {
    super(text)
    this.status = status
  }
}

/** The status of each kind of refusal: contract ecflow §2.4. */
export function statusOf(kind: RefusalKind): number {
  switch (kind) {
    case 'bad-request':
    case 'bad-field':
    case 'illegal-move':
    case 'cannot-fit':
      return 400
    case 'not-authenticated':
      return 401
    case 'not-allowed':
      return 403
    case 'not-found':
      return 404
    case 'conflict':
      return 409
    case 'too-large':
      return 413
    case 'key-reused':
      return 422
    case 'quota-exceeded':
      return 429
    case 'not-supported':
      return 501
    case 'unavailable':
      return 503
  }
}

/** What is told about anything that was thrown; undefined for what is a bug and stays in the log. */
export function describeError(error: unknown): { status: number; message: string } | undefined {
  if (error instanceof AnswerError) return { status: error.status, message: error.message }
  if (error instanceof DefinitionError)
    return { status: 400, message: `Invalid definition: ${error.message}` }
  if (error instanceof Refused) {
    const { kind, text } = error.refusal
    return { status: statusOf(kind), message: text }
  }
  const refusal = refusalOf(error)
  return refusal && { status: statusOf(refusal.kind), message: refusal.text }
}
