// Jobs, flows and batches for the conformance suite: a sample says only what matters to its test.

import type { Event } from '../../core/event.ts'
import type { Flow, FlowNode } from '../../core/flow.ts'
import { attemptIdOf } from '../../core/ids.ts'
import type { Attempt, Job, Output } from '../../core/job.ts'
import { isFinal } from '../../core/job-state.ts'
import type { Changes, RecordChange } from '../store.ts'

/** A job with the given facts; what is ended gets an end. */
export function aJob(facts: Partial<Job> & { n: number }): Job {
  const state = facts.state ?? 'ready'
  return {
    id: idOf(facts.n),
    dialect: 'native',
    executor: 'process',
    kind: 'process',
    owner: 'ada',
    name: '',
    ref: null,
    labels: null,
    pool: 'default',
    needs: null,
    flow: null,
    node: null,
    triesMax: 1,
    backoffMs: 1000,
    queueMsMax: null,
    runMsMax: null,
    createdAt: 1_700_000_000_000 + facts.n,
    rank: 0,
    state,
    held: false,
    stop: 'none',
    reason: null,
    message: null,
    exitCode: null,
    attempts: 0,
    tries: 0,
    readyAt: null,
    dueAt: null,
    startedAt: null,
    endedAt: isFinal(state) ? 1_700_000_500_000 + facts.n : null,
    detail: null,
    lastEvent: 0,
    ...facts,
  }
}

/** A flow with the given facts; what is ended gets an end. */
export function aFlow(facts: Partial<Flow> & { n: number }): Flow {
  const state = facts.state ?? 'running'
  return {
    id: idOf(facts.n),
    dialect: 'native',
    kind: 'native.flow',
    owner: 'ada',
    name: '',
    ref: null,
    labels: null,
    plan: {
      steps: [{ key: 'a', does: 'job', count: 1, fansOut: false, needs: [], when: 'succeeded', retries: 0 }],
      failure: 'cut',
    },
    parentFlow: null,
    parentNode: null,
    createdAt: 1_700_000_000_000 + facts.n,
    state,
    stop: 'none',
    startedAt: null,
    endedAt: state === 'running' ? null : 1_700_000_500_000 + facts.n,
    progress: { total: 1, waiting: 1, live: 0, done: 0, failed: 0, skipped: 0 },
    detail: null,
    lastEvent: 0,
    ...facts,
  }
}

/** A node of a flow. */
export function aNode(facts: Partial<FlowNode> & { flow: number; step: number; index: number }): FlowNode {
  return { key: `s${facts.step}/${facts.index}`, state: 'waiting', job: 0, child: 0, runs: 0, ...facts }
}

/** An ended attempt. */
export function anAttempt(facts: Partial<Attempt> & { job: number; number: number }): Attempt {
  return {
    id: attemptIdOf(idOf(facts.job), facts.number),
    startedAt: 10,
    endedAt: 20,
    result: 'failed',
    reason: 'exit',
    message: null,
    exitCode: 1,
    usage: null,
    ...facts,
  }
}

/** An output of a job. */
export function anOutput(facts: Partial<Output> & { job: number; name: string }): Output {
  return { createdAt: 30, ...facts }
}

/** An event. */
export function anEvent(facts: Partial<Event> & { seq: number }): Event {
  return { at: 40, subject: 'job', n: 1, prev: 0, type: 'submitted', body: null, ...facts }
}

/** A put of a record. */
export function aPut(
  collection: string,
  id: string,
  more: Partial<Extract<RecordChange, { put: unknown }>['put']> = {},
): RecordChange {
  return { put: { collection, id, body: null, ...more } }
}

/** A batch with the given parts and nothing else. Jobs and flows that are new get a small spec. */
export function aBatch(
  parts: Partial<Omit<Changes, 'newJobs' | 'newFlows'>> & { newJobs?: Job[]; newFlows?: Flow[] },
): Changes {
  const { newJobs = [], newFlows = [], ...rest } = parts
  return {
    newJobs: newJobs.map(job => ({ job, spec: specOf(job.n) })),
    newFlows: newFlows.map(flow => ({ flow, spec: specOf(flow.n) })),
    jobs: [],
    attempts: [],
    flows: [],
    nodes: [],
    outputs: [],
    outputsDropped: [],
    events: [],
    records: [],
    blobs: [],
    counters: new Map(),
    forgottenJobs: [],
    forgottenFlows: [],
    eventsForgottenTo: 0,
    ...rest,
  }
}

/** The spec that `aBatch` gives to what is new. */
export function specOf(n: number): string {
  return `{"place":${n}}`
}

/** The id of a sample's place. */
export function idOf(n: number): string {
  return `01900000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`
}

/** Texts that have broken databases and parsers before. */
export const hostileTexts: readonly string[] = [
  '',
  ' ',
  "Robert'); DROP TABLE jobs;--",
  '"quoted" and \\back\\slashed\\',
  'nul\0inside',
  '\0',
  'line\r\nbreaks\u2028\u2029',
  '😀 and 🏳️‍🌈',
  '\ud800 lone high',
  'lone low \udfff',
  '%_*?[a-z]',
  ':named @other $third ?1',
  '\ufeffbom',
  '\uffff\u{10ffff}',
  'e\u0301 is not \u00e9',
  'x'.repeat(1_000_000),
]
