// A histogram for prom-client's registry that is cheap to observe: every answer and every job of the server goes
// through one. The library's own writes a text of all labels for each value; here they lead to their series one by one.

import type { Metric, Registry } from 'prom-client'

export type LabelValue = string | number

export interface HistogramSettings {
  readonly name: string
  readonly help: string
  /** In the order in which `observe` gets their values. */
  readonly labelNames?: readonly string[]
  /** Upper bounds, ascending; a last one without bound is understood. */
  readonly buckets: readonly number[]
  readonly registers: readonly Registry[]
}

interface Series {
  readonly labels: Readonly<Record<string, LabelValue>>
  /** How many values fell into each bucket; the last is for those above all bounds. */
  readonly counts: number[]
  sum: number
}

/** For each value of a label, what is known of the labels after it; behind the last one, the series. */
type Branch = Map<LabelValue, Branch | Series>

export class Histogram {
  readonly name: string
  readonly help: string
  readonly type = 'histogram'
  readonly labelNames: readonly string[]
  readonly #buckets: readonly number[]
  readonly #root: Branch = new Map()
  readonly #all: Series[] = []
  /** The only series where there are no labels. */
  readonly #single: Series | undefined

  constructor({ name, help, labelNames = [], buckets, registers }: HistogramSettings) {
    this.name = name
    this.help = help
    this.labelNames = labelNames
    this.#buckets = buckets
    this.#single = labelNames.length === 0 ? this.#addSeries([]) : undefined
    for (const registry of registers) registry.registerMetric(this as unknown as Metric)
  }

  /** Counts a value. Labels come in the order of their names, and are expected to have few values. */
  observe(value: number, ...labels: readonly LabelValue[]): void {
    const series = this.#single ?? this.#seriesOf(labels)
    let at = 0
    while (at < this.#buckets.length && value > this.#buckets[at]!) at++
    series.counts[at]!++
    series.sum += value
  }

  /** What the registry shows, as prom-client's own metrics say it. */
  async get() {
    const values: { metricName: string; labels: Record<string, LabelValue>; value: number }[] = []
    for (const { labels, counts, sum } of this.#all) {
      let count = 0
      for (const [at, inBucket] of counts.entries()) {
        count += inBucket
        const le = this.#buckets[at] ?? '+Inf'
        values.push({ metricName: `${this.name}_bucket`, labels: { le, ...labels }, value: count })
      }
      values.push({ metricName: `${this.name}_sum`, labels: { ...labels }, value: sum })
      values.push({ metricName: `${this.name}_count`, labels: { ...labels }, value: count })
    }
    return { name: this.name, help: this.help, type: this.type, values, aggregator: 'sum' }
  }

  #seriesOf(labels: readonly LabelValue[]): Series {
    let branch = this.#root
    const last = labels.length - 1
    for (let at = 0; at < last; at++) {
      let next = branch.get(labels[at]!) as Branch | undefined
      if (next === undefined) {
        next = new Map()
        branch.set(labels[at]!, next)
      }
      branch = next
    }
    let series = branch.get(labels[last]!) as Series | undefined
    if (series === undefined) {
      series = this.#addSeries(labels)
      branch.set(labels[last]!, series)
    }
    return series
  }

  #addSeries(values: readonly LabelValue[]): Series {
    const labels = Object.fromEntries(this.labelNames.map((name, at) => [name, values[at]!]))
    const series = { labels, counts: new Array(this.#buckets.length + 1).fill(0), sum: 0 }
    this.#all.push(series)
    return series
  }
}
