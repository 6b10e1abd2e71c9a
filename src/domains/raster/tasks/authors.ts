// What the authors of jobs import as `switchyard/ncdjango`: parameters and outputs of tasks, rasters, and renderers as
// the original's constructors make them. Nothing else of ours is promised to them.

import type { JsonObject } from '../../../core/json.ts'
import { writeColour } from '../drawing/colour.ts'

export { fromLists, NdArray } from '../values/nd-array.ts'
export { Raster } from '../values/raster.ts'
export { parameters } from './parameter.ts'
export type { JobEntry } from './registration.ts'
export { outputs, ParameterCollection, type Task, type TaskTools } from './task.ts'

/** A value and its colour: `#RGB`, `#RRGGBB`, `#RRGGBBAA`, or what `Color` gives. */
export type ColourEntry = readonly [value: number, colour: string]

export interface RendererOptions {
  /** In which colours between entries are mixed; `hsv` unless given. */
  readonly colorSpace?: 'hsv' | 'rgb'
  /** A value that shows nothing. */
  readonly fillValue?: number
  /** The colour of what no entry covers; transparent unless given. */
  readonly backgroundColor?: string
}

/** A colour of parts from 0 to 255. */
export function Color(red: number, green: number, blue: number, alpha = 255): string {
  return writeColour([red, green, blue, alpha])
}

/** Colours that run from entry to entry. */
export function stretched(colors: readonly ColourEntry[], options?: RendererOptions): JsonObject {
  return renderer('stretched', colors, options)
}

/** One colour for all values up to each entry's, from the entry before. */
export function classified(colors: readonly ColourEntry[], options?: RendererOptions): JsonObject {
  return renderer('classified', colors, options)
}

/** One colour for each value, with labels for the legend; these go with the entries as sorted by value. */
export function unique(
  colors: readonly ColourEntry[],
  options?: RendererOptions & { readonly labels?: readonly string[] },
): JsonObject {
  return renderer('unique', colors, options)
}

function renderer(
  type: string,
  colors: readonly ColourEntry[],
  options: RendererOptions & { readonly labels?: readonly string[] } = {},
): JsonObject {
  const { colorSpace, fillValue, backgroundColor, labels } = options
  return {
    type,
    colors: colors.map(([value, colour]) => [value, colour]),
    options: {
      ...(colorSpace === undefined ? {} : { color_space: colorSpace }),
      ...(fillValue === undefined ? {} : { fill_value: fillValue }),
      ...(backgroundColor === undefined ? {} : { background_color: backgroundColor }),
      ...(labels === undefined ? {} : { labels: [...labels] }),
    },
  }
}
