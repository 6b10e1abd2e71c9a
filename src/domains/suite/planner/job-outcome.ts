// What the world tells about a job it was asked to start: that it could not be made, or how its command ended.

import { findNode } from '../tree/find.ts'
import type { FlagName } from '../tree/flag.ts'
import type { Living } from './living.ts'
import { moveNode } from './state-change.ts'

/** A try of a task that did not come to a start, or whose job command failed. Later tries are not touched. */
export function jobFailed(
  living: Living,
  failure: { path: string; tryNumber: number; flag: FlagName; why: string },
): void {
  const node = findNode(living.root, failure.path)
  if (!node || node.run?.tryNumber !== failure.tryNumber) return
  living.touch(node)
  if (node.state !== 'submitted') {
    // The job reported before its command ended badly: it is noted, but what the job said stands.
    if (node.state === 'active' || node.state === 'complete') {
      living.setFlag(node, failure.flag, true)
      living.setFlag(node, 'zombie', true)
    }
    return
  }
  node.run.abortReason = failure.why
  living.setFlag(node, failure.flag, true)
  living.setFlag(node, 'task_aborted', true)
  moveNode(living, node, 'aborted')
}
