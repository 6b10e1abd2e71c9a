// What the thread that modifies instances is told, and what it asks the server while it does.

import type { OwnEntry } from '../dictionary/dictionary.ts'
import type { ResourceIds } from '../identifiers.ts'
import type { Summary } from '../summary.ts'
import type { Modification } from './modification.ts'

/** The instances to be modified and how: plain JSON, the input of a job. */
export type ModifyPlan = {
  readonly change: Modification
  readonly sources: readonly ModifySource[]
  /** The transfer syntax that the results are to have; those that cannot be converted keep their own. */
  readonly transcode?: string
}

export type ModifySource = {
  readonly id: string
  readonly hash: string
  readonly sizeBytes: number
}

/** What is added right before an attempt starts. */
export type ModifyStart = {
  /** How many of the sources earlier attempts have dealt with. */
  readonly from: number
  readonly dictionary: { readonly own: readonly OwnEntry[]; readonly vendors: boolean }
}

/** An instance that was made, or the reason why not. */
export type Modified = {
  readonly source: string
  readonly made?: {
    readonly summary: Summary
    readonly md5: string
    /** What the source belonged to. */
    readonly from: ResourceIds
    /** The bytes, or a file to be taken over where they are many. */
    readonly content: { readonly bytes: Uint8Array } | { readonly file: string }
  }
  readonly trouble?: Trouble
}

/** Why an instance could not be made: a refusal of ours, or `missing` when its file is gone. */
export type Trouble =
  | { readonly type: 'missing' }
  | {
      readonly type: 'refused'
      readonly kind: string
      readonly text: string
      readonly field?: string
      readonly fault?: string
    }
  | { readonly type: 'failed'; readonly text: string }

/** `store`: instances from the position `at`, in their order. `finish`: all have been dealt with. */
export type ModifyQuestion =
  | { readonly type: 'store'; readonly at: number; readonly items: readonly Modified[] }
  | { readonly type: 'scratch' }
  | { readonly type: 'finish' }

/** `stop`: the job fails with this sentence. `file`: a fresh name for a file to be taken over. */
export type ModifyAnswer = { readonly stop?: string; readonly file?: string }
