// Where our own programs for jobs are: ecflow_client as scripts, and compiled by `make build` where there is a compiler.

import { statSync } from 'node:fs'
import { resolve } from 'node:path'

/** The repository's folders: this file lies at the same depth in src and in dist. */
const home = resolve(import.meta.dirname, '../../..')
export const scripts = resolve(home, 'bin')
const compiled = resolve(home, 'dist/bin')

/** The PATH of a job: our ecflow_client before any other. What was compiled from older sources is passed over. */
export function jobPath(usual: string): string {
  const sources = ['ecflow-child.c', 'ecflow-child.pl', 'ecflow_client']
  const newest = Math.max(...sources.map(name => changedAt(`${scripts}/${name}`)))
  const isFresh = changedAt(`${compiled}/ecflow_client`) >= newest
  return [...(isFresh ? [compiled] : []), scripts, usual].join(':')
}

/** When a file was last written (epoch ms); never, for one that is not there. */
function changedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.NEGATIVE_INFINITY
}
