// JSON of resources, jobs and changes, as clients of the original read it.

import type { Job } from '../../core/job.ts'
import { isObject, type JsonObject } from '../../core/json.ts'
import type { Dictionary } from '../../domains/dicom/dictionary/dictionary.ts'
import { type Level, levelNames } from '../../domains/dicom/levels.ts'
import type { TagForm } from '../../domains/dicom/show-tags.ts'
import { metaText, type Resource } from '../../domains/dicom/store/bodies.ts'
import { fileOf, indexInSeries, seriesStatus } from '../../domains/dicom/store/browse.ts'
import type { Change } from '../../domains/dicom/store/change-log.ts'
import { dicomTime } from '../../domains/dicom/store/time.ts'
import type { MainTags } from '../../domains/dicom/summary.ts'
import { tagFromHex } from '../../domains/dicom/tag.ts'
import { messageOf } from './errors.ts'
import type { House } from './house.ts'
import { errorCode, errorDetails, jobTypes, makesArchive, stateWord } from './words.ts'

export const levelPaths: Readonly<Record<Level, string>> = {
  patient: 'patients',
  study: 'studies',
  series: 'series',
  instance: 'instances',
}

/** Where a resource is, below the root of the API. */
export function pathOfResource(level: Level, id: string): string {
  return `/${levelPaths[level]}/${id}`
}

/** `{"ID", "Path", "Type"}` */
export function showReference(level: Level, id: string): JsonObject {
  return { ID: id, Path: pathOfResource(level, id), Type: levelNames[level] }
}

/** Sizes are texts, with their megabytes beside them. */
export function showSize(name: string, bytes: number): JsonObject {
  return { [name]: String(bytes), [`${name}MB`]: Math.floor(bytes / 1_048_576) }
}

/** The main tags of a resource, by name or however they are asked for. */
export function showMainTags(main: MainTags, form: TagForm, dictionary: Dictionary): JsonObject {
  const shown: JsonObject = {}
  for (const [text, value] of Object.entries(main)) {
    const name = dictionary.nameOf(tagFromHex(text)!)
    if (form === 'simplified') shown[name] = value
    else shown[text] = form === 'short' ? value : { Name: name, Type: 'String', Value: value }
  }
  return shown
}

/** A resource with its main tags, its parent and its children. */
export async function showResource(
  house: House,
  resource: Resource,
  form: TagForm = 'simplified',
): Promise<JsonObject> {
  const { level, id, parent, body } = resource
  const { browse, stability } = house.archive
  const shown: JsonObject = { ID: id }
  for (const origin of ['AnonymizedFrom', 'ModifiedFrom'] as const) {
    const from = metaText(body, origin)
    if (from !== undefined) shown[origin] = from
  }
  shown['MainDicomTags'] = showMainTags(body.main, form, house.dictionary)
  shown['Type'] = levelNames[level]
  if (level === 'instance') {
    const file = fileOf(resource)
    shown['FileSize'] = file.sizeBytes
    shown['FileUuid'] = file.uuid
    shown['IndexInSeries'] = indexInSeries(resource) ?? null
    shown['ParentSeries'] = parent
    return shown
  }
  const lastAt = stability.lastAt(id)
  shown['IsStable'] = stability.isStable(id)
  shown['LastUpdate'] = lastAt === undefined ? (metaText(body, 'LastUpdate') ?? '') : dicomTime(lastAt)
  if (level === 'patient') shown['Studies'] = await browse.childIds(resource)
  if (level === 'study') {
    shown['ParentPatient'] = parent
    const patient =
      body.patient ?? (parent === null ? undefined : await browse.get('patient', parent))?.body.main
    shown['PatientMainDicomTags'] = showMainTags(patient ?? {}, form, house.dictionary)
    shown['Series'] = await browse.childIds(resource)
  }
  if (level === 'series') {
    const expected = metaText(body, 'ExpectedNumberOfInstances')
    shown['ExpectedNumberOfInstances'] = expected === undefined ? null : Number(expected)
    shown['Instances'] = await browse.childIds(resource)
    shown['ParentStudy'] = parent
    shown['Status'] = await seriesStatus(browse, resource)
  }
  return shown
}

/** An entry of the log of changes. */
export function showChange({ seq, type, level, id, at }: Change): JsonObject {
  return {
    ChangeType: type,
    Date: dicomTime(at),
    ID: id,
    Path: pathOfResource(level, id),
    ResourceType: levelNames[level],
    Seq: seq,
  }
}

/** An upload's answer. */
export function showStored(
  ids: { patient: string; study: string; series: string; instance: string },
  isNew: boolean,
): JsonObject {
  return {
    ID: ids.instance,
    ParentPatient: ids.patient,
    ParentSeries: ids.series,
    ParentStudy: ids.study,
    Path: `/instances/${ids.instance}`,
    Status: isNew ? 'Success' : 'AlreadyStored',
  }
}

/** A job with all its members. */
export function showJob(job: Job, house: House): JsonObject {
  const now = house.kit.clock.now()
  const code = errorCode(job)
  const state = stateWord(job)
  const progress = progressOf(job, house)
  const runMs = runMsOf(job, now)
  const shown: JsonObject = {
    Content: contentOf(job),
    CreationTime: jobTime(job.createdAt),
    EffectiveRuntime: Math.round(runMs) / 1000,
    ErrorCode: code,
    ErrorDescription: messageOf(code),
    ErrorDetails: errorDetails(job),
    ID: job.id,
    Priority: -job.rank || 0,
    Progress: progress,
    State: state,
    Timestamp: jobTime(now),
    Type: jobTypes[job.kind] ?? job.kind,
  }
  if ((state === 'Success' || state === 'Failure') && job.endedAt !== null) {
    shown['CompletionTime'] = jobTime(job.endedAt)
  }
  if (state === 'Running' && progress > 1) {
    shown['EstimatedTimeOfArrival'] = jobTime(now + (runMs * (100 - progress)) / progress)
  }
  return shown
}

/** How far a job is, in percent. */
export function progressOf(job: Job, house: House): number {
  if (job.state === 'succeeded') return 100
  const fraction = house.kit.engine.progress(job.n)?.fraction
  if (typeof fraction === 'number') return Math.min(100, Math.round(fraction * 100))
  const noted = job.detail?.['progress']
  return typeof noted === 'number' ? noted : 0
}

/** What a job is about, and what came of it: also the answer of calls that wait for their job. */
export function contentOf(job: Job): JsonObject {
  const content = {
    Description: 'REST API',
    ...((job.detail?.['content'] ?? {}) as JsonObject),
    ...failuresOf(job),
  }
  if (!makesArchive(job)) return content
  const archiveBytes = job.detail?.['archiveBytes']
  return { ...content, ...showSize('ArchiveSize', typeof archiveBytes === 'number' ? archiveBytes : 0) }
}

/** Instances that failed, and sub-operations of moves; with DIMSE's own status where that was the reason. */
function failuresOf({ detail }: Job): JsonObject {
  const passage = detail?.['passage']
  const moved = detail?.['moved']
  const status = detail?.['dimseStatus']
  return {
    ...(isObject(passage) && Number(passage['failedCount']) > 0
      ? { FailedInstancesCount: passage['failedCount'] ?? 0, FailedInstances: passage['failures'] ?? [] }
      : {}),
    ...(isObject(moved)
      ? { CompletedSubOperations: moved['completed'] ?? 0, FailedSubOperations: moved['failed'] ?? 0 }
      : {}),
    ...(typeof status === 'number' ? { DimseErrorStatus: status } : {}),
  }
}

/** How long it ran; waiting does not count. */
function runMsOf(job: Job, now: number): number {
  if (job.startedAt === null) return 0
  if (job.endedAt !== null) return Math.max(0, job.endedAt - job.startedAt)
  return job.state === 'running' ? Math.max(0, now - job.startedAt) : 0
}

/** `20260131T235959.123456`, UTC. */
export function jobTime(at: number): string {
  return `${dicomTime(at)}.${String(Math.round((at % 1000) * 1000)).padStart(6, '0')}`
}
