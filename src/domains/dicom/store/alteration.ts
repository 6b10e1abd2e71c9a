// Changing resources that are there: metadata, files of users, forms in which files are kept, main tags read anew.

import { refuse } from '../../../core/refusal.ts'
import type { BlobRef } from '../../../store/blobs.ts'
import { type Level, levels } from '../levels.ts'
import type { Summary } from '../summary.ts'
import { makeUuid } from '../uid.ts'
import {
  type Attachment,
  countBlobs,
  keptBytes,
  putResource,
  type Resource,
  type ResourceBody,
  setMeta,
} from './bodies.ts'
import { logChange } from './change-log.ts'
import type { WriteBatch } from './parts.ts'
import type { Stock } from './stock.ts'

/** Changes resources; each change is one batch, decided from what is stored. */
export class Alteration {
  readonly #stock: Stock

  constructor(stock: Stock) {
    this.#stock = stock
  }

  /**
   * Changes the body of a resource: `change` gets a fresh copy to alter, and the batch it is written in. Undefined
   * when there is no such resource; what `change` throws is thrown, and nothing is written.
   */
  update<T>(
    level: Level,
    id: string,
    change: (body: ResourceBody, batch: WriteBatch) => T,
  ): Promise<T | undefined> {
    return this.#stock.alone(async () => {
      const resource = await this.#stock.browse.get(level, id)
      if (!resource) return undefined
      return this.#stock.write(batch => {
        const result = change(resource.body, batch)
        batch.record(putResource(resource))
        return result
      })
    })
  }

  /** Protects a patient from being recycled, or no longer: then it is the last one to go. False without the patient. */
  async protect(id: string, isProtected: boolean): Promise<boolean> {
    const done = await this.update('patient', id, body => {
      if (body.isProtected && !isProtected) this.#stock.recency.touch(id)
      if (isProtected) body.isProtected = true
      else delete body.isProtected
      return true
    })
    return done ?? false
  }

  /** Attaches a user's file to a resource, in place of one with the same number. */
  attach(
    level: Level,
    id: string,
    number: string,
    file: { blob: BlobRef; md5: string },
  ): Promise<Attachment | undefined> {
    return this.update(level, id, (body, batch) => {
      const before = body.files?.[number]
      const attachment: Attachment = {
        uuid: makeUuid(this.#stock.parts.random),
        hash: file.blob.hash,
        sizeBytes: file.blob.sizeBytes,
        md5: file.md5,
        revision: before ? before.revision + 1 : 0,
      }
      batch.blob({ hash: attachment.hash, sizeBytes: attachment.sizeBytes, delta: 1 })
      if (before) countBlobs(batch, before, -1)
      body.files = { ...body.files, [number]: attachment }
      this.#stock.totals.add(batch, { bytes: attachment.sizeBytes - (before ? keptBytes(before) : 0) })
      logChange(batch, 'UpdatedAttachment', level, id)
      return attachment
    })
  }

  /** Takes a user's file off a resource; whether there was one. */
  async detach(level: Level, id: string, number: string): Promise<boolean> {
    const done = await this.update(level, id, (body, batch) => {
      const before = body.files?.[number]
      if (!before) return false
      delete body.files![number]
      countBlobs(batch, before, -1)
      this.#stock.totals.add(batch, { bytes: -keptBytes(before) })
      logChange(batch, 'UpdatedAttachment', level, id)
      return true
    })
    return done ?? false
  }

  /**
   * Changes which forms of a file are kept: `packed` beside or instead of the plain bytes, or the plain ones alone.
   * Nothing happens when the file is another one by now; whether it did.
   */
  async repack(
    level: Level,
    id: string,
    { number, file, packed }: { number: string; file: Attachment; packed: Attachment['packed'] },
  ): Promise<boolean> {
    const done = await this.update(level, id, (body, batch) => {
      const before = body.files?.[number]
      if (before?.uuid !== file.uuid) return false
      const { packed: _, ...plain } = before
      const after: Attachment = packed ? { ...plain, packed } : plain
      countBlobs(batch, after, 1)
      countBlobs(batch, before, -1)
      body.files = { ...body.files, [number]: after }
      this.#stock.totals.add(batch, { bytes: keptBytes(after) - keptBytes(before) })
      return true
    })
    return done ?? false
  }

  /** Sets a metadata of a resource; the new revision, or undefined when there is no such resource. */
  setMetadata(level: Level, id: string, number: number, text: string): Promise<number | undefined> {
    return this.update(level, id, (body, batch) => {
      setMeta(body, number, text)
      logChange(batch, 'UpdatedMetadata', level, id)
      return body.meta[number]![1]
    })
  }

  /** Removes a metadata; whether it was there. */
  async dropMetadata(level: Level, id: string, number: number): Promise<boolean> {
    const done = await this.update(level, id, (body, batch) => {
      if (!body.meta[number]) return false
      delete body.meta[number]
      logChange(batch, 'UpdatedMetadata', level, id)
      return true
    })
    return done ?? false
  }

  /** Takes the main tags of a resource, and of everything from there down, from files read anew. */
  async reconstruct(resource: Resource, summarise: (instance: Resource) => Promise<Summary>): Promise<void> {
    for (const level of levels.slice(levels.indexOf(resource.level))) {
      for await (const each of this.#stock.browse.descendants(resource, level)) {
        const first = await this.#stock.browse.firstInstance(each)
        if (!first) continue
        const summary = await summarise(first)
        if (summary.ids[level] !== each.id)
          refuse('conflict', `The files of ${level} ${each.id} belong elsewhere`)
        await this.update(level, each.id, body => {
          body.main = summary.main[level]
          if (level === 'study') body.patient = summary.main.patient
        })
      }
    }
  }
}
