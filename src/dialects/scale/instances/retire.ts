// Lays to rest what cannot move any more: when a flow has ended, its outputs are published and its recipes measured, then
// its end is written down, and its rows leave memory. In the order of the ends, so that after a kill only the newest ends
// can be missing, which is where a start looks for them.

import { sourceFactsOf } from '../files/file-entry.ts'
import type { World } from '../world.ts'
import type { LiveFlow } from './instances.ts'
import type { Rest } from './ledger-record.ts'
import { putRecipeEnd } from './recipe-record.ts'
import { countAll, type JobRow, type RecipeRow } from './rows.ts'

export class Retirement {
  readonly #world: World
  #last: Promise<void> = Promise.resolve()

  constructor(world: World) {
    this.#world = world
  }

  /** Lays flows to rest, after all those that came before. */
  flows(flows: readonly LiveFlow[]): Promise<void> {
    if (flows.length === 0) return Promise.resolve()
    return this.#then(async () => {
      const { instances } = this.#world
      for (const flow of flows) await this.#finish(flow)
      // Memory was read again in between: then these flows were found anew.
      if (instances !== this.#world.instances) return
      await this.#write(
        flows.filter(flow => instances.flows.get(flow.n) === flow),
        [],
      )
    })
  }

  /** Lays a single job to rest that belongs to no flow. */
  job(row: JobRow): Promise<void> {
    return this.#then(async () => {
      if (this.#world.instances.jobs.get(row.id) === row) await this.#write([], [row])
    })
  }

  #then(work: () => Promise<void>): Promise<void> {
    // One that failed must not hold up those behind it: it is looked for at the next start.
    this.#last = this.#last.catch(() => {}).then(work)
    return this.#last
  }

  async #finish(flow: LiveFlow): Promise<void> {
    const { files, follower } = this.#world
    for (const row of flow.jobs.values())
      if (row.post !== 0 && row.postState === 'succeeded') await files.outputOf(row)
    for (const { row } of flow.recipes)
      if (row.isVisible && row.inputBytes === null) await follower.measure(row)
    for (const row of flow.jobs.values()) if (this.#mayBeUnmeasured(row)) await this.#measure(row)
  }

  // By what a job's input was sensed is known when it was prepared; not of jobs that ran before the last start.
  #mayBeUnmeasured(row: JobRow): boolean {
    if (row.inputBytes !== null || row.attempts === 0) return false
    const revision = this.#world.catalog.jobTypeRevision(row.typeId, row.revision)
    if (revision === undefined || revision.manifest.input.size === 0) return false
    return [...revision.manifest.input.values()].some(input => input.kind === 'file')
  }

  async #measure(row: JobRow): Promise<void> {
    const { files, runs } = this.#world
    runs.measured(row, [...(await files.filesOf(await runs.inputOf(row))).values()])
  }

  async #write(flows: readonly LiveFlow[], single: readonly JobRow[]): Promise<void> {
    const world = this.#world
    const { instances } = world
    const { ledgers } = instances
    if (flows.length + single.length === 0) return
    const jobs = [...flows.flatMap(flow => [...flow.jobs.values()]), ...single]
    const recipes = flows.flatMap(flow => flow.recipes.map(({ row }) => row))
    await world.commit(tx => {
      const rest: Rest = {
        jobs: mapped(jobs, row => ledgers.jobEntry(row)),
        recipes: mapped(recipes, row => ledgers.recipeEntry(row)),
        batches: flows.map(flow => instances.tallyOf(flow)).filter(tally => tally !== undefined),
      }
      for (const flow of flows) {
        const top = flow.recipes[0]?.row
        if (top && !endsAsUsual(flow, top))
          tx.record(putRecipeEnd(top.id, { at: top.completedAt ?? tx.now, ...endOf(flow) }))
      }
      world.tail.write(tx, rest)
      // From here on they are at rest: whoever replaces one of them in a later commit has to write its line again.
      for (const flow of flows) instances.release(flow)
      for (const row of single) instances.releaseJob(row)
    })
  }
}

function* mapped<A, B>(items: Iterable<A>, map: (item: A) => B): Generator<B> {
  for (const item of items) yield map(item)
}

// Every job is complete and nothing else was in it: that is told by the ledger and by the recipe's own record.
function endsAsUsual({ recipes, gates, jobs }: LiveFlow, top: RecipeRow): boolean {
  return (
    recipes.length === 1 &&
    gates.size === 0 &&
    top.completedAt !== null &&
    top.counts.COMPLETED === jobs.size &&
    countAll(top.counts) === jobs.size
  )
}

function endOf(flow: LiveFlow): Omit<Parameters<typeof putRecipeEnd>[1], 'at'> {
  return {
    ends: flow.recipes.map(({ row }) => recipeEnd(row)),
    open: [...flow.gates].filter(([, node]) => node.state === 'done').map(([key]) => key),
    hidden: [...flow.jobs.values()].filter(row => !row.isVisible).map(row => row.id),
  }
}

function recipeEnd(row: RecipeRow): Parameters<typeof putRecipeEnd>[1]['ends'][number] {
  const source = sourceFactsOf(row.source)
  return {
    id: row.id,
    completedAt: row.completedAt,
    modifiedAt: row.modifiedAt,
    inputBytes: row.inputBytes,
    ...(row.parent !== null && Object.keys(source).length > 0 && { source }),
    isVisible: row.isVisible,
    counts: row.counts,
    subRecipes: row.subRecipes,
    subRecipesDone: row.subRecipesDone,
  }
}
