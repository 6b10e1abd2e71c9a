// The map services: put on the shelf in the commit of the success that made them, or by an administrator; found by
// name or number; taken down when they are too old. Changes come one after another, so that none is made twice.

import type { Json } from '../../core/json.ts'
import type { Service, ServiceDraft } from '../../domains/raster/services/service.ts'
import type { Completer, Tx } from '../../engine/engine.ts'
import type { BlobCount, Records } from '../../store/store.ts'
import type { Kit } from '../dialect.ts'

const services = 'ncdjango.service'
const variables = 'ncdjango.variable'
const pageSize = 500

/** Numbers of a sequence, as a batch gives them. */
type Next = (counter: string) => number

/** What the success of a job brings: its services and their files, and of its outputs only the text. */
export const completePublishing: Completer = ({ outcome, now, next }) => {
  const outputs = outcome.outputs ?? []
  const drafts = (outputs.find(({ name }) => name === 'services')?.value ?? []) as unknown as ServiceDraft[]
  const made = drafts.map(draft => numbered(draft, next, now))
  return {
    outputs: outputs.filter(({ name }) => name !== 'services'),
    records: made.map(service => ({ put: recordOf(service) })),
    blobs: made.map(service => countOf(service, 1)),
  }
}

export class ServiceShelf {
  readonly #kit: Kit
  #last: Promise<unknown> = Promise.resolve()

  constructor(kit: Kit) {
    this.#kit = kit
  }

  async find(name: string): Promise<Service | undefined> {
    if (name === '' || name.length > 256) return undefined
    return (await this.#kit.records.get(services, name))?.body as unknown as Service | undefined
  }

  /** A service by its number. */
  byId(id: number): Promise<Service | undefined> {
    return this.#byNumber('id', id)
  }

  /** The service that has this variable. */
  ofVariable(id: number): Promise<Service | undefined> {
    return this.#byNumber('variable', id)
  }

  async #byNumber(name: string, is: number): Promise<Service | undefined> {
    if (!Number.isSafeInteger(is)) return undefined
    const page = await this.#kit.records.list({ collection: services, where: [{ name, is }], limit: 1 })
    return page.items[0]?.body as unknown as Service | undefined
  }

  /** All services, by their numbers. */
  async all(): Promise<Service[]> {
    const found: Service[] = []
    let after: string | undefined
    do {
      const page = await this.page(after)
      found.push(...page.items.map(({ body }) => body as unknown as Service))
      after = page.next
    } while (after !== undefined)
    return found
  }

  /** Some services, by their numbers. */
  page(after: string | undefined): ReturnType<Records['list']> {
    return this.#kit.records.list({
      collection: services,
      order: { index: 'id' },
      limit: pageSize,
      ...(after === undefined ? {} : { after }),
    })
  }

  /** How many services there are. */
  count(): Promise<number> {
    return this.#kit.records.count({ collection: services })
  }

  /**
   * Adds a service whose file is a blob already, counted with it; undefined when the name is taken. `check` is called
   * before, and may throw; `also` may do more in the same commit.
   */
  add(
    draft: ServiceDraft,
    { check, also = () => {} }: { check?: () => Promise<void>; also?: (tx: Tx) => void } = {},
  ): Promise<Service | undefined> {
    return this.alone(async () => {
      await check?.()
      if (await this.find(draft.name)) return undefined
      return this.#kit.engine.write(tx => {
        const service = numbered(draft, tx.next, tx.now)
        tx.record({ put: recordOf(service) })
        tx.blob(countOf(service, 1))
        also(tx)
        return service
      })
    })
  }

  /**
   * Changes a service as `change` says, which sees it as it is then; variables without a number are given one.
   * Undefined when the service is gone, `taken` when its new name belongs to another.
   */
  change(
    id: number,
    change: (service: Service) => ServiceDraft | Promise<ServiceDraft>,
  ): Promise<Service | 'taken' | undefined> {
    return this.alone(async () => {
      const old = await this.byId(id)
      if (!old) return undefined
      const draft = await change(old)
      if (draft.name !== old.name && (await this.find(draft.name))) return 'taken'
      return this.#kit.engine.write(tx => {
        if (draft.name !== old.name) tx.record({ drop: { collection: services, id: old.name } })
        const service = { ...numbered(draft, tx.next, old.createdAt, old.id) }
        tx.record({ put: recordOf(service) })
        return service
      })
    })
  }

  /** Takes a service down, and lets go of its file; false when it was gone. `also` may do more in the same commit. */
  remove(id: number, also: (tx: Tx, service: Service) => void = () => {}): Promise<boolean> {
    return this.alone(async () => {
      const service = await this.byId(id)
      if (!service) return false
      await this.#kit.engine.write(tx => {
        tx.record({ drop: { collection: services, id: service.name } })
        tx.blob(countOf(service, -1))
        also(tx, service)
      })
      return true
    })
  }

  /** Deletes temporary services that are older than `ageMs`; gives how many. */
  async cleanUp(ageMs: number): Promise<number> {
    const before = this.#kit.clock.now() - ageMs
    let removed = 0
    for (;;) {
      const page = await this.#kit.records.list({
        collection: services,
        where: [{ name: 'temporaryAt', to: before }],
        limit: pageSize,
      })
      for (const { body } of page.items) if (await this.remove((body as unknown as Service).id)) removed++
      if (page.items.length === 0) return removed
    }
  }

  /** Resolves when no change is under way. */
  async close(): Promise<void> {
    await this.#last
  }

  /** Runs one change at a time: what it looked up stays true until it is done. */
  alone<T>(fn: () => Promise<T>): Promise<T> {
    const result = this.#last.then(fn)
    this.#last = result.catch(() => {})
    return result
  }
}

function numbered(draft: ServiceDraft, next: Next, createdAt: number, id = next(services)): Service {
  return {
    ...draft,
    id,
    createdAt,
    variables: draft.variables.map(variable => ({
      ...variable,
      id: 'id' in variable ? (variable.id as number) : next(variables),
    })),
  }
}

function recordOf(service: Service) {
  return {
    collection: services,
    id: service.name,
    body: service as unknown as Json,
    index: [
      ['id', service.id] as const,
      ...service.variables.map(({ id }) => ['variable', id] as const),
      ...(service.isTemporary ? [['temporaryAt', service.createdAt] as const] : []),
    ],
  }
}

function countOf({ hash, sizeBytes }: Service, delta: 1 | -1): BlobCount {
  return { hash, sizeBytes, delta }
}
