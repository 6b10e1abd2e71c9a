// A user without rights, for tests of what an operator without root gets: a program of ours run as one.

import { execFileSync, spawnSync } from 'node:child_process'

const becomePlain = ['--reuid=65534', '--regid=65534', '--clear-groups']

/** Why nothing of ours can be run without rights here; undefined when it can. */
export function plainUserTrouble(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root, so rights cannot be dropped'
  // A checkout below root's own folder is closed to everybody else.
  const readable = spawnSync('setpriv', [...becomePlain, 'test', '-r', import.meta.filename]).status === 0
  return readable ? undefined : 'other users may not read this checkout'
}

/** Runs a module's text without rights; gives what it printed. */
export function runAsPlainUser(
  script: string,
  options: { args?: string[]; env?: NodeJS.ProcessEnv } = {},
): string {
  const words = [
    ...becomePlain,
    process.execPath,
    '--input-type=module',
    '-e',
    script,
    ...(options.args ?? []),
  ]
  return execFileSync('setpriv', words, { encoding: 'utf8', env: options.env ?? process.env })
}
