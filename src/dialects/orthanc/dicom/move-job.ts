// The job DicomMoveScu: a C-MOVE for each answer of a query, one after another.

import type { Json, JsonObject } from '../../../core/json.ts'
import type { Talk } from '../../../core/talk.ts'
import type { Tag } from '../../../domains/dicom/tag.ts'
import type { House } from '../house.ts'
import { type Caller, readCaller, showCaller } from './dial.ts'
import { levelTag, move } from './service-client.ts'
import { leftOff, makeNotes, Passage } from './store-job.ts'

export const moveKind = 'dicom.move-scu'

export interface MoveOrder {
  readonly caller: Caller
  readonly target: string
  readonly isPermissive: boolean
  /** For each answer its keys, the level among them. */
  readonly keys: readonly (readonly (readonly [Tag, string])[])[]
}

/** The order of a C-MOVE as its job keeps it. */
export function showMoveOrder({ caller, ...rest }: MoveOrder): Json {
  return { ...rest, caller: showCaller(caller) } as unknown as Json
}

/** The work of a job that asks a modality to send instances on (C-MOVE). */
export function moveTalk(house: House): Talk {
  return async (input, tools) => {
    const { caller: kept, target, isPermissive, keys } = input as unknown as MoveOrder
    const caller = readCaller(kept)
    const job = await house.kit.engine.job({ id: tools.job })
    const passage = new Passage(job)
    const notes = makeNotes(house, job)
    const moved = { completed: 0, failed: 0 }
    try {
      while (passage.at < keys.length) {
        tools.signal.throwIfAborted()
        const query = keys[passage.at]!
        const level = query.find(([tag]) => tag === levelTag)?.[1] ?? 'STUDY'
        try {
          const counts = await move(house, caller, {
            level,
            query: query.filter(([tag]) => tag !== levelTag),
            target,
            // The peer is told to leave off between two instances; what it was at is asked for again.
            signal: tools.signal,
            told: ({ completed, remaining }) => {
              const all = (completed ?? 0) + (remaining ?? 0)
              if (all > 0) tools.progress((passage.at + (completed ?? 0) / all) / keys.length)
            },
          })
          moved.completed += counts.completed ?? 0
          moved.failed += counts.failed ?? 0
        } catch (error) {
          if (!isPermissive || tools.signal.aborted) throw error
          passage.fail(String(passage.at), error instanceof Error ? error.message : String(error))
        }
        passage.at++
        tools.progress(passage.at / keys.length)
        notes.put(() => passage.show(keys.length))
      }
      return { detail: { ...passage.show(keys.length), moved: moved as JsonObject } }
    } catch (error) {
      throw leftOff(error, passage, { total: keys.length, tools })
    }
  }
}
