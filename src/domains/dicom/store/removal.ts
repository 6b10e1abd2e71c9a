// Taking resources away, with everything below them and what they leave empty above them.

import { refuse } from '../../../core/refusal.ts'
import { type Level, levelAbove } from '../levels.ts'
import type { Arrival } from './arrival.ts'
import { countBlobs, dropResource, keptBytes, type Resource } from './bodies.ts'
import { changesAbout, dropChange } from './change-log.ts'
import type { WriteBatch } from './parts.ts'
import type { Stock } from './stock.ts'

/** What remains above a deleted resource. */
export interface Removed {
  readonly remaining: { readonly level: Level; readonly id: string } | undefined
}

/** How many instances are deleted in one batch. */
const removedTogether = 200

/** Takes resources away, one by one or many in a batch, or because there is no more room. */
export class Removal {
  readonly #stock: Stock

  constructor(stock: Stock) {
    this.#stock = stock
  }

  /** Deletes a resource with everything below it, and those above that are left empty. */
  remove(level: Level, id: string): Promise<Removed | undefined> {
    return this.#stock.alone(() => this.#removeAlone(level, id))
  }

  async #removeAlone(level: Level, id: string): Promise<Removed | undefined> {
    const resource = await this.#stock.browse.get(level, id)
    const patient = resource && (await this.#stock.browse.ancestor(resource, 'patient'))
    if (!resource || !patient) return undefined
    return this.#stock.holding([patient.id], async () => {
      // From here on uploads for this patient wait, and will look at the store anew.
      this.#stock.known.dropPatient(patient.id)
      const doomed = await this.everything(resource)
      const remaining = await this.markEmptyAncestors(resource, doomed)
      const forgotten = await this.changesOf(doomed)
      await this.#stock.write(batch => {
        for (const gone of doomed) this.subtract(batch, gone)
        for (const change of forgotten) dropChange(batch, change)
      })
      return { remaining }
    })
  }

  /** Deletes instances, many in one batch, with all that they leave empty. Those that are gone already are not missed. */
  async removeInstances(ids: readonly string[]): Promise<void> {
    for (let at = 0; at < ids.length; at += removedTogether) {
      const some = ids.slice(at, at + removedTogether)
      await this.#stock.alone(() => this.#removeSome(some))
    }
  }

  async #removeSome(ids: readonly string[]): Promise<void> {
    const byPatient = new Map<string, Resource[]>()
    for (const id of ids) {
      const instance = await this.#stock.browse.get('instance', id)
      const patient = instance && (await this.#stock.browse.ancestor(instance, 'patient'))
      if (!instance || !patient) continue
      byPatient.set(patient.id, [...(byPatient.get(patient.id) ?? []), instance])
    }
    for (const [patient, instances] of byPatient) {
      await this.#stock.holding([patient], async () => {
        this.#stock.known.dropPatient(patient)
        const doomed = [...instances]
        for (let going = instances; going.length > 0; doomed.push(...going))
          going = await this.#emptied(going)
        const forgotten = await this.changesOf(doomed)
        await this.#stock.write(batch => {
          for (const gone of doomed) this.subtract(batch, gone)
          for (const change of forgotten) dropChange(batch, change)
        })
      })
    }
  }

  /**
   * Makes room for an instance that comes: unprotected patients go, those first that received nothing for longest.
   * Refuses it, and takes nothing away, when there would still be more than the limits allow (the fault `full`).
   */
  async makeRoom({ summary: { ids }, blob: { sizeBytes } }: Arrival): Promise<void> {
    const { sizeBytesMax } = this.#stock.parts.options
    if (sizeBytesMax > 0 && sizeBytes > sizeBytesMax)
      refuseFull(`An instance of ${sizeBytes} bytes cannot be stored where at most ${sizeBytesMax} may be`)
    // Most uploads pass here. Whether the patient is new is only asked when it matters.
    if (!this.#isOver({ patients: 1, bytes: sizeBytes })) return
    await this.#stock.alone(async () => {
      if (await this.#stock.browse.get('instance', ids.instance)) return
      const patients = (await this.#stock.browse.get('patient', ids.patient)) ? 0 : 1
      const more = { patients, bytes: sizeBytes }
      if (!this.#isOver(more)) return
      const going: string[] = []
      for (const id of await this.#stock.recency.order(this.#stock.browse, this.#stock.stability)) {
        if (!this.#isOver(more)) break
        const patient = id === ids.patient ? undefined : await this.#stock.browse.get('patient', id)
        if (!patient || patient.body.isProtected) continue
        going.push(id)
        more.patients--
        more.bytes -= await this.#bytesOf(patient)
      }
      if (this.#isOver(more)) refuseFull('There is no more room, and no patient that may go')
      for (const id of going) await this.#removeAlone('patient', id)
    })
  }

  /** Deletes unprotected patients while there is more than the limits allow: many may have found room at once. */
  async recycle(except: string): Promise<void> {
    const none = { patients: 0, bytes: 0 }
    if (!this.#isOver(none)) return
    await this.#stock.alone(async () => {
      for (const id of await this.#stock.recency.order(this.#stock.browse, this.#stock.stability)) {
        if (!this.#isOver(none)) return
        const patient = id === except ? undefined : await this.#stock.browse.get('patient', id)
        if (patient && !patient.body.isProtected) await this.#removeAlone('patient', id)
      }
    })
  }

  /** Whether there would be more than the limits allow with so much more. */
  #isOver(more: { patients: number; bytes: number }): boolean {
    const { sizeBytesMax, patientsMax } = this.#stock.parts.options
    const { bytes, patient } = this.#stock.totals.now
    return (
      (sizeBytesMax > 0 && bytes + more.bytes > sizeBytesMax) ||
      (patientsMax > 0 && patient + more.patients > patientsMax)
    )
  }

  /** The bytes that are kept for a resource and everything below it. */
  async #bytesOf(resource: Resource): Promise<number> {
    let bytes = 0
    for (const { body } of await this.everything(resource))
      for (const file of Object.values(body.files ?? {})) bytes += keptBytes(file)
    return bytes
  }

  /** The parents that have no other children than these. */
  async #emptied(children: readonly Resource[]): Promise<Resource[]> {
    const above = children[0] && levelAbove(children[0].level)
    if (!above) return []
    const counts = new Map<string, number>()
    for (const { parent } of children) if (parent !== null) counts.set(parent, (counts.get(parent) ?? 0) + 1)
    const found: Resource[] = []
    for (const [id, count] of counts) {
      const parent = await this.#stock.browse.get(above, id)
      if (parent && (await this.#stock.browse.childCount(above, id)) === count) found.push(parent)
    }
    return found
  }

  /** The resource and everything below it. */
  async everything(resource: Resource): Promise<Resource[]> {
    const found = [resource]
    for (let index = 0; index < found.length; index++) {
      for await (const child of this.#stock.browse.children(found[index]!)) found.push(child)
    }
    return found
  }

  /** Adds ancestors whose only child goes; answers the nearest one that stays. */
  async markEmptyAncestors(resource: Resource, doomed: Resource[]): Promise<Removed['remaining']> {
    let at = resource
    for (;;) {
      const above = levelAbove(at.level)
      if (!above || at.parent === null) return undefined
      const parent = await this.#stock.browse.get(above, at.parent)
      if (!parent) return undefined
      if ((await this.#stock.browse.childCount(above, parent.id)) > 1) return { level: above, id: parent.id }
      doomed.push(parent)
      at = parent
    }
  }

  /** The ids of the changes about these resources: the change log does not speak of what is gone. */
  async changesOf(doomed: readonly Resource[]): Promise<string[]> {
    const found: string[] = []
    for (const { id, body } of doomed) {
      found.push(...(await changesAbout(this.#stock.parts.records, id)))
      if (body.change !== undefined) found.push(String(body.change))
    }
    return found
  }

  /** Takes one resource out, within a batch. */
  subtract(batch: WriteBatch, resource: Resource): void {
    const { level, id, body } = resource
    batch.record(dropResource(level, id))
    this.#stock.stability.drop(batch, id)
    if (level === 'patient') this.#stock.recency.drop(id)
    let bytes = 0
    for (const file of Object.values(body.files ?? {})) {
      countBlobs(batch, file, -1)
      bytes += keptBytes(file)
    }
    this.#stock.totals.add(batch, { [level]: -1, bytes: -bytes })
  }
}

function refuseFull(text: string): never {
  refuse('quota-exceeded', text, { facts: { fault: 'full' } })
}
