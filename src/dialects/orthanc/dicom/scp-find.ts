// C-FIND: modalities ask what is here.

import { Refused } from '../../../core/refusal.ts'
import type { Level } from '../../../domains/dicom/levels.ts'
import { levels, mainTags } from '../../../domains/dicom/levels.ts'
import type { Message } from '../../../domains/dicom/network/association.ts'
import { commands, statuses } from '../../../domains/dicom/network/command.ts'
import {
  identifierBytesMax,
  readIdentifier,
  writeIdentifier,
} from '../../../domains/dicom/network/identifier.ts'
import { sopClasses } from '../../../domains/dicom/network/sop-classes.ts'
import { textOf, valuesOf } from '../../../domains/dicom/reading/value.ts'
import type { Resource } from '../../../domains/dicom/store/bodies.ts'
import { findResources } from '../../../domains/dicom/store/find.ts'
import { type Tag, tags, tagText } from '../../../domains/dicom/tag.ts'
import { readTexts } from '../files.ts'
import { defaultTerm, type House } from '../house.ts'
import type { Service } from './dicom-server.ts'
import { levelWords } from './queries.ts'
import { levelTag } from './service-client.ts'

const retrieveAetTag: Tag = 0x00080054

/** Counts that can be asked for: whose they are, and of what. */
const countTags: ReadonlyMap<Tag, { readonly of: Level; readonly counts: Level }> = new Map([
  [0x00201200, { of: 'patient', counts: 'study' }],
  [0x00201202, { of: 'patient', counts: 'series' }],
  [0x00201204, { of: 'patient', counts: 'instance' }],
  [0x00201206, { of: 'study', counts: 'series' }],
  [0x00201208, { of: 'study', counts: 'instance' }],
  [0x00201209, { of: 'series', counts: 'instance' }],
])
const classesTag: Tag = 0x00080062

/** A question as it came: the level, and the tags with their texts. */
export interface Question {
  readonly level: Level
  readonly keys: readonly (readonly [Tag, string])[]
}

/** Reads the identifier of a find, move or get; undefined when it is none. */
export async function readQuestion(house: House, { context, data }: Message): Promise<Question | undefined> {
  const bytes = await data?.whole(identifierBytesMax)
  if (!bytes) return undefined
  let set: ReturnType<typeof readIdentifier>
  try {
    set = readIdentifier(bytes, { dictionary: house.dictionary, transferSyntax: context.transferSyntax })
  } catch (error) {
    if (error instanceof Refused) return undefined
    throw error
  }
  const { values } = valuesOf(set, defaultTerm(house))
  const word = textOf(set.elements, levelTag, values)?.trim()
  const level = (Object.keys(levelWords) as Level[]).find(each => levelWords[each] === word)
  if (!level) return undefined
  const keys = set.elements
    .filter(({ tag }) => tag !== levelTag && tag !== tags.SpecificCharacterSet && tag % 0x10000 !== 0)
    .map(({ tag, items }): [Tag, string] => [tag, items ? '' : (textOf(set.elements, tag, values) ?? '')])
  return { level, keys }
}

export const findScp: Service = async (house, association, message, _peer) => {
  const { command, context } = message
  const messageId = command.messageId ?? 0
  const affectedClass = command.affectedClass ?? sopClasses.studyFind
  const done = house.meters.time('orthanc_find_scp_duration_ms')
  const answer = (status: number, data?: Uint8Array): Promise<void> =>
    association.send(context, { field: commands.findRsp, respondsTo: messageId, affectedClass, status }, data)
  try {
    const question = await readQuestion(house, message)
    if (!question || (question.level === 'patient' && affectedClass === sopClasses.studyFind)) {
      return await answer(statuses.mismatch)
    }
    const { findLimit, findInstancesLimit } = house.settings
    const limit = (question.level === 'instance' ? findInstancesLimit : findLimit) || Number.POSITIVE_INFINITY
    let count = 0
    for await (const resource of search(house, question)) {
      if (association.takeCancel(messageId)) return await answer(statuses.cancelled)
      await answer(
        statuses.pending,
        writeIdentifier(await describe(house, resource, question), {
          dictionary: house.dictionary,
          transferSyntax: context.transferSyntax,
          terms: [answerTerm],
        }),
      )
      if (++count >= limit) break
    }
    await answer(statuses.success)
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    house.kit.log.warn({ err: error }, 'a C-FIND could not be answered')
    await answer(statuses.unprocessable)
  } finally {
    done()
  }
}

/** Answers are in Unicode: whatever set a file was written in, its names can be told in it. */
const answerTerm = 'ISO_IR 192'

/** What a question finds. */
export function search(house: House, { level, keys }: Question): AsyncGenerator<Resource> {
  const asked = keys.filter(
    ([tag, text]) => text !== '' && !countTags.has(tag) && tag !== retrieveAetTag && tag !== classesTag,
  )
  return findResources(
    house.archive.browse,
    { level, query: asked, isCaseSensitive: house.settings.isCaseSensitive },
    {
      dictionary: house.dictionary,
      readTags: (instance, wanted) => readTexts(house, instance, wanted),
    },
  )
}

/** The values of the tags that were asked for. */
async function describe(house: House, resource: Resource, question: Question): Promise<[Tag, string][]> {
  const found = new Map<Tag, string>([
    [tags.SpecificCharacterSet, answerTerm],
    [levelTag, levelWords[question.level]],
    [retrieveAetTag, house.settings.dicomAet],
  ])
  const others: Tag[] = []
  for (const [tag] of question.keys) {
    if (found.has(tag)) continue
    const value = (await indexed(house, resource, tag)) ?? (await summed(house, resource, tag))
    if (value === undefined && !isBelow(question.level, tag)) others.push(tag)
    found.set(tag, value ?? '')
  }
  if (others.length === 0) return [...found]
  const instance = await house.archive.browse.firstInstance(resource)
  const texts = instance ? await readTexts(house, instance, others) : new Map<Tag, string>()
  for (const [tag, text] of texts) found.set(tag, text)
  return [...found]
}

/**
 * Whether a tag tells of something below a level. One of many instances does not speak for the resource: clients that
 * hand an answer back to be retrieved would get no more than that one.
 */
function isBelow(level: Level, tag: Tag): boolean {
  const at = levels.findIndex(each => mainTags[each].includes(tag))
  return at > levels.indexOf(level)
}

async function indexed(house: House, resource: Resource, tag: Tag): Promise<string | undefined> {
  for (const level of ['patient', 'study', 'series', 'instance'] as const) {
    if (!mainTags[level].includes(tag)) continue
    const at = await house.archive.browse.ancestor(resource, level)
    const value = at?.body.main[tagText(tag)]
    if (value !== undefined) return value
  }
  return undefined
}

/** Counts and lists over what is below. */
async function summed(house: House, resource: Resource, tag: Tag): Promise<string | undefined> {
  const { browse } = house.archive
  const asked = countTags.get(tag)
  if (asked) {
    const counted = await browse.ancestor(resource, asked.of)
    if (!counted) return ''
    let count = 0
    for await (const _ of browse.descendants(counted, asked.counts)) count++
    return String(count)
  }
  const seen = new Set<string>()
  if (tag === tags.ModalitiesInStudy) {
    for await (const series of browse.descendants(resource, 'series'))
      seen.add(series.body.main['0008,0060'] ?? '')
  } else if (tag === classesTag) {
    for await (const instance of browse.descendants(resource, 'instance'))
      seen.add(instance.body.meta[10]?.[0] ?? '')
  } else return undefined
  seen.delete('')
  return [...seen].join('\\')
}
