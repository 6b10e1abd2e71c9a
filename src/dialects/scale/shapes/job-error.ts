// Which entry of the error catalogue a failed job has: decided from the engine's reason and the exit code.

import { builtInErrors, errorOfEnd } from '../../../domains/recipe/seed/errors.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { ErrorEntry } from '../catalog/things.ts'
import type { JobRow } from '../instances/rows.ts'

/** How something ended, as far as its error depends on it. */
export type EndFacts = Pick<JobRow, 'typeId' | 'revision' | 'reason' | 'exitCode'>

/** The error of a job that failed; undefined for one that did not. */
export function errorOfRow(row: JobRow, catalog: Catalog): ErrorEntry | undefined {
  return row.status === 'FAILED' ? errorOfFacts(row, catalog) : undefined
}

/** The error that belongs to an end. */
export function errorOfFacts(row: EndFacts, catalog: Catalog): ErrorEntry | undefined {
  // What we do around a program tells its error by number: the catalogue's id.
  if ((row.reason === 'stage-in' || row.reason === 'stage-out') && row.exitCode !== null)
    return catalog.errorNamed(builtInErrors[row.exitCode - 1]?.name ?? 'unknown', null)
  const revision = catalog.jobTypeRevision(row.typeId, row.revision)
  const found = errorOfEnd(row.reason, row.exitCode, revision?.manifest.errors ?? [])
  if ('builtIn' in found) return catalog.errorNamed(found.builtIn, null)
  return catalog.errorNamed(found.declared.name, revision!.manifest.name)
}
