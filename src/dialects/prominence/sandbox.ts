// What some executors can do with a running attempt besides running it: a command in its sandbox, a pack of a part of
// its home directory. Asked for by capability, since not every executor has a sandbox.

import type { Readable } from 'node:stream'
import type { AttemptId } from '../../core/ids.ts'
import type { Executor } from '../../executors/executor.ts'

export interface Sandbox {
  /** Runs a command line by /bin/sh in the home directory; undefined when the attempt does not run. */
  exec(
    id: AttemptId,
    command: string,
    limits: { msMax: number; bytesMax: number },
  ): Promise<{ exitCode: number | null; output: Uint8Array } | undefined>
  /** A gzipped tar of a path below the home directory; undefined when there is no such thing. */
  pack(id: AttemptId, path: string): Promise<Readable | undefined>
}

/** The sandbox of an executor, if it has one. */
export function sandboxOf(executor: Executor | undefined): Sandbox | undefined {
  return executor !== undefined && 'exec' in executor && 'pack' in executor
    ? (executor as unknown as Sandbox)
    : undefined
}
