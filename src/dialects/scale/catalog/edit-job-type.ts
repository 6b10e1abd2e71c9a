// Creates and edits job types. A manifest or an image makes a new revision, and the recipe types that contain the job
// type follow (contracts/scale.md §4.4).

import type { JsonObject } from '../../../core/json.ts'
import type { Problem, Verdict } from '../../../domains/recipe/problem.ts'
import {
  type Configuration,
  checkConfiguration,
  emptyConfiguration,
  readConfiguration,
} from '../../../domains/recipe/seed/configuration.ts'
import { categoryOf } from '../../../domains/recipe/seed/errors.ts'
import { type Manifest, readManifest } from '../../../domains/recipe/seed/manifest.ts'
import type { Tx } from '../../../engine/engine.ts'
import { answerError } from '../web/answer-error.ts'
import type { World } from '../world.ts'
import { deprecateContaining, deprecatedWarning, followJobType } from './edit-recipe-type.ts'
import { deprecatedSince, type ErrorEntry, type JobType, type JobTypeRevision, onSince } from './things.ts'

/** What a user says about a job type; what was not said is absent. */
export interface JobTypeWish {
  readonly image?: string
  readonly manifest?: JsonObject
  readonly configuration?: JsonObject
  readonly iconCode?: string | null
  readonly isPublished?: boolean
  readonly maxScheduled?: number | null
  readonly isActive?: boolean
  readonly isPaused?: boolean
  readonly autoUpdate: boolean
}

/** A new job type, or the warnings of an edit. */
export type JobTypeOutcome = { readonly created: JobType } | { readonly warnings: readonly Problem[] }

/** Checks a manifest and a configuration together, as the validation endpoint does. */
export function validateJobType(world: World, manifest: JsonObject, configuration: JsonObject): Verdict {
  const read = readManifest(manifest)
  const settings = readConfiguration(configuration)
  if (!read.manifest || !settings.ok)
    return { errors: [...read.errors, ...(settings.ok ? [] : settings.problems)], warnings: read.warnings }
  const checked = checkConfiguration(settings.value, read.manifest, name => workspaceState(world, name))
  return { errors: checked.errors, warnings: [...checked.warnings, ...read.warnings] }
}

/** Creates a job type; where name and version exist already it is an edit. */
export async function createJobType(
  world: World,
  wish: JobTypeWish & { image: string; manifest: JsonObject },
): Promise<JobTypeOutcome> {
  const { manifest } = demandManifest(wish.manifest)
  const existing = world.catalog.jobTypeNamed(manifest.name, manifest.version)
  if (existing) return { warnings: await editJobType(world, existing, wish) }
  if (manifest.name === 'validation') throw answerError(400, 'Unable to create job type named "validation"')
  const configuration = demandConfiguration(world, wish.configuration ?? {}, manifest).configuration
  return world.commit(tx => {
    const id = tx.next('scale.job-type')
    const type: JobType = {
      id,
      name: manifest.name,
      version: manifest.version,
      isSystem: false,
      createdAt: tx.now,
      manifest,
      image: wish.image,
      revision: 1,
      configuration,
      iconCode: wish.iconCode ?? null,
      maxScheduled: wish.maxScheduled ?? null,
      isActive: wish.isActive ?? true,
      isPaused: wish.isPaused ?? false,
      isPublished: wish.isPublished ?? false,
      deprecatedAt: wish.isActive === false ? tx.now : null,
      pausedAt: wish.isPaused ? tx.now : null,
      modifiedAt: tx.now,
    }
    saveRevision(world, tx, type)
    return { created: type }
  })
}

/** Edits a job type; answers with the warnings. */
export async function editJobType(
  world: World,
  given: JobType,
  wish: JobTypeWish,
): Promise<readonly Problem[]> {
  const { autoUpdate: _, isPaused: __, ...others } = wish
  if (given.isSystem && Object.keys(others).length > 0)
    throw answerError(400, 'You can only modify the is_paused field for a System Job')
  const read = wish.manifest ? demandManifest(wish.manifest) : undefined
  const manifest = read?.manifest ?? given.manifest
  if (manifest.name !== given.name)
    throw answerError(
      400,
      `Manifest name ${manifest.name} does not match current Job Type name ${given.name}.`,
    )
  if (manifest.version !== given.version)
    throw answerError(
      400,
      `Manifest version ${manifest.version} does not match current Job Type version ${given.version}.`,
    )
  const checked =
    wish.configuration || read
      ? demandConfiguration(world, wish.configuration, manifest, given.configuration)
      : undefined
  const warnings = [...(checked?.warnings ?? []), ...(read?.warnings ?? [])]
  const isNew = wish.manifest !== undefined || wish.image !== undefined
  await world.commit(tx => {
    const type = world.catalog.jobTypes.get(given.id)!
    const next: JobType = {
      ...type,
      manifest,
      image: wish.image ?? type.image,
      revision: type.revision + (isNew ? 1 : 0),
      configuration: checked?.configuration ?? type.configuration,
      iconCode: wish.iconCode === undefined ? type.iconCode : wish.iconCode,
      maxScheduled: wish.maxScheduled === undefined ? type.maxScheduled : wish.maxScheduled,
      isPublished: wish.isPublished ?? type.isPublished,
      isActive: wish.isActive ?? type.isActive,
      deprecatedAt: deprecatedSince(type, wish.isActive, tx.now),
      isPaused: wish.isPaused ?? type.isPaused,
      pausedAt: onSince(type.pausedAt, wish.isPaused, tx.now),
      modifiedAt: tx.now,
    }
    if (isNew) saveRevision(world, tx, next)
    else world.save(tx, { kind: 'job-type', value: next })
    if (isNew && wish.autoUpdate) followJobType(world, tx, next)
    if (wish.isActive === false) {
      const containing = world.catalog.recipeTypesWithJobType(type.name, type.version)
      const names = deprecateContaining(world, tx, containing)
      if (names.length > 0) warnings.push(deprecatedWarning(names, 'job type'))
    }
  })
  if (wish.isPaused !== undefined && wish.isPaused !== given.isPaused)
    await world.follower.holdType(given.id, wish.isPaused)
  return warnings
}

/** Reads a configuration of a recipe or job; refuses with the given prefix. */
export function demandOverrides(document: JsonObject, prefix: string): Configuration {
  const reading = readConfiguration(document)
  if (!reading.ok) throw answerError(400, `${prefix}${reading.problems[0]!.description}`)
  return reading.value
}

function saveRevision(world: World, tx: Tx, type: JobType): void {
  const revision: JobTypeRevision = {
    id: tx.next('scale.job-type-revision'),
    typeId: type.id,
    revision: type.revision,
    image: type.image,
    manifest: type.manifest,
    createdAt: tx.now,
  }
  world.save(tx, { kind: 'job-type-revision', value: revision }, { kind: 'job-type', value: type })
  for (const error of type.manifest.errors) {
    const known = world.catalog.errorNamed(error.name, type.name)
    const entry: ErrorEntry = {
      // The built-in errors have the first numbers.
      id: known?.id ?? tx.next('scale.error') + world.catalog.builtInErrorCount,
      name: error.name,
      title: error.title,
      description: error.description,
      jobTypeName: type.name,
      category: categoryOf(error),
      isBuiltIn: false,
      isRetried: false,
      createdAt: known?.createdAt ?? tx.now,
      modifiedAt: tx.now,
    }
    world.save(tx, { kind: 'error', value: entry })
  }
}

function demandManifest(document: JsonObject): { manifest: Manifest; warnings: readonly Problem[] } {
  const { manifest, errors, warnings } = readManifest(document)
  if (!manifest) throw answerError(400, `Seed Manifest invalid: ${errors[0]!.description}`)
  return { manifest, warnings }
}

function demandConfiguration(
  world: World,
  document: JsonObject | undefined,
  manifest: Manifest,
  current: Configuration = emptyConfiguration,
): { configuration: Configuration; warnings: readonly Problem[] } {
  const configuration = document ? demandOverrides(document, 'Job type configuration invalid: ') : current
  const { errors, warnings } = checkConfiguration(configuration, manifest, name =>
    workspaceState(world, name),
  )
  if (errors[0]) throw answerError(400, `Job type configuration invalid: ${errors[0].description}`)
  return { configuration, warnings }
}

function workspaceState(world: World, name: string): 'active' | 'deprecated' | undefined {
  const workspace = world.catalog.workspaceNamed(name)
  return workspace && (workspace.isActive ? 'active' : 'deprecated')
}
