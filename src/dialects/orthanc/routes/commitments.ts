// Storage commitment: asking a modality to vouch for instances, and what it said.

import { isObject } from '../../../core/json.ts'
import { type Answer, type Call, json, nothingToSay } from '../call.ts'
import {
  askCommitmentOf,
  newTransaction,
  type Reference,
  removeVouched,
  showReport,
} from '../dicom/commitment.ts'
import { instanceFile } from '../dicom/instance-data.ts'
import { codes, fail } from '../errors.ts'
import type { House } from '../house.ts'
import { callerOf, instancesOf, readBody } from './modalities.ts'
import type { Routes } from './route.ts'

export const commitmentRoutes: Routes = (add, house) => {
  add('POST', '/modalities/{m}/storage-commitment', call => ask(house, call))
  add('GET', '/storage-commitment/{t}', async call => {
    const report = await showReport(house, call.param('t'))
    return report && json(report)
  })
  add('POST', '/storage-commitment/{t}/remove', async call => {
    await removeVouched(house, call.param('t'))
    return nothingToSay
  })
}

/** `Resources` are Orthanc ids, `DicomInstances` pairs of class and instance: as objects or as lists. */
async function ask(house: House, call: Call): Promise<Answer> {
  const modality = house.network.modalities.need(call.param('m'))
  const body = readBody(await call.text(), 'Must provide a JSON object with a list of resources')
  const references: Reference[] = []
  const { Resources: resources, DicomInstances: pairs } = body
  if (resources === undefined && pairs === undefined)
    fail(codes.badFormat, 'The JSON object must provide a field "Resources" or "DicomInstances"')
  if (resources !== undefined) {
    if (!Array.isArray(resources) || !resources.every(id => typeof id === 'string'))
      fail(codes.badFormat, 'JSON field "Resources" must contain an array of strings')
    for (const id of await instancesOf(house, resources as string[])) {
      const instance = await house.archive.browse.get('instance', id)
      if (instance) references.push(instanceFile(instance))
    }
  }
  if (pairs !== undefined) {
    if (!Array.isArray(pairs)) fail(codes.badFormat, 'JSON field "DicomInstances" must contain an array')
    for (const pair of pairs) references.push(readPair(pair))
  }
  const transaction = newTransaction(house)
  await askCommitmentOf(house, callerOf(house, modality, body), transaction, references)
  return json({ ID: transaction, Path: `/storage-commitment/${transaction}` })
}

function readPair(pair: unknown): Reference {
  const [sopClass, sopInstance] = Array.isArray(pair)
    ? (pair as unknown[])
    : isObject(pair)
      ? [pair['SOPClassUID'], pair['SOPInstanceUID']]
      : []
  if (typeof sopClass !== 'string' || typeof sopInstance !== 'string')
    fail(codes.badFormat, 'Each of "DicomInstances" must have a SOPClassUID and a SOPInstanceUID')
  return { sopClass, sopInstance }
}
