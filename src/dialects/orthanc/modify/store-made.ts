// The server's end of jobs that make instances: takes groups of them in, notes how far the job is, deletes the sources
// when it is done. What is noted is durable before the job goes on, so that a restart goes on there.

import { isDeepStrictEqual } from 'node:util'
import { readAttemptId } from '../../../core/ids.ts'
import type { Job } from '../../../core/job.ts'
import type { Json, JsonObject } from '../../../core/json.ts'
import { type RefusalKind, Refused } from '../../../core/refusal.ts'
import type { ResourceIds } from '../../../domains/dicom/identifiers.ts'
import { type Level, levels } from '../../../domains/dicom/levels.ts'
import type {
  Modified,
  ModifyAnswer,
  ModifyPlan,
  ModifyQuestion,
  ModifyStart,
  Trouble,
} from '../../../domains/dicom/modify/modify-plan.ts'
import type { Arrival } from '../../../domains/dicom/store/archive.ts'
import { dicomFile, metadataNumbers } from '../../../domains/dicom/store/bodies.ts'
import { codes, errorOf, messageOf, OrthancError } from '../errors.ts'
import type { House } from '../house.ts'
import { showReference } from '../shapes.ts'
import { keep, originMeta, place } from '../upload.ts'
import type { MakingKind, MakingRules } from './submit.ts'

const kinds: readonly MakingKind[] = ['dicom.modify', 'dicom.split', 'dicom.merge']
/** Failures that are told one by one in a job's content; their number is always told. */
const toldMax = 100

/** What a job of this kind keeps in its detail. */
interface Facts {
  readonly rules: MakingRules
  readonly content: JsonObject
  /** How many sources have been dealt with. */
  readonly done: number
  /** Sources of which nothing was made. */
  readonly failed: readonly string[]
  /** Sources that are themselves what was made of them. */
  readonly spared: readonly string[]
  /** What was made, by level; only where all of it is listed. */
  readonly made: Readonly<Partial<Record<Level, readonly string[]>>>
}

/** Makes the house answer its modification jobs. */
export function serveMaking(house: House): void {
  const { kit } = house
  // One group of a job after another: what is noted must be true from the first instance on.
  const lines = new Map<string, Promise<unknown>>()
  for (const kind of kinds) {
    kit.prepare(kind, async ({ spec, n, job: id }) => {
      await house.opened
      // An attempt that was ended hard may have left a group that is still being stored.
      await lines.get(id)
      const job = await kit.engine.job({ n })
      const start: ModifyStart = {
        from: job ? factsOf(job).done : 0,
        dictionary: { own: house.settings.dictionary, vendors: house.settings.hasVendorTags },
      }
      const { function: name, input } = spec as { function: string; input: JsonObject }
      return { function: name, input: { ...input, ...(start as unknown as JsonObject) } }
    })
    kit.answer(kind, (question, attempt) => {
      const { job: id, number } = readAttemptId(attempt)!
      const before = lines.get(id) ?? Promise.resolve()
      const asked = question as ModifyQuestion
      // Files are written while the group before this one is being stored.
      const placing = asked.type === 'store' ? placeAll(house, asked.items) : Promise.resolve([])
      placing.catch(() => {}) // Heard when its turn comes.
      const answer = before.then(() => answerOne(house, { id, number }, asked, placing))
      const line = answer.catch(() => {}) // The asker hears of it; those behind it need not.
      lines.set(id, line)
      line.then(() => lines.get(id) === line && lines.delete(id))
      return answer
    })
  }
}

function factsOf({ detail }: Job): Facts {
  const facts = (detail ?? {}) as unknown as Facts
  return {
    rules: facts.rules,
    content: facts.content,
    done: facts.done ?? 0,
    failed: facts.failed ?? [],
    spared: facts.spared ?? [],
    made: facts.made ?? {},
  }
}

async function answerOne(
  house: House,
  { id, number }: { id: string; number: number },
  question: ModifyQuestion,
  placing: Promise<readonly (Placed | undefined)[]>,
): Promise<ModifyAnswer> {
  if (question.type === 'scratch') return { file: await house.kit.blobs.scratchFile() }
  const job = await house.kit.engine.job({ id })
  const isCurrent = job?.attempts === number && (job.state === 'running' || job.state === 'starting')
  if (!isCurrent) return { stop: 'the job has ended' }
  if (question.type === 'finish') return finish(house, job)
  return storeGroup(house, job, question, await placing)
}

/** Where the bytes of a new instance are. */
type Placed = Pick<Arrival, 'blob' | 'bytes'>

/** All of a group are placed before the first one is stored: so they share commits. */
function placeAll(house: House, items: readonly Modified[]): Promise<(Placed | undefined)[]> {
  return Promise.all(
    items.map(async ({ made }) => {
      if (!made) return undefined
      const { content } = made
      if ('file' in content) return { blob: await house.kit.blobs.adopt(content.file) }
      return place(house, content.bytes)
    }),
  )
}

type Kept = { readonly ids: ResourceIds } | { readonly error: OrthancError; readonly isMissing: boolean }

async function storeGroup(
  house: House,
  job: Job,
  { at, items }: Extract<ModifyQuestion, { type: 'store' }>,
  placed: readonly (Placed | undefined)[],
): Promise<ModifyAnswer> {
  const facts = factsOf(job)
  const { rules } = facts
  if (at !== facts.done) throw new Error(`instances from ${at} came where those from ${facts.done} are next`)
  const kind = job.kind as MakingKind
  const results = await Promise.all(
    items.map((item, index) => keepOne(house, { kind, rules, item, placed: placed[index] })),
  )

  const failed = [...facts.failed]
  const spared = [...facts.spared]
  let { content } = facts
  const made = new Map(levels.map(level => [level, new Set(facts.made[level])]))
  let done = facts.done
  let stop: OrthancError | undefined
  for (const [index, result] of results.entries()) {
    const { source } = items[index]!
    if ('error' in result) {
      if (!result.isMissing && !rules.isPermissive) {
        stop = result.error
        break
      }
      failed.push(source)
      content = { ...content, FailedInstances: tellFailure(content, source, result.error) }
    } else {
      content = { ...content, ...firstMade(job, facts, content, result.ids) }
      if (result.ids.instance === source) spared.push(source)
      for (const level of levels) made.get(level)!.add(result.ids[level])
    }
    done++
  }
  const total = Number(content['InstancesCount'])
  const noted: JsonObject = {
    content: { ...content, FailedInstancesCount: failed.length },
    done,
    failed,
    spared,
    progress: Math.round((100 * done) / Math.max(1, total + (rules.keepsSource ? 0 : 1))),
    ...(rules.isBulk ? { made: listMade(made) } : {}),
    ...(stop ? { errorCode: stop.code } : {}),
  }
  await house.kit.engine.write(tx => tx.note(job.n, noted))
  return stop ? { stop: stop.message } : {}
}

async function keepOne(
  house: House,
  {
    kind,
    rules,
    item,
    placed,
  }: { kind: MakingKind; rules: MakingRules; item: Modified; placed: Placed | undefined },
): Promise<Kept> {
  const { source, made, trouble } = item
  if (!made || !placed) {
    const isMissing = trouble?.type === 'missing'
    return { error: isMissing ? new OrthancError(codes.inexistentFile) : errorOfTrouble(trouble!), isMissing }
  }
  const { summary, md5, from } = made
  const { ids } = summary
  const number = rules.isAnonymization ? metadataNumbers.AnonymizedFrom : metadataNumbers.ModifiedFrom
  const arrival: Arrival = {
    summary,
    ...placed,
    md5,
    remoteAet: '',
    origin: originMeta(rules),
    ancestry: ancestryOf(kind, number, from, ids),
  }
  const { isNew } = await keep(house, arrival)
  if (isNew) return { ids }
  // It may be ours, from before a restart: the same bytes, made of the same source.
  const before = await house.archive.browse.get('instance', ids.instance)
  const isOurs = before?.body.meta[number]?.[0] === source && before.body.files?.[dicomFile]?.md5 === md5
  if (isOurs) return { ids }
  const why = `Error while storing a modified instance ${source}: there is an instance ${ids.instance} already`
  return { error: new OrthancError(codes.cannotStore, why), isMissing: false }
}

/** Where what is made comes from: said of the instance, and of every level that is not the same as before. */
function ancestryOf(
  kind: MakingKind,
  number: number,
  from: ResourceIds,
  to: ResourceIds,
): NonNullable<Arrival['ancestry']> {
  const said: Partial<Record<Level, readonly [number, string]>> = { instance: [number, from.instance] }
  if (kind !== 'dicom.modify') return said
  for (const level of ['patient', 'study', 'series'] as const) {
    if (from[level] !== to[level]) said[level] = [number, from[level]]
  }
  return said
}

function errorOfTrouble(trouble: Exclude<Trouble, { type: 'missing' }>): OrthancError {
  if (trouble.type === 'failed') return new OrthancError(codes.internal, trouble.text)
  const { kind, text, field, fault } = trouble
  return errorOf(
    new Refused({
      kind: kind as RefusalKind,
      text,
      ...(field === undefined ? {} : { field }),
      ...(fault === undefined ? {} : { facts: { fault } }),
    }),
  )
}

/** Which instances failed, and why: the first of them. */
function tellFailure(content: JsonObject, source: string, error: OrthancError): Json {
  const told = (content['FailedInstances'] ?? []) as Json[]
  if (told.length >= toldMax) return told
  return [...told, { ID: source, ErrorCode: error.code, Reason: error.details ?? messageOf(error.code) }]
}

/** The content tells what the first instance that was made belongs to. */
function firstMade(job: Job, { rules }: Facts, content: JsonObject, ids: ResourceIds): JsonObject {
  if (job.kind === 'dicom.split') return { TargetStudy: ids.study }
  if (job.kind === 'dicom.merge' || rules.isBulk || content['ID'] !== undefined) return {}
  return { ...showReference(rules.level, ids[rules.level]), PatientID: ids.patient }
}

function listMade(made: ReadonlyMap<Level, ReadonlySet<string>>): JsonObject {
  return Object.fromEntries([...made].map(([level, ids]) => [level, [...ids]]))
}

/** All instances are dealt with: the sources go, unless they are to be kept or were not copied. */
async function finish(house: House, job: Job): Promise<ModifyAnswer> {
  const { rules, failed, spared, made, content } = factsOf(job)
  if (!rules.keepsSource) {
    const spec = (await house.kit.engine.spec(job.n)) as unknown as { input: ModifyPlan }
    const stays = new Set([...failed, ...spared])
    const gone = spec.input.sources.map(({ id }) => id).filter(id => !stays.has(id))
    await house.archive.removeInstances(gone)
  }
  const resources = [...levels]
    .reverse()
    .flatMap(level => [...(made[level] ?? [])].sort().map(id => showReference(level, id)))
  const told: JsonObject = rules.isBulk ? { ...content, Resources: resources } : content
  if (!isDeepStrictEqual(told, content)) {
    await house.kit.engine.write(tx => tx.note(job.n, { content: told, made: null }))
  }
  return {}
}
