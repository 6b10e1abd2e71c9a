// What the main thread and a work thread say to each other.

import type { OutputDraft } from '../../core/job.ts'
import type { Json, JsonObject } from '../../core/json.ts'
import type { WorkModule } from '../../core/work.ts'

/** A module whose export makes a finder of blobs of a folder. */
export interface BlobFinderModule extends WorkModule {
  readonly folder: string
}

/** What a work thread is made with. */
export interface ThreadSettings {
  readonly board: SharedArrayBuffer
  readonly modules: Readonly<Record<string, WorkModule>>
  readonly folder: string
  readonly blobsDir: string
  /** Finds blobs in a folder; without it every blob is a file below `blobsDir`. */
  readonly blobFinder: BlobFinderModule | undefined
  readonly progressMs: number
}

/** What an assistant of a work thread is made with. */
export interface AssistantSettings extends Pick<ThreadSettings, 'blobsDir' | 'blobFinder'> {
  readonly part: WorkModule
}

export interface ToAssistant {
  /** Counts the questions to an assistant. */
  readonly question: number
  readonly body: unknown
}

export type FromAssistant =
  | { readonly type: 'ready' }
  | { readonly type: 'answer'; readonly question: number; readonly value: unknown }
  | { readonly type: 'failed'; readonly question: number; readonly error: string }

export interface ThreadOrder {
  readonly id: string
  readonly function: string
  readonly input: Json
}

export type ToThread =
  | { readonly type: 'batch'; readonly orders: readonly ThreadOrder[] }
  /** The board says why; this wakes a function that waits for its signal. */
  | { readonly type: 'stop'; readonly index: number; readonly id: string }
  | {
      readonly type: 'answer'
      readonly id: string
      readonly question: number
      readonly value?: unknown
      /** Why there is no answer. */
      readonly error?: string
    }

export type FromThread =
  | { readonly type: 'ready' }
  /** The batch is through; what the board says of its orders is final. */
  | { readonly type: 'idle' }
  | {
      readonly type: 'succeeded'
      readonly index: number
      readonly cpuMs: number
      readonly detail?: JsonObject
      readonly outputs?: readonly OutputDraft[]
    }
  | {
      readonly type: 'failed'
      readonly index: number
      readonly cpuMs: number
      readonly reason: 'exit' | 'launch'
      readonly message: string
      readonly exitCode?: number
    }
  | {
      readonly type: 'progress'
      readonly index: number
      readonly id: string
      readonly fraction: number
      readonly detail?: JsonObject
    }
  | {
      readonly type: 'ask'
      readonly index: number
      readonly id: string
      /** Counts the questions of an attempt. */
      readonly question: number
      readonly body: unknown
    }
  /** This attempt has files that are to be removed one day. */
  | { readonly type: 'files'; readonly id: string }
