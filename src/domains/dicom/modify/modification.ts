// What is to be done to instances: plain data, so that a job can keep it as its spec and do it again after a crash.

import type { Json } from '../../../core/json.ts'
import type { Level } from '../levels.ts'
import type { Tag } from '../tag.ts'
import type { TagRange } from './profiles.ts'
import type { TagPath } from './tag-path.ts'

/** A value to be written: text, or a list of objects by tag name for a sequence. */
export type NewValue = Json

export type Modification = {
  /** What new UIDs are made from, together with the old ones: the same for all instances of a job. */
  readonly seed: string
  /** The identifiers of this level and of those below are new, unless they are replaced or kept. */
  readonly level: Level
  /** Elements of the profile are treated inside sequences too, and references between files are kept consistent. */
  readonly isAnonymization: boolean
  readonly removes: readonly Tag[]
  readonly removeRanges: readonly TagRange[]
  /** Emptied where they are. */
  readonly clears: readonly Tag[]
  /** Set, whether they are there or not. */
  readonly replaces: readonly (readonly [Tag, NewValue])[]
  /** UIDs of these elements become those that the job has for them. */
  readonly newUids: readonly Tag[]
  /** Not touched by what else would: identifiers, private elements, elements of the profile. */
  readonly keeps: readonly Tag[]
  readonly keepPaths: readonly TagPath[]
  readonly removePaths: readonly TagPath[]
  readonly replacePaths: readonly (readonly [TagPath, NewValue])[]
  readonly removesPrivate: boolean
  /** Whose private elements those of `replaces` are. */
  readonly privateCreator?: string
  /** Elements with these tags are removed, and taken from the file with this hash instead. */
  readonly inherits?: { readonly hash: string; readonly tags: readonly Tag[] }
  /** The term of the encoding of files that name none. */
  readonly defaultTerm: string
}

/** A modification that does nothing but give new identifiers from a level down. */
export function plainModification(facts: { seed: string; level: Level; defaultTerm: string }): Modification {
  return {
    ...facts,
    isAnonymization: false,
    removes: [],
    removeRanges: [],
    clears: [],
    replaces: [],
    newUids: [],
    keeps: [],
    keepPaths: [],
    removePaths: [],
    replacePaths: [],
    removesPrivate: false,
  }
}
