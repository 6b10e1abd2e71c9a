// The bodies of modify and anonymize calls, to what domains/dicom/modify is told. Rules and sentences:
// contracts/orthanc.md §3.5 and §3.6.

import { isObject, type Json } from '../../../core/json.ts'
import type { Dictionary } from '../../../domains/dicom/dictionary/dictionary.ts'
import { type Level, levels } from '../../../domains/dicom/levels.ts'
import type { Modification } from '../../../domains/dicom/modify/modification.ts'
import { levelTags } from '../../../domains/dicom/modify/modify.ts'
import { isEdition, profileOf } from '../../../domains/dicom/modify/profiles.ts'
import { readTagPath, type TagPath } from '../../../domains/dicom/modify/tag-path.ts'
import { type Tag, tags, tagText } from '../../../domains/dicom/tag.ts'
import { codes, fail } from '../errors.ts'
import { flag } from '../read-json.ts'

type Body = Readonly<Record<string, unknown>>

/** What a request says, before a seed and a level are added. */
export type Wishes = Omit<Modification, 'seed' | 'level' | 'defaultTerm'>

/** How the product names itself in DeidentificationMethod. */
const product = 'Switchyard'

/** What a request wants modified. */
export function readModification(body: Body, dictionary: Dictionary): Wishes {
  const removesPrivate = optionalFlag(body, 'RemovePrivateTags') ?? false
  const { removed, replaced, kept } = readTags(body, dictionary)
  const keeps = topTags(kept)
  return {
    isAnonymization: false,
    removes: topTags(removed).filter(tag => !keeps.includes(tag)),
    removeRanges: [],
    clears: [],
    replaces: topValues(replaced).filter(([tag]) => !keeps.includes(tag)),
    newUids: [],
    keeps,
    keepPaths: kept,
    removePaths: removed.filter(isInner),
    replacePaths: replaced.filter(([path]) => isInner(path)),
    removesPrivate,
    ...readCreator(body),
  }
}

/** `isNamed`: the request itself says what becomes of the name of the patient. */
export function readAnonymization(body: Body, dictionary: Dictionary): { wishes: Wishes; isNamed: boolean } {
  const version = body['DicomVersion'] ?? '2021b'
  if (typeof version !== 'string') fail(codes.badFormat, 'Member "DicomVersion" should be a string')
  if (!isEdition(version))
    fail(codes.outOfRange, `Unknown specific version of the DICOM standard: ${version}`)
  const profile = profileOf(version)
  const keepsPrivate = optionalFlag(body, 'KeepPrivateTags') ?? false
  const { removed, replaced, kept } = readTags(body, dictionary)

  const keeps = topTags(kept)
  const removes = topTags(removed).filter(tag => !keeps.includes(tag))
  const values = topValues(replaced).filter(([tag]) => !keeps.includes(tag))
  const given = new Set<Tag>([...removes, ...values.map(([tag]) => tag), ...keeps])
  // Whoever changes what the profile says is told nothing about the profile: contracts/orthanc.md §3.6.
  const isPure = !keepsPrivate && removed.length + replaced.length + kept.length === 0
  const marks: [Tag, Json][] = [[tags.PatientIdentityRemoved, 'YES']]
  if (isPure) marks.push([tags.DeidentificationMethod, `${product} - ${profile.method}`])
  return {
    isNamed: given.has(tags.PatientName),
    wishes: {
      isAnonymization: true,
      removes: [...profile.removes.filter(tag => !given.has(tag)), ...removes],
      removeRanges: profile.removeRanges,
      clears: profile.clears.filter(tag => !given.has(tag)),
      replaces: [...marks.filter(([tag]) => !given.has(tag)), ...values],
      newUids: profile.newUids.filter(tag => !given.has(tag)),
      keeps,
      keepPaths: kept,
      removePaths: removed.filter(isInner),
      replacePaths: replaced.filter(([path]) => isInner(path)),
      removesPrivate: !keepsPrivate,
      ...readCreator(body),
    },
  }
}

/** Which identifiers a modification of a level must and may not set. */
export function checkLevel(wishes: Wishes, level: Level): void {
  const replaced = new Set(wishes.replaces.map(([tag]) => tag))
  if (level === 'patient') {
    const isMapped = wishes.isAnonymization && !wishes.keeps.includes(tags.PatientID)
    if (!isMapped && !replaced.has(tags.PatientID)) {
      fail(codes.badRequest, 'When modifying a patient, her PatientID is required to be modified')
    }
    return
  }
  const noun = level === 'instance' ? 'an instance' : `a ${level}`
  for (const above of levels.slice(0, levels.indexOf(level))) {
    if (!replaced.has(levelTags[above])) continue
    const name = identifierNames[above]
    fail(codes.badRequest, `When modifying ${noun}, the parent ${name} cannot be manually modified`)
  }
}

/** An instance alone is modified at the highest level whose identifier is replaced. */
export function levelOfInstance(wishes: Wishes): Level {
  const replaced = new Set(wishes.replaces.map(([tag]) => tag))
  return levels.find(level => replaced.has(levelTags[level])) ?? 'instance'
}

const identifierNames: Readonly<Record<Level, string>> = {
  patient: 'PatientID',
  study: 'StudyInstanceUID',
  series: 'SeriesInstanceUID',
  instance: 'SOPInstanceUID',
}

const identifiers: ReadonlySet<Tag> = new Set(levels.map(level => levelTags[level]))

/** The elements that a request names, as far as they may be named. */
function readTags(body: Body, dictionary: Dictionary) {
  const force = optionalFlag(body, 'Force') ?? false
  const removed = readPaths(body, 'Remove', dictionary)
  const replaced = readValues(body, dictionary)
  const kept = readPaths(body, 'Keep', dictionary)
  refuseRemovals(removed)
  refuseWithoutForce(
    replaced.map(([path]) => path),
    'replaced',
    force,
    dictionary,
  )
  refuseWithoutForce(kept, 'kept', force, dictionary)
  return { removed, replaced, kept }
}

function optionalFlag(body: Body, name: string): boolean | undefined {
  const value = body[name]
  if (value !== undefined && typeof value !== 'boolean') {
    fail(codes.badFormat, `Member "${name}" should be a Boolean value`)
  }
  return value
}

function readCreator(body: Body): { privateCreator?: string } {
  const creator = body['PrivateCreator']
  if (creator === undefined) return {}
  if (typeof creator !== 'string') fail(codes.badFormat, 'Member "PrivateCreator" should be a string')
  return { privateCreator: creator }
}

function readPaths(body: Body, name: string, dictionary: Dictionary): TagPath[] {
  const list = body[name]
  if (list === undefined) return []
  if (!Array.isArray(list) || !list.every(item => typeof item === 'string')) fail(codes.badRequest)
  return list.map(text => readTagPath(text, dictionary))
}

function readValues(body: Body, dictionary: Dictionary): (readonly [TagPath, Json])[] {
  const values = body['Replace']
  if (values === undefined) return []
  if (!isObject(values)) fail(codes.badRequest)
  return Object.entries(values).map(([name, value]) => {
    const path = readTagPath(name, dictionary)
    if (typeof value !== 'string' && !isListOfObjects(value)) {
      fail(codes.badType, `Bad Parameter type for tag ${tagText(path.tag)}`)
    }
    return [path, value as Json]
  })
}

function isListOfObjects(value: unknown): boolean {
  return Array.isArray(value) && value.every(isObject)
}

function refuseRemovals(paths: readonly TagPath[]): void {
  if (paths.some(path => !isInner(path) && identifiers.has(path.tag))) fail(codes.badRequest)
}

function refuseWithoutForce(
  paths: readonly TagPath[],
  what: 'replaced' | 'kept',
  force: boolean,
  dictionary: Dictionary,
): void {
  const path = force ? undefined : paths.find(each => !isInner(each) && identifiers.has(each.tag))
  if (!path) return
  const name = dictionary.nameOf(path.tag)
  const why = `Marking tag "${name}" as to be ${what} requires the "Force" option to be set to true`
  fail(codes.badRequest, why)
}

function isInner(path: TagPath): boolean {
  return path.within.length > 0
}

function topTags(paths: readonly TagPath[]): Tag[] {
  return paths.filter(path => !isInner(path)).map(path => path.tag)
}

function topValues(values: readonly (readonly [TagPath, Json])[]): [Tag, Json][] {
  return values.filter(([path]) => !isInner(path)).map(([path, value]) => [path.tag, value])
}

/** `KeepSource`, whose default is the call's. */
export function readKeepSource(body: Body, usual: boolean): boolean {
  return flag(body, 'KeepSource') ?? usual
}
