// Every legal move of a job, as one table. Nothing else in the code base assigns job.state.
// Source of the rule: design/architecture.md §3; docs/explanation/job-lifecycle.md is drawn from this table.

export const jobStates = [
  'blocked', // waits for something upstream
  'ready', // may start as soon as its pool has room
  'delayed', // waits for an instant: a schedule or a retry's back-off
  'starting', // an attempt is written down and handed to an executor
  'running', // the executor, or the child itself, said that it runs
  'succeeded',
  'failed',
  'cancelled',
] as const
export type JobState = (typeof jobStates)[number]

/** Which state each move leads to, from every state that allows it. A pair that is absent is illegal. */
export const moves = {
  release: { blocked: 'ready' },
  block: { ready: 'blocked', delayed: 'blocked' }, // an upstream job was revived: wait for it again
  wait: { blocked: 'delayed', ready: 'delayed' },
  due: { delayed: 'ready' },
  claim: { ready: 'starting' },
  begin: { starting: 'running' },
  succeed: { starting: 'succeeded', running: 'succeeded' }, // a fast job may end before it was seen to begin
  fail: { blocked: 'failed', ready: 'failed', delayed: 'failed', starting: 'failed', running: 'failed' },
  retry: { starting: 'delayed', running: 'delayed' }, // tries are left
  yield: { starting: 'ready', running: 'ready' }, // pause reached, shutdown, lost without blame
  cancel: { blocked: 'cancelled', ready: 'cancelled', delayed: 'cancelled' }, // idle: at once
  stopped: { starting: 'cancelled', running: 'cancelled' }, // live: asked first, then confirmed
  resubmit: { failed: 'ready', cancelled: 'ready' },
  revive: { failed: 'blocked', cancelled: 'blocked' },
  writeOff: { failed: 'cancelled' },
} as const satisfies Record<string, Partial<Record<JobState, JobState>>>

export type JobMove = keyof typeof moves

/** The state that `move` leads to from `state`, or undefined when the move is illegal there. */
export function nextState(state: JobState, move: JobMove): JobState | undefined {
  return (moves[move] as Partial<Record<JobState, JobState>>)[state]
}

/** Ended for good, unless an operator resubmits, revives or writes it off. */
export function isFinal(state: JobState): state is 'succeeded' | 'failed' | 'cancelled' {
  return state === 'succeeded' || state === 'failed' || state === 'cancelled'
}

/** An executor has, or is about to have, an attempt of it. */
export function isLive(state: JobState): state is 'starting' | 'running' {
  return state === 'starting' || state === 'running'
}

/** Neither ended nor in an executor's hands. */
export function isWaiting(state: JobState): state is 'blocked' | 'ready' | 'delayed' {
  return state === 'blocked' || state === 'ready' || state === 'delayed'
}

/** What was asked of a live attempt and is not yet confirmed. `expire` is a walltime that ran out. */
export type StopRequest = 'none' | 'cancel' | 'pause' | 'kill' | 'expire'

/** Why a job ended other than well. A dialect's words are made of this, never of message texts. */
export const endReasons = [
  'exit', // the program ended with a non-zero code or a signal of its own
  'timeout', // it ran longer than it may
  'memory', // it used more memory than it may
  'launch', // it could not be started
  'image', // its image could not be had
  'stage-in', // its inputs could not be had
  'stage-out', // its outputs could not be kept
  'no-resources', // no pool can ever hold it
  'expired', // it waited in the queue longer than it may
  'lost', // its executor lost it
  'user', // somebody cancelled or killed it
  'upstream', // something it depends on ended badly
] as const
export type EndReason = (typeof endReasons)[number]
