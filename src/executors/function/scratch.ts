// Where a function may write while it runs: a folder of the attempt's own, made on first use.

import { join } from 'node:path'

/** The folder that a function may fill while its attempt runs. */
export function scratchPath(folder: string, id: string): string {
  return join(folder, 'scratch', id)
}
