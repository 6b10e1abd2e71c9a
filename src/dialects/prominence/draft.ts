// Documents as drafts for the engine: one job, a job of a workflow, a whole workflow.

import type { DagPlan, FlowDraft } from '../../core/flow.ts'
import type { JobDraft } from '../../core/job.ts'
import type { Json, JsonObject } from '../../core/json.ts'
import type { Drafter } from '../../core/planner.ts'
import type { Principal } from '../../core/principal.ts'
import { refuse } from '../../core/refusal.ts'
import type {
  JobDocument,
  JobPolicies,
  PlacementDocument,
  ResourcesDocument,
  WorkflowDocument,
} from './document.ts'
import { decideGrant, type Free, type Grant, needsOf, nodesMax, rememberedOf } from './resources.ts'
import type { Settings } from './settings.ts'
import {
  type ActsFor,
  dialectName,
  jobKind,
  type NodeJobSpec,
  type OpenWorkflow,
  type OwnJobSpec,
  openWorkflow,
  placed,
  type WorkflowSpec,
  workflowKind,
} from './spec.ts'

const minuteMs = 60_000

/** What of a job's document decides how it is drafted. */
type Drafted = Pick<JobDocument, 'name' | 'labels' | 'resources'> & { readonly policies?: DraftedPolicies }
type DraftedPolicies = Pick<JobPolicies, 'maximumRetries' | 'maximumTimeInQueue' | 'priority'>

interface HeldWorkflow {
  readonly document: { readonly jobs: readonly (Drafted & { readonly name: string })[] }
  readonly by: ActsFor
}

/** Before another try of a job; the engine doubles it each time. */
const backoffMs = 500

/** What a caller's jobs remember of the caller. */
export function actsFor({ groups, email }: Principal): ActsFor {
  return { groups, ...(email === undefined ? {} : { email }) }
}

/** The document as it is kept: the original adds the number of nodes. */
export function kept(document: JobDocument): JobDocument {
  const { resources } = document
  if (resources.nodes !== undefined || resources.totalCpusRange !== undefined) return document
  return { ...document, resources: { ...resources, nodes: 1 } }
}

/** A job of its own. */
export function draftJob(document: JobDocument, who: Principal, settings: Settings, free: Free): JobDraft {
  checkPlacement(document.policies?.placement, settings)
  const spec: OwnJobSpec = { document: kept(document), by: actsFor(who) }
  return {
    ...shared(document, who.groups, { settings, free }),
    spec: spec as unknown as Json,
    owner: who.name,
    name: document.name ?? '',
  }
}

/** A workflow; the nodes in `done` need not run. */
export function draftWorkflow(
  spec: WorkflowSpec,
  owner: string,
  settings: Settings,
  done: readonly string[] = [],
): FlowDraft {
  const { document } = spec
  for (const job of document.jobs) {
    checkPlacement(placed(job, document).policies?.placement, settings)
    grantOf(job.resources, { free: {}, settings })
  }
  return {
    dialect: dialectName,
    kind: workflowKind,
    plan: planOf(openWorkflow(spec), settings),
    spec: spec as unknown as Json,
    owner,
    name: document.name ?? '',
    done,
    ...labelsOf(document),
  }
}

/** Turns the nodes of a workflow into jobs. What is free is asked when a job is released, as when one is submitted. */
export function workflowDrafter(settings: Settings, free: () => Free): Drafter {
  const opened = new WeakMap<object, ReadonlyMap<string, number>>()
  return {
    job(flow, spec, { step, index }) {
      const workflow = spec as HeldWorkflow
      const places = opened.get(workflow) ?? new Map(flow.plan.steps.map(({ key }, at) => [key, at]))
      opened.set(workflow, places)
      const position = places.get(step)!
      const document = workflow.document.jobs[position]!
      const place: NodeJobSpec = {
        workflow: flow.n,
        job: position,
        index: flow.plan.steps[position]!.fansOut ? index : null,
      }
      return {
        ...shared(document, workflow.by.groups, { settings, free: varies(document) ? free() : {} }),
        spec: { ...place },
        owner: flow.owner,
        name: document.name,
      }
    },
    hold: spec => heldOf(spec as WorkflowSpec),
  }
}

/** What is drafted with. Files and commands are looked up when a job starts: a live workflow does not hold them. */
function heldOf({ document, by }: WorkflowSpec): HeldWorkflow {
  return {
    document: {
      jobs: document.jobs.map(({ name, labels, resources, policies }) => ({
        ...{ name, resources },
        ...(labels === undefined ? {} : { labels }),
        ...(policies === undefined ? {} : { policies: draftedPolicies(policies) }),
      })),
    },
    by,
  }
}

function draftedPolicies(policies: JobPolicies): DraftedPolicies {
  const { maximumRetries, maximumTimeInQueue, priority } = policies
  return {
    ...(maximumRetries === undefined ? {} : { maximumRetries }),
    ...(maximumTimeInQueue === undefined ? {} : { maximumTimeInQueue }),
    ...(priority === undefined ? {} : { priority }),
  }
}

/** The key of a workflow's job in its plan. Slashes part a step from its index there, so names may not have any. */
export function stepKey(job: string): string {
  return job.replaceAll('/', '%2F')
}

function planOf({ document, factories }: OpenWorkflow, settings: Settings): DagPlan {
  const needs = new Map<string, Set<string>>()
  for (const [parent, children] of Object.entries(document.dependencies ?? {}))
    for (const child of children) needs.set(child, (needs.get(child) ?? new Set()).add(parent))
  return {
    failure: 'cut',
    ...(settings.workflowPendingMax === 0 ? {} : { idleMax: settings.workflowPendingMax }),
    steps: document.jobs.map(({ name }, position) => ({
      key: stepKey(name),
      does: 'job',
      count: factories[position]?.count ?? 1,
      fansOut: factories[position] !== undefined,
      needs: [...(needs.get(name) ?? [])].map(stepKey),
      when: 'succeeded',
      retries: document.policies?.maximumRetries ?? 0,
    })),
  }
}

/** Whether what a job gets depends on what is free. */
function varies({ resources }: Drafted): boolean {
  return resources.cpus === undefined || resources.totalCpusRange !== undefined
}

function shared(
  document: Drafted,
  groups: readonly string[],
  { settings, free }: { settings: Settings; free: Free },
) {
  const { resources, policies } = document
  const grant = grantOf(resources, { free, settings })
  const queueMinutes = policies?.maximumTimeInQueue ?? 0
  return {
    dialect: dialectName,
    executor: settings.executor,
    kind: jobKind,
    pool: settings.pool,
    // The original starts higher priorities first; ranks go the other way.
    rank: 0 - (policies?.priority ?? 0),
    needs: needsOf(grant),
    // By whom it may be counted later.
    detail: { groups: [...groups], ...rememberedOf(resources, grant) } as JsonObject,
    // It is told in the job's status, as the original tells it, instead of in an error.
    unfit: 'fail',
    triesMax: 1 + (policies?.maximumRetries ?? 0),
    backoffMs,
    runMsMax:
      resources.walltime === undefined
        ? settings.walltimeSecondsDefault * 1000
        : resources.walltime * minuteMs,
    ...(queueMinutes > 0 ? { queueMsMax: queueMinutes * minuteMs } : {}),
    ...labelsOf(document),
  } as const
}

/** Labels to be found by; their keys compare without case. */
function labelsOf({ labels }: Pick<JobDocument | WorkflowDocument, 'labels'>): {
  labels?: Record<string, string>
} {
  if (labels === undefined || Object.keys(labels).length === 0) return {}
  return {
    labels: Object.fromEntries(Object.entries(labels).map(([key, value]) => [key.toLowerCase(), value])),
  }
}

function grantOf(
  resources: ResourcesDocument,
  { free, settings }: { free: Free; settings: Settings },
): Grant {
  const grant =
    decideGrant(resources, { free, diskGbDefault: settings.diskGbDefault }) ??
    refuse('cannot-fit', 'no number of nodes makes up the total of cpus', { field: 'totalCpusRange' })
  // Also where nobody counts them, there is an end to what a machine has.
  if (grant.nodes > nodesMax || !Object.values(needsOf(grant)).every(Number.isSafeInteger))
    refuse('cannot-fit', 'no machine has that much', { field: 'resources' })
  return grant
}

/** There is one site and one region here: a requirement for others can never be met. */
function checkPlacement(placement: PlacementDocument | undefined, { site, region }: Settings): void {
  const { sites = [], regions = [] } = placement?.requirements ?? {}
  const met =
    (sites.length === 0 || sites.includes(site)) &&
    (regions.length === 0 || (region !== undefined && regions.includes(region)))
  if (!met) refuse('cannot-fit', `this installation is site ${site}`)
}
