// What is stored with a job or a workflow: the document as submitted, and for whom it acts. Jobs of a workflow point
// at their place in its document, so that ten thousand instances do not hold ten thousand copies of an input file.

import type { Flow } from '../../core/flow.ts'
import type { Job } from '../../core/job.ts'
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

/** So many characters of documents are read together, and one more however long it is. */
const charsTogether = 4_000_000
/** So many characters of workflows are kept at hand, and the one used last however long it is. */
const charsAtHand = 64_000_000

/** Looks up what was said about jobs and workflows. */
export class Specs {
  readonly #kit: Kit
  /** The workflows used last: their jobs come in crowds. */
  readonly #open = new Map<number, { readonly workflow: OpenWorkflow; readonly chars: number }>()

  constructor(kit: Kit) {
    this.#kit = kit
  }

  async job(job: Pick<Job, 'n' | 'name'>): Promise<ToldJob | undefined> {
    for await (const [, told] of this.jobs([job])) return told
    return undefined
  }

  /** Jobs with what was said about them, a few at a time; those that are gone from history are left out. */
  async *jobs<T extends Pick<Job, 'n'>>(jobs: readonly T[]): AsyncGenerator<readonly [T, ToldJob]> {
    for await (const [job, text] of this.#texts(jobs)) {
      const stored = JSON.parse(text) as OwnJobSpec | NodeJobSpec
      if ('document' in stored) {
        yield [job, { ...stored, name: stored.document.name ?? '' }]
        continue
      }
      const workflow = await this.workflow(stored.workflow)
      if (workflow !== undefined) yield [job, toldOfNode(stored, workflow)]
    }
  }

  async workflow(n: number): Promise<OpenWorkflow | undefined> {
    const known = this.#open.get(n)
    if (known !== undefined) {
      this.#open.delete(n)
      this.#open.set(n, known)
      return known.workflow
    }
    const text = (await this.#kit.engine.history.specs([n])).get(n)
    if (text === undefined) return undefined
    const workflow = openWorkflow(JSON.parse(text) as WorkflowSpec)
    this.#keep(n, workflow, text.length)
    return workflow
  }

  /** Workflows with their documents, a few at a time. */
  async *workflows<T extends Pick<Flow, 'n'>>(
    flows: readonly T[],
  ): AsyncGenerator<readonly [T, WorkflowSpec]> {
    for await (const [flow, text] of this.#texts(flows)) yield [flow, JSON.parse(text) as WorkflowSpec]
  }

  #keep(n: number, workflow: OpenWorkflow, chars: number): void {
    this.#open.set(n, { workflow, chars })
    let sum = 0
    for (const kept of this.#open.values()) sum += kept.chars
    for (const [oldest, kept] of this.#open) {
      if (this.#open.size === 1 || (this.#open.size <= openMax && sum <= charsAtHand)) break
      this.#open.delete(oldest)
      sum -= kept.chars
    }
  }

  async *#texts<T extends { readonly n: number }>(
    things: readonly T[],
  ): AsyncGenerator<readonly [T, string]> {
    for (let at = 0; at < things.length; ) {
      const places = things.slice(at).map(({ n }) => n)
      const texts = await this.#kit.engine.history.specs(places, { charsMax: charsTogether })
      const chars = texts.values().reduce((sum, text) => sum + text.length, 0)
      const end = chars < charsTogether ? things.length : at + places.indexOf([...texts.keys()].at(-1)!) + 1
      for (; at < end; at++) {
        const thing = things[at]!
        const text = texts.get(thing.n)
        if (text === undefined) continue
        texts.delete(thing.n)
        yield [thing, text]
      }
    }
  }
}

const openMax = 20
