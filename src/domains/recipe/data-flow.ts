// Which node gets which value from where: collects a node's input from the recipe's input and its ancestors' outputs
// (contracts/scale.md §5.4, step 3).

import type { Json } from '../../core/json.ts'
import { type Data, emptyData, fitData } from './data.ts'
import type { RecipeNode } from './definition.ts'
import type { Interface } from './interface.ts'
import type { Problem } from './problem.ts'

/** Where values come from. */
export interface Sources {
  readonly recipeInput: Data
  /** The outputs of a finished node; a condition's outputs are its inputs. */
  outputOf(node: string): Data | undefined
}

/** A node's input data, and what is wrong with it when it does not fit the node's interface. */
export function gatherInput(
  node: RecipeNode,
  sources: Sources,
  parameters: Interface,
): { data: Data; problems: readonly Problem[] } {
  const files = new Map<string, readonly number[]>()
  const json = new Map<string, Json>()
  for (const [name, connection] of node.input) {
    const fromRecipe = connection.from === 'recipe'
    const source = fromRecipe ? sources.recipeInput : (sources.outputOf(connection.node) ?? emptyData)
    const key = fromRecipe ? connection.input : connection.output
    // A value that is not there is left out: an optional output, or an optional recipe input that was not given.
    if (source.files.has(key)) files.set(name, source.files.get(key)!)
    else if (source.json.has(key)) json.set(name, source.json.get(key)!)
  }
  return fitData({ files, json }, parameters)
}
