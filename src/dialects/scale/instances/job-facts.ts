// What an engine job says of the Scale job it works for, kept in its detail. A list without names, because the detail is
// written again with every move of the job; the order is fixed for as long as such jobs are stored.

import type { Json, JsonObject } from '../../../core/json.ts'

/** The facts of a job. */
export interface JobFactsRecord {
  readonly id: number
  readonly typeId: number
  readonly revision: number
  readonly recipe: number | null
  readonly node: string | null
  readonly step: string
  readonly eventId: number
  readonly eventAt: number
  readonly batch: number | null
  readonly supersedes: number | null
  readonly collects: boolean
  /** Executions of the job before this engine job. */
  readonly exesBefore: number
  /** The flow of the job, for an engine job that stands outside of it. */
  readonly flow: number
  /** The scan that it walks for, and whether that ingests. */
  readonly scan: number
  readonly ingests: boolean
}

type UnusualFacts = 'supersedes' | 'exesBefore' | 'flow' | 'scan' | 'ingests'

/** The detail of an engine job; facts that most jobs do not have may be absent. */
export function showJobFacts(
  facts: Omit<JobFactsRecord, UnusualFacts> & Partial<Pick<JobFactsRecord, UnusualFacts>>,
): JsonObject {
  const list: Json[] = [
    facts.id,
    facts.typeId,
    facts.revision,
    facts.recipe,
    // A top-level step is called as its node; saying it twice costs with every move.
    facts.node === facts.step ? 1 : facts.node,
    facts.step,
    facts.eventId,
    facts.eventAt,
    facts.batch,
    facts.collects ? 1 : 0,
  ]
  const { supersedes = null, exesBefore = 0, flow = 0, scan = 0, ingests = false } = facts
  if (supersedes !== null || exesBefore > 0 || flow > 0 || scan > 0)
    list.push(supersedes, exesBefore, flow, scan, ingests ? 1 : 0)
  return { scale: list }
}

/** In the detail of an engine job: when it was last put back after it had failed or was cancelled (ms). */
export const mendedAt = 'mendedAt'

/** The id of the Scale job that an engine job works for; 0 for none. */
export function jobIdIn(detail: JsonObject | null): number {
  const list = detail?.['scale']
  return Array.isArray(list) ? Number(list[0] ?? 0) : 0
}

/** The facts in an engine job's detail; undefined for jobs that are no Scale job by themselves. */
export function readJobFacts(detail: JsonObject | null): JobFactsRecord | undefined {
  const list = detail?.['scale']
  if (!Array.isArray(list)) return undefined
  const number = (at: number): number => Number(list[at] ?? 0)
  const optional = (at: number): number | null => (typeof list[at] === 'number' ? list[at] : null)
  const step = String(list[5])
  return {
    id: number(0),
    typeId: number(1),
    revision: number(2),
    recipe: optional(3),
    node: list[4] === 1 ? step : ((list[4] as string | null) ?? null),
    step,
    eventId: number(6),
    eventAt: number(7),
    batch: optional(8),
    collects: list[9] === 1,
    supersedes: optional(10),
    exesBefore: number(11),
    flow: number(12),
    scan: number(13),
    ingests: list[14] === 1,
  }
}
