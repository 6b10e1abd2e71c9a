// The job types that the server itself brings: only what does work here is listed. They are written down at the first
// start, so that they have ids like all others.

import type { JsonObject } from '../../../core/json.ts'
import { emptyConfiguration } from '../../../domains/recipe/seed/configuration.ts'
import { readStoredManifest } from '../../../domains/recipe/seed/manifest.ts'
import type { Tx } from '../../../engine/engine.ts'
import type { World } from '../world.ts'
import type { JobType } from './things.ts'

/** The job type of scans. */
export const systemJobTypeName = 'scale-scan'

const scanManifest: JsonObject = {
  seedVersion: '1.0.0',
  job: {
    name: systemJobTypeName,
    jobVersion: '1.0.0',
    packageVersion: '1.0.0',
    title: 'Scale Scan',
    description: 'Scans a workspace for files to ingest',
    maintainer: { name: 'Switchyard', email: 'none' },
    timeout: 43_200,
    interface: { command: '', inputs: {}, outputs: {} },
  },
}

/** Writes the system types down where they are missing. */
export async function ensureSystemTypes(world: World): Promise<void> {
  if (world.catalog.jobTypeNamed(systemJobTypeName, '1.0.0')) return
  await world.commit(tx => saveScanType(world, tx))
}

function saveScanType(world: World, tx: Tx): void {
  const { now } = tx
  const manifest = readStoredManifest(scanManifest)
  const id = tx.next('scale.job-type')
  const type: JobType = {
    id,
    name: manifest.name,
    version: manifest.version,
    isSystem: true,
    createdAt: now,
    manifest,
    image: 'local/noop:1.0',
    revision: 1,
    configuration: emptyConfiguration,
    iconCode: 'f02a',
    maxScheduled: null,
    isActive: true,
    isPaused: false,
    isPublished: false,
    deprecatedAt: null,
    pausedAt: null,
    modifiedAt: now,
  }
  const revision = {
    id: tx.next('scale.job-type-revision'),
    typeId: id,
    revision: 1,
    image: type.image,
    manifest,
    createdAt: now,
  }
  world.save(tx, { kind: 'job-type-revision', value: revision }, { kind: 'job-type', value: type })
}
