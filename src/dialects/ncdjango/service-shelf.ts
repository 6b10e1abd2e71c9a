// The map services: put on the shelf together with the success of the job that made them, found by name, taken down
// when they are too old.

import type { Job } from '../../core/job.ts'
import { isFinal } from '../../core/job-state.ts'
import type { Json } from '../../core/json.ts'
import type { Service } from '../../domains/raster/services/service.ts'
import type { ServiceDraft } from '../../domains/raster/tasks/run-job.ts'
import type { Kit } from '../dialect.ts'

const services = 'ncdjango.service'
const published = 'ncdjango.published'
const pageSize = 500
/** How many of the newest ended jobs are looked at after a start: more never end within one commit. */
const recoveredMax = 2000

export class ServiceShelf {
  readonly #kit: Kit
  /** Publications under way, so that a job is published once. */
  readonly #underWay = new Map<string, Promise<void>>()
  #stopWatching: (() => void) | undefined

  constructor(kit: Kit) {
    this.#kit = kit
  }

  /** Publishes what ended before a crash and was not published, and from now on whatever ends. */
  async open(): Promise<void> {
    const { engine, log } = this.#kit
    let after: string | undefined
    for (let seen = 0; seen < recoveredMax; ) {
      const page = await engine.history.jobs({
        dialect: 'ncdjango',
        states: ['succeeded'],
        order: 'ended',
        limit: pageSize,
        ...(after === undefined ? {} : { after }),
      })
      for (const job of page.items) await this.publish(job)
      seen += page.items.length
      after = page.next
      if (after === undefined) break
    }
    this.#stopWatching = engine.watch(events => {
      for (const event of events) {
        if (event.subject !== 'job' || event.type !== 'succeeded') continue
        this.#hear(event.n).catch(error => log.warn({ err: error }, 'a result could not be published yet'))
      }
    })
  }

  async close(): Promise<void> {
    this.#stopWatching?.()
    await Promise.allSettled(this.#underWay.values())
  }

  async #hear(n: number): Promise<void> {
    const job = await this.#kit.engine.job({ n })
    if (job?.dialect === 'ncdjango' && isFinal(job.state)) await this.publish(job)
  }

  /**
   * Makes sure that the services of a succeeded job are on the shelf. Clients are told of the success only after this,
   * so that they see job, outputs and services come at once; a crash between is made good at the next start.
   */
  async publish(job: Job): Promise<void> {
    const count = job.detail?.['services']
    if (job.state !== 'succeeded' || typeof count !== 'number' || count === 0) return
    const uuid = job.ref!
    const running = this.#underWay.get(uuid)
    if (running) return running
    const work = this.#publishOnce(job, uuid).finally(() => this.#underWay.delete(uuid))
    this.#underWay.set(uuid, work)
    return work
  }

  async #publishOnce(job: Job, uuid: string): Promise<void> {
    const { engine, records } = this.#kit
    if (await records.get(published, uuid)) return
    const outputs = await engine.history.outputs(job.n)
    const drafts = outputs.find(({ name }) => name === 'services')?.value as unknown as
      | ServiceDraft[]
      | undefined
    await engine.write(tx => {
      for (const draft of drafts ?? []) this.#put(tx, { ...draft, createdAt: job.createdAt })
      // The file now belongs to the service alone: deleting the service frees it, whatever becomes of the job.
      for (const output of outputs) if (output.blob) tx.dropOutput(output)
      tx.record({ put: { collection: published, id: uuid, body: null } })
    })
  }

  #put(tx: Parameters<Parameters<Kit['engine']['write']>[0]>[0], service: Service): void {
    tx.record({
      put: {
        collection: services,
        id: service.name,
        body: service as unknown as Json,
        index: service.isTemporary ? [['temporaryAt', service.createdAt]] : [],
      },
    })
    tx.blob({ hash: service.hash, sizeBytes: service.sizeBytes, delta: 1 })
  }

  /** Adds a service whose file is a blob already; refuses a name that is taken. */
  async add(service: Service): Promise<boolean> {
    if (await this.find(service.name)) return false
    await this.#kit.engine.write(tx => this.#put(tx, service))
    return true
  }

  async find(name: string): Promise<Service | undefined> {
    if (name === '' || name.length > 256) return undefined
    return (await this.#kit.records.get(services, name))?.body as unknown as Service | undefined
  }

  /** All services, in order of arrival. */
  async all(): Promise<Service[]> {
    const found: Service[] = []
    let after: string | undefined
    do {
      const page = await this.#kit.records.list({
        collection: services,
        limit: pageSize,
        ...(after === undefined ? {} : { after }),
      })
      found.push(...page.items.map(({ body }) => body as unknown as Service))
      after = page.next
    } while (after !== undefined)
    return found
  }

  async remove(service: Service): Promise<void> {
    await this.#kit.engine.write(tx => {
      tx.record({ drop: { collection: services, id: service.name } })
      tx.blob({ hash: service.hash, sizeBytes: service.sizeBytes, delta: -1 })
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
      for (const { body } of page.items) {
        await this.remove(body as unknown as Service)
        removed++
      }
      if (page.items.length === 0) return removed
    }
  }
}
