// Modalities: what is known of them, and what can be asked of them.

import { isObject, type Json, type JsonObject } from '../../../core/json.ts'
import { type Level, levelNames } from '../../../domains/dicom/levels.ts'
import { readDataSetAsync } from '../../../domains/dicom/reading/reader.ts'
import { memorySource } from '../../../domains/dicom/reading/source.ts'
import { textOf, valuesOf } from '../../../domains/dicom/reading/value.ts'
import { type Tag, tags } from '../../../domains/dicom/tag.ts'
import { type Answer, type Call, emptyText, json, nothingToSay } from '../call.ts'
import { newTransaction } from '../dicom/commitment.ts'
import type { Caller } from '../dicom/dial.ts'
import { logExports } from '../dicom/exports.ts'
import { type Modality, readModality, showModality } from '../dicom/modality.ts'
import { askModality, type QueryTags, showAnswer } from '../dicom/queries.ts'
import { runTalk } from '../dicom/run-talk.ts'
import { echo, findWorklist, move } from '../dicom/service-client.ts'
import { StoreClient } from '../dicom/store-client.ts'
import { type StoreOrder, showOrder, storeKind } from '../dicom/store-job.ts'
import { codes, fail, OrthancError } from '../errors.ts'
import { defaultTerm, type House } from '../house.ts'
import { flag, parseLenient } from '../read-json.ts'
import { readJobOptions } from '../submitted-job.ts'
import type { Routes } from './route.ts'

const operations = [
  ...['configuration', 'echo', 'find', 'find-instance', 'find-patient', 'find-series', 'find-study'],
  ...['find-worklist', 'move', 'query', 'storage-commitment', 'store', 'store-straight'],
]

export const modalityRoutes: Routes = (add, house) => {
  const { modalities } = house.network
  add('GET', '/modalities', call => {
    const all = modalities.all()
    if (!call.has('expand')) return json(all.map(([name]) => name))
    return json(Object.fromEntries(all.map(([name, modality]) => [name, showModality(modality)])))
  })
  add('GET', '/modalities/{m}', call => (modalities.find(call.param('m')) ? json(operations) : undefined))
  add('GET', '/modalities/{m}/configuration', call => json(showModality(modalities.need(call.param('m')))))
  add('PUT', '/modalities/{m}', async call => {
    const body = parseLenient(await call.text())
    if (body === undefined) fail(codes.badFormat)
    await modalities.put(call.param('m'), readModality(body))
    return emptyText
  })
  add('DELETE', '/modalities/{m}', async call => {
    await modalities.drop(call.param('m'))
    return emptyText
  })
  add('POST', '/modalities/{m}/echo', async call => {
    const modality = modalities.need(call.param('m'))
    const text = await call.text()
    const body = text === '' ? {} : readBody(text, 'Cannot parse the JSON body')
    await echo(house, callerOf(house, modality, body), {
      checksFind: flag(body, 'CheckFind') ?? house.settings.network.echoChecksFind,
    })
    return nothingToSay
  })
  add('POST', '/tools/dicom-echo', async call => {
    const body = readBody(await call.text(), 'Cannot parse the JSON body')
    await echo(house, callerOf(house, readModality(body), body), {
      checksFind: flag(body, 'CheckFind') ?? house.settings.network.echoChecksFind,
    })
    return nothingToSay
  })
  add('POST', '/modalities/{m}/store', call => store(house, call))
  add('POST', '/modalities/{m}/store-straight', call => storeStraight(house, call))
  add('POST', '/modalities/{m}/move', call => moveNow(house, call))
  for (const level of ['patient', 'study', 'series', 'instance'] as const)
    add('POST', `/modalities/{m}/find-${level}`, call => findNow(house, call, level))
  add('POST', '/modalities/{m}/find', call => findTree(house, call))
  add('POST', '/modalities/{m}/find-worklist', async call => {
    const modality = modalities.need(call.param('m'))
    const question = readBody(await call.text(), 'Must provide a JSON object')
    const answers = await findWorklist(house, callerOf(house, modality, {}), question)
    return json(answers.map(answer => showAnswer(house, answer, 'simplified')))
  })
}

/** The body as an object, else the original's sentence. */
export function readBody(text: string, otherwise: string): Record<string, unknown> {
  const body = parseLenient(text)
  return isObject(body) ? (body as Record<string, unknown>) : fail(codes.badFormat, otherwise)
}

/** Whom to call by the members `LocalAet` and `Timeout` of a body. */
export function callerOf(house: House, modality: Modality, body: Readonly<Record<string, unknown>>): Caller {
  return {
    modality,
    localAet: textOr(body, 'LocalAet', house.settings.dicomAet),
    timeout: unsigned(body, 'Timeout'),
  }
}

function textOr(body: Readonly<Record<string, unknown>>, name: string, fallback: string): string {
  const value = body[name]
  if (value === undefined) return fallback
  return typeof value === 'string' ? value : fail(codes.badFormat, `String value expected in field: ${name}`)
}

function unsigned(body: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = body[name]
  if (value === undefined) return undefined
  return typeof value === 'number' && Number.isInteger(value) && value >= 0
    ? value
    : fail(codes.badFormat, `Unsigned integer value expected in field: ${name}`)
}

// ---- store ----

const idPattern = /^[0-9a-f]{8}(-[0-9a-f]{8}){4}$/

/** The resources of a call that sends some, and its other members; ids are checked. */
export function readResources(text: string): { ids: string[]; body: Record<string, unknown> } {
  const plain = text.trim()
  const body = idPattern.test(plain) ? plain : parseLenient(text)
  if (body === undefined) fail(codes.badFormat, 'Must provide a JSON value')
  let ids: unknown
  if (typeof body === 'string') ids = [body]
  else if (Array.isArray(body)) ids = body
  else if (isObject(body)) {
    ids = body['Resources']
    if (ids === undefined) fail(codes.badFormat, 'Missing field in JSON: "Resources"')
    if (!Array.isArray(ids)) fail(codes.badFormat, 'JSON field "Resources" must contain an array')
  } else fail(codes.badFormat, 'Must provide a JSON object, or a JSON array of strings')
  for (const id of ids as unknown[]) {
    if (typeof id !== 'string')
      fail(codes.badFormat, 'Resources to be exported must be specified as a JSON array of strings')
    if (!idPattern.test(id)) fail(codes.badFormat, `This string is not a valid Orthanc identifier: ${id}`)
  }
  return { ids: ids as string[], body: isObject(body) ? (body as Record<string, unknown>) : {} }
}

/** The instances of resources, each once, in the order of the resources. Unknown ones are error 17. */
export async function instancesOf(house: House, ids: readonly string[]): Promise<string[]> {
  const { browse } = house.archive
  const found = new Set<string>()
  for (const id of ids) {
    const resource = await browse.any(id)
    if (!resource) return fail(codes.unknownResource)
    for await (const instance of browse.descendants(resource, 'instance')) found.add(instance.id)
  }
  return [...found]
}

async function store(house: House, call: Call): Promise<Answer> {
  const name = call.param('m')
  const modality = house.network.modalities.need(name)
  const { ids, body } = readResources(await call.text())
  const options = readJobOptions(body)
  const caller = callerOf(house, modality, body)
  const originatorAet = textOr(body, 'MoveOriginatorAet', '')
  const originatorId = unsigned(body, 'MoveOriginatorID')
  if (originatorId !== undefined && originatorId > 0xffff) fail(codes.outOfRange)
  const instances = await instancesOf(house, ids)
  const transaction = flag(body, 'StorageCommitment') === true ? newTransaction(house) : undefined
  const order: StoreOrder = {
    caller,
    instances,
    isPermissive: options.isPermissive,
    ...(originatorAet === '' ? {} : { originator: { aet: originatorAet, id: originatorId ?? 0 } }),
    ...(transaction === undefined ? {} : { commitment: transaction }),
  }
  const content: JsonObject = {
    InstancesCount: instances.length,
    FailedInstancesCount: 0,
    ...(ids.length > 0 ? { ParentResources: ids } : {}),
    LocalAet: caller.localAet,
    RemoteAet: modality.aet,
    ...(originatorAet === ''
      ? {}
      : { MoveOriginatorAET: originatorAet, MoveOriginatorID: originatorId ?? 0 }),
    ...(transaction === undefined ? {} : { StorageCommitmentTransactionUID: transaction }),
  }
  await logExports(house, ids, name)
  return runTalk(house, call, options, {
    kind: storeKind,
    input: showOrder(order) as NonNullable<Json>,
    detail: { content },
    ...retryPolicy(name, modality),
  })
}

/** One destination's jobs share its slots; a failed one is tried again where the modality's entry says so. */
export function retryPolicy(name: string, modality: Pick<Modality, 'retries' | 'retryDelay'>) {
  return {
    labels: { destination: name },
    ...(modality.retries > 0
      ? { triesMax: modality.retries + 1, backoffMs: modality.retryDelay * 1000 }
      : {}),
  }
}

async function storeStraight(house: House, call: Call): Promise<Answer> {
  const modality = house.network.modalities.need(call.param('m'))
  const bytes = await call.bytes()
  const set = await readDataSetAsync(memorySource(bytes), { dictionary: house.dictionary, keep: 'top' })
  const { values } = valuesOf(set, defaultTerm(house))
  const sopClass = textOf(set.elements, tags.SOPClassUID, values) ?? ''
  const sopInstance = textOf(set.elements, tags.SOPInstanceUID, values) ?? ''
  const client = new StoreClient(house, callerOf(house, modality, {}))
  try {
    const { transferSyntax } = set
    const file = { sopClass, sopInstance, transferSyntax, sizeBytes: bytes.length, from: { bytes } }
    await client.send({ file })
  } finally {
    await client.close()
  }
  return json({ SOPClassUID: sopClass, SOPInstanceUID: sopInstance })
}

// ---- find and move without a job ----

const levelOf = new Map<unknown, Level>(
  (['patient', 'study', 'series', 'instance'] as const).flatMap(level => [
    [levelNames[level], level] as const,
    [levelNames[level].toUpperCase(), level] as const,
    [level, level] as const,
  ]),
)

/** A level by its name. */
export function readLevel(value: unknown): Level {
  return levelOf.get(value) ?? fail(codes.outOfRange)
}

/** An object of tags and texts. */
export function readQuery(house: House, value: unknown, otherwise: string): QueryTags {
  if (!isObject(value)) fail(codes.badFormat, otherwise)
  return Object.entries(value).map(([name, text]): [Tag, string] => {
    if (typeof text !== 'string') fail(codes.badFormat, otherwise)
    try {
      return [house.dictionary.readTag(name), text]
    } catch {
      return fail(codes.badFormat, otherwise)
    }
  })
}

async function findNow(house: House, call: Call, level: Level): Promise<Answer> {
  const modality = house.network.modalities.need(call.param('m'))
  const query = readQuery(
    house,
    readBody(await call.text(), 'Must provide a JSON object'),
    'Tags with texts expected',
  )
  const answers = await askModality(house, {
    caller: callerOf(house, modality, {}),
    level,
    query,
    normalises: false,
  })
  return json(answers.map(answer => showAnswer(house, answer, 'simplified')))
}

/** Patients with their studies and series: the oldest form of asking, one query after another. */
async function findTree(house: House, call: Call): Promise<Answer> {
  const modality = house.network.modalities.need(call.param('m'))
  const query = readQuery(
    house,
    readBody(await call.text(), 'Must provide a JSON object'),
    'Tags with texts expected',
  )
  const caller = callerOf(house, modality, {})
  const below = [
    ['study', 'Studies'],
    ['series', 'Series'],
  ] as const
  const ask = async (level: Level, keys: QueryTags, depth: number): Promise<JsonObject[]> => {
    const shown: JsonObject[] = []
    const answers = await askModality(house, { caller, level, query: [...query, ...keys], normalises: true })
    for (const answer of answers) {
      const object = showAnswer(house, answer, 'simplified')
      const next = below[depth]
      if (next) {
        const named = (['PatientID', 'StudyInstanceUID'] as const).flatMap(name => {
          const text = object[name]
          return typeof text === 'string' && text !== '' ? [[tags[name], text] as [Tag, string]] : []
        })
        object[next[1]] = await ask(next[0], named, depth + 1)
      }
      shown.push(object)
    }
    return shown
  }
  return json(await ask('patient', [], 0))
}

async function moveNow(house: House, call: Call): Promise<Answer> {
  const modality = house.network.modalities.need(call.param('m'))
  const needed = 'Must provide a JSON body containing fields Resources and Level'
  const body = readBody(await call.text(), needed)
  if (body['Level'] === undefined || body['Resources'] === undefined) fail(codes.badFormat, needed)
  const level = readLevel(body['Level'])
  if (!Array.isArray(body['Resources'])) fail(codes.badFormat, 'JSON field "Resources" must contain an array')
  const queries = body['Resources'].map(each =>
    readQuery(house, each, 'Tags with texts expected in: Resources'),
  )
  const caller = callerOf(house, modality, body)
  const target = textOr(body, 'TargetAet', house.settings.dicomAet)
  const words = { patient: 'PATIENT', study: 'STUDY', series: 'SERIES', instance: 'IMAGE' }
  for (const query of queries) {
    try {
      await move(house, caller, { level: words[level], query, target })
    } catch (error) {
      // Contracts/orthanc.md §2.6: the peer could not do it, though it could be asked.
      if (error instanceof OrthancError && 'dimseStatus' in error) Object.assign(error, { status: 422 })
      throw error
    }
  }
  return nothingToSay
}
