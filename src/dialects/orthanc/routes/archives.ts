// Archives and media: of one resource, or of a list; streamed as they are made, or as jobs.

import type { Job } from '../../../core/job.ts'
import { isObject, type Json, type JsonObject } from '../../../core/json.ts'
import { type ArchivePlan, nameSeries, type PlannedSeries } from '../../../domains/dicom/archive/plan.ts'
import {
  countSelected,
  filesOf,
  type SelectedSeries,
  selectSeries,
} from '../../../domains/dicom/archive/selection.ts'
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
  const selected = await selectSeries(house.archive.browse, order.resources)
  if (!selected) fail(codes.unknownResource)
  const named = nameSeries(selected, { isUtf8: house.settings.hasUtf8Names })
  if (!order.isAsynchronous && house.settings.streamsZips) {
    return sendStreamed(house, call, order.fileName, path => stream(house, call, { order, named, path }))
  }
  const series: PlannedSeries[] = []
  for await (const part of partsOf(house, named)) series.push(part)
  const job = await submit(house, call, order, {
    series,
    count: sum(series.map(part => part.files.length)),
    bytes: bytesOf(series),
    target: { type: 'blob' },
  })
  if (!order.isAsynchronous) return sendWaitedFor(house, call, job, order.fileName)
  return json({ ID: job.id, Path: `/jobs/${job.id}` })
}

/** Submits a job that asks for its parts while it writes: the first bytes need not wait for a long list. */
async function stream(
  house: House,
  call: Call,
  { order, named, path }: { order: ArchiveOrder; named: readonly Named[]; path: string },
): Promise<Job> {
  const { browse } = house.archive
  const count = await countSelected(
    browse,
    named.map(({ entry }) => entry),
  )
  const submitted = Promise.withResolvers<Job>()
  house.plans.offer(path, counted(house, order, submitted.promise, partsOf(house, named)))
  try {
    const job = await submit(house, call, order, { count, bytes: 0, target: { type: 'socket', path } })
    submitted.resolve(job)
    return job
  } catch (error) {
    house.plans.forget(path)
    throw error
  }
}

/** Notes at the end how much it was; nobody knew before. */
async function* counted(
  house: House,
  order: ArchiveOrder,
  job: Promise<Job>,
  parts: AsyncIterable<PlannedSeries>,
): AsyncGenerator<PlannedSeries> {
  let [count, bytes] = [0, 0]
  for await (const part of parts) {
    count += part.files.length
    bytes += bytesOf([part])
    yield part
  }
  const { n } = await job
  await house.kit.engine.write(tx => tx.note(n, { content: contentOf(order, count, bytes) }))
}

type Named = ReturnType<typeof nameSeries<SelectedSeries>>[number]

async function* partsOf(house: House, named: readonly Named[]): AsyncGenerator<PlannedSeries> {
  for (const { entry, folder, modality } of named) {
    let from = 0
    for await (const files of filesOf(house.archive.browse, entry)) {
      yield { folder, modality, from, files }
      from += files.length
    }
  }
}

async function submit(
  house: House,
  call: Call,
  order: ArchiveOrder,
  work: Pick<ArchivePlan, 'target' | 'count' | 'series'> & { bytes: number },
): Promise<Job> {
  const { bytes, ...parts } = work
  const plan: ArchivePlan = {
    kind: order.kind,
    isExtended: order.isExtended,
    level: house.settings.archiveLevel,
    defaultTerm: defaultTerm(house),
    ...(order.transcode === undefined ? {} : { transcode: order.transcode }),
    ...parts,
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
      detail: { content: contentOf(order, plan.count, bytes), isAsynchronous: order.isAsynchronous },
    }),
  )
}

function contentOf(order: ArchiveOrder, count: number, bytes: number): JsonObject {
  return {
    InstancesCount: count,
    ...showSize('UncompressedSize', bytes),
    ParentResources: [...order.resources],
    ...(order.transcode === undefined ? {} : { Transcode: order.transcode }),
  }
}

function bytesOf(series: readonly PlannedSeries[]): number {
  return sum(series.flatMap(({ files }) => files.map(({ sizeBytes }) => sizeBytes)))
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
