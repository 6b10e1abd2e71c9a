// Renderers: how values become colours. Stretched between entries, classified by upper bounds, or unique values; see
// contracts/ncdjango.md §3.12 for what is exact here.

import { isObject, type JsonObject } from '../../../core/json.ts'
import { fromHsv, type Rgba, readColour, toHsv, writeColour } from './colour.ts'

export type RendererType = 'stretched' | 'classified' | 'unique'

export interface Renderer {
  readonly type: RendererType
  /** Sorted by value. */
  readonly entries: readonly { readonly value: number; readonly colour: Rgba; readonly label?: string }[]
  readonly colourSpace: 'hsv' | 'rgb'
  readonly fillValue: number | undefined
  readonly background: Rgba
}

const entriesMax = 10_000

/** Reads the web form: `{type, colors: [[value, colour], …], options}`; throws with what is wrong. */
export function readRenderer(document: unknown): Renderer {
  if (!isObject(document)) throw new Error('a renderer must be an object')
  const { type, colors, options = {} } = document
  if (type !== 'stretched' && type !== 'classified' && type !== 'unique')
    throw new Error(`${String(type)} is no type of renderer`)
  if (!Array.isArray(colors)) throw new Error('a renderer must have colors')
  if (!isObject(options)) throw new Error('the options of a renderer must be an object')
  const least = type === 'unique' ? 1 : 2
  if (colors.length < least || colors.length > entriesMax)
    throw new Error(`a ${type} renderer has from ${least} to ${entriesMax} colors`)
  const labels = options['labels']
  if (labels !== undefined && (!Array.isArray(labels) || labels.length !== colors.length))
    throw new Error('a renderer must have as many labels as colors')
  const sorted = colors
    .map(entry => {
      const [value, colour] = Array.isArray(entry) ? entry : []
      if (typeof value !== 'number' || !Number.isFinite(value))
        throw new Error('each color must be [value, colour]')
      return { value, colour: readColour(colour) }
    })
    .sort((a, b) => a.value - b.value)
  // Labels go with the entries as sorted by value, whatever their order was.
  const entries = sorted.map((entry, index) =>
    labels === undefined ? entry : { ...entry, label: String((labels as unknown[])[index]) },
  )
  const space = options['color_space'] ?? 'hsv'
  if (space !== 'hsv' && space !== 'rgb') throw new Error('the color_space must be hsv or rgb')
  const fill = options['fill_value']
  if (fill !== undefined && fill !== null && typeof fill !== 'number')
    throw new Error('the fill_value must be a number')
  const background = options['background_color']
  return {
    type,
    entries,
    colourSpace: space,
    fillValue: typeof fill === 'number' ? fill : undefined,
    background: background === undefined || background === null ? clear : readColour(background),
  }
}

const clear: Rgba = [255, 255, 255, 0]

/** The web form of a renderer. */
export function writeRenderer(renderer: Renderer): JsonObject {
  const labels = renderer.entries.map(({ label }) => label)
  const options: JsonObject = {
    ...(renderer.type === 'stretched' ? { color_space: renderer.colourSpace } : {}),
    ...(renderer.fillValue === undefined ? {} : { fill_value: renderer.fillValue }),
    ...(labels[0] === undefined ? {} : { labels: labels as string[] }),
    ...(renderer.background === clear ? {} : { background_color: writeColour(renderer.background) }),
  }
  return {
    type: renderer.type,
    colors: renderer.entries.map(({ value, colour }) => [value, writeColour(colour)]),
    ...(Object.keys(options).length > 0 ? { options } : {}),
  }
}

/** From black at the least value to white at the greatest. */
export function defaultRenderer(min: number, max: number): Renderer {
  const [low, high] = Number.isFinite(min) && Number.isFinite(max) ? [min, max] : [0, 0]
  return readRenderer({
    type: 'stretched',
    colors: [
      [low, '#000000'],
      [high, '#FFFFFF'],
    ],
  })
}

/** A renderer made ready: a palette, and the place in it of each value. Place 0 is the background. */
export interface Palette {
  readonly colours: readonly Rgba[]
  place(value: number): number
}

/** The colours of a renderer, and which of them a value has. */
export function paletteOf(renderer: Renderer): Palette {
  const { fillValue } = renderer
  const inner = innerPalette(renderer)
  const colours = [renderer.background, ...inner.colours]
  return {
    colours,
    place: value => {
      if (Number.isNaN(value) || value === fillValue) return 0
      return inner.place(value) + 1
    },
  }
}

/** Places from 0, and -1 for what has no colour. */
function innerPalette(renderer: Renderer): { colours: readonly Rgba[]; place(value: number): number } {
  const { entries } = renderer
  const values = entries.map(({ value }) => value)
  const colours = entries.map(({ colour }) => colour)
  if (renderer.type === 'stretched') {
    const count = entries.length > 20 ? 255 : 90
    const min = values[0]!
    const max = values[values.length - 1]!
    const factor = min === max ? 1 : (count - 1) / (max - min)
    return {
      colours: ramp(renderer, count),
      place: value => {
        const place = Math.trunc((value - min) * factor)
        return place < 0 ? 0 : place > count - 1 ? count - 1 : place
      },
    }
  }
  if (renderer.type === 'classified') {
    return {
      colours,
      place: value => {
        const at = firstAtLeast(values, value)
        return at === values.length ? -1 : at
      },
    }
  }
  const places = new Map(values.map((value, index) => [value, index]))
  return { colours, place: value => places.get(value) ?? -1 }
}

/** The first value that is not less than the wanted one: its place among the sorted values. */
function firstAtLeast(values: readonly number[], wanted: number): number {
  let low = 0
  let high = values.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (values[middle]! < wanted) low = middle + 1
    else high = middle
  }
  return low
}

function ramp(renderer: Renderer, count: number): Rgba[] {
  const { entries } = renderer
  const min = entries[0]!.value
  const span = entries[entries.length - 1]!.value - min
  let segment = 0
  return Array.from({ length: count }, (_, index) => {
    const position = index / (count - 1)
    const placeOf = (at: number): number => (span === 0 ? at : (entries[at]!.value - min) / span)
    while (segment < entries.length - 2 && position >= placeOf(segment + 1)) segment++
    const from = placeOf(segment)
    const to = placeOf(segment + 1)
    const fraction = to === from ? 0 : Math.min(1, (position - from) / (to - from))
    return mix(entries[segment]!.colour, entries[segment + 1]!.colour, fraction, renderer.colourSpace)
  })
}

function mix(a: Rgba, b: Rgba, fraction: number, space: 'hsv' | 'rgb'): Rgba {
  const between = (from: number, to: number): number => from + (to - from) * fraction
  const alpha = Math.trunc(between(a[3], b[3]))
  if (space === 'rgb') {
    const part = (at: 0 | 1 | 2): number => Math.trunc(between(a[at], b[at]))
    return [part(0), part(1), part(2), alpha]
  }
  const [hueA, sA, vA] = toHsv(a)
  const [hueB, sB, vB] = toHsv(b)
  // Grey has no hue of its own: the segment keeps that of its other end.
  const from = sA === 0 ? hueB : hueA
  const to = sB === 0 ? hueA : hueB
  return [...fromHsv([between(from, to), between(sA, sB), between(vA, vB)]), alpha]
}
