// Kinds of work that come with the executor, for trying things out and for tests.

import { setTimeout as sleep } from 'node:timers/promises'
import { isObject, type Json } from '../../core/json.ts'
import type { WorkModule, WorkResult, WorkTools } from '../../core/work.ts'

/** Does nothing. */
export function noop(): void {}

/** Gives its input back as the output `echo`. */
export function echo(input: Json): WorkResult {
  return { outputs: [{ name: 'echo', value: input }] }
}

/** Gives the instant at which it runs, in ms since 1970 with fractions, as the output `at`. */
export function stamp(): WorkResult {
  return { outputs: [{ name: 'at', value: performance.timeOrigin + performance.now() }] }
}

/** Waits for `ms` and tells how far it is. */
export async function wait(input: Json, tools: WorkTools): Promise<void> {
  const ms = readMs(input)
  const startedAt = performance.now()
  for (;;) {
    const passedMs = performance.now() - startedAt
    if (passedMs >= ms) return
    tools.progress(passedMs / ms)
    await sleep(Math.min(ms - passedMs, 1000), undefined, { signal: tools.signal })
  }
}

/** Fails with `message`, and with `exitCode` if there is one. */
export function fail(input: Json): never {
  const { message, exitCode } = isObject(input) ? input : {}
  const error = new Error(typeof message === 'string' ? message : 'it was asked to fail')
  throw Object.assign(error, typeof exitCode === 'number' ? { exitCode } : {})
}

/** Keeps its thread busy for `ms`, deaf to everything: only the end of its thread stops it. */
export function spin(input: Json): void {
  const end = performance.now() + readMs(input)
  while (performance.now() < end);
}

/** Where the built-in functions are found, by name. */
export const builtinFunctions: Readonly<Record<string, WorkModule>> = Object.fromEntries(
  ['noop', 'echo', 'stamp', 'wait', 'fail', 'spin'].map(name => [
    name,
    { url: import.meta.url, export: name },
  ]),
)

function readMs(input: Json): number {
  const ms = isObject(input) ? input['ms'] : undefined
  if (typeof ms !== 'number' || !(ms >= 0)) throw new Error('input.ms must be a number of milliseconds')
  return ms
}
