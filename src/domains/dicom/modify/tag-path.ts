// Paths into sequences: `Seq[0].Tag`, `Seq[*].Tag`, `(0040,a730)[0].(0040,a160)`.

import { refuse } from '../../../core/refusal.ts'
import type { Dictionary } from '../dictionary/dictionary.ts'
import type { Tag } from '../tag.ts'

/** Where an element is: the sequences around it with the item meant (null for every item), and its own tag. */
export type TagPath = {
  readonly within: readonly { readonly tag: Tag; readonly item: number | null }[]
  readonly tag: Tag
}

const depthMax = 64

/** Reads a path; a tag alone is a path without sequences. Refuses unknown tags, and sequences without an index. */
export function readTagPath(text: string, dictionary: Dictionary): TagPath {
  const parts = text.split('.')
  if (parts.length > depthMax) refuseOutOfRange(text, `A path may have at most ${depthMax} parts`)
  const last = parts.pop()!
  const within = parts.map(part => {
    const match = /^(.+)\[(\*|\d{1,9})\]$/.exec(part.trim())
    if (!match) refuseOutOfRange(text, "Parent path doesn't contain an index")
    return { tag: readTag(match[1]!, dictionary), item: match[2] === '*' ? null : Number(match[2]) }
  })
  return { within, tag: readTag(last.trim(), dictionary) }
}

function readTag(text: string, dictionary: Dictionary): Tag {
  const inner = /^\((.+)\)$/.exec(text)?.[1] ?? text
  return dictionary.readTag(inner)
}

function refuseOutOfRange(field: string, why: string): never {
  refuse('bad-field', why, { field, facts: { fault: 'out-of-range' } })
}
