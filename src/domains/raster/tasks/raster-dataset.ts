// A dataset that is open for reading, as tasks that take whole files are given one.

import type { NdArray } from '../values/nd-array.ts'

export class RasterDataset {
  readonly variables: readonly string[]
  readonly #read: (variable: string) => Promise<NdArray>

  constructor(variables: readonly string[], read: (variable: string) => Promise<NdArray>) {
    this.variables = variables
    this.#read = read
  }

  /** A whole variable, masked and scaled. */
  async read(variable: string): Promise<NdArray> {
    if (!this.variables.includes(variable)) throw new Error(`the dataset has no variable ${variable}`)
    return this.#read(variable)
  }
}
