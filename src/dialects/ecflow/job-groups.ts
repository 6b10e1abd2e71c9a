// Job commands that are ready at the same moment go to the engine as one job: bin/ecflow-jobs.pl runs them beside each
// other and says which of them ended badly. A job, an attempt and a keeper for each would cost more than the commands.

import { createHash } from 'node:crypto'
import type { JsonObject } from '../../core/json.ts'
import { scripts } from './programs.ts'

/** One run of a task whose job command is to be carried out. */
export interface Run {
  readonly path: string
  readonly tryNumber: number
  readonly password: string
}

export interface ReadyRun extends Run {
  readonly command: string
}

/** So many at most in one engine job: they are started one after another. */
export const groupMax = 32

/** Tells one run of a task from every other one, without showing its secret. */
export function markOf(password: string): string {
  return createHash('sha256').update(password).digest('hex').slice(0, 16)
}

/** What the process executor is to run. A single command is run as it stands. */
export function specOfRuns(
  runs: readonly ReadyRun[],
  at: { home: string; environment: Record<string, string> },
): JsonObject {
  const [only, ...others] = runs
  const usual = {
    cwd: at.home,
    env: at.environment,
    // The job often goes on behind its command: it is its own reporter.
    leftovers: 'leave',
  }
  if (only && others.length === 0) return { ...usual, argv: ['/bin/sh', '-c', only.command] }
  const words = runs.flatMap(run => [run.path, String(run.tryNumber), markOf(run.password), run.command])
  return {
    ...usual,
    argv: ['perl', `${scripts}/ecflow-jobs.pl`, `${scripts}/ecflow_client`],
    stdin: words.map(word => `${word}\0`).join(''),
  }
}

/** Which commands of a group have ended, by their place in it: each line of its report is `INDEX STATUS`. */
export function endedRuns(report: string): Set<number> {
  const ended = new Set<number>()
  for (const [, index] of report.matchAll(/^(\d+) \d+$/gm)) ended.add(Number(index))
  return ended
}
