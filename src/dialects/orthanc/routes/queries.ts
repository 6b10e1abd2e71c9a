// Queries of modalities: asking, looking at the answers, and retrieving what they name.

import { isObject, type Json } from '../../../core/json.ts'
import { type Level, levelNames, levels } from '../../../domains/dicom/levels.ts'
import type { TagForm } from '../../../domains/dicom/show-tags.ts'
import { type Answer, type Call, emptyText, json, text } from '../call.ts'
import type { Caller } from '../dicom/dial.ts'
import { moveKind, showMoveOrder } from '../dicom/move-job.ts'
import { askModality, keysOf, moveKeys, type Query, showAnswer, showQuery } from '../dicom/queries.ts'
import { runTalk } from '../dicom/run-talk.ts'
import { codes, fail, OrthancError } from '../errors.ts'
import { tagForm } from '../files.ts'
import type { House } from '../house.ts'
import { integer } from '../numbers.ts'
import { flag, parseLenient } from '../read-json.ts'
import { readJobOptions } from '../submitted-job.ts'
import { callerOf, readBody, readLevel, readQuery, retryPolicy } from './modalities.ts'
import type { Routes } from './route.ts'

export const queryRoutes: Routes = (add, house) => {
  const { queries } = house.network
  const need = (call: Call): Query => queries.get(call.param('q')) ?? fail(codes.unknownResource)

  add('POST', '/modalities/{m}/query', call => ask(house, call))
  add('GET', '/queries', () => json(queries.ids()))
  add('GET', '/queries/{q}', call => {
    need(call)
    return json(['answers', 'level', 'modality', 'query', 'retrieve'])
  })
  add('DELETE', '/queries/{q}', call => {
    queries.drop(call.param('q'))
    return emptyText
  })
  add('GET', '/queries/{q}/level', call => text(levelNames[need(call).level]))
  add('GET', '/queries/{q}/modality', call => text(need(call).modalityName))
  add('GET', '/queries/{q}/query', call => json(showQuery(house, need(call).query, tagForm(call, 'full'))))
  add('GET', '/queries/{q}/answers', call => {
    const { answers } = need(call)
    if (!call.has('expand')) return json(answers.map((_, index) => String(index)))
    return json(answers.map(answer => showAnswer(house, answer, tagForm(call, 'full'))))
  })
  add('GET', '/queries/{q}/answers/{n}', call => {
    const query = need(call)
    answerOf(query, call)
    const below = levels.slice(levels.indexOf(query.level) + 1).map(level => `query-${pathWords[level]}`)
    return json(['content', 'retrieve', ...below])
  })
  add('GET', '/queries/{q}/answers/{n}/content', call =>
    json(showAnswer(house, answerOf(need(call), call), tagForm(call, 'full'))),
  )
  add('POST', '/queries/{q}/retrieve', call => {
    const query = need(call)
    return retrieve(house, call, query, query.answers)
  })
  add('POST', '/queries/{q}/answers/{n}/retrieve', call => {
    const query = need(call)
    return retrieve(house, call, query, [answerOf(query, call)])
  })
  for (const level of ['study', 'series', 'instance'] as const) {
    add('POST', `/queries/{q}/answers/{n}/query-${pathWords[level]}`, call =>
      askBelow(house, call, need(call), level),
    )
  }
}

const pathWords: Readonly<Record<Level, string>> = {
  patient: 'patients',
  study: 'studies',
  series: 'series',
  instance: 'instances',
}

function answerOf(query: Query, call: Call): Buffer {
  return query.answers[integer(call.param('n'))] ?? fail(codes.outOfRange)
}

const queryForm = 'Associative array of DICOM tags to strings expected in field: Query'

async function ask(house: House, call: Call): Promise<Answer> {
  const name = call.param('m')
  const modality = house.network.modalities.need(name)
  const body = readBody(await call.text(), 'Must provide a JSON object')
  if (body['Level'] === undefined) fail(codes.badFormat, 'The JSON body must contain field Level')
  const level = readLevel(body['Level'])
  const query = body['Query'] === undefined ? [] : readQuery(house, body['Query'], queryForm)
  const normalises = body['Normalize'] ?? true
  if (typeof normalises !== 'boolean') fail(codes.badFormat, 'The field Normalize must contain a Boolean')
  const caller = callerOf(house, modality, body)
  const answers = await askModality(house, { caller, level, query, normalises })
  return handle(house.network.queries.add({ level, query, modalityName: name, caller, answers }))
}

/** The same modality, one level further down, within what an answer names. */
async function askBelow(house: House, call: Call, parent: Query, level: Level): Promise<Answer> {
  const answer = answerOf(parent, call)
  if (levels.indexOf(level) <= levels.indexOf(parent.level)) throw new OrthancError(codes.unknownResource)
  const body = readBody(await call.text(), 'Must provide a JSON object')
  const given = body['Query'] === undefined ? [] : readQuery(house, body['Query'], queryForm)
  const query = [...new Map([...given, ...keysOf(house, parent.level, answer)])]
  const caller: Caller = {
    ...parent.caller,
    ...('Timeout' in body ? callerOf(house, parent.caller.modality, body) : {}),
  }
  const answers = await askModality(house, { caller, level, query, normalises: true })
  return handle(
    house.network.queries.add({ level, query, modalityName: parent.modalityName, caller, answers }),
  )
}

function handle({ id }: Query): Answer {
  return json({ ID: id, Path: `/queries/${id}` })
}

async function retrieve(house: House, call: Call, query: Query, answers: readonly Buffer[]): Promise<Answer> {
  const given = await call.text()
  const parsed = given.trim() === '' ? {} : parseLenient(given)
  // Anything that is no object is the name of the target itself.
  const body: Record<string, unknown> = isObject(parsed)
    ? (parsed as Record<string, unknown>)
    : { TargetAet: typeof parsed === 'string' ? parsed : given.trim() }
  const target = body['TargetAet'] ?? house.settings.dicomAet
  if (typeof target !== 'string') fail(codes.badFormat, 'String value expected in field: TargetAet')
  const options = readJobOptions(body)
  const form: TagForm = flag(body, 'Full') ? 'full' : flag(body, 'Simplify') ? 'simplified' : 'short'
  const { modality } = query.caller
  const caller: Caller = {
    ...query.caller,
    ...('Timeout' in body ? { timeout: callerOf(house, modality, body).timeout } : {}),
  }
  const keys = answers.map(answer => moveKeys(house, query.level, answer))
  const order = { caller, target, isPermissive: options.isPermissive, keys }
  return runTalk(house, call, options, {
    kind: moveKind,
    input: showMoveOrder(order) as NonNullable<Json>,
    detail: {
      content: {
        LocalAet: caller.localAet,
        RemoteAet: modality.aet,
        TargetAet: target,
        Query: keys.map(one => showQuery(house, one, form)),
      },
    },
    ...retryPolicy(query.modalityName, modality),
  })
}
