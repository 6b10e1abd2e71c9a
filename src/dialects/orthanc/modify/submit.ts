// Jobs that make instances from others: modification, anonymization, split and merge. Which sources, and the job.

import type { Job } from '../../../core/job.ts'
import type { Json, JsonObject } from '../../../core/json.ts'
import type { Level } from '../../../domains/dicom/levels.ts'
import type { ModifyPlan, ModifySource } from '../../../domains/dicom/modify/modify-plan.ts'
import type { Resource } from '../../../domains/dicom/store/bodies.ts'
import { fileOf } from '../../../domains/dicom/store/browse.ts'
import type { Call } from '../call.ts'
import { codes, fail } from '../errors.ts'
import type { House } from '../house.ts'
import { originOf } from '../routes/instances.ts'
import type { JobOptions } from '../submitted-job.ts'

export type MakingKind = 'dicom.modify' | 'dicom.split' | 'dicom.merge'

/** The rules of one job, kept with it while it runs: plain JSON. */
export type MakingRules = {
  /** The level of what the job makes, for its content. */
  readonly level: Level
  /** All that is made is listed. */
  readonly isBulk: boolean
  readonly isPermissive: boolean
  readonly keepsSource: boolean
  readonly isAnonymization: boolean
  /** Who asked, for the metadata of what is made. */
  readonly remoteIp: string
  readonly user: string
}

export interface MakingOrder {
  readonly kind: MakingKind
  readonly plan: ModifyPlan
  readonly rules: Omit<MakingRules, 'isPermissive' | 'remoteIp' | 'user'>
  readonly options: JobOptions
  /** What the job's content says besides counts. */
  readonly content: JsonObject
}

/** Submits the job that makes new instances out of others. */
export function submitMaking(house: House, call: Call, order: MakingOrder): Promise<Job> {
  const { kind, plan, options } = order
  const rules: MakingRules = {
    ...order.rules,
    isPermissive: options.isPermissive,
    ...originOf(call),
  }
  const content: JsonObject = {
    InstancesCount: plan.sources.length,
    FailedInstancesCount: 0,
    ...order.content,
    ...(plan.transcode === undefined ? {} : { Transcode: plan.transcode }),
  }
  return house.kit.engine.write(tx =>
    tx.submit({
      dialect: 'orthanc',
      executor: 'function',
      kind,
      spec: { function: kind, input: plan as unknown as Json },
      owner: call.principal.name,
      pool: 'orthanc',
      rank: -options.priority,
      detail: { content, rules: rules as unknown as JsonObject, isAsynchronous: options.isAsynchronous },
    }),
  )
}

/** The instances of all these resources, each once. */
export async function collectSources(house: House, resources: readonly Resource[]): Promise<ModifySource[]> {
  const found = new Map<string, ModifySource>()
  for (const resource of resources) {
    for await (const instance of house.archive.browse.descendants(resource, 'instance')) {
      const { hash, sizeBytes } = fileOf(instance)
      found.set(instance.id, { id: instance.id, hash, sizeBytes })
    }
  }
  return [...found.values()]
}

/** The resource with this id, whatever its level; error 17 when there is none. */
export async function needResource(house: House, id: string, details?: string): Promise<Resource> {
  return (await house.archive.browse.any(id)) ?? fail(codes.unknownResource, details)
}

/** What new identifiers of a job are made from. */
export function makeSeed(house: House): string {
  const bytes = new Uint8Array(16)
  house.kit.random(bytes)
  return Buffer.from(bytes).toString('hex')
}
