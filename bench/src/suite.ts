// What a benchmark is: a name, what it needs, and figures that it measured, each beside the goal and the peer.

export interface Figure {
  readonly what: string
  /** Ours, already formatted with its unit. */
  readonly ours: string
  /** The peer's or the limit's, measured in the same run. */
  readonly beside: string
  /** Ours ÷ theirs, or the measured value where the goal is absolute. */
  readonly ratio: string
  readonly goal: string
  readonly met: boolean
}

export interface Suite {
  readonly name: string
  readonly title: string
  run(): Promise<Figure[]>
}

/** A figure whose goal is a ratio of rates. */
export function rateFigure(
  what: string,
  facts: { ours: number; peer: number; peerName: string; unit: string; atLeast: number },
): Figure {
  const ratio = facts.ours / facts.peer
  return {
    what,
    ours: `${round(facts.ours)} ${facts.unit}`,
    beside: `${facts.peerName}: ${round(facts.peer)} ${facts.unit}`,
    ratio: ratio.toFixed(2),
    goal: `≥ ${facts.atLeast}`,
    met: ratio >= facts.atLeast,
  }
}

/** A figure whose goal is a bound on a value; without a bound it is told for comparison only. */
export function boundFigure(
  what: string,
  facts: { value: number; unit: string; atMost?: number; atLeast?: number; beside?: string },
): Figure {
  const { value, unit, atMost = Number.POSITIVE_INFINITY, atLeast = Number.NEGATIVE_INFINITY } = facts
  const bounds = [
    ...(atMost < Number.POSITIVE_INFINITY ? [`≤ ${round(atMost)} ${unit}`] : []),
    ...(atLeast > Number.NEGATIVE_INFINITY ? [`≥ ${round(atLeast)} ${unit}`] : []),
  ]
  return {
    what,
    ours: `${round(value)} ${unit}`,
    beside: facts.beside ?? '',
    ratio: round(value),
    goal: bounds.length === 0 ? 'none, for comparison' : bounds.join(', '),
    met: value <= atMost && value >= atLeast,
  }
}

export function round(value: number): string {
  if (Math.abs(value) >= 100) return String(Math.round(value))
  return String(Number(value.toPrecision(3)))
}

/** The q-quantile of measured values (0.5 = median). */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}
