// The original's errors: codes with message and status (errors.json), their body, and what our refusals become.

import type { Refusal, Refused } from '../../core/refusal.ts'
import table from './errors.json' with { type: 'json' }

export const codes = {
  internal: -1,
  notImplemented: 2,
  outOfRange: 3,
  badType: 5,
  badSequence: 6,
  inexistentItem: 7,
  badRequest: 8,
  network: 9,
  inexistentFile: 12,
  badFormat: 15,
  unknownResource: 17,
  full: 19,
  inexistentTag: 21,
  unknownTag: 27,
  cancelled: 37,
  unavailable: 36,
  badRange: 41,
  revision: 43,
  badStatus: 2005,
  cannotStore: 2018,
  onlyTexts: 2019,
  inherited: 2020,
  pixelsInTags: 2021,
  contentForm: 2023,
  noParent: 2024,
  parentInstance: 2025,
} as const

/** An error as the original throws it. */
export class OrthancError extends Error {
  readonly code: number
  readonly details: string | undefined
  /** Where the status is not that of the code. */
  status?: number
  constructor(code: number, details?: string) {
    super(details ?? messageOf(code))
    this.name = 'OrthancError'
    this.code = code
    this.details = details
  }
}

/** Throws an error of the original: `fail(codes.badFormat, 'Not a PDF file')`. */
export function fail(code: number, details?: string): never {
  throw new OrthancError(code, details)
}

/** The original's sentence for one of its error codes. */
export function messageOf(code: number): string {
  return lookUp(code)[0]
}

/** The HTTP status of one of the original's error codes. */
export function statusOf(code: number): number {
  return lookUp(code)[1]
}

function lookUp(code: number): [string, number] {
  const found = (table.codes as unknown as Record<string, [string, number]>)[String(code)]
  return found ?? ['Internal error', 500]
}

const statusTexts: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  409: 'Conflict',
  413: 'Request Entity Too Large',
  415: 'Unsupported Media Type',
  416: 'Requested Range Not Satisfiable',
  422: 'Unprocessable Entity',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

/** An answer to a request that failed. */
export interface Failure {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** The body of an error, as clients of the original parse it. */
export function failureOf(
  error: OrthancError,
  at: { method: string; path: string },
  status?: number,
): Failure {
  const message = messageOf(error.code)
  // Unknown tag names are the caller's mistake, not the server's: contracts/orthanc.md §6.
  const ours = error.code === codes.unknownTag ? 400 : statusOf(error.code)
  const shown = status ?? error.status ?? ours
  return {
    status: shown,
    body: {
      ...(error.details === undefined ? {} : { Details: error.details }),
      HttpError: statusTexts[shown] ?? 'Error',
      HttpStatus: shown,
      Message: message,
      Method: at.method,
      OrthancError: message,
      OrthancStatus: error.code,
      Uri: at.path,
    },
  }
}

/** What the faults of domains/dicom are called here, and whether their sentence is shown. */
const faults: Readonly<Record<string, readonly [code: number, shows: 'text' | 'field' | 'nothing']>> = {
  empty: [codes.badFormat, 'text'],
  'not-dicom': [codes.badFormat, 'text'],
  'bad-zip': [codes.badFormat, 'text'],
  'no-identifiers': [codes.inexistentTag, 'text'],
  'empty-identifier': [codes.badFormat, 'text'],
  'unknown-tag': [codes.unknownTag, 'text'],
  'out-of-range': [codes.outOfRange, 'text'],
  'bad-type': [codes.badType, 'text'],
  'bad-value': [codes.badFormat, 'text'],
  'bad-content': [codes.badFormat, 'text'],
  'not-pdf': [codes.badFormat, 'text'],
  'content-type': [codes.notImplemented, 'text'],
  'pixels-in-tags': [codes.pixelsInTags, 'nothing'],
  full: [codes.full, 'text'],
  inherited: [codes.inherited, 'field'],
}

/** What a refusal is in the original's words. Every kind has been decided. */
export function errorOf({ refusal }: Refused): OrthancError {
  const fault = refusal.facts?.['fault']
  const known = typeof fault === 'string' ? faults[fault] : undefined
  if (known) {
    const shown = { text: refusalText(refusal), field: refusal.field, nothing: undefined }[known[1]]
    return new OrthancError(known[0], shown)
  }
  return new OrthancError(codeOf(refusal), refusal.text)
}

/** Clients compare this sentence: contracts/orthanc.md §2.3. Our reason would follow it. */
function refusalText(refusal: Refusal): string {
  if (refusal.facts?.['fault'] !== 'not-dicom') return refusal.text
  return `Cannot parse an invalid DICOM file (size: ${refusal.facts['sizeBytes']} bytes)`
}

function codeOf(refusal: Refusal): number {
  switch (refusal.kind) {
    case 'bad-request':
    case 'key-reused':
      return codes.badRequest
    case 'bad-field':
      return codes.badFormat
    case 'not-authenticated':
    case 'not-allowed':
      return 29
    case 'not-found':
      return codes.unknownResource
    case 'illegal-move':
      return codes.badSequence
    case 'conflict':
      return codes.revision
    case 'too-large':
    case 'quota-exceeded':
      return codes.badRequest
    case 'cannot-fit':
      return codes.outOfRange
    case 'not-supported':
      return codes.notImplemented
    case 'unavailable':
      return codes.unavailable
  }
}
