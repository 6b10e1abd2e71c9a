// What is wrong with a definition or an expression, and where: line, column, what was found, what was expected.

/**
 * `syntax`: the text is not in the language. `reference`: it names a node or attribute that is not there.
 * `conflict`: it is fine by itself, but something of that name exists already.
 */
export type DefinitionFault = 'syntax' | 'reference' | 'conflict'

/** A refused definition. Nothing of it was kept. */
export class DefinitionError extends Error {
  override readonly name = 'DefinitionError'
  readonly fault: DefinitionFault
  /** From 1; 0 when the text did not come in lines (a single attribute value). */
  readonly line: number
  /** From 1. */
  readonly column: number
  readonly found: string
  readonly expected: string

  constructor(at: {
    fault?: DefinitionFault
    line: number
    column: number
    found: string
    expected: string
  }) {
    const found = shorten(at.found)
    super(
      at.line > 0
        ? `line ${at.line}, column ${at.column}: found ${found}, expected ${at.expected}`
        : `column ${at.column}: found ${found}, expected ${at.expected}`,
    )
    this.fault = at.fault ?? 'syntax'
    this.line = at.line
    this.column = at.column
    this.found = found
    this.expected = at.expected
  }
}

/** A fault inside a single value, before its line and column are known. */
export class ValueError extends Error {
  override readonly name = 'ValueError'
  readonly fault: DefinitionFault
  readonly found: string
  readonly expected: string
  /** Offset of the fault inside the value, when known. */
  readonly offset: number

  constructor(found: string, expected: string, at: { offset?: number; fault?: DefinitionFault } = {}) {
    super(`found ${shorten(found)}, expected ${expected}`)
    this.found = found
    this.expected = expected
    this.offset = at.offset ?? 0
    this.fault = at.fault ?? 'syntax'
  }
}

/** Error texts must not carry a megabyte of somebody's line. */
function shorten(text: string): string {
  const clean = text.replace(/[\0-\x1f]/g, char => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
  return clean.length > 80 ? `${clean.slice(0, 77)}...` : clean
}
