// Legends: a small picture and a label for each class, or three pieces of a ramp.

import type { Rgba } from './colour.ts'
import { encodePng } from './encode.ts'
import { paletteOf, type Renderer } from './renderer.ts'

export interface LegendEntry {
  readonly label: string
  readonly image: Uint8Array
  readonly width: number
  readonly height: number
}

const side = 20

/** What a legend shows of a renderer, each colour with its text. */
export function legendOf(renderer: Renderer): LegendEntry[] {
  const values = renderer.entries.map(({ value }) => value)
  const texts = numberTexts(values)
  const colours = renderer.entries.map(({ colour }) => colour)
  if (renderer.type === 'stretched') return ramp(renderer, texts)
  if (renderer.type === 'unique') {
    return colours.map((colour, index) =>
      swatch(renderer.entries[index]!.label ?? texts[index]!, Array(side).fill(colour), 36),
    )
  }
  return colours.map((colour, index) => {
    const label =
      index === 0
        ? `<= ${texts[0]}`
        : index === colours.length - 1
          ? `> ${texts[index - 1]}`
          : `${texts[index - 1]} - ${texts[index]}`
    return swatch(label, Array(side).fill(colour), side)
  })
}

/** Sixty values from high to low, cut into three pictures. */
function ramp(renderer: Renderer, texts: readonly string[]): LegendEntry[] {
  const palette = paletteOf({ ...renderer, fillValue: undefined })
  const [min, max] = [renderer.entries[0]!.value, renderer.entries[renderer.entries.length - 1]!.value]
  const count = side * 3
  const rows = Array.from({ length: count }, (_, index) => {
    const value = index === 0 ? max : max - ((max - min) * index) / (count - 1)
    return palette.colours[palette.place(value)]!
  })
  const labels = [texts[texts.length - 1]!, '', texts[0]!]
  return labels.map((label, part) => swatch(label, rows.slice(part * side, (part + 1) * side), side))
}

/** A picture whose rows have one colour each. */
function swatch(label: string, rows: readonly Rgba[], width: number): LegendEntry {
  const rgba = new Uint8Array(width * rows.length * 4)
  for (const [row, colour] of rows.entries())
    for (let column = 0; column < width; column++) rgba.set(colour, (row * width + column) * 4)
  return { label, image: encodePng({ width, height: rows.length, rgba }), width, height: rows.length }
}

/** The values as texts, all with the precision that the longest of their fractions asks for. */
export function numberTexts(values: readonly number[]): string[] {
  const longest = Math.max(...values.map(value => general(value - roundEven(value)).length))
  const precision = Math.max(0, Math.min(6, longest - 2))
  return values.map(value => {
    if (precision === 0) return String(roundEven(value) + 0)
    const text = value.toFixed(precision)
    return text.replace(/\.?0+$/, '')
  })
}

function roundEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor
}

/** As C's `%g` writes a number: six significant digits. */
function general(value: number): string {
  return value === 0 ? '0' : String(Number(value.toPrecision(6)))
}
