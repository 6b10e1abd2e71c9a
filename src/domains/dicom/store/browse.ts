// Reading the archive: resources, their children and ancestors, and everything below one of them.

import type { Records } from '../../../store/store.ts'
import { type Level, levelAbove, levelBelow, levels } from '../levels.ts'
import { type Attachment, collectionOf, dicomFile, metaText, type Resource, readResource } from './bodies.ts'

const pageSize = 200

/** Lets others have a turn: a store that answers at once would keep a long walk on the thread to its end. */
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

export class Browse {
  readonly #records: Records

  constructor(records: Records) {
    this.#records = records
  }

  /** The resource of a level with this id. */
  async get(level: Level, id: string): Promise<Resource | undefined> {
    const record = await this.#records.get(collectionOf(level), id)
    return record && readResource(level, record)
  }

  /** The resource with this id, whatever its level. */
  async any(id: string): Promise<Resource | undefined> {
    for (const level of levels) {
      const found = await this.get(level, id)
      if (found) return found
    }
    return undefined
  }

  /** All resources of a level in order of arrival. */
  async *all(level: Level): AsyncGenerator<Resource> {
    yield* this.#each(level, {})
  }

  /** Resources of a level in order of their ids. */
  async *byId(level: Level): AsyncGenerator<Resource> {
    let after: string | undefined
    do {
      const page = await this.#records.list({
        collection: collectionOf(level),
        order: 'id',
        limit: pageSize,
        ...(after === undefined ? {} : { after }),
      })
      for (const record of page.items) yield readResource(level, record)
      after = page.next
      if (after !== undefined) await turn()
    } while (after !== undefined)
  }

  /** A stretch of all resources of a level, in order of arrival. */
  async slice(level: Level, from: number, count: number): Promise<Resource[]> {
    const found: Resource[] = []
    let index = 0
    if (count === 0) return found
    for await (const resource of this.all(level)) {
      if (index++ < from) continue
      found.push(resource)
      if (found.length === count) break
    }
    return found
  }

  /** The direct children, in order of arrival. */
  async *children(resource: Resource): AsyncGenerator<Resource> {
    const below = levelBelow(resource.level)
    if (below) yield* this.#each(below, { parent: resource.id })
  }

  /** The direct children, in order of arrival, some at a time. */
  async *childPages(resource: Resource): AsyncGenerator<Resource[]> {
    const below = levelBelow(resource.level)
    if (below) yield* this.#pages(below, { parent: resource.id })
  }

  async childIds(resource: Resource): Promise<string[]> {
    const ids: string[] = []
    for await (const child of this.children(resource)) ids.push(child.id)
    return ids
  }

  async childCount(level: Level, id: string): Promise<number> {
    const below = levelBelow(level)
    return below ? this.#records.count({ collection: collectionOf(below), parent: id }) : 0
  }

  /** Everything at a level below a resource, itself if it is of that level. */
  async *descendants(resource: Resource, level: Level): AsyncGenerator<Resource> {
    if (resource.level === level) {
      yield resource
      return
    }
    for await (const child of this.children(resource)) {
      yield* this.descendants(child, level)
      if (child.level !== level) await turn()
    }
  }

  /** The ancestor of a level, the resource itself if it is of that level. */
  async ancestor(resource: Resource, level: Level): Promise<Resource | undefined> {
    let at: Resource | undefined = resource
    while (at && at.level !== level) {
      const above = levelAbove(at.level)
      at = above && at.parent !== null ? await this.get(above, at.parent) : undefined
    }
    return at
  }

  /** The first instance below a resource. */
  async firstInstance(resource: Resource): Promise<Resource | undefined> {
    for await (const instance of this.descendants(resource, 'instance')) return instance
    return undefined
  }

  /** Resources whose indexed tag has a value (normalised already). */
  async *having(level: Level, tag: string, value: string): AsyncGenerator<Resource> {
    yield* this.#each(level, { where: [{ name: tag, is: value }] })
  }

  async *#each(level: Level, query: PageQuery): AsyncGenerator<Resource> {
    for await (const page of this.#pages(level, query)) yield* page
  }

  async *#pages(level: Level, query: PageQuery): AsyncGenerator<Resource[]> {
    let after: string | undefined
    do {
      const page = await this.#records.list({
        collection: collectionOf(level),
        limit: pageSize,
        ...query,
        ...(after === undefined ? {} : { after }),
      })
      yield page.items.map(record => readResource(level, record))
      after = page.next
      if (after !== undefined) await turn()
    } while (after !== undefined)
  }
}

interface PageQuery {
  readonly parent?: string
  readonly where?: { name: string; is: string }[]
}

/** The DICOM file of an instance. */
export function fileOf(instance: Resource): Attachment {
  const file = instance.body.files?.[dicomFile]
  if (!file) throw new Error(`instance ${instance.id} has no file`)
  return file
}

/** Whether its pixels are compressed, so that deflating them again gains nothing. */
export function isPacked(instance: Resource): boolean {
  const syntax = metaText(instance.body, 'TransferSyntax') ?? ''
  return (
    syntax.startsWith('1.2.840.10008.1.2.4.') ||
    syntax === '1.2.840.10008.1.2.5' ||
    syntax.endsWith('.2.1.99')
  )
}

export type SeriesStatus = 'Unknown' | 'Missing' | 'Inconsistent' | 'Complete'

/** How complete a series is, judged by the numbers of its instances. */
export async function seriesStatus(browse: Browse, series: Resource): Promise<SeriesStatus> {
  const expected = Number(metaText(series.body, 'ExpectedNumberOfInstances') ?? Number.NaN)
  if (!Number.isInteger(expected)) return 'Unknown'
  const seen = new Set<number>()
  for await (const instance of browse.children(series)) {
    const index = indexInSeries(instance)
    if (index === undefined) return 'Unknown'
    if (index < 1 || index > expected || seen.has(index)) return 'Inconsistent'
    seen.add(index)
  }
  return seen.size === expected ? 'Complete' : 'Missing'
}

/** The number of an instance within its series, if it has one. */
export function indexInSeries(instance: Resource): number | undefined {
  const text = metaText(instance.body, 'IndexInSeries')
  return text !== undefined && /^[+-]?\d+$/.test(text) ? Number(text) : undefined
}
