// The list of commands. A command's file exports `add(program)`; only the file of the command that was asked for is
// loaded, and all of them for help, so that starting one stays quick.

import type { Command } from 'commander'

type Add = (program: Command) => void

const files: Readonly<Record<string, () => Promise<{ add: Add }>>> = {
  serve: () => import('./serve.ts'),
  submit: () => import('./submit.ts'),
  ls: () => import('./list.ts'),
  show: () => import('./list.ts'),
  logs: () => import('./logs.ts'),
  cancel: () => import('./steer.ts'),
  retry: () => import('./steer.ts'),
  why: () => import('./steer.ts'),
  top: () => import('./top.ts'),
  token: () => import('./token.ts'),
  user: () => import('./user.ts'),
  image: () => import('./image.ts'),
  ncdjango: () => import('./ncdjango.ts'),
  backup: () => import('./backup.ts'),
  restore: () => import('./backup.ts'),
  completion: () => import('./completion.ts'),
}

/** What adds the commands that these arguments are about. */
export async function commands(args: readonly string[]): Promise<Add[]> {
  const wanted = files[args[0] ?? '']
  const loads = wanted === undefined ? Object.values(files) : [wanted]
  // One file may bring two commands; it is asked to add them once.
  return [...new Set(await Promise.all(loads.map(async load => (await load()).add)))]
}
