// When a step may run, and whether it has ended: judged on how many of its nodes, and of its parents', stand where.

import type { Step } from '../../../core/flow.ts'
import type { Plan, StepRun } from './plan.ts'

/** Whether all nodes of a step have ended. */
export function hasEnded(run: StepRun): boolean {
  return run.counts.done + run.counts.failed + run.counts.skipped === run.nodes.length
}

/** Whether a step keeps others from going on, under `spread`. */
export function hasTrouble({ counts }: StepRun): boolean {
  return counts.failed > 0 || counts.blocked > 0
}

/** Whether bad parents block a step until they are better: one that may go on after a failure only waits. */
export function canBeBlocked({ when }: Step): boolean {
  return when === 'succeeded' || when === 'unfailed'
}

/** Free to go: has waiting nodes, all parents ended, and its condition holds. */
export function isFree(plan: Plan, at: number): boolean {
  const run = plan.steps[at]!
  return run.counts.waiting > 0 && run.openCount === 0 && plan.flow.stop === 'none' && mayRun(plan, at)
}

/** Whether a step's condition holds, given that all its parents have ended. */
export function mayRun({ graph, steps }: Plan, at: number): boolean {
  const parents = graph.parents[at]!
  switch (graph.steps[at]!.when) {
    case 'succeeded':
      return parents.every(parent => steps[parent]!.counts.done === steps[parent]!.nodes.length)
    case 'ended':
      return true
    case 'unfailed':
      return parents.every(parent => steps[parent]!.counts.failed === 0)
    case 'failed':
      return parents.some(parent => steps[parent]!.counts.failed > 0)
  }
}
