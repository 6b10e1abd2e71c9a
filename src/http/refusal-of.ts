// What an error is, in the words of core/refusal.ts: ours, the store's, or one that Fastify raised while it read the
// request. Dialects call this in their error handlers, so that none of them has to know Fastify's codes.

import { type Refusal, Refused } from '../core/refusal.ts'
import { StoreFailed } from '../store/store.ts'

/** The refusal that an error stands for; undefined for a bug, which is answered with 500 and logged. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof Refused) return error.refusal
  if (error instanceof StoreFailed) {
    // Its message is for the operator: it says where things lie on this machine.
    const why = error.code === 'full' ? ': its disk is full' : ''
    return { kind: 'unavailable', text: `The server cannot store anything at the moment${why}` }
  }
  if (!(error instanceof Error)) return undefined
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown }
  if (typeof code === 'string') {
    const known = byCode[code]
    if (known !== undefined) return known
  }
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode > 499) return undefined
  return { kind: statusCode === 413 ? 'too-large' : 'bad-request', text: error.message }
}

const byCode: Readonly<Record<string, Refusal>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { kind: 'too-large', text: 'The body of the request is larger than allowed' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    kind: 'bad-request',
    text: 'The body is not as long as its Content-Length says',
  },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    kind: 'bad-request',
    text: 'The Content-Type of the request is not one that is read here',
    facts: { status: 415 },
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: { kind: 'bad-request', text: 'The body is empty, and JSON was expected' },
  FST_ERR_CTP_INVALID_JSON_BODY: { kind: 'bad-request', text: 'The body is not valid JSON' },
  FST_ERR_BAD_URL: { kind: 'bad-request', text: 'The path has an escape (%) that means nothing' },
  FST_ERR_MAX_PARAM_LENGTH: { kind: 'bad-request', text: 'A part of the path is too long' },
  ECONNRESET: { kind: 'bad-request', text: 'The client went away before the request was complete' },
  ERR_STREAM_PREMATURE_CLOSE: { kind: 'bad-request', text: 'The request ended before its body was complete' },
}
