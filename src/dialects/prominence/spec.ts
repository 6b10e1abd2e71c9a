// What is stored with a job or a workflow: the document as submitted, and for whom it acts. Jobs of a workflow point
// at their place in its document, so that ten thousand instances do not hold ten thousand copies of an input file.

import type { Flow } from '../../core/flow.ts'
import type { Job } from '../../core/job.ts'
import type { Json } from '../../core/json.ts'
import type { Kit } from '../dialect.ts'
import type { JobDocument, WorkflowDocument } from './document.ts'
import { type Factory, openFactory } from './factories.ts'

export const dialectName = 'prominence'
export const jobKind = 'prominence.job'
export const workflowKind = 'prominence.workflow'

/** Whom a job acts for, besides its owner's name. */
export interface ActsFor {
  readonly groups: readonly string[]
  readonly email?: string
}

export interface OwnJobSpec {
  readonly document: JobDocument
  readonly by: ActsFor
}

/** A job of a workflow: which workflow, which of its jobs, which instance. */
export interface NodeJobSpec {
  readonly workflow: number
  readonly job: number
  readonly index: number | null
}

export interface WorkflowSpec {
  readonly document: WorkflowDocument
  readonly by: ActsFor
}

/** Everything that was said about a job, wherever it is stored. */
export interface ToldJob {
  readonly document: JobDocument
  readonly by: ActsFor
  /** The instance's parameters, by name; undefined unless a factory made it. */
  readonly parameters?: ReadonlyMap<string, string>
  readonly workflow?: { readonly n: number; readonly name: string }
  /** The name that clients see: `WF/job/index` in workflows. */
  readonly name: string
}

/** A workflow's document with its factories ready to use. */
export interface OpenWorkflow extends WorkflowSpec {
  /** For each job, by position: the factory that multiplies it. */
  readonly factories: readonly (Factory | undefined)[]
}

/** Makes a stored workflow ready to use. */
export function openWorkflow(spec: WorkflowSpec): OpenWorkflow {
  const byJob = new Map<string, Factory>()
  for (const document of spec.document.factories ?? []) {
    const factory = openFactory(document)
    for (const job of document.jobs) byJob.set(job, factory)
  }
  return { ...spec, factories: spec.document.jobs.map(({ name }) => byJob.get(name)) }
}

/** What was said about a workflow's job, given the workflow. */
export function toldOfNode({ workflow: n, job, index }: NodeJobSpec, workflow: OpenWorkflow): ToldJob {
  const document = workflow.document.jobs[job]!
  const name = workflow.document.name ?? ''
  const factory = workflow.factories[job]
  return {
    document: placed(document, workflow.document),
    by: workflow.by,
    workflow: { n, name },
    name: `${name}/${document.name}${index === null ? '' : `/${index}`}`,
    ...(factory !== undefined && index !== null ? { parameters: factory.at(index) } : {}),
  }
}

/** The workflow's placement policy stands in for that of each of its jobs. */
export function placed(document: JobDocument, workflow: WorkflowDocument): JobDocument {
  const placement = workflow.policies?.placement
  if (placement === undefined) return document
  return { ...document, policies: { ...document.policies, placement } }
}

/** Looks up what was said about jobs and workflows. */
export class Specs {
  readonly #kit: Kit
  /** The workflows used last: their jobs come in crowds. */
  readonly #open = new Map<number, OpenWorkflow>()

  constructor(kit: Kit) {
    this.#kit = kit
  }

  async job(job: Pick<Job, 'n' | 'name'>): Promise<ToldJob | undefined> {
    return (await this.jobs([job])).get(job.n)
  }

  /** What was said about many jobs, in one look-up; what is gone from history is absent. */
  async jobs(jobs: readonly Pick<Job, 'n' | 'name'>[]): Promise<Map<number, ToldJob>> {
    const told = new Map<number, ToldJob>()
    for (const [n, spec] of await this.#read(jobs.map(job => job.n))) {
      const stored = spec as unknown as OwnJobSpec | NodeJobSpec
      if ('document' in stored) {
        told.set(n, { ...stored, name: stored.document.name ?? '' })
        continue
      }
      const workflow = await this.workflow(stored.workflow)
      if (workflow !== undefined) told.set(n, toldOfNode(stored, workflow))
    }
    return told
  }

  async workflow(n: number): Promise<OpenWorkflow | undefined> {
    const known = this.#open.get(n)
    if (known !== undefined) return known
    const spec = (await this.#read([n])).get(n)
    if (spec === undefined) return undefined
    const workflow = openWorkflow(spec as unknown as WorkflowSpec)
    if (this.#open.size >= openMax) this.#open.delete(this.#open.keys().next().value!)
    this.#open.set(n, workflow)
    return workflow
  }

  async workflows(flows: readonly Pick<Flow, 'n'>[]): Promise<Map<number, WorkflowSpec>> {
    return (await this.#read(flows.map(flow => flow.n))) as unknown as Map<number, WorkflowSpec>
  }

  async #read(places: readonly number[]): Promise<Map<number, Json>> {
    await this.#kit.engine.committed()
    const texts = await this.#kit.engine.history.specs(places)
    return new Map([...texts].map(([n, text]) => [n, JSON.parse(text) as Json]))
  }
}

const openMax = 20
