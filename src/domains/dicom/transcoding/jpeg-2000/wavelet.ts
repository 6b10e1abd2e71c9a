// The inverse wavelet transforms of JPEG 2000 (ITU T.800 annex F): 5/3 in whole numbers, 9/7 in floating point.

import type { Area } from './tile.ts'

/** Rows × columns of coefficients or samples of an area. */
export interface Field extends Area {
  readonly values: Int32Array | Float32Array
}

/** Room for the coefficients of an area. */
export function makeField(area: Area, isReversible: boolean): Field {
  const count = Math.max(0, area.x1 - area.x0) * Math.max(0, area.y1 - area.y0)
  const { x0, y0, x1, y1 } = area
  return { x0, y0, x1, y1, values: isReversible ? new Int32Array(count) : new Float32Array(count) }
}

/** One resolution from the one below it (`low`) and its three subbands (HL, LH, HH). */
export function joinBands(
  area: Area,
  bands: { readonly low: Field; readonly hl: Field; readonly lh: Field; readonly hh: Field },
  isReversible: boolean,
): Field {
  const field = makeField(area, isReversible)
  const width = area.x1 - area.x0
  const height = area.y1 - area.y0
  if (width <= 0 || height <= 0) return field
  interleave(field, width, bands)
  const lift = isReversible ? liftWhole : liftReal
  const line = new Line(Math.max(width, height), isReversible)
  for (let y = 0; y < height; y++)
    line.run(field.values, { at: y * width, step: 1, count: width, from: area.x0, lift })
  for (let x = 0; x < width; x++)
    line.run(field.values, { at: x, step: width, count: height, from: area.y0, lift })
  return field
}

/** Low ones at even places, high ones at odd ones. */
function interleave(
  { values, x0, y0, x1, y1 }: Field,
  width: number,
  { low, hl, lh, hh }: { low: Field; hl: Field; lh: Field; hh: Field },
): void {
  for (let y = y0; y < y1; y++) {
    const [left, right] = y % 2 === 0 ? [low, hl] : [lh, hh]
    const row = Math.floor(y / 2)
    const leftAt = (row - left.y0) * (left.x1 - left.x0) - left.x0
    const rightAt = (row - right.y0) * (right.x1 - right.x0) - right.x0
    let to = (y - y0) * width
    for (let x = x0; x < x1; x++) {
      values[to++] = x % 2 === 0 ? left.values[leftAt + x / 2]! : right.values[rightAt + (x - 1) / 2]!
    }
  }
}

type Values = Int32Array | Float32Array
type Lift = (values: Values, from: number, to: number) => void

/** Values beyond either end, mirrored: more than any step looks at. */
const margin = 4

class Line {
  readonly #values: Values

  constructor(most: number, isReversible: boolean) {
    const size = most + 2 * margin + 2
    this.#values = isReversible ? new Int32Array(size) : new Float32Array(size)
  }

  /** Transforms one row or column in place; `from` is where it lies, which tells low from high. */
  run(values: Values, facts: { at: number; step: number; count: number; from: number; lift: Lift }): void {
    const { at, step, count, from, lift } = facts
    const isOdd = from % 2 !== 0
    if (count === 1) {
      // A single high one stands for twice its value.
      if (isOdd) values[at] = lift === liftWhole ? values[at]! >> 1 : values[at]! / 2
      return
    }
    const line = this.#values
    // Low ones lie at even places of the line, too.
    const start = margin + (isOdd ? 1 : 0)
    for (let index = 0, place = at; index < count; index++, place += step)
      line[start + index] = values[place]!
    for (let index = 1; index <= margin; index++) {
      line[start - index] = line[start + mirrored(-index, count)]!
      line[start + count - 1 + index] = line[start + mirrored(count - 1 + index, count)]!
    }
    lift(line, start, start + count)
    for (let index = 0, place = at; index < count; index++, place += step)
      values[place] = line[start + index]!
  }
}

/** The place within 0 to count - 1 that a place beyond them shows. */
function mirrored(place: number, count: number): number {
  const period = 2 * (count - 1)
  const inside = Math.abs(place) % period
  return inside < count ? inside : period - inside
}

const even = (value: number): number => value + (value & 1)
const odd = (value: number): number => value + 1 - (value & 1)

function liftWhole(line: Values, from: number, to: number): void {
  for (let at = even(from - 1); at < to + 1; at += 2) line[at]! -= (line[at - 1]! + line[at + 1]! + 2) >> 2
  for (let at = odd(from); at < to; at += 2) line[at]! += (line[at - 1]! + line[at + 1]!) >> 1
}

const [alpha, beta, gamma, delta] = [
  ...[-1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971],
] as [number, number, number, number]
const scale = 1.230174104914001

function liftReal(line: Values, from: number, to: number): void {
  for (let at = even(from - 3); at < to + 3; at += 2) line[at]! *= scale
  for (let at = odd(from - 4); at < to + 4; at += 2) line[at]! /= scale
  for (let at = even(from - 3); at < to + 3; at += 2) line[at]! -= delta * (line[at - 1]! + line[at + 1]!)
  for (let at = odd(from - 2); at < to + 2; at += 2) line[at]! -= gamma * (line[at - 1]! + line[at + 1]!)
  for (let at = even(from - 1); at < to + 1; at += 2) line[at]! -= beta * (line[at - 1]! + line[at + 1]!)
  for (let at = odd(from); at < to; at += 2) line[at]! -= alpha * (line[at - 1]! + line[at + 1]!)
}
