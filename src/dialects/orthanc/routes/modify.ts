// Modification and anonymization: of one instance, whose file is the answer; of resources, by jobs that store what they
// make.

import { Readable } from 'node:stream'
import type { JsonObject } from '../../../core/json.ts'
import { type Level, levelNames, levels } from '../../../domains/dicom/levels.ts'
import type { Modification } from '../../../domains/dicom/modify/modification.ts'
import { makeModifier } from '../../../domains/dicom/modify/modify.ts'
import type { Resource } from '../../../domains/dicom/store/bodies.ts'
import { tags } from '../../../domains/dicom/tag.ts'
import { transcodeBytesAside } from '../../../domains/dicom/transcoding/transcode.ts'
import { Unpacker } from '../../../domains/dicom/transcoding/unpack-aside.ts'
import { writeFile } from '../../../domains/dicom/writing/writer.ts'
import type { Answer, Call } from '../call.ts'
import { codes, fail } from '../errors.ts'
import { needInstance, withDataSet } from '../files.ts'
import { defaultTerm, type House } from '../house.ts'
import {
  checkLevel,
  levelOfInstance,
  readAnonymization,
  readKeepSource,
  readModification,
  type Wishes,
} from '../modify/read-request.ts'
import { collectSources, makeSeed, needResource, submitMaking } from '../modify/submit.ts'
import { texts } from '../read-json.ts'
import { isTransferSyntax } from '../settings.ts'
import { levelPaths } from '../shapes.ts'
import { answerJob, readJobOptions } from '../submitted-job.ts'
import type { Routes } from './route.ts'

type Body = Readonly<Record<string, unknown>>

export const modifyRoutes: Routes = (add, house) => {
  for (const level of ['patient', 'study', 'series'] as const) {
    for (const kind of ['modify', 'anonymize'] as const) {
      add('POST', `/${levelPaths[level]}/{id}/${kind}`, async call => {
        const body = await call.object()
        const target = { level, isBulk: false }
        return run(house, call, body, kind, target, [await needResource(house, call.param('id'))])
      })
    }
  }
  add('POST', '/instances/{id}/modify', call => makeOne(house, call, 'modify'))
  add('POST', '/instances/{id}/anonymize', call => makeOne(house, call, 'anonymize'))
  for (const kind of ['modify', 'anonymize'] as const) {
    add('POST', `/tools/bulk-${kind}`, async call => {
      const body = await call.object()
      const level = kind === 'modify' ? readLevel(body) : 'patient'
      const resources: Resource[] = []
      for (const id of texts(body, 'Resources')) resources.push(await needResource(house, id))
      return run(house, call, body, kind, { level, isBulk: true }, resources)
    })
  }
}

function readLevel(body: Body): Level {
  const name = body['Level'] ?? 'Instance'
  return levels.find(level => levelNames[level] === name) ?? fail(codes.outOfRange)
}

/** What is asked; an anonymization gives the patient the server's next name, unless the request gives one. */
async function readWishes(house: House, body: Body, kind: 'modify' | 'anonymize'): Promise<Wishes> {
  if (kind === 'modify') return readModification(body, house.dictionary)
  const { wishes, isNamed } = readAnonymization(body, house.dictionary)
  if (isNamed) return wishes
  const number = await house.kit.engine.write(tx => tx.next('orthanc.anonymized'))
  return { ...wishes, replaces: [...wishes.replaces, [tags.PatientName, `Anonymized${number}`]] }
}

function complete(house: House, wishes: Wishes, level: Level): Modification {
  return { ...wishes, level, seed: makeSeed(house), defaultTerm: defaultTerm(house) }
}

async function run(
  house: House,
  call: Call,
  body: Body,
  kind: 'modify' | 'anonymize',
  { level, isBulk }: { level: Level; isBulk: boolean },
  resources: readonly Resource[],
): Promise<Answer> {
  const options = readJobOptions(body)
  const keepsSource = readKeepSource(body, true)
  const transcode = readTranscode(body)
  const wishes = await readWishes(house, body, kind)
  const { isAnonymization } = wishes
  const depth = isAnonymization ? 'patient' : level
  checkLevel(wishes, depth)
  const sources = await collectSources(house, resources)
  const content: JsonObject = { IsAnonymization: isAnonymization }
  const job = await submitMaking(house, call, {
    kind: 'dicom.modify',
    plan: {
      change: complete(house, wishes, depth),
      sources,
      ...(transcode === undefined ? {} : { transcode }),
    },
    rules: { level, isBulk, keepsSource, isAnonymization },
    options,
    content,
  })
  return answerJob(house, job, options)
}

function readTranscode(body: Body): string | undefined {
  const uid = body['Transcode']
  if (uid === undefined) return undefined
  if (typeof uid !== 'string') fail(codes.badFormat, 'String value expected in field: Transcode')
  if (!isTransferSyntax(uid)) fail(codes.badFormat, `Unknown transfer syntax UID: ${uid}`)
  return uid
}

/** One instance: the new file is the answer, and nothing is stored. */
async function makeOne(house: House, call: Call, kind: 'modify' | 'anonymize'): Promise<Answer> {
  const body = await call.object()
  const instance = await needInstance(house, call.param('id'))
  const transcode = body['Transcode']
  if (transcode !== undefined && (typeof transcode !== 'string' || !isTransferSyntax(transcode))) {
    fail(codes.outOfRange, `Unknown transfer syntax: ${String(transcode)}`)
  }
  const wishes = await readWishes(house, body, kind)
  const level = wishes.isAnonymization ? 'patient' : levelOfInstance(wishes)
  checkLevel(wishes, level)
  const modifier = makeModifier(complete(house, wishes, level), { dictionary: house.dictionary })
  const made = await withDataSet(house, instance, set => writeFile(modifier(set)))
  const { dictionary } = house
  const unpacker = new Unpacker()
  const how = { dictionary, defaultTerm: defaultTerm(house), unpacker }
  const bytes = await transcodeBytesAside(made, transcode, how).finally(() => unpacker.close())
  return { stream: Readable.from([bytes]), type: 'application/dicom', sizeBytes: bytes.length }
}
