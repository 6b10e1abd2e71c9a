// `GET …/history`: who did what to a node, and what happened to it lately. Ours: contract ecflow §8.4.

import { refuse } from '../../core/refusal.ts'
import { noteEdit } from '../../domains/suite/planner/edit-history.ts'
import type { Living } from '../../domains/suite/planner/living.ts'
import { findNode } from '../../domains/suite/tree/find.ts'
import type { Answer } from './answer.ts'
import type { Call } from './call.ts'
import type { Parts } from './parts.ts'

const limitUsual = 200
const limitMax = 10_000

/** A change by a person, with the note of it: both durable, or none. */
export function changeBy<T>(
  parts: Parts,
  call: Call,
  edit: { path: string; text: string },
  fn: (living: Living) => T,
): Promise<T> {
  return parts.keeper.change(living => {
    const value = fn(living)
    noteEdit(living, edit.path, { by: call.by, text: edit.text })
    return value
  })
}

/** The last edits of a node and the latest changes of its state, limits and repeat; with `below=true` of all below too. */
export function showHistory(parts: Parts, call: Call, path: string): Answer {
  const { keeper } = parts
  const node = findNode(keeper.living.root, path)
  if (!node) refuse('not-found', `Path ${path} not found`)
  const text = call.query.get('limit')
  const limit = text === null ? limitUsual : Number(text)
  if (!Number.isInteger(limit) || limit < 1 || limit > limitMax)
    refuse('bad-field', `limit: expected a number from 1 to ${limitMax}`, { field: 'limit' })
  // Of the server itself there is nothing but what happened to its nodes.
  const below = path === '/' || call.query.get('below') === 'true'
  parts.count('node_edit_history')
  return {
    status: 200,
    value: {
      path,
      edits: (node.edits ?? []).map(({ at, by, text }) => ({ at: showTime(at), by, command: text })),
      changes: keeper.log
        .latest(path, { below, limit })
        .map(({ at, ...what }) => ({ at: showTime(at), ...what })),
    },
  }
}

function showTime(ms: number): string {
  return new Date(ms).toISOString()
}
