// Archives and media: of one resource, or of a list; streamed as they are made, or as jobs.

import { isObject, type Json, type JsonObject } from '../../../core/json.ts'
import type { ArchivePlan, SeriesEntry } from '../../../domains/dicom/archive/plan.ts'
import { planSeries, planTotals } from '../../../domains/dicom/archive/plan.ts'
import type { Resource } from '../../../domains/dicom/store/bodies.ts'
import { fileOf, isPacked } from '../../../domains/dicom/store/browse.ts'
import { type Answer, type Call, json } from '../call.ts'
import { codes, fail } from '../errors.ts'
import { defaultTerm, type House } from '../house.ts'
import { flag, integer, parseLenient } from '../read-json.ts'
import { isTransferSyntax } from '../settings.ts'
import { levelPaths, showSize } from '../shapes.ts'
import { sendStreamed, sendWaitedFor } from '../waited-archive.ts'
import type { Routes } from './route.ts'

type Kind = ArchivePlan['kind']

export interface ArchiveOrder {
  readonly kind: Kind
  readonly isExtended: boolean
  readonly isAsynchronous: boolean
  readonly priority: number
  readonly transcode: string | undefined
  readonly resources: readonly string[]
  /** The name that the browser is told. */
  readonly fileName: string
}

export const archiveRoutes: Routes = (add, house) => {
  for (const kind of ['archive', 'media'] as const) {
    for (const level of ['patient', 'study', 'series'] as const) {
      const path = `/${levelPaths[level]}/{id}/${kind}`
      add('GET', path, call => {
        const id = call.param('id')
        return run(house, call, {
          kind,
          isExtended: call.has('extended'),
          isAsynchronous: false,
          priority: 0,
          transcode: readTranscode(call.query.get('transcode') ?? undefined),
          resources: [id],
          fileName: fileNameOf(call.query.get('filename')) ?? `${id}.zip`,
        })
      })
      add('POST', path, async call => {
        const id = call.param('id')
        // A list means "no options" to the original: contracts/orthanc.md §2.4.
        const body = parseLenient(await call.text())
        if (!isObject(body) && !Array.isArray(body)) fail(codes.badFormat)
        const options = readOptions(isObject(body) ? body : {})
        return run(house, call, {
          kind,
          isExtended: false,
          ...options,
          resources: [id],
          fileName: `${id}.zip`,
        })
      })
    }
  }
  const tool = (path: string, kind: Kind, isExtended: boolean): void => {
    add('POST', path, async call => {
      const { resources, options } = readList(await call.text())
      return run(house, call, { kind, isExtended, ...options, resources, fileName: 'Archive.zip' })
    })
  }
  tool('/tools/create-archive', 'archive', false)
  tool('/tools/create-media', 'media', false)
  tool('/tools/create-media-extended', 'media', true)
}

function readList(text: string): { resources: string[]; options: ReturnType<typeof readOptions> } {
  const body = parseLenient(text)
  if (!isObject(body) && !Array.isArray(body)) {
    fail(codes.badFormat, 'Expected a list of resources to archive in the body')
  }
  if (isObject(body) && body['Resources'] === undefined) {
    fail(codes.badFormat, 'Missing field Resources in the JSON body')
  }
  const resources = isObject(body) ? body['Resources'] : body
  if (!Array.isArray(resources) || !resources.every(id => typeof id === 'string')) {
    fail(codes.badFormat, 'Expected a list of strings (Orthanc identifiers)')
  }
  return { resources, options: readOptions(isObject(body) ? body : {}) }
}

function readOptions(body: Readonly<Record<string, unknown>>) {
  const synchronous = flag(body, 'Synchronous')
  const asynchronous = flag(body, 'Asynchronous')
  const extended = flag(body, 'Extended')
  const transcode = body['Transcode']
  if (transcode !== undefined && typeof transcode !== 'string') {
    fail(codes.badFormat, 'String value expected in field: Transcode')
  }
  return {
    isAsynchronous: synchronous === undefined ? (asynchronous ?? false) : !synchronous,
    priority: integer(body, 'Priority') ?? 0,
    transcode: readTranscode(transcode),
    ...(extended === undefined ? {} : { isExtended: extended }),
  }
}

function readTranscode(uid: string | undefined): string | undefined {
  if (uid !== undefined && !isTransferSyntax(uid)) fail(codes.outOfRange, `Unknown transfer syntax: ${uid}`)
  return uid
}

/** A name that fits into a header. */
function fileNameOf(text: string | null): string | undefined {
  const name = text?.replace(/[^\x20-\x7e]|["\\/]/g, '')
  return name || undefined
}

async function run(house: House, call: Call, order: ArchiveOrder): Promise<Answer> {
  const plan = await makePlan(house, order)
  if (order.isAsynchronous) {
    const job = await submit(house, call, order, { ...plan, target: { type: 'blob' } })
    return json({ ID: job.id, Path: `/jobs/${job.id}` })
  }
  if (!house.settings.streamsZips) {
    const job = await submit(house, call, order, { ...plan, target: { type: 'blob' } })
    return sendWaitedFor(house, call, job, order.fileName)
  }
  return sendStreamed(house, call, order.fileName, path =>
    submit(house, call, order, { ...plan, target: { type: 'socket', path } }),
  )
}

async function submit(house: House, call: Call, order: ArchiveOrder, plan: ArchivePlan) {
  const { count, bytes } = planTotals(plan)
  const content: JsonObject = {
    InstancesCount: count,
    ...showSize('UncompressedSize', bytes),
    ParentResources: [...order.resources],
    ...(order.transcode === undefined ? {} : { Transcode: order.transcode }),
  }
  const kind = `dicom.${order.kind}`
  return house.kit.engine.write(tx =>
    tx.submit({
      dialect: 'orthanc',
      executor: 'function',
      kind,
      spec: { function: kind, input: { ...plan, now: tx.now } as unknown as Json },
      owner: call.principal.name,
      pool: 'orthanc',
      rank: -order.priority,
      detail: { content, isAsynchronous: order.isAsynchronous },
    }),
  )
}

async function makePlan(house: House, order: ArchiveOrder): Promise<Omit<ArchivePlan, 'target'>> {
  const entries = await collect(house, order.resources)
  return {
    kind: order.kind,
    isExtended: order.isExtended,
    series: planSeries(entries, { isUtf8: house.settings.hasUtf8Names }),
    level: house.settings.archiveLevel,
    defaultTerm: defaultTerm(house),
    ...(order.transcode === undefined ? {} : { transcode: order.transcode }),
  }
}

/** The series of all these resources, each instance once. */
async function collect(house: House, ids: readonly string[]): Promise<SeriesEntry[]> {
  const { browse } = house.archive
  const entries = new Map<string, SeriesEntry & { files: { hash: string; sizeBytes: number }[] }>()
  const seen = new Set<string>()
  const known = new Map<string, Resource>()
  const parentOf = async (child: Resource, level: 'patient' | 'study' | 'series'): Promise<Resource> => {
    const id = child.parent ?? ''
    const found = known.get(id) ?? (await browse.get(level, id))
    if (!found) return fail(codes.unknownResource)
    known.set(id, found)
    return found
  }
  for (const id of ids) {
    const resource = await browse.any(id)
    if (!resource) fail(codes.unknownResource)
    for await (const instance of browse.descendants(resource, 'instance')) {
      if (seen.has(instance.id)) continue
      seen.add(instance.id)
      const series = await parentOf(instance, 'series')
      let entry = entries.get(series.id)
      if (!entry) {
        const study = await parentOf(series, 'study')
        const patient = await parentOf(study, 'patient')
        entry = {
          patient: { id: patient.id, main: patient.body.main },
          study: { id: study.id, main: study.body.main },
          series: { id: series.id, main: series.body.main },
          files: [],
        }
        entries.set(series.id, entry)
      }
      const { hash, sizeBytes } = fileOf(instance)
      entry.files.push({ hash, sizeBytes, ...(isPacked(instance) ? { isPacked: true } : {}) })
    }
  }
  return [...entries.values()]
}
