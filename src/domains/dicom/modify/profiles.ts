// The confidentiality profiles of DICOM PS 3.15, per edition: which elements go, which are emptied, which UIDs are new.

import { elementOf, groupOf, type Tag, tagFromHex } from '../tag.ts'
import data from './profiles.json' with { type: 'json' }

export type Edition = keyof typeof data.editions

export interface Profile {
  /** How DeidentificationMethod names it, without the name of the product. */
  readonly method: string
  readonly newUids: readonly Tag[]
  readonly removes: readonly Tag[]
  readonly clears: readonly Tag[]
  /** Rectangles of tags that are removed too. */
  readonly removeRanges: readonly TagRange[]
}

/** All tags whose group and whose element lie between those of two tags. */
export type TagRange = readonly [first: Tag, last: Tag]

/** The editions that there are, the newest first. */
export const editions = (Object.keys(data.editions) as Edition[]).sort().reverse()

/** Whether a text names an edition of the standard that is known here. */
export function isEdition(text: string): text is Edition {
  return Object.hasOwn(data.editions, text)
}

/** What the basic profile of an edition does with which tags. */
export function profileOf(edition: Edition): Profile {
  const { method, newUid, remove, clear, removeRanges } = data.editions[edition]
  const read = (list: readonly string[]): Tag[] => list.map(text => tagFromHex(text)!)
  return {
    method,
    newUids: read(newUid),
    removes: read(remove),
    clears: read(clear),
    removeRanges: removeRanges.map(range => read(range) as unknown as TagRange),
  }
}

/** Whether a tag lies in a range of groups and elements, both ends included. */
export function isWithin(tag: Tag, [first, last]: TagRange): boolean {
  const group = groupOf(tag)
  const element = elementOf(tag)
  return (
    group >= groupOf(first) &&
    group <= groupOf(last) &&
    element >= elementOf(first) &&
    element <= elementOf(last)
  )
}
