// Where a function may write while it runs: a folder of the attempt's own, made on first use.

import { join } from 'node:path'

export function scratchPath(folder: string, id: string): string {
  return join(folder, 'scratch', id)
}
