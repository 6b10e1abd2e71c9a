// The six states of a node and their order. A container shows its most significant child; suspension is a
// separate switch that is only shown in place of the state.

/** Least significant first: a container shows the state that stands furthest to the right among its children. */
export const nodeStates = ['unknown', 'complete', 'queued', 'submitted', 'active', 'aborted'] as const
export type NodeState = (typeof nodeStates)[number]

/** What a client is told: the state, or `suspended` while the switch is on. */
export type DisplayState = NodeState | 'suspended'

const ranks: Record<NodeState, number> = {
  unknown: 0,
  complete: 1,
  queued: 2,
  submitted: 3,
  active: 4,
  aborted: 5,
}

/** The place of a state in the order of significance, from 0 (unknown) to 5 (aborted). */
export function rankOf(state: NodeState): number {
  return ranks[state]
}

/** Whether a text is one of the six state words. */
export function isNodeState(word: string): word is NodeState {
  return Object.hasOwn(ranks, word)
}

/** A job of the task is on its way or running. */
export function isBusy(state: NodeState): boolean {
  return state === 'submitted' || state === 'active'
}

/** What a defstatus may be: the state that begin and requeue give, or the suspended switch. */
export type DefaultState = DisplayState

/** Whether a text may stand after `defstatus`. */
export function isDefaultState(word: string): word is DefaultState {
  return word === 'suspended' || isNodeState(word)
}
