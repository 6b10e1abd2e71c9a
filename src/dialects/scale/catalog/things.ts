// What the catalogue holds: job types, recipe types and their revisions, workspaces, errors. Plain data; times are
// epoch milliseconds, documents are parsed once.

import type { JsonObject } from '../../../core/json.ts'
import type { Definition } from '../../../domains/recipe/definition.ts'
import type { Graph } from '../../../domains/recipe/graph.ts'
import type { Configuration } from '../../../domains/recipe/seed/configuration.ts'
import type { ErrorCategory } from '../../../domains/recipe/seed/errors.ts'
import type { Manifest } from '../../../domains/recipe/seed/manifest.ts'

/** A program that jobs run, in its current revision. */
export interface JobType {
  readonly id: number
  readonly name: string
  readonly version: string
  readonly isSystem: boolean
  readonly createdAt: number
  readonly manifest: Manifest
  readonly image: string
  readonly revision: number
  readonly configuration: Configuration
  readonly iconCode: string | null
  readonly maxScheduled: number | null
  readonly isActive: boolean
  readonly isPaused: boolean
  readonly isPublished: boolean
  readonly deprecatedAt: number | null
  readonly pausedAt: number | null
  readonly modifiedAt: number
}

/** A job type as it once was. */
export interface JobTypeRevision {
  readonly id: number
  readonly typeId: number
  readonly revision: number
  readonly image: string
  readonly manifest: Manifest
  readonly createdAt: number
}

/** A recipe type; its definition is that of its current revision. */
export interface RecipeType {
  readonly id: number
  readonly name: string
  readonly title: string
  readonly description: string | null
  readonly revision: number
  readonly isActive: boolean
  readonly isSystem: boolean
  readonly createdAt: number
  readonly deprecatedAt: number | null
  readonly modifiedAt: number
}

/** A recipe type's definition as it once was. */
export interface RecipeTypeRevision {
  readonly id: number
  readonly typeId: number
  readonly typeName: string
  readonly revision: number
  readonly createdAt: number
  readonly definition: Definition
  readonly graph: Graph
}

/** A place for files. */
export interface Workspace {
  readonly id: number
  readonly name: string
  readonly title: string
  readonly description: string | null
  readonly baseUrl: string | null
  readonly isActive: boolean
  readonly createdAt: number
  readonly deprecatedAt: number | null
  readonly modifiedAt: number
  readonly configuration: JsonObject
}

/** Something that can go wrong with a job. */
export interface ErrorEntry {
  readonly id: number
  readonly name: string
  readonly title: string
  readonly description: string
  readonly jobTypeName: string | null
  readonly category: ErrorCategory
  readonly isBuiltIn: boolean
  readonly isRetried: boolean
  readonly createdAt: number
  readonly modifiedAt: number
}

/** The directory on this machine that a workspace is; undefined for kinds that are none. */
export function workspaceFolder(workspace: Workspace): string | undefined {
  const broker = workspace.configuration['broker'] as JsonObject | undefined
  return typeof broker?.['host_path'] === 'string' ? broker['host_path'] : undefined
}

/** Since when something is on, after it was switched, or not (undefined): from the first time that it was said. */
export function onSince(before: number | null, isOn: boolean | undefined, now: number): number | null {
  if (isOn === undefined) return before
  return isOn ? (before ?? now) : null
}

/** Since when a thing of the catalogue is deprecated, after it was made active or not, or neither. */
export function deprecatedSince(
  thing: { readonly deprecatedAt: number | null },
  isActive: boolean | undefined,
  now: number,
): number | null {
  return onSince(thing.deprecatedAt, isActive === undefined ? undefined : !isActive, now)
}
