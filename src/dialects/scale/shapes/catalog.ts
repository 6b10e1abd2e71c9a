// Job types, recipe types, revisions, workspaces and errors as clients read them (contracts/scale.md §4).

import type { JsonObject } from '../../../core/json.ts'
import { showDefinition } from '../../../domains/recipe/definition.ts'
import { showConfiguration } from '../../../domains/recipe/seed/configuration.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type {
  ErrorEntry,
  JobType,
  JobTypeRevision,
  RecipeType,
  RecipeTypeRevision,
  Workspace,
} from '../catalog/things.ts'
import { showTime } from '../web/time-text.ts'

/** The ten members by which a job type is shown everywhere. */
export function showJobTypeBase(type: JobType): JsonObject {
  return {
    id: type.id,
    name: type.name,
    version: type.version,
    title: type.manifest.title,
    description: type.manifest.description,
    is_active: type.isActive,
    is_system: type.isSystem,
    is_paused: type.isPaused,
    is_published: type.isPublished,
    icon_code: type.iconCode,
    unmet_resources: null,
  }
}

/** A job type in lists. `maxTries` cannot be set through this API. */
export function showJobType(type: JobType): JsonObject {
  return {
    ...showJobTypeBase(type),
    max_scheduled: type.maxScheduled,
    max_tries: maxTriesUsual,
    revision_num: type.revision,
    docker_image: type.image,
    created: showTime(type.createdAt),
    deprecated: showTime(type.deprecatedAt),
    paused: showTime(type.pausedAt),
    last_modified: showTime(type.modifiedAt),
  }
}

/** How often a job is tried when the system is to blame. */
export const maxTriesUsual = 3

/** A job type by itself. */
export function showJobTypeDetails(type: JobType, catalog: Catalog): JsonObject {
  return {
    ...showJobType(type),
    manifest: type.manifest.document,
    configuration: showConfiguration(type.configuration, secretsOf(type)),
    recipe_types: catalog.recipeTypesWithJobType(type.name, type.version).map(showRecipeTypeFull),
  }
}

/** The settings of a job type that nobody may read. */
export function secretsOf(type: Pick<JobType, 'manifest'>): Set<string> {
  return new Set(type.manifest.settings.filter(setting => setting.secret).map(setting => setting.name))
}

/** A job type's revision; lists leave the manifest out. */
export function showJobTypeRevision(
  revision: JobTypeRevision,
  type: JobType,
  options: { manifest?: boolean } = {},
): JsonObject {
  return {
    id: revision.id,
    job_type: showJobTypeBase(type),
    revision_num: revision.revision,
    docker_image: revision.image,
    created: showTime(revision.createdAt),
    ...(options.manifest && { manifest: revision.manifest.document }),
  }
}

/** The five members by which a recipe type is shown beside its recipes. */
export function showRecipeTypeBase(type: RecipeType): JsonObject {
  return {
    id: type.id,
    name: type.name,
    title: type.title,
    description: type.description,
    revision_num: type.revision,
  }
}

/** A recipe type with its times. */
export function showRecipeTypeFull(type: RecipeType): JsonObject {
  return {
    ...showRecipeTypeBase(type),
    is_active: type.isActive,
    is_system: type.isSystem,
    created: showTime(type.createdAt),
    deprecated: showTime(type.deprecatedAt),
    last_modified: showTime(type.modifiedAt),
  }
}

/** A recipe type in lists: with the names of what it contains. */
export function showRecipeType(type: RecipeType, catalog: Catalog): JsonObject {
  const parts = partsOf(type, catalog)
  return {
    ...showRecipeTypeFull(type),
    job_types: parts.jobTypes.map(({ name, version }) => ({ name, version })),
    sub_recipe_types: parts.recipeTypes.map(({ name }) => name),
  }
}

/** A recipe type by itself: the editor reads the interfaces of its nodes from here. */
export function showRecipeTypeDetails(type: RecipeType, catalog: Catalog): JsonObject {
  const parts = partsOf(type, catalog)
  return {
    ...showRecipeTypeFull(type),
    definition: showDefinition(catalog.currentRevision(type).definition),
    job_types: parts.jobTypes.map(jobType => showJobTypeDetails(jobType, catalog)),
    sub_recipe_types: parts.recipeTypes.map(showRecipeTypeFull),
    super_recipe_types: catalog.recipeTypesWithRecipeType(type.name).map(showRecipeTypeFull),
  }
}

/** A recipe type's revision; lists leave the definition out. */
export function showRecipeTypeRevision(
  revision: RecipeTypeRevision,
  type: RecipeType,
  options: { full?: boolean } = {},
): JsonObject {
  return {
    id: revision.id,
    recipe_type: options.full ? showRecipeTypeFull(type) : showRecipeTypeBase(type),
    revision_num: revision.revision,
    created: showTime(revision.createdAt),
    ...(options.full && { definition: showDefinition(revision.definition) }),
  }
}

/** The job types and recipe types that a revision's nodes name, each once. */
export function partsOf(
  type: RecipeType,
  catalog: Catalog,
  revision: RecipeTypeRevision = catalog.currentRevision(type),
): { jobTypes: JobType[]; recipeTypes: RecipeType[] } {
  const jobTypes = new Map<number, JobType>()
  const recipeTypes = new Map<number, RecipeType>()
  for (const { type: part } of revision.definition.nodes.values()) {
    const jobType = part.kind === 'job' ? catalog.jobTypeNamed(part.name, part.version) : undefined
    const recipeType = part.kind === 'recipe' ? catalog.recipeTypeNamed(part.name) : undefined
    if (jobType) jobTypes.set(jobType.id, jobType)
    if (recipeType) recipeTypes.set(recipeType.id, recipeType)
  }
  return { jobTypes: [...jobTypes.values()], recipeTypes: [...recipeTypes.values()] }
}

/** A workspace; lists leave the configuration out. */
export function showWorkspace(workspace: Workspace, options: { configuration?: boolean } = {}): JsonObject {
  return {
    id: workspace.id,
    name: workspace.name,
    title: workspace.title,
    description: workspace.description,
    base_url: workspace.baseUrl,
    is_active: workspace.isActive,
    created: showTime(workspace.createdAt),
    deprecated: showTime(workspace.deprecatedAt),
    last_modified: showTime(workspace.modifiedAt),
    ...(options.configuration && { configuration: workspace.configuration }),
  }
}

/** An error beside the job that has it. */
export function showErrorBase(error: ErrorEntry): JsonObject {
  return {
    id: error.id,
    name: error.name,
    title: error.title,
    description: error.description,
    job_type_name: error.jobTypeName,
    category: error.category,
    is_builtin: error.isBuiltIn,
    should_be_retried: error.isRetried,
  }
}

/** An error by itself. */
export function showError(error: ErrorEntry): JsonObject {
  return {
    ...showErrorBase(error),
    created: showTime(error.createdAt),
    last_modified: showTime(error.modifiedAt),
  }
}
