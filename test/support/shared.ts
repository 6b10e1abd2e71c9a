// Where the contracts and recordings that the tests read are: beside the repository, or where the environment says.

import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = process.env['SWITCHYARD_SHARED'] ?? resolve(import.meta.dirname, '../../../shared')

/** The path of a piece of shared material: sharedPath('recordings', 'orthanc'). */
export function sharedPath(...parts: string[]): string {
  return join(root, ...parts)
}

/** Whether the material is there; tests that need it are skipped, with that reason, where it is not. */
export function hasShared(...parts: string[]): boolean {
  return existsSync(sharedPath(...parts))
}
