// Series that instances are arriving for, with the ids of all their instances: what lets an upload be decided without
// asking the store. Bounded by the number of ids held; the least recently used series goes first.

export interface KnownSeries {
  readonly patient: string
  readonly study: string
  readonly instances: Set<string>
  /** How many instances it should have. */
  readonly expectedCount: number | undefined
}

const idsMax = 200_000

export class KnownSeriesCache {
  readonly #series = new Map<string, KnownSeries>()
  readonly #ofPatient = new Map<string, Set<string>>()
  #ids = 0

  get(id: string): KnownSeries | undefined {
    const found = this.#series.get(id)
    if (found) {
      this.#series.delete(id)
      this.#series.set(id, found)
    }
    return found
  }

  put(id: string, series: KnownSeries): void {
    this.drop(id)
    this.#series.set(id, series)
    this.#ids += series.instances.size + 1
    const siblings = this.#ofPatient.get(series.patient) ?? new Set()
    siblings.add(id)
    this.#ofPatient.set(series.patient, siblings)
    this.#shrink()
  }

  addInstance(series: KnownSeries, id: string): void {
    series.instances.add(id)
    this.#ids++
    this.#shrink()
  }

  drop(id: string): void {
    const series = this.#series.get(id)
    if (!series) return
    this.#series.delete(id)
    this.#ids -= series.instances.size + 1
    const siblings = this.#ofPatient.get(series.patient)
    siblings?.delete(id)
    if (siblings?.size === 0) this.#ofPatient.delete(series.patient)
  }

  /** Whether the patient is known to exist because one of its series is here. */
  hasPatient(patient: string): boolean {
    return this.#ofPatient.has(patient)
  }

  hasStudy(patient: string, study: string): boolean {
    for (const id of this.#ofPatient.get(patient) ?? [])
      if (this.#series.get(id)?.study === study) return true
    return false
  }

  dropPatient(patient: string): void {
    for (const id of [...(this.#ofPatient.get(patient) ?? [])]) this.drop(id)
  }

  clear(): void {
    this.#series.clear()
    this.#ofPatient.clear()
    this.#ids = 0
  }

  #shrink(): void {
    while (this.#ids > idsMax && this.#series.size > 1) this.drop(this.#series.keys().next().value!)
  }
}
