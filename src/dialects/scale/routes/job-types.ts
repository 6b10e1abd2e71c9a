// Job types: list, create, edit, revisions, names, validation (contracts/scale.md §4.4).

import type { JsonObject } from '../../../core/json.ts'
import type { Problem } from '../../../domains/recipe/problem.ts'
import { createJobType, editJobType, type JobTypeWish, validateJobType } from '../catalog/edit-job-type.ts'
import type { JobType } from '../catalog/things.ts'
import { showJobType, showJobTypeBase, showJobTypeDetails, showJobTypeRevision } from '../shapes/catalog.ts'
import { answerError, notFound } from '../web/answer-error.ts'
import { pageOf, readPage } from '../web/page.ts'
import type { Params } from '../web/params.ts'
import { type Call, pathNumber, type Route } from '../web/routing.ts'
import type { World } from '../world.ts'

const fields = [
  'is_published',
  'docker_image',
  'configuration',
  'icon_code',
  'auto_update',
  'is_paused',
  'manifest',
  'is_active',
  'max_scheduled',
]

/** The routes of job types. */
export function jobTypeRoutes(world: World): Route[] {
  return [
    {
      method: 'GET',
      path: '/job-types',
      handle: async call => {
        const types = [...world.catalog.jobTypes.values()]
          .filter(filterOf(call.params))
          .toSorted(byNameAndVersion)
        return { status: 200, body: await pageOf(readPage(call.params), call.address, types, showJobType) }
      },
    },
    {
      method: 'POST',
      path: '/job-types',
      handle: async call => {
        const { params } = call
        refuseUnknown(params)
        const image = params.text('docker_image') ?? String(params.required('docker_image'))
        const manifest = params.requiredObject('manifest')
        const outcome = await createJobType(world, { ...readWish(params), image, manifest })
        if ('warnings' in outcome) return { status: 200, body: showVerdict([], outcome.warnings) }
        const type = outcome.created
        const location = `${call.base}/job-types/${type.name}/${type.version}/`
        return { status: 201, headers: { location }, body: showJobTypeDetails(type, world.catalog) }
      },
    },
    {
      method: 'POST',
      path: '/job-types/validation',
      right: 'read',
      handle: call => {
        const manifest = call.params.requiredObject('manifest')
        const { errors, warnings } = validateJobType(
          world,
          manifest,
          call.params.requiredObject('configuration'),
        )
        return { status: 200, body: showVerdict(errors, warnings) }
      },
    },
    {
      method: 'GET',
      path: '/job-type-names',
      handle: async call => {
        const types = [...world.catalog.jobTypes.values()]
          .filter(filterOf(call.params))
          .toSorted(byNameAndVersion)
        const groups = [...Map.groupBy(types, type => type.name).values()]
        return { status: 200, body: await pageOf(readPage(call.params), call.address, groups, showNames) }
      },
    },
    {
      method: 'GET',
      path: '/job-types/:name',
      handle: async call => {
        const isActive = call.params.flag('is_active')
        const versions = [...world.catalog.jobTypes.values()]
          .filter(
            type => type.name === call.path['name'] && (isActive === undefined || type.isActive === isActive),
          )
          .toSorted((a, b) => -byNameAndVersion(a, b))
        return { status: 200, body: await pageOf(readPage(call.params), call.address, versions, showJobType) }
      },
    },
    {
      method: 'GET',
      path: '/job-types/:name/:version',
      handle: call => ({ status: 200, body: showJobTypeDetails(typeOf(world, call), world.catalog) }),
    },
    {
      method: 'PATCH',
      path: '/job-types/:name/:version',
      handle: async call => {
        const type = typeOf(world, call)
        refuseUnknown(call.params)
        return { status: 200, body: showVerdict([], await editJobType(world, type, readWish(call.params))) }
      },
    },
    {
      method: 'GET',
      path: '/job-types/:name/:version/revisions',
      handle: async call => {
        const type = world.catalog.jobTypeNamed(call.path['name']!, call.path['version']!)
        const revisions = type ? world.catalog.jobTypeRevisionsOf(type) : []
        const show = (revision: (typeof revisions)[number]): JsonObject =>
          showJobTypeRevision(revision, type!)
        return { status: 200, body: await pageOf(readPage(call.params), call.address, revisions, show) }
      },
    },
    {
      method: 'GET',
      path: '/job-types/:name/:version/revisions/:number',
      handle: call => {
        const type = typeOf(world, call)
        const revision = world.catalog.jobTypeRevision(type.id, pathNumber(call, 'number'))
        if (!revision) throw notFound()
        return { status: 200, body: showJobTypeRevision(revision, type, { manifest: true }) }
      },
    },
  ]
}

/** The answer of a validation. Places are told only to those who ask: `?pointers=true`. */
export function showVerdict(
  errors: readonly Problem[],
  warnings: readonly Problem[],
  options: { pointers?: boolean } = {},
): JsonObject {
  const show = ({ name, description, pointer }: Problem): JsonObject => ({
    name,
    description,
    ...(options.pointers && pointer !== undefined && { pointer }),
  })
  return { is_valid: errors.length === 0, errors: errors.map(show), warnings: warnings.map(show) }
}

/** By name, then by version, the smaller first. */
export function byNameAndVersion(a: JobType, b: JobType): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1
  return compareVersions(a.version, b.version)
}

function compareVersions(a: string, b: string): number {
  const [left, right] = [a.split(/[.+-]/), b.split(/[.+-]/)]
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const [one, other] = [left[at] ?? '', right[at] ?? '']
    if (one === other) continue
    if (/^\d+$/.test(one) && /^\d+$/.test(other)) return Number(one) - Number(other)
    // A version that goes on, as in 1.0.0-beta, comes before the one it leads to.
    if (one === '' || other === '') return one === '' ? 1 : -1
    return one < other ? -1 : 1
  }
  return 0
}

function filterOf(params: Params): (type: JobType) => boolean {
  const keywords = params.texts('keyword')?.map(word => word.toLowerCase())
  const ids = params.integers('id')
  const [isActive, isSystem] = [params.flag('is_active'), params.flag('is_system')]
  return type => {
    const { name, manifest } = type
    const words = [name, manifest.title, manifest.description, ...manifest.tags].map(text =>
      text.toLowerCase(),
    )
    return (
      (!keywords || keywords.some(keyword => words.some(word => word.includes(keyword)))) &&
      (!ids || ids.includes(type.id)) &&
      (isActive === undefined || type.isActive === isActive) &&
      (isSystem === undefined || type.isSystem === isSystem)
    )
  }
}

function showNames(versions: readonly JobType[]): JsonObject {
  const latest = versions.at(-1)!
  const { id: _, version: __, ...base } = showJobTypeBase(latest)
  return { ...base, versions: versions.map(type => type.version), latest_version: latest.version }
}

function typeOf(world: World, call: Call): JobType {
  const type = world.catalog.jobTypeNamed(call.path['name'] ?? '', call.path['version'] ?? '')
  if (!type) throw notFound()
  return type
}

function refuseUnknown(params: Params): void {
  const unknown = Object.keys(params.body).find(name => !fields.includes(name))
  if (unknown === undefined) return
  const list = fields.map(name => `'${name}'`).join(', ')
  throw answerError(400, `${unknown} is not a valid field. Valid fields are: {${list}}`)
}

function readWish(params: Params): JobTypeWish {
  const [image, manifest, configuration] = [
    params.text('docker_image'),
    params.object('manifest'),
    params.object('configuration'),
  ]
  const [isPublished, isActive, isPaused] = [
    params.flag('is_published'),
    params.flag('is_active'),
    params.flag('is_paused'),
  ]
  const [iconCode, maxScheduled] = [params.text('icon_code'), params.integer('max_scheduled')]
  const clears = (name: string): boolean => Object.hasOwn(params.body, name) && params.body[name] === null
  if (maxScheduled !== undefined && maxScheduled < 1)
    throw answerError(400, 'Parameter "max_scheduled" must be at least 1; null means no limit')
  return {
    autoUpdate: params.flag('auto_update') ?? true,
    ...(image !== undefined && { image }),
    ...(manifest && { manifest }),
    ...(configuration && { configuration }),
    ...(isPublished !== undefined && { isPublished }),
    ...(isActive !== undefined && { isActive }),
    ...(isPaused !== undefined && { isPaused }),
    ...(iconCode !== undefined ? { iconCode } : clears('icon_code') ? { iconCode: null } : {}),
    ...(maxScheduled !== undefined
      ? { maxScheduled }
      : clears('max_scheduled')
        ? { maxScheduled: null }
        : {}),
  }
}
