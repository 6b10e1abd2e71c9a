// The dialect's section of the configuration, checked once at the start with a sentence for each mistake.

import { z } from 'zod'
import type { Json } from '../../core/json.ts'

const settingsShape = z.strictObject({
  /** Programs of this machine by the name of their image: `local/NAME` runs the argv. */
  images: z.record(z.string().regex(/^[A-Za-z0-9._-]+$/), z.array(z.string().min(1)).min(1)).default({}),
  /** Which pool the jobs compete in. */
  pool: z.string().min(1).default('default'),
  /** Refuse a cancel or requeue without any filter unless `?all=true` is said. */
  refuseEmptyFilters: z.boolean().default(false),
  /** The largest `seed.outputs.json` and side-car file that is read. */
  metadataBytesMax: z
    .int()
    .positive()
    .default(16 * 1024 * 1024),
  /** How many files one job may leave in its output directory, and one scan may find. */
  filesMax: z.int().positive().default(100_000),
})

/** The dialect's settings. */
export interface ScaleSettings {
  readonly images: ReadonlyMap<string, readonly string[]>
  readonly pool: string
  readonly refuseEmptyFilters: boolean
  readonly metadataBytesMax: number
  readonly filesMax: number
}

/** Reads the settings; throws with a sentence that names the field. */
export function readSettings(settings: Json): ScaleSettings {
  const result = settingsShape.safeParse(settings ?? {})
  if (!result.success) {
    const issue = result.error.issues[0]!
    throw new Error(`scale.${issue.path.join('.')}: ${issue.message}`)
  }
  return { ...result.data, images: new Map(Object.entries(result.data.images)) }
}
