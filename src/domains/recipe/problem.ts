// What is wrong with a document: a name from the catalogue of contracts/scale.md §7 and a sentence.
// Reading a document answers with a value or with problems; nothing in this room throws because of what a client sent.

/** One error or warning, as clients are told. */
export interface Problem {
  readonly name: string
  readonly description: string
  /** Where in the document, as a JSON pointer; absent when no single place is to blame. */
  readonly pointer?: string
}

/** The outcome of reading something a client wrote. */
export type Reading<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** A validation's verdict. */
export interface Verdict {
  readonly errors: readonly Problem[]
  readonly warnings: readonly Problem[]
}

/** A reading that succeeded. */
export function read<T>(value: T): Reading<T> {
  return { ok: true, value }
}

/** A reading that failed for one reason. */
export function unreadable(
  name: string,
  description: string,
  path?: readonly (string | number)[],
): Reading<never> {
  return { ok: false, problems: [problem(name, description, path)] }
}

/** Makes a problem; `path` becomes its pointer. */
export function problem(name: string, description: string, path?: readonly (string | number)[]): Problem {
  return path ? { name, description, pointer: pointerText(path) } : { name, description }
}

function pointerText(path: readonly (string | number)[]): string {
  return path.map(step => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
