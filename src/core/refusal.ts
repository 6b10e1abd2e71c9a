// The one catalogue of expected refusals. Each dialect's errors.ts turns every kind into its own status and body
// with an exhaustive switch, so that adding a kind here asks every dialect. docs/reference/errors.md lists them.

/** Every kind of refusal: its default HTTP status in the native dialect, and its sentence. */
export const refusals = {
  'bad-request': { status: 400, title: 'The request cannot be understood' },
  'bad-field': { status: 400, title: 'A member of the request is not acceptable' },
  'not-authenticated': { status: 401, title: 'Credentials are missing or not valid' },
  'not-allowed': { status: 403, title: 'The caller may not do this' },
  'not-found': { status: 404, title: 'There is no such thing' },
  'illegal-move': { status: 409, title: 'The thing is in a state that does not allow this' },
  conflict: { status: 409, title: 'Something else already has this name or place' },
  'key-reused': { status: 422, title: 'This Idempotency-Key was used for another request' },
  'too-large': { status: 413, title: 'The request is larger than allowed' },
  'cannot-fit': { status: 422, title: 'No pool can ever hold what this asks for' },
  'quota-exceeded': { status: 429, title: 'A quota is used up' },
  'not-supported': { status: 501, title: 'This is not available here' },
  unavailable: { status: 503, title: 'The server cannot store anything at the moment' },
} as const

export type RefusalKind = keyof typeof refusals

/** A refusal as a value. `text` is a whole sentence for the caller; `field` names the offending member. */
export interface Refusal {
  readonly kind: RefusalKind
  readonly text: string
  readonly field?: string
  readonly facts?: Readonly<Record<string, string | number | boolean>>
}

/** A refusal on its way up to the dialect that answers. */
export class Refused extends Error {
  readonly refusal: Refusal
  constructor(refusal: Refusal) {
    super(refusal.text)
    this.name = 'Refused'
    this.refusal = refusal
  }
}

/** Throws a refusal: `refuse('not-found', 'There is no job 17')`. */
export function refuse(
  kind: RefusalKind,
  text: string,
  more: { field?: string; facts?: Refusal['facts'] } = {},
): never {
  throw new Refused({
    kind,
    text,
    ...(more.field !== undefined ? { field: more.field } : {}),
    ...(more.facts !== undefined ? { facts: more.facts } : {}),
  })
}

/** The answer to a request that may be refused as a matter of course: clients do that all day. */
export type Verdict<T = void> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly refusal: Refusal }

/** What was asked for may be, and was done. */
export function granted(): Verdict
export function granted<T>(value: T): Verdict<T>
export function granted<T>(value?: T): Verdict<T | undefined> {
  return { ok: true, value }
}

/** What was asked for may not be. `text` says why in a sentence; `field` names what is wrong of a document. */
export function refused(
  kind: RefusalKind,
  text: string,
  more: { field?: string; facts?: Refusal['facts'] } = {},
): { readonly ok: false; readonly refusal: Refusal } {
  return {
    ok: false,
    refusal: {
      kind,
      text,
      ...(more.field !== undefined ? { field: more.field } : {}),
      ...(more.facts !== undefined ? { facts: more.facts } : {}),
    },
  }
}

/** The value of a verdict; throws the refusal, for a dialect's error handler, when there is none. */
export function must<T>(verdict: Verdict<T>): T {
  if (!verdict.ok) throw new Refused(verdict.refusal)
  return verdict.value
}
