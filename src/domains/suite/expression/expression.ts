// The typed tree of a trigger or complete expression. Chains are flat lists, so that a line of a million terms
// is long but never deep; only parentheses nest, and their depth is bounded by the parser.

import type { FlagName } from '../tree/flag.ts'
import type { DisplayState } from '../tree/state.ts'

/** A path as written: `a`, `./a/b`, `../a`, `/s/f/t`. */
export interface Reference {
  readonly path: string
}

export type Comparison = '==' | '!=' | '<=' | '>=' | '<' | '>'
export type Arithmetic = '+' | '-' | '*' | '/' | '%'

export type Expression =
  /** Right recursive: the first operator stands between the first operand and all that follows. */
  | {
      readonly kind: 'chain'
      readonly operands: readonly Expression[]
      readonly joins: readonly ('and' | 'or')[]
    }
  /** Bare comparisons joined by and: they bind before any `or`. */
  | { readonly kind: 'all'; readonly parts: readonly Expression[] }
  | { readonly kind: 'not'; readonly sign: 'not ' | '!' | '~'; readonly of: Expression }
  | { readonly kind: 'group'; readonly of: Expression }
  | {
      readonly kind: 'state'
      readonly of: Reference
      readonly equal: boolean
      readonly state: DisplayState
    }
  | {
      readonly kind: 'set'
      readonly of: Reference
      readonly attribute: string
      readonly equal: boolean
      readonly set: boolean
    }
  | {
      readonly kind: 'compare'
      readonly terms: readonly Expression[]
      readonly operators: readonly Comparison[]
    }
  /** Strictly from left to right. */
  | {
      readonly kind: 'calc'
      readonly terms: readonly Expression[]
      readonly operators: readonly Arithmetic[]
    }
  | { readonly kind: 'integer'; readonly value: number; readonly text: string }
  /** Seconds since 1970. */
  | { readonly kind: 'instant'; readonly value: number; readonly text: string }
  | { readonly kind: 'attribute'; readonly of: Reference; readonly attribute: string }
  | { readonly kind: 'variable'; readonly name: string }
  /** Without a reference: a flag of the whole definition, written `/<flag>late`. */
  | { readonly kind: 'flag'; readonly of: Reference | undefined; readonly flag: FlagName }
  | { readonly kind: 'julian'; readonly to: 'julian' | 'date'; readonly of: Expression }
