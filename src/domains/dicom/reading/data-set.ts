// What reading a DICOM file gives: a tree of places in its bytes. Values stay where they are until somebody asks.

import type { Tag } from '../tag.ts'
import type { ByteSource } from './source.ts'

export interface Element {
  readonly tag: Tag
  /** As written in the file, or from the dictionary where the syntax does not write it. */
  readonly vr: string
  /** Where its header begins, its value begins, and the next thing begins (after a delimiter, if it has one). */
  readonly at: number
  readonly valueAt: number
  readonly end: number
  /** Bytes of the value, without a delimiter. */
  readonly length: number
  /** Its length was written as undefined (0xffffffff). */
  readonly isOpen: boolean
  /**
   * Its VR was written as UN, and the dictionary knows better; nobody said how its text is padded. Of a sequence: its
   * items are in implicit little endian, whatever surrounds it.
   */
  readonly isUnknown?: true
  /** The items of a sequence. */
  readonly items?: readonly Item[]
  /** The pieces of encapsulated pixel data; the first one is the offset table. */
  readonly fragments?: readonly Fragment[]
}

export interface Item {
  readonly at: number
  readonly valueAt: number
  readonly end: number
  readonly isOpen: boolean
  readonly elements: readonly Element[]
}

export interface Fragment {
  readonly valueAt: number
  readonly length: number
}

export interface DataSet {
  /** The bytes that element offsets count in: the file, or the inflated data set of a deflated one. */
  readonly source: ByteSource
  /** The meta group (0002,xxxx), with offsets in `metaSource`; empty in files without a header. */
  readonly meta: readonly Element[]
  readonly metaSource: ByteSource
  readonly elements: readonly Element[]
  readonly transferSyntax: string
  readonly isLittleEndian: boolean
  readonly isExplicit: boolean
  readonly isDeflated: boolean
  /** Where the data set begins in `source`. */
  readonly dataSetAt: number
  /** Where the file's own data set begins (the deflated bytes of a deflated one). */
  readonly fileDataSetAt: number
}

/** The first element with a tag. */
export function find(elements: readonly Element[], tag: Tag): Element | undefined {
  for (const element of elements) if (element.tag === tag) return element
  return undefined
}
