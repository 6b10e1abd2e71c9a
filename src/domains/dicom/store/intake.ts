// Taking instances in: decided from what is known of their series in memory where that is possible, for that is what
// keeps uploads from asking the store.

import type { Level } from '../levels.ts'
import type { Summary } from '../summary.ts'
import { type Arrival, addArrival } from './arrival.ts'
import { metadataNumbers, type Resource } from './bodies.ts'
import { seriesStatus } from './browse.ts'
import { dropChange, logChange } from './change-log.ts'
import type { KnownSeries } from './known-series.ts'
import type { Removal } from './removal.ts'
import type { Stock } from './stock.ts'

/** What became of an instance that came. */
export interface Stored {
  readonly ids: Summary['ids']
  readonly isNew: boolean
}

/** The ids of larger series are not held in memory. */
const largeSeries = 50_000

/** Takes instances in, one or all of many. */
export class Intake {
  readonly #stock: Stock
  readonly #removal: Removal

  constructor(stock: Stock, removal: Removal) {
    this.#stock = stock
    this.#removal = removal
  }

  /** Takes an instance in. Resolves when it is durable; an instance that is there already changes nothing. */
  async store(arrival: Arrival): Promise<Stored> {
    const { ids } = arrival.summary
    await this.#removal.makeRoom(arrival)
    const known = this.#stock.isHeld(ids.patient) ? undefined : this.#stock.known.get(ids.series)
    const result = known ? await this.#storeKnown(arrival, known) : await this.#storeUnknown(arrival)
    if (result === 'exists') {
      if (!this.#stock.parts.options.overwriteInstances) return { ids, isNew: false }
      await this.#overwrite(arrival)
    }
    await this.#removal.recycle(ids.patient)
    return { ids, isNew: true }
  }

  /** Its series is at hand: decided and written at once, without asking anybody. */
  async #storeKnown(arrival: Arrival, known: KnownSeries): Promise<'stored' | 'exists'> {
    const { ids } = arrival.summary
    if (known.instances.has(ids.instance)) return 'exists'
    this.#stock.known.addInstance(known, ids.instance)
    await this.#stock.write(batch =>
      addArrival(this.#stock, batch, arrival, { patient: false, study: false, series: false }),
    )
    if (known.expectedCount === known.instances.size) await this.#noteCompletion(ids.series)
    return 'stored'
  }

  async #storeUnknown(arrival: Arrival): Promise<'stored' | 'exists'> {
    const { ids } = arrival.summary
    const writing = await this.#stock.holding([ids.patient], async () => {
      // Somebody before us in the queue may have brought it.
      const known = this.#stock.known.get(ids.series)
      if (known) return { done: this.#storeKnown(arrival, known) }
      const series = await this.#stock.browse.get('series', ids.series)
      if (series) {
        const instances = await this.#knownInstances(series)
        if (!instances) return { done: this.#storeAsked(arrival) }
        const expectedCount = readCount(series)
        const found = { patient: ids.patient, study: ids.study, instances, expectedCount }
        this.#stock.known.put(ids.series, found)
        return { done: this.#storeKnown(arrival, found) }
      }
      const isNewStudy =
        !this.#stock.known.hasStudy(ids.patient, ids.study) &&
        !(await this.#stock.browse.get('study', ids.study))
      const isNewPatient =
        isNewStudy &&
        !this.#stock.known.hasPatient(ids.patient) &&
        !(await this.#stock.browse.get('patient', ids.patient))
      const { expectedCount } = arrival.summary
      this.#stock.known.put(ids.series, {
        patient: ids.patient,
        study: ids.study,
        instances: new Set([ids.instance]),
        expectedCount,
      })
      const added = { patient: isNewPatient, study: isNewStudy, series: true }
      return {
        done: this.#stock
          .write(batch => addArrival(this.#stock, batch, arrival, added))
          .then(() => 'stored' as const),
      }
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
    const series = await this.#stock.alone(() =>
      this.#stock.holding(patients, async () => {
        for (const patient of patients) this.#stock.known.dropPatient(patient)
        const added: { arrival: Arrival; isNew: Record<'patient' | 'study' | 'series', boolean> }[] = []
        const seen = new Set<string>()
        const isNew = async (level: Level, id: string): Promise<boolean> => {
          if (seen.has(id)) return false
          seen.add(id)
          return !(await this.#stock.browse.get(level, id))
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
        await this.#stock.write(batch => {
          for (const { arrival, isNew: news } of added) addArrival(this.#stock, batch, arrival, news)
        })
        return new Set(added.map(({ arrival }) => arrival.summary.ids.series))
      }),
    )
    for (const id of series) await this.#noteCompletion(id)
    if (this.#stock.parts.options.overwriteInstances)
      for (const arrival of present) await this.#overwrite(arrival)
    for (const patient of patients) await this.#removal.recycle(patient)
  }

  /** For series too large to be held: the store is asked about each instance. */
  async #storeAsked(arrival: Arrival): Promise<'stored' | 'exists'> {
    const { ids } = arrival.summary
    if (await this.#stock.browse.get('instance', ids.instance)) return 'exists'
    await this.#stock.write(batch =>
      addArrival(this.#stock, batch, arrival, { patient: false, study: false, series: false }),
    )
    return 'stored'
  }

  async #knownInstances(series: Resource): Promise<Set<string> | undefined> {
    if ((await this.#stock.browse.childCount('series', series.id)) > largeSeries) return undefined
    return new Set(await this.#stock.browse.childIds(series))
  }

  /** In one batch: the old one goes with everything that it leaves empty, and the new one comes with it. */
  async #overwrite(arrival: Arrival): Promise<void> {
    const { ids } = arrival.summary
    await this.#stock.alone(() =>
      this.#stock.holding([ids.patient], async () => {
        this.#stock.known.dropPatient(ids.patient)
        const before = await this.#stock.browse.get('instance', ids.instance)
        const doomed = before ? [before] : []
        if (before) await this.#removal.markEmptyAncestors(before, doomed)
        const gone = new Set(doomed.map(resource => resource.level))
        const isNew = async (level: Level): Promise<boolean> =>
          gone.has(level) || !(await this.#stock.browse.get(level, ids[level]))
        const added = {
          patient: await isNew('patient'),
          study: await isNew('study'),
          series: await isNew('series'),
        }
        const forgotten = await this.#removal.changesOf(doomed)
        await this.#stock.write(batch => {
          for (const resource of doomed) this.#removal.subtract(batch, resource)
          for (const id of forgotten) dropChange(batch, id)
          addArrival(this.#stock, batch, arrival, added)
        })
      }),
    )
    const { expectedCount } = arrival.summary
    if (expectedCount === undefined) return
    if ((await this.#stock.browse.childCount('series', ids.series)) === expectedCount)
      await this.#noteCompletion(ids.series)
  }

  async #noteCompletion(id: string): Promise<void> {
    const series = await this.#stock.browse.get('series', id)
    if (!series || (await seriesStatus(this.#stock.browse, series)) !== 'Complete') return
    await this.#stock.write(batch => logChange(batch, 'CompletedSeries', 'series', id))
  }
}

function readCount(series: Resource): number | undefined {
  const text = series.body.meta[metadataNumbers.ExpectedNumberOfInstances]?.[0]
  return text === undefined ? undefined : Number(text)
}
