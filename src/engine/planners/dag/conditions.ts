// When a step may run, and whether it has ended: judged on how many of its nodes, and of its parents', stand where.

import type { Plan, StepRun } from './plan.ts'

/** Whether all nodes of a step have ended. */
export function hasEnded(run: StepRun): boolean {
  return run.counts.done + run.counts.failed + run.counts.skipped === run.nodes.length
}

/** Free to go: has waiting nodes, all parents ended, and its condition holds. */
export function isFree(plan: Plan, at: number): boolean {
  const run = plan.steps[at]!
  return run.counts.waiting > 0 && run.open === 0 && plan.flow.stop === 'none' && mayRun(plan, at)
}

/** Whether a step's condition holds, given that all its parents have ended. */
export function mayRun({ graph, steps }: Plan, at: number): boolean {
  const { when } = graph.steps[at]!
  if (when === 'ended') return true
  for (const parent of graph.parents[at]!) {
    const { counts, nodes } = steps[parent]!
    if (when === 'failed' && counts.failed > 0) return true
    if (when === 'succeeded' && counts.done < nodes.length) return false
    if (when === 'unfailed' && counts.failed > 0) return false
  }
  return when !== 'failed'
}
