// Runs that are asked for at the same moment go to the engine as one job: bin/ecflow-jobs.pl runs their commands beside
// each other and says which of them ended badly. A job, an attempt and a keeper for each would cost more than the commands.

import { createHash } from 'node:crypto'
import { isObject, type Json, type JsonObject } from '../../core/json.ts'
import type { Living } from '../../domains/suite/planner/living.ts'
import { findNode } from '../../domains/suite/tree/find.ts'
import type { Node } from '../../domains/suite/tree/node.ts'
import { scripts } from './programs.ts'

/** One run of a task, as the store keeps it: which one it is, never its secret. */
export interface Run {
  readonly path: string
  readonly tryNumber: number
  /** See markOf. */
  readonly mark: string
}

/** A run whose job file is written. */
export interface ReadyRun extends Run {
  readonly command: string
}

/** So many at most in one engine job: they are started one after another. */
export const groupMax = 32

/** Tells one run of a task from every other one, without showing its secret. */
export function markOf(password: string): string {
  return createHash('sha256').update(password).digest('hex').slice(0, 16)
}

/** The task of a run, while it is still in it. */
export function nodeOfRun(living: Living, run: Run): Node | undefined {
  const node = findNode(living.root, run.path)
  return node?.run && markOf(node.run.password) === run.mark ? node : undefined
}

/** What the store keeps of a group: its commands are made when it starts. */
export function specOfGroup(runs: readonly Run[]): JsonObject {
  return { runs: runs.map(({ path, tryNumber, mark }) => ({ path, try: tryNumber, mark })) }
}

/** The runs of a stored group. */
export function readGroup(spec: Json): Run[] {
  const list: readonly unknown[] = isObject(spec) && Array.isArray(spec['runs']) ? spec['runs'] : []
  return list.filter(isObject).map(it => ({
    path: String(it['path']),
    tryNumber: Number(it['try']),
    mark: String(it['mark']),
  }))
}

/** What the process executor is to run. A single command is run as it stands. */
export function specOfRuns(
  runs: readonly ReadyRun[],
  at: { home: string; environment: Record<string, string> },
): JsonObject {
  const [only, ...others] = runs
  if (only && others.length === 0) return specOfCommand(only.command, at)
  const words = runs.flatMap(run => [run.path, String(run.tryNumber), run.mark, run.command])
  return {
    ...usualSpec(at),
    argv: ['perl', `${scripts}/ecflow-jobs.pl`, `${scripts}/ecflow_client`],
    stdin: words.map(word => `${word}\0`).join(''),
  }
}

/** One command by itself. */
export function specOfCommand(
  command: string,
  at: { home: string; environment: Record<string, string> },
): JsonObject {
  return { ...usualSpec(at), argv: ['/bin/sh', '-c', command] }
}

function usualSpec(at: { home: string; environment: Record<string, string> }): JsonObject {
  // The job often goes on behind its command: it is its own reporter.
  return { cwd: at.home, env: at.environment, leftovers: 'leave' }
}

/** The marks of a group's commands that have ended: each line of its report is `MARK STATUS`. */
export function endedRuns(report: string): Set<string> {
  const ended = new Set<string>()
  for (const [, mark] of report.matchAll(/^([0-9a-f]{16}) \d+$/gm)) ended.add(mark!)
  return ended
}
