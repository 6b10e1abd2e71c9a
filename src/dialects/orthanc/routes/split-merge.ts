// Splitting studies and merging them: instances move to another study, by jobs that make them anew there.

import type { Json, JsonObject } from '../../../core/json.ts'
import { isObject } from '../../../core/json.ts'
import { sayTag } from '../../../domains/dicom/dictionary/dictionary.ts'
import { levelNames, moduleTags } from '../../../domains/dicom/levels.ts'
import { type Modification, plainModification } from '../../../domains/dicom/modify/modification.ts'
import type { Resource } from '../../../domains/dicom/store/bodies.ts'
import { fileOf } from '../../../domains/dicom/store/browse.ts'
import { type Tag, tags, tagText } from '../../../domains/dicom/tag.ts'
import { makeUid } from '../../../domains/dicom/uid.ts'
import type { Answer, Call } from '../call.ts'
import { codes, fail } from '../errors.ts'
import { defaultTerm, type House } from '../house.ts'
import { readKeepSource } from '../modify/read-request.ts'
import { collectSources, makeSeed, needResource, submitMaking } from '../modify/submit.ts'
import { texts } from '../read-json.ts'
import { answerJob, readJobOptions } from '../submitted-job.ts'
import type { Routes } from './route.ts'

type Body = Readonly<Record<string, unknown>>

/** What belongs to a study as a whole: it may change with a split, and is taken over by a merge. */
const studyTags: readonly Tag[] = [...moduleTags.patient, ...moduleTags.study]

export const splitMergeRoutes: Routes = (add, house) => {
  add('POST', '/studies/{id}/split', call => split(house, call))
  add('POST', '/studies/{id}/merge', call => merge(house, call))
}

async function split(house: House, call: Call): Promise<Answer> {
  const body = await call.object()
  const id = call.param('id')
  const study = await house.archive.browse.get('study', id)
  if (!study) fail(codes.unknownResource, `Cannot split unknown study ${id}`)
  const series = optionalTexts(body, 'Series')
  const instances = optionalTexts(body, 'Instances')
  if (series.length + instances.length === 0) {
    fail(codes.badRequest, 'Both the "Series" and the "Instances" fields are missing')
  }
  const parts: Resource[] = []
  for (const part of series) parts.push(await needPart(house, study, 'series', part))
  for (const part of instances) parts.push(await needPart(house, study, 'instance', part))
  const removes = optionalTexts(body, 'Remove', null).map(name => readStudyTag(house, name))
  const replaces = readReplacements(house, body)
  const uid = makeUid(house.kit.random)
  return regroup(house, call, {
    kind: 'dicom.split',
    ...{ body, parts },
    change: { removes, replaces: [...replaces, [tags.StudyInstanceUID, uid]] },
    content: { TargetStudyUID: uid },
  })
}

/** Submits the job that makes new series of these parts in another study. */
async function regroup(
  house: House,
  call: Call,
  wish: {
    kind: 'dicom.split' | 'dicom.merge'
    body: Body
    parts: readonly Resource[]
    change: Partial<Modification>
    content: JsonObject
  },
): Promise<Answer> {
  const { kind, body, parts, change, content } = wish
  const options = readJobOptions(body)
  const plain = plainModification({ seed: makeSeed(house), level: 'series', defaultTerm: defaultTerm(house) })
  const job = await submitMaking(house, call, {
    kind,
    plan: { change: { ...plain, ...change }, sources: await collectSources(house, parts) },
    rules: {
      level: 'study',
      isBulk: false,
      isAnonymization: false,
      keepsSource: readKeepSource(body, false),
    },
    ...{ options, content },
  })
  return answerJob(house, job, options)
}

async function needPart(
  house: House,
  study: Resource,
  level: 'series' | 'instance',
  id: string,
): Promise<Resource> {
  const part = (await house.archive.browse.get(level, id)) ?? fail(codes.unknownResource)
  const owner = await house.archive.browse.ancestor(part, 'study')
  if (owner?.id !== study.id) {
    fail(codes.unknownResource, `This ${level} does not belong to the study to be split: ${id}`)
  }
  return part
}

function readReplacements(house: House, body: Body): [Tag, Json][] {
  const given = body['Replace'] ?? {}
  if (!isObject(given)) fail(codes.badFormat)
  return Object.entries(given).map(([name, value]) => {
    const tag = readStudyTag(house, name)
    const isList = Array.isArray(value) && value.every(isObject)
    if (typeof value !== 'string' && !isList) {
      fail(codes.badType, `Bad Parameter type for tag ${tagText(tag)}`)
    }
    return [tag, value as Json]
  })
}

function readStudyTag(house: House, name: string): Tag {
  const tag = house.dictionary.readTag(name)
  if (tag === tags.StudyInstanceUID || !studyTags.includes(tag)) {
    const why = 'Cannot modify the following tag while splitting a study (not in the patient/study modules)'
    fail(codes.outOfRange, `${why}: ${sayTag(house.dictionary, tag)}`)
  }
  return tag
}

/** A list of texts that need not be there. `why`: what is said when it is something else; nothing for null. */
function optionalTexts(body: Body, name: string, why?: null): string[] {
  if (body[name] === undefined) return []
  if (why === undefined) return texts(body, name)
  const list = body[name]
  return Array.isArray(list) && list.every(item => typeof item === 'string') ? list : fail(codes.badFormat)
}

async function merge(house: House, call: Call): Promise<Answer> {
  const body = await call.object()
  const id = call.param('id')
  const { browse } = house.archive
  const target = await browse.get('study', id)
  const model = target && (await browse.firstInstance(target))
  if (!target || !model) return fail(codes.unknownResource, `Cannot merge into an unknown study: ${id}`)
  const parts: Resource[] = []
  for (const part of texts(body, 'Resources')) parts.push(await needForeign(house, target, part))
  return regroup(house, call, {
    kind: 'dicom.merge',
    ...{ body, parts },
    change: { inherits: { hash: fileOf(model).hash, tags: studyTags } },
    content: { TargetStudy: target.id },
  })
}

/** A study, series or instance that does not belong to the target already. */
async function needForeign(house: House, target: Resource, id: string): Promise<Resource> {
  const resource = await needResource(house, id, `Cannot find this resource: ${id}`)
  const { level } = resource
  if (level === 'patient') {
    const why = 'This resource is neither a study, nor a series, nor an instance'
    fail(codes.unknownResource, `${why}: ${id} is a ${levelNames[level]}`)
  }
  if (id === target.id) fail(codes.unknownResource, `Cannot merge a study into the same study: ${id}`)
  const owner = await house.archive.browse.ancestor(resource, 'study')
  if (owner?.id === target.id) {
    fail(codes.unknownResource, `Cannot merge ${level} ${id} into its parent study ${target.id}`)
  }
  return resource
}
