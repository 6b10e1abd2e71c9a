// What every file of grids looks like from here: dimensions, variables with attributes, and raw cells of any part.

import type { Cells, Dtype } from '../values/nd-array.ts'

/** Text, or one number or more with their type. */
export type Attribute =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: Dtype; readonly values: readonly number[] }

export type Attributes = ReadonlyMap<string, Attribute>

export interface GridVariable {
  readonly name: string
  /** `char` variables hold text, and are only looked at for their attributes. */
  readonly dtype: Dtype | 'char'
  readonly dimensions: readonly string[]
  readonly shape: readonly number[]
  readonly attributes: Attributes
}

export interface GridFile {
  readonly format: 'netcdf-3' | 'netcdf-4' | 'geotiff'
  readonly dimensions: ReadonlyMap<string, number>
  readonly attributes: Attributes
  readonly variables: ReadonlyMap<string, GridVariable>
  /** The cells of a hyperslab as they stand in the file, row by row: neither masked nor scaled. */
  read(variable: string, start: readonly number[], count: readonly number[]): Cells | Promise<Cells>
  close(): void
}

/** The text of an attribute, if it is one. */
export function textOf(attributes: Attributes, name: string): string | undefined {
  const attribute = attributes.get(name)
  return attribute?.type === 'text' ? attribute.text : undefined
}

/** The numbers of an attribute, if it has any. */
export function numbersOf(attributes: Attributes, name: string): readonly number[] | undefined {
  const attribute = attributes.get(name)
  return attribute === undefined || attribute.type === 'text' ? undefined : attribute.values
}
