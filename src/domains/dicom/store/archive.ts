// The archive of instances: the front door of this folder. Uploads, deletions and changes of metadata go through here,
// each of them one batch; what is to be decided from what is stored is decided under a lock.

import { refuse } from '../../../core/refusal.ts'
import type { BlobRef } from '../../../store/blobs.ts'
import { type Level, levelAbove, levels } from '../levels.ts'
import type { Summary } from '../summary.ts'
import { makeUuid } from '../uid.ts'
import {
  type Attachment,
  blobsOf,
  dicomFile,
  dropResource,
  keptBytes,
  type Metadata,
  metadataNumbers,
  putResource,
  type Resource,
  type ResourceBody,
  setMeta,
} from './bodies.ts'
import { Browse, fileOf, seriesStatus } from './browse.ts'
import { changesAbout, dropChange, logArrival, logChange } from './change-log.ts'
import { KeyedLock } from './keyed-lock.ts'
import { type KnownSeries, KnownSeriesCache } from './known-series.ts'
import type { ArchiveParts, WriteBatch } from './parts.ts'
import { Stability } from './stability.ts'
import { dicomTime } from './time.ts'
import { Totals } from './totals.ts'

/** An instance on its way in: what its file says, and where its bytes are. */
export interface Arrival {
  readonly summary: Summary
  readonly blob: BlobRef
  /** The bytes, when they are few and not written yet: they come with the batch. */
  readonly bytes?: Uint8Array
  readonly md5: string
  /** Metadata that the way of arrival tells: Origin, RemoteIP … by number. */
  readonly origin: Readonly<Record<number, string>>
  /** Metadata of the series: who sent it. */
  readonly remoteAet: string
  /** Metadata for each level that this arrival creates (ModifiedFrom …). */
  readonly ancestry?: Partial<Record<Level, readonly [number: number, text: string]>>
}

export interface Stored {
  readonly ids: Summary['ids']
  readonly isNew: boolean
}

/** What remains above a deleted resource. */
export interface Removed {
  readonly remaining: { readonly level: Level; readonly id: string } | undefined
}

const structure = 'structure'
const largeSeries = 50_000
/** How many instances are deleted in one batch. */
const removedTogether = 200

export class Archive {
  readonly browse: Browse
  readonly totals = new Totals()
  readonly stability: Stability
  readonly parts: ArchiveParts
  readonly #known = new KnownSeriesCache()
  readonly #locks = new KeyedLock()

  constructor(parts: ArchiveParts) {
    this.parts = parts
    this.browse = new Browse(parts.records)
    this.stability = new Stability(parts, task => this.#locks.run(structure, task))
  }

  async open(): Promise<void> {
    await this.totals.load(this.parts.records)
    await this.stability.load(this.parts.records)
  }

  close(): Promise<void> {
    return this.stability.close()
  }

  // ---- arriving ----

  /** Takes an instance in. Resolves when it is durable; an instance that is there already changes nothing. */
  async store(arrival: Arrival): Promise<Stored> {
    const { ids } = arrival.summary
    const known = this.#locks.isHeld(ids.patient) ? undefined : this.#known.get(ids.series)
    const result = known ? await this.#storeKnown(arrival, known) : await this.#storeUnknown(arrival)
    if (result === 'exists') {
      if (!this.parts.options.overwriteInstances) return { ids, isNew: false }
      await this.#overwrite(arrival)
    }
    await this.#recycle(ids.patient)
    return { ids, isNew: true }
  }

  /** Its series is at hand: decided and written at once, without asking anybody. */
  async #storeKnown(arrival: Arrival, known: KnownSeries): Promise<'stored' | 'exists'> {
    const { ids } = arrival.summary
    if (known.instances.has(ids.instance)) return 'exists'
    this.#known.addInstance(known, ids.instance)
    await this.#write(batch => this.#add(batch, arrival, { patient: false, study: false, series: false }))
    if (known.expectedCount === known.instances.size) await this.#noteCompletion(ids.series)
    return 'stored'
  }

  async #storeUnknown(arrival: Arrival): Promise<'stored' | 'exists'> {
    const { ids } = arrival.summary
    const writing = await this.#locks.run(ids.patient, async () => {
      // Somebody before us in the queue may have brought it.
      const known = this.#known.get(ids.series)
      if (known) return { done: this.#storeKnown(arrival, known) }
      const series = await this.browse.get('series', ids.series)
      if (series) {
        const instances = await this.#knownInstances(series)
        if (!instances) return { done: this.#storeAsked(arrival) }
        const expectedCount = readCount(series)
        const found = { patient: ids.patient, study: ids.study, instances, expectedCount }
        this.#known.put(ids.series, found)
        return { done: this.#storeKnown(arrival, found) }
      }
      const isNewStudy =
        !this.#known.hasStudy(ids.patient, ids.study) && !(await this.browse.get('study', ids.study))
      const isNewPatient =
        isNewStudy && !this.#known.hasPatient(ids.patient) && !(await this.browse.get('patient', ids.patient))
      const { expectedCount } = arrival.summary
      this.#known.put(ids.series, {
        patient: ids.patient,
        study: ids.study,
        instances: new Set([ids.instance]),
        expectedCount,
      })
      const added = { patient: isNewPatient, study: isNewStudy, series: true }
      return { done: this.#write(batch => this.#add(batch, arrival, added)).then(() => 'stored' as const) }
    })
    // The decision is made; the others need not wait until it is durable.
    const result = await writing.done
    if (result === 'stored' && arrival.summary.expectedCount === 1) await this.#noteCompletion(ids.series)
    return result
  }

  /**
   * Takes many instances in within one batch: all of them, or none. Those that are there already are passed over; where
   * they are to be overwritten, that follows one by one.
   */
  async storeAll(arrivals: readonly Arrival[]): Promise<void> {
    const patients = [...new Set(arrivals.map(({ summary }) => summary.ids.patient))]
    const present: Arrival[] = []
    const series = await this.#locks.run(structure, () =>
      this.#holding(patients, async () => {
        for (const patient of patients) this.#known.dropPatient(patient)
        const added: { arrival: Arrival; isNew: Record<'patient' | 'study' | 'series', boolean> }[] = []
        const seen = new Set<string>()
        const isNew = async (level: Level, id: string): Promise<boolean> => {
          if (seen.has(id)) return false
          seen.add(id)
          return !(await this.browse.get(level, id))
        }
        for (const arrival of arrivals) {
          const { ids } = arrival.summary
          if (seen.has(ids.instance)) continue
          if (!(await isNew('instance', ids.instance))) {
            present.push(arrival)
            continue
          }
          const news = {
            patient: await isNew('patient', ids.patient),
            study: await isNew('study', ids.study),
            series: await isNew('series', ids.series),
          }
          added.push({ arrival, isNew: news })
        }
        if (added.length === 0) return new Set<string>()
        await this.#write(batch => {
          for (const { arrival, isNew: news } of added) this.#add(batch, arrival, news)
        })
        return new Set(added.map(({ arrival }) => arrival.summary.ids.series))
      }),
    )
    for (const id of series) await this.#noteCompletion(id)
    if (this.parts.options.overwriteInstances) for (const arrival of present) await this.#overwrite(arrival)
    for (const patient of patients) await this.#recycle(patient)
  }

  /** Runs a task while nothing else arrives for these patients. Only who holds the structure may hold several. */
  #holding<T>(patients: readonly string[], task: () => Promise<T>): Promise<T> {
    const [first, ...others] = patients
    if (first === undefined) return task()
    return this.#locks.run(first, () => this.#holding(others, task))
  }

  /** For series too large to be held: the store is asked about each instance. */
  async #storeAsked(arrival: Arrival): Promise<'stored' | 'exists'> {
    const { ids } = arrival.summary
    if (await this.browse.get('instance', ids.instance)) return 'exists'
    await this.#write(batch => this.#add(batch, arrival, { patient: false, study: false, series: false }))
    return 'stored'
  }

  async #knownInstances(series: Resource): Promise<Set<string> | undefined> {
    if ((await this.browse.childCount('series', series.id)) > largeSeries) return undefined
    return new Set(await this.browse.childIds(series))
  }

  /** In one batch: the old one goes with everything that it leaves empty, and the new one comes with it. */
  async #overwrite(arrival: Arrival): Promise<void> {
    const { ids } = arrival.summary
    await this.#locks.run(structure, () =>
      this.#locks.run(ids.patient, async () => {
        this.#known.dropPatient(ids.patient)
        const before = await this.browse.get('instance', ids.instance)
        const doomed = before ? [before] : []
        if (before) await this.#markEmptyAncestors(before, doomed)
        const gone = new Set(doomed.map(resource => resource.level))
        const isNew = async (level: Level): Promise<boolean> =>
          gone.has(level) || !(await this.browse.get(level, ids[level]))
        const added = {
          patient: await isNew('patient'),
          study: await isNew('study'),
          series: await isNew('series'),
        }
        const forgotten = await this.#changesOf(doomed)
        await this.#write(batch => {
          for (const resource of doomed) this.#subtract(batch, resource)
          for (const id of forgotten) dropChange(batch, id)
          this.#add(batch, arrival, added)
        })
      }),
    )
  }

  /** The change log does not speak of what is gone. */
  async #changesOf(doomed: readonly Resource[]): Promise<string[]> {
    const found: string[] = []
    for (const { id, body } of doomed) {
      found.push(...(await changesAbout(this.parts.records, id)))
      if (body.change !== undefined) found.push(String(body.change))
    }
    return found
  }

  /** Adds an instance, and those of its ancestors that are new. */
  #add(
    batch: WriteBatch,
    arrival: Arrival,
    added: { patient: boolean; study: boolean; series: boolean },
  ): void {
    const { summary } = arrival
    const { ids } = summary
    const parents = { patient: null, study: ids.patient, series: ids.study, instance: ids.series }
    const lastUpdate: Metadata = { [metadataNumbers.LastUpdate]: [dicomTime(batch.now), 0] }
    const counts: Partial<Record<Level | 'bytes', number>> = { instance: 1, bytes: arrival.blob.sizeBytes }
    for (const level of ['patient', 'study', 'series'] as const) {
      if (!added[level]) continue
      counts[level] = 1
      const meta: Metadata = { ...lastUpdate, ...(level === 'series' ? this.#seriesMeta(arrival) : {}) }
      batch.record(
        putResource({
          level,
          id: ids[level],
          parent: parents[level],
          body: this.#body(arrival, level, meta),
        }),
      )
    }
    const file: Attachment = {
      uuid: makeUuid(this.parts.random),
      hash: arrival.blob.hash,
      sizeBytes: arrival.blob.sizeBytes,
      md5: arrival.md5,
      revision: 0,
    }
    const body = {
      ...this.#body(arrival, 'instance', instanceMeta(arrival, batch.now)),
      files: { [dicomFile]: file },
      change: logArrival(batch),
    }
    batch.record(putResource({ level: 'instance', id: ids.instance, parent: ids.series, body }))
    const { bytes } = arrival
    batch.blob({ hash: file.hash, sizeBytes: file.sizeBytes, delta: 1, ...(bytes && { bytes }) })
    this.totals.add(batch, counts)
    if (added.series) logChange(batch, 'NewSeries', 'series', ids.series)
    if (added.study) logChange(batch, 'NewStudy', 'study', ids.study)
    if (added.patient) logChange(batch, 'NewPatient', 'patient', ids.patient)
    for (const level of ['series', 'study', 'patient'] as const)
      this.stability.touch(batch, level, ids[level])
  }

  #body(arrival: Arrival, level: Level, meta: Metadata): ResourceBody {
    const from = arrival.ancestry?.[level]
    const { main } = arrival.summary
    return {
      main: main[level],
      meta: from ? { ...meta, [from[0]]: [from[1], 0] } : meta,
      ...(level === 'study' ? { patient: main.patient } : {}),
    }
  }

  #seriesMeta(arrival: Arrival): Metadata {
    const { expectedCount } = arrival.summary
    const meta: Metadata = { [metadataNumbers.RemoteAET]: [arrival.remoteAet, 0] }
    if (expectedCount !== undefined)
      meta[metadataNumbers.ExpectedNumberOfInstances] = [String(expectedCount), 0]
    return meta
  }

  async #noteCompletion(id: string): Promise<void> {
    const series = await this.browse.get('series', id)
    if (!series || (await seriesStatus(this.browse, series)) !== 'Complete') return
    await this.#write(batch => logChange(batch, 'CompletedSeries', 'series', id))
  }

  // ---- going ----

  /** Deletes a resource with everything below it, and those above that are left empty. */
  remove(level: Level, id: string): Promise<Removed | undefined> {
    return this.#locks.run(structure, () => this.#removeAlone(level, id))
  }

  async #removeAlone(level: Level, id: string): Promise<Removed | undefined> {
    const resource = await this.browse.get(level, id)
    const patient = resource && (await this.browse.ancestor(resource, 'patient'))
    if (!resource || !patient) return undefined
    return this.#locks.run(patient.id, async () => {
      // From here on uploads for this patient wait, and will look at the store anew.
      this.#known.dropPatient(patient.id)
      const doomed = await this.#doomed(resource)
      const remaining = await this.#markEmptyAncestors(resource, doomed)
      const forgotten = await this.#changesOf(doomed)
      await this.#write(batch => {
        for (const gone of doomed) this.#subtract(batch, gone)
        for (const change of forgotten) dropChange(batch, change)
      })
      return { remaining }
    })
  }

  /** Deletes instances, many in one batch, with all that they leave empty. Those that are gone already are not missed. */
  async removeInstances(ids: readonly string[]): Promise<void> {
    for (let at = 0; at < ids.length; at += removedTogether) {
      const some = ids.slice(at, at + removedTogether)
      await this.#locks.run(structure, () => this.#removeSome(some))
    }
  }

  async #removeSome(ids: readonly string[]): Promise<void> {
    const byPatient = new Map<string, Resource[]>()
    for (const id of ids) {
      const instance = await this.browse.get('instance', id)
      const patient = instance && (await this.browse.ancestor(instance, 'patient'))
      if (!instance || !patient) continue
      byPatient.set(patient.id, [...(byPatient.get(patient.id) ?? []), instance])
    }
    for (const [patient, instances] of byPatient) {
      await this.#locks.run(patient, async () => {
        this.#known.dropPatient(patient)
        const doomed = [...instances]
        for (let going = instances; going.length > 0; doomed.push(...going))
          going = await this.#emptied(going)
        const forgotten = await this.#changesOf(doomed)
        await this.#write(batch => {
          for (const gone of doomed) this.#subtract(batch, gone)
          for (const change of forgotten) dropChange(batch, change)
        })
      })
    }
  }

  /** The parents that have no other children than these. */
  async #emptied(children: readonly Resource[]): Promise<Resource[]> {
    const above = children[0] && levelAbove(children[0].level)
    if (!above) return []
    const counts = new Map<string, number>()
    for (const { parent } of children) if (parent !== null) counts.set(parent, (counts.get(parent) ?? 0) + 1)
    const found: Resource[] = []
    for (const [id, count] of counts) {
      const parent = await this.browse.get(above, id)
      if (parent && (await this.browse.childCount(above, id)) === count) found.push(parent)
    }
    return found
  }

  /** The resource and everything below it. */
  async #doomed(resource: Resource): Promise<Resource[]> {
    const found = [resource]
    for (let index = 0; index < found.length; index++) {
      for await (const child of this.browse.children(found[index]!)) found.push(child)
    }
    return found
  }

  /** Adds ancestors whose only child goes; answers the nearest one that stays. */
  async #markEmptyAncestors(resource: Resource, doomed: Resource[]): Promise<Removed['remaining']> {
    let at = resource
    for (;;) {
      const above = levelAbove(at.level)
      if (!above || at.parent === null) return undefined
      const parent = await this.browse.get(above, at.parent)
      if (!parent) return undefined
      if ((await this.browse.childCount(above, parent.id)) > 1) return { level: above, id: parent.id }
      doomed.push(parent)
      at = parent
    }
  }

  #subtract(batch: WriteBatch, resource: Resource): void {
    const { level, id, body } = resource
    batch.record(dropResource(level, id))
    this.stability.drop(batch, id)
    let bytes = 0
    for (const file of Object.values(body.files ?? {})) {
      countBlobs(batch, file, -1)
      bytes += keptBytes(file)
    }
    this.totals.add(batch, { [level]: -1, bytes: -bytes })
  }

  /** Deletes the oldest unprotected patients while there is more than the limits allow. */
  async #recycle(except: string): Promise<void> {
    const { sizeBytesMax, patientsMax } = this.parts.options
    const isOver = (): boolean => {
      const { bytes, patient } = this.totals.now
      return (sizeBytesMax > 0 && bytes > sizeBytesMax) || (patientsMax > 0 && patient > patientsMax)
    }
    if (!isOver()) return
    await this.#locks.run(structure, async () => {
      for await (const patient of this.browse.all('patient')) {
        if (!isOver()) return
        if (patient.id !== except && !patient.body.isProtected) await this.#removeAlone('patient', patient.id)
      }
    })
  }

  // ---- changing ----

  /**
   * Changes the body of a resource: `change` gets a fresh copy to alter, and the batch it is written in. Undefined
   * when there is no such resource; what `change` throws is thrown, and nothing is written.
   */
  update<T>(
    level: Level,
    id: string,
    change: (body: ResourceBody, batch: WriteBatch) => T,
  ): Promise<T | undefined> {
    return this.#locks.run(structure, async () => {
      const resource = await this.browse.get(level, id)
      if (!resource) return undefined
      return this.#write(batch => {
        const result = change(resource.body, batch)
        batch.record(putResource(resource))
        return result
      })
    })
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
        uuid: makeUuid(this.parts.random),
        hash: file.blob.hash,
        sizeBytes: file.blob.sizeBytes,
        md5: file.md5,
        revision: before ? before.revision + 1 : 0,
      }
      batch.blob({ hash: attachment.hash, sizeBytes: attachment.sizeBytes, delta: 1 })
      if (before) countBlobs(batch, before, -1)
      body.files = { ...body.files, [number]: attachment }
      this.totals.add(batch, { bytes: attachment.sizeBytes - (before ? keptBytes(before) : 0) })
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
      this.totals.add(batch, { bytes: -keptBytes(before) })
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
      this.totals.add(batch, { bytes: keptBytes(after) - keptBytes(before) })
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
      for await (const each of this.browse.descendants(resource, level)) {
        const first = await this.browse.firstInstance(each)
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

  /** Counts and bytes of everything below a resource, as the files are and as they are kept. */
  async measure(resource: Resource): Promise<{
    counts: Record<Level, number>
    bytes: number
    dicomBytes: number
    diskBytes: number
    dicomDiskBytes: number
  }> {
    const counts = { patient: 0, study: 0, series: 0, instance: 0 }
    let bytes = 0
    let dicomBytes = 0
    let diskBytes = 0
    let dicomDiskBytes = 0
    for (const each of await this.#doomed(resource)) {
      counts[each.level]++
      for (const file of Object.values(each.body.files ?? {})) {
        bytes += file.sizeBytes
        diskBytes += keptBytes(file)
      }
      if (each.level !== 'instance') continue
      dicomBytes += fileOf(each).sizeBytes
      dicomDiskBytes += keptBytes(fileOf(each))
    }
    return { counts, bytes, dicomBytes, diskBytes, dicomDiskBytes }
  }

  async #write<T>(change: (batch: WriteBatch) => T): Promise<T> {
    try {
      return await this.parts.write(change)
    } catch (error) {
      // The store has less than memory thinks: forget, and learn again.
      this.#known.clear()
      await this.totals.load(this.parts.records).catch(() => {}) // The store may be away; the next failure tries again.
      throw error
    }
  }
}

function countBlobs(batch: WriteBatch, file: Attachment, delta: 1 | -1): void {
  for (const { hash, sizeBytes } of blobsOf(file)) batch.blob({ hash, sizeBytes, delta })
}

function readCount(series: Resource): number | undefined {
  const text = series.body.meta[metadataNumbers.ExpectedNumberOfInstances]?.[0]
  return text === undefined ? undefined : Number(text)
}

function instanceMeta(arrival: Arrival, now: number): Metadata {
  const { summary } = arrival
  const texts: [number, string | undefined][] = [
    [metadataNumbers.IndexInSeries, summary.indexInSeries],
    [metadataNumbers.ReceptionDate, dicomTime(now)],
    [metadataNumbers.TransferSyntax, summary.transferSyntax],
    [metadataNumbers.SopClassUid, summary.sopClassUid],
    [metadataNumbers.PixelDataOffset, summary.pixelDataAt?.toString()],
  ]
  const meta: Metadata = {}
  for (const [number, text] of texts) if (text !== undefined) meta[number] = [text, 0]
  for (const [number, text] of Object.entries(arrival.origin)) meta[number] = [text, 0]
  return meta
}
