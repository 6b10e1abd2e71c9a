// Unfolds a recipe revision with all its sub-recipes into one flat list of steps, the form in which a flow runs.
// Flat, because then all jobs exist from the beginning, and a failure inside a sub-recipe blocks what is after it.
//
// A condition becomes two gates, one that opens on yes and one that opens on no; a sub-recipe gets a gate before and
// one behind it. Behind a sub-recipe, leaves that a condition may skip are asked softly: done or skipped will do.

import type { DataFilter } from './data-filter.ts'
import type { Connection, Definition, JobNode, RecipeNode } from './definition.ts'
import type { Graph } from './graph.ts'
import type { Interface } from './interface.ts'

/** Where a value comes from in the unfolded recipe: the top recipe's input, or a job's output. */
export type Source =
  | { readonly from: 'input'; readonly input: string }
  | { readonly from: 'job'; readonly step: string; readonly output: string }

/** A job of the unfolded recipe. */
export interface JobStep {
  readonly does: 'job'
  readonly key: string
  readonly needs: readonly string[]
  /** Which of the recipes it belongs to, by position; 0 is the top. */
  readonly recipe: number
  readonly node: string
  readonly type: JobNode
  readonly input: ReadonlyMap<string, Source>
}

/** A condition's answer: open when the filter's verdict is `opensOn`. */
export interface ConditionStep {
  readonly does: 'condition'
  readonly key: string
  readonly needs: readonly string[]
  readonly recipe: number
  readonly node: string
  readonly opensOn: boolean
  readonly filter: DataFilter
  readonly interface: Interface
  readonly input: ReadonlyMap<string, Source>
}

/** A place where ways meet; `soft` means that skipped is as good as done. */
export interface JoinStep {
  readonly does: 'join'
  readonly key: string
  readonly needs: readonly string[]
  readonly soft: boolean
}

/** A step of the unfolded recipe. */
export type UnfoldedStep = JobStep | ConditionStep | JoinStep

/** One recipe of the unfolded whole: the top one, or a sub-recipe at any depth. */
export interface UnfoldedRecipe {
  readonly typeName: string
  readonly revision: number
  /** The recipe that contains it, by position, and its node there; absent for the top. */
  readonly parent?: { readonly recipe: number; readonly node: string }
  readonly definition: Definition
  readonly graph: Graph
  readonly input: ReadonlyMap<string, Source>
  /** The join that is done when this sub-recipe has begun, and when it is complete. */
  readonly beginsWith?: string
  readonly endsWith?: string
}

/** The whole. */
export interface Unfolded {
  readonly recipes: readonly UnfoldedRecipe[]
  /** Every step after those it needs. */
  readonly steps: readonly UnfoldedStep[]
}

/** A recipe type's revision, as the store knows it. */
export interface RecipeRevision {
  readonly typeName: string
  readonly revision: number
  readonly definition: Definition
  readonly graph: Graph
}

/** Bounds on what unfolds: sub-recipes of sub-recipes may multiply beyond what any definition shows. */
export const unfoldLimits = { stepsMax: 50_000, depthMax: 50, guardsMax: 1_000_000 } as const

/** An unfolded recipe, or why there is none. */
export type Unfolding = { readonly unfolded: Unfolded } | { readonly refusal: string }

/** Unfolds a revision; `inner` finds the revisions of sub-recipes. */
export function unfold(
  top: RecipeRevision,
  inner: (name: string, revision: number) => RecipeRevision | undefined,
): Unfolding {
  const work = new Unfolder(inner)
  const input = new Map<string, Source>()
  for (const name of top.definition.input.keys()) input.set(name, { from: 'input', input: name })
  const refusal = work.add(top, { input, needs: [], path: '', depth: 0, isConditional: false })
  return refusal === undefined ? { unfolded: { recipes: work.recipes, steps: work.steps } } : { refusal }
}

/** The step that collects the outputs of a job step; no other step is called so. */
export function collectKey(step: string): string {
  return `${step}!`
}

/**
 * For each step below conditions, the sides of conditions nearest above it that must be open for it to exist. Undefined
 * when that is more than can be kept: many conditions side by side, above many steps.
 */
export function guardsOf(unfolded: Unfolded): Map<string, readonly string[]> | undefined {
  const above = new Map<string, readonly string[]>()
  const guards = new Map<string, readonly string[]>()
  let count = 0
  for (const step of unfolded.steps) {
    const own = new Set<string>()
    // Behind a soft join it no longer matters which side of a condition was taken.
    const isSoft = step.does === 'join' && step.soft
    if (!isSoft) for (const need of step.needs) for (const gate of above.get(need) ?? []) own.add(gate)
    const list = [...own]
    if (list.length > 0) guards.set(step.key, list)
    count += list.length
    if (count > unfoldLimits.guardsMax) return undefined
    // A condition below another cannot be open while that one is closed: the nearest say it all.
    above.set(step.key, step.does === 'condition' ? [step.key] : list)
  }
  return guards
}

interface Place {
  readonly input: ReadonlyMap<string, Source>
  /** What has to be done before its first nodes. */
  readonly needs: readonly string[]
  readonly path: string
  readonly depth: number
  readonly isConditional: boolean
  readonly parent?: { recipe: number; node: string }
}

/** What other nodes need of a node: the steps that stand for it having finished, and where its outputs are. */
interface Ending {
  readonly yes: string
  readonly no: string
  /** A condition above it, in this recipe, may skip it. */
  readonly isConditional: boolean
  readonly outputs: (name: string) => Source | undefined
}

class Unfolder {
  readonly recipes: UnfoldedRecipe[] = []
  readonly steps: UnfoldedStep[] = []
  readonly #keys = new Set<string>()
  readonly #inner: (name: string, revision: number) => RecipeRevision | undefined

  constructor(inner: (name: string, revision: number) => RecipeRevision | undefined) {
    this.#inner = inner
  }

  /** Adds a recipe and everything in it; answers with a refusal when it grows beyond the bounds. */
  add(revision: RecipeRevision, place: Place, begin?: { from: string; to: string }): string | undefined {
    if (place.depth > unfoldLimits.depthMax)
      return `sub-recipes are nested deeper than ${unfoldLimits.depthMax}`
    const at = this.recipes.length
    const { definition, graph } = revision
    this.recipes.push({
      ...revision,
      input: place.input,
      ...(place.parent && { parent: place.parent }),
      ...(begin && { beginsWith: begin.from, endsWith: begin.to }),
    })
    const endings = new Map<string, Ending>()
    for (const name of graph.order) {
      const refusal = this.#addNode(at, definition.nodes.get(name)!, place, endings)
      if (refusal !== undefined) return refusal
      if (this.steps.length > unfoldLimits.stepsMax)
        return `with its sub-recipes the recipe has more than ${unfoldLimits.stepsMax} steps`
    }
    if (begin)
      this.#join(
        begin,
        [...graph.order].filter(name => graph.children.get(name)!.length === 0),
        definition,
        endings,
      )
    return undefined
  }

  #addNode(recipe: number, node: RecipeNode, place: Place, endings: Map<string, Ending>): string | undefined {
    const parents = node.dependencies.map(({ name, acceptance }) => {
      const ending = endings.get(name)!
      return { ...ending, step: acceptance ? ending.yes : ending.no }
    })
    const needs = [...new Set(parents.length === 0 ? place.needs : parents.map(parent => parent.step))]
    const isConditional = parents.some(parent => parent.isConditional)
    const input = this.#sources(node.input, place.input, endings)
    const key = this.#key(place.path + node.name)
    switch (node.type.kind) {
      case 'job': {
        this.steps.push({ does: 'job', key, needs, recipe, node: node.name, type: node.type, input })
        const outputs = (output: string): Source => ({ from: 'job', step: key, output })
        endings.set(node.name, { yes: key, no: key, isConditional, outputs })
        return undefined
      }
      case 'condition': {
        const [yes, no] = [this.#key(`${key}?yes`), this.#key(`${key}?no`)]
        const { filter, interface: parameters } = node.type
        for (const opensOn of [true, false])
          this.steps.push({
            does: 'condition',
            key: opensOn ? yes : no,
            needs,
            recipe,
            node: node.name,
            opensOn,
            filter,
            interface: parameters,
            input,
          })
        endings.set(node.name, { yes, no, isConditional: true, outputs: name => input.get(name) })
        return undefined
      }
      case 'recipe': {
        const revision = this.#inner(node.type.name, node.type.revision)
        if (!revision) return `recipe type ${node.type.name} has no revision ${node.type.revision}`
        const begin = { from: this.#key(`${key}>`), to: this.#key(`${key}<`) }
        this.steps.push({ does: 'join', key: begin.from, needs, soft: false })
        endings.set(node.name, { yes: begin.to, no: begin.to, isConditional, outputs: () => undefined })
        const inside: Place = {
          input,
          needs: [begin.from],
          path: `${place.path}${node.name}/`,
          depth: place.depth + 1,
          isConditional,
          parent: { recipe, node: node.name },
        }
        return this.add(revision, inside, begin)
      }
    }
  }

  // The end of a sub-recipe. Leaves that a condition may skip are waited for by a soft join: there skipped counts as
  // complete, and failed never does.
  #join(
    begin: { from: string; to: string },
    leaves: readonly string[],
    definition: Definition,
    endings: ReadonlyMap<string, Ending>,
  ): void {
    const needs = [begin.from]
    const maybe: string[] = []
    for (const name of leaves) {
      const { yes, no, isConditional } = endings.get(name)!
      const isCondition = definition.nodes.get(name)!.type.kind === 'condition'
      if (!isConditional) needs.push(yes)
      else if (isCondition) maybe.push(yes, no)
      else maybe.push(yes)
    }
    if (maybe.length > 0) {
      const soft = this.#key(`${begin.to}~`)
      this.steps.push({ does: 'join', key: soft, needs: maybe, soft: true })
      needs.push(soft)
    }
    this.steps.push({ does: 'join', key: begin.to, needs, soft: false })
  }

  #sources(
    connections: ReadonlyMap<string, Connection>,
    own: ReadonlyMap<string, Source>,
    endings: ReadonlyMap<string, Ending>,
  ): Map<string, Source> {
    const sources = new Map<string, Source>()
    for (const [name, connection] of connections) {
      const source =
        connection.from === 'recipe'
          ? own.get(connection.input)
          : endings.get(connection.node)?.outputs(connection.output)
      if (source) sources.set(name, source)
    }
    return sources
  }

  // Node names may hold anything, so two paths can read alike; then the later one gets a number.
  #key(wanted: string): string {
    let key = wanted
    for (let number = 2; this.#keys.has(key) || this.#keys.has(collectKey(key)); number++)
      key = `${wanted}#${number}`
    this.#keys.add(key)
    this.#keys.add(collectKey(key))
    return key
  }
}
