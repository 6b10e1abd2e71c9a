// Lets go of what ended longer ago than history goes back: recipes with all that is written down of them, single jobs and
// scans, and batches of which nothing is left. What was reprocessed goes as a whole chain, when its newest recipe has
// ended long enough ago: newer recipes show jobs of older ones as their own. Files stay; they are nobody's history.

import type { Flow } from '../../../core/flow.ts'
import type { Job } from '../../../core/job.ts'
import type { Forgetter } from '../../../engine/engine.ts'
import { dropBatch } from '../batches/batches.ts'
import { dropOutput } from '../files/files.ts'
import type { World } from '../world.ts'
import { readJobFacts } from './job-facts.ts'
import type { Gone } from './ledger-cut.ts'
import { recipeInts } from './ledgers.ts'
import {
  againCollection,
  dropJob,
  dropRecipe,
  ownJobs,
  type RecipeRecord,
  readRecipe,
  type Superseded,
  supersededCollection,
} from './recipe-record.ts'

/** So many jobs go in one commit, or those of one chain of recipes. */
const jobsAtOnce = 250

/** What goes together. */
interface Departure {
  readonly flows: number[]
  /** The engine's jobs. */
  readonly places: number[]
  readonly records: RecipeRecord[]
  /** Scale's jobs. */
  readonly jobs: Set<number>
}

export class Forgetting {
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  readonly forget: Forgetter = async ({ flows, jobs }, before) => {
    await this.#world.loaded()
    const seen = new Set<number>()
    let leaving = nothing()
    for (const flow of flows) {
      for (const one of await this.#goingWith(flow, before)) {
        if (seen.has(one.n)) continue
        seen.add(one.n)
        await this.#take(one, leaving)
      }
      if (leaving.places.length < jobsAtOnce) continue
      await this.#leave(leaving, before)
      leaving = nothing()
    }
    for (const job of jobs) await this.#takeLoose(job, leaving)
    await this.#leave(leaving, before)
  }

  /** The flow, and those of all recipes that replaced it; nothing when one of them has to stay. */
  async #goingWith(flow: Flow, before: number): Promise<Flow[]> {
    const { instances, kit } = this.#world
    const chain: Flow[] = []
    for (let next: Flow | undefined = flow; next; ) {
      if (next.state === 'running' || (next.endedAt ?? before) >= before) return []
      // Its end has not been written down yet.
      if (instances.flows.has(next.n)) return []
      chain.push(next)
      const by = await this.#replacementOf(next)
      const record = by === null ? undefined : await readRecipe(kit.records, by)
      next = record && (await kit.engine.flow({ n: record.flow }))
    }
    return chain
  }

  async #replacementOf({ ref }: Flow): Promise<number | null> {
    const known = ref === null ? undefined : await this.#world.kit.records.get(supersededCollection, ref)
    return (known?.body as unknown as Superseded | undefined)?.by ?? null
  }

  async #take(flow: Flow, { flows, places, records, jobs }: Departure): Promise<void> {
    const { kit } = this.#world
    const [is, id] = flow.ref?.split(' ') ?? []
    const record = is === 'recipe' ? await readRecipe(kit.records, Number(id)) : undefined
    const own = record ? [...ownJobs(record)] : is === 'job' ? [Number(id)] : []
    if (record) records.push(record)
    flows.push(flow.n)
    for (const job of own) jobs.add(job)
    let after: string | undefined
    do {
      const query = { flow: flow.n, order: 'oldest', limit: 500, ...(after && { after }) } as const
      const page = await kit.engine.history.jobs(query)
      for (const { n } of page.items) places.push(n)
      after = page.next
    } while (after)
    // A program that ran again because its outputs could not be collected ran outside of its flow.
    const again = await kit.records.getMany(againCollection, own.map(String))
    for (const { body } of again.values()) places.push(Number((body as { main: number }).main))
  }

  // Scans walk outside of flows, and so do programs that ran again, which go with their flow.
  async #takeLoose(job: Job, { places, jobs }: Departure): Promise<void> {
    const facts = readJobFacts(job.detail)
    const flow = facts === undefined || facts.flow === 0 ? undefined : facts.flow
    if (flow !== undefined && (await this.#world.kit.engine.flow({ n: flow })) !== undefined) return
    if (facts !== undefined && this.#world.instances.jobs.has(facts.id)) return
    places.push(job.n)
    if (facts !== undefined) jobs.add(facts.id)
  }

  async #leave({ flows, places, records, jobs }: Departure, before: number): Promise<void> {
    const world = this.#world
    const { archive, batches, instances, tail } = world
    const { ledgers } = instances
    if (flows.length + places.length === 0) return
    const recipes = new Set(records.flatMap(record => record.recipes.map(({ id }) => id)))
    const replaced = new Set([...recipes].filter(id => ledgers.recipeClassOf(id)?.isSuperseded))
    const gone: Gone = { jobs, recipes, batches: this.#emptyBatches(recipes, before) }
    const cut = await tail.findCut(world.kit.records, gone)
    await world.forget({ flows, jobs: places }, tx => {
      // Meanwhile somebody may have reprocessed one of them, or memory was read again: another time.
      const isAsBefore = [...recipes].every(
        id => replaced.has(id) === (ledgers.recipeClassOf(id)?.isSuperseded ?? false),
      )
      if (world.instances !== instances || !isAsBefore || !tail.cut(tx, cut, gone)) return false
      for (const record of records) for (const change of dropRecipe(record)) tx.record(change)
      for (const id of jobs) {
        for (const change of dropJob(id)) tx.record(change)
        tx.record(dropOutput(id))
        ledgers.jobs.drop(id)
        archive.drop('job', id)
      }
      for (const id of recipes) {
        ledgers.recipes.drop(id)
        archive.drop('recipe', id)
      }
      for (const id of gone.batches) {
        tx.record(dropBatch(id))
        batches.drop(id)
        ledgers.batches.delete(id)
      }
      return true
    })
  }

  /** The old batches that have no recipe any more without these; batches made from each other go together. */
  #emptyBatches(recipes: ReadonlySet<number>, before: number): Set<number> {
    const { batches, instances } = this.#world
    const { ledgers } = instances
    const isOver = (id: number): boolean => {
      const batch = batches.get(id)
      return batch?.isCreationDone === true && batch.modifiedAt < before
    }
    if (!batches.all().some(({ id }) => isOver(id))) return new Set()
    const used = new Set<number>()
    const all = { fits: ledgers.recipeClasses.all.map(() => true) }
    for (const place of ledgers.recipes.places(all))
      if (!recipes.has(ledgers.recipes.idAt(place))) used.add(ledgers.recipes.intAt(recipeInts.batch, place))
    const kept = new Set<number>()
    for (const { id, rootId } of batches.all()) if (used.has(id) || !isOver(id)) kept.add(rootId)
    return new Set(
      batches
        .all()
        .filter(({ rootId }) => !kept.has(rootId))
        .map(({ id }) => id),
    )
  }
}

function nothing(): Departure {
  return { flows: [], places: [], records: [], jobs: new Set() }
}
