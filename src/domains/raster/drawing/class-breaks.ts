// Class breaks over sorted values: equal intervals, quantiles as scipy's mquantiles has them, natural breaks (Jenks).

export type BreaksMethod = 'equal' | 'quantile' | 'jenks'

const jenksValuesMax = 1000

/** Upper bounds of `count` classes; `sorted` ascends and has at least one value. */
export function classBreaks(sorted: ArrayLike<number>, method: BreaksMethod, count: number): number[] {
  if (method === 'equal') {
    const [min, max] = [sorted[0]!, sorted[sorted.length - 1]!]
    return Array.from({ length: count }, (_, index) => min + ((max - min) / count) * (index + 1))
  }
  if (method === 'quantile')
    return Array.from({ length: count }, (_, index) => quantileAt(sorted, (index + 1) / count))
  return naturalBreaks(sorted, count)
}

function quantileAt(sorted: ArrayLike<number>, p: number): number {
  const n = sorted.length
  if (n === 1) return sorted[0]!
  const place = n * p + 0.4 + p * 0.2
  const k = Math.floor(Math.max(1, Math.min(n - 1, place)))
  const g = Math.max(0, Math.min(1, place - k))
  return (1 - g) * sorted[k - 1]! + g * sorted[k]!
}

/** The breaks with the least sum of squared deviations from the means of the classes, by dynamic programming. */
function naturalBreaks(sorted: ArrayLike<number>, wanted: number): number[] {
  const values = thinned(sorted)
  const n = values.length
  const count = Math.min(wanted, n)
  const sums = new Float64Array(n + 1)
  const squares = new Float64Array(n + 1)
  const middle = values[n >> 1]!
  for (let index = 0; index < n; index++) {
    // Around the middle, so that large values do not eat the digits of small differences.
    const value = values[index]! - middle
    sums[index + 1] = sums[index]! + value
    squares[index + 1] = squares[index]! + value * value
  }
  const cost = (from: number, to: number): number => {
    const sum = sums[to]! - sums[from]!
    return squares[to]! - squares[from]! - (sum * sum) / (to - from)
  }
  let best = Float64Array.from({ length: n + 1 }, (_, to) => (to === 0 ? 0 : cost(0, to)))
  const starts: Int32Array[] = [new Int32Array(n + 1)]
  for (let classes = 2; classes <= count; classes++) {
    const next = new Float64Array(n + 1).fill(Number.POSITIVE_INFINITY)
    const start = new Int32Array(n + 1)
    for (let to = classes; to <= n; to++) {
      for (let from = classes - 1; from < to; from++) {
        const total = best[from]! + cost(from, to)
        if (total < next[to]! - 1e-12 * Math.abs(total)) {
          next[to] = total
          start[to] = from
        }
      }
    }
    best = next
    starts.push(start)
  }
  const breaks: number[] = []
  for (let classes = count - 1, to = n; classes >= 0; classes--) {
    breaks.unshift(values[to - 1]!)
    to = starts[classes]![to]!
  }
  return breaks
}

/** Values at evenly spaced ranks where there are too many. */
function thinned(sorted: ArrayLike<number>): ArrayLike<number> {
  if (sorted.length <= jenksValuesMax) return sorted
  return Array.from(
    { length: jenksValuesMax },
    (_, index) => sorted[Math.round((index * (sorted.length - 1)) / (jenksValuesMax - 1))]!,
  )
}
