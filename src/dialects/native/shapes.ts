// What goes in and out of the native API, once: the same schemas validate requests and make the OpenAPI document.
// Instants are epoch milliseconds, durations milliseconds, sizes bytes, as everywhere in the product.

import { z } from 'zod'
import { flowStates, nodeStates } from '../../core/flow.ts'
import { endReasons, jobStates } from '../../core/job-state.ts'
import type { Json } from '../../core/json.ts'

// The last instant that a Date can tell.
const instant = z.int().min(0).max(8_640_000_000_000_000).describe('Milliseconds since 1970, UTC')
const durationMs = z
  .int()
  .min(1)
  .max(10 * 365 * 86_400_000)
/** Text that is kept beside the spec and searched for: only what every database and terminal keeps as it is. */
const text = z
  .string()
  .refine(value => !value.includes('\0'), 'must not contain a NUL character')
  .refine(value => value.isWellFormed(), 'must not contain half of a surrogate pair')
const word = text.min(1).max(100)
const name = text.max(512)
const label = text.min(1).max(512)
const labels = z
  .record(label, text.max(512))
  .refine(all => Object.keys(all).length <= 64, 'at most 64 labels')
// What was read from a body is JSON already, and bounded in depth; looking at every value again took most of the time
// that a submit's validation did.
const json = z.custom<Json>(value => value !== undefined, 'is missing')

export const needsIn = z
  .strictObject({
    cpus: z.number().min(0).max(1_000_000).optional(),
    memoryBytes: z.int().min(0).optional(),
    diskBytes: z.int().min(0).optional(),
  })
  .describe('What the job takes from its pool while it is live')

/** A job as it is submitted. */
export const jobIn = z
  .strictObject({
    executor: word.describe('Who runs it: process, container, function …'),
    spec: json.describe(
      'What the executor is to run; docs/reference/native-api.md has the form for each executor',
    ),
    kind: word.optional().describe('What kind of work it is, for people and metrics'),
    name: name.optional(),
    labels: labels.optional(),
    pool: word.optional(),
    rank: z.int().optional().describe('Place in the pool, ascending: a lower rank starts first'),
    needs: needsIn.optional(),
    held: z.boolean().optional().describe('Not before somebody releases it'),
    dueAt: instant.optional().describe('Not before this instant'),
    triesMax: z.int().min(1).max(1_000).optional(),
    backoffMs: z.int().min(0).max(3_600_000).optional(),
    queueMsMax: durationMs.optional().describe('Fails when it has waited in the queue for longer'),
    runMsMax: durationMs.optional().describe('Stopped when an attempt has run for longer'),
  })
  .meta({ id: 'JobSubmission' })

export const batchIn = z
  .strictObject({ jobs: z.array(jobIn).min(1).max(10_000) })
  .meta({ id: 'BatchSubmission' })

const numberOrNull = z.number().nullable()
const textOrNull = z.string().nullable()

/** A job as it is shown. */
export const jobOut = z
  .object({
    id: z.string(),
    n: z.int().describe('Its place in the order of submission'),
    dialect: z.string(),
    ref: textOrNull.describe("The dialect's own name for it"),
    kind: z.string(),
    executor: z.string(),
    name: z.string(),
    owner: z.string(),
    labels: z.record(z.string(), z.string()),
    flow: z.int().nullable(),
    node: textOrNull,
    pool: z.string(),
    rank: z.number(),
    needs: needsIn.nullable(),
    state: z.enum(jobStates),
    held: z.boolean(),
    stop: z.enum(['none', 'cancel', 'pause', 'kill', 'expire']),
    reason: z.enum(endReasons).nullable(),
    message: textOrNull,
    exitCode: numberOrNull,
    attempts: z.int(),
    tries: z.int(),
    triesMax: z.int(),
    progress: numberOrNull.describe('From 0 to 1, as the executor last said'),
    createdAt: z.number(),
    readyAt: numberOrNull,
    dueAt: numberOrNull,
    startedAt: numberOrNull,
    endedAt: numberOrNull,
    detail: z.record(z.string(), json).nullable(),
  })
  .meta({ id: 'Job' })

export const submittedOut = z.object({ id: z.string(), n: z.int() }).meta({ id: 'Submitted' })

export const attemptOut = z
  .object({
    id: z.string(),
    number: z.int(),
    startedAt: numberOrNull,
    endedAt: z.number(),
    result: z.enum(['succeeded', 'failed', 'stopped', 'lost']),
    reason: z.enum(endReasons).nullable(),
    message: textOrNull,
    exitCode: numberOrNull,
    usage: z
      .object({
        wallMs: z.number().optional(),
        cpuMs: z.number().optional(),
        maxRssBytes: z.number().optional(),
      })
      .nullable(),
  })
  .meta({ id: 'Attempt' })

export const outputOut = z
  .object({
    name: z.string(),
    createdAt: z.number(),
    value: json.optional(),
    sizeBytes: z.number().optional(),
    mediaType: z.string().optional(),
    href: z.string().optional(),
  })
  .meta({ id: 'Output' })

export const whyOut = z
  .object({
    waiting: z.boolean().describe('False when it runs or has ended'),
    state: z.string(),
    waitsFor: z.string().optional(),
    text: z.string(),
    sinceAt: z.number().optional(),
    untilAt: z.number().optional(),
    place: z.int().optional().describe("Its place in its pool's queue, from 1"),
    upstream: z.array(z.object({ node: z.string(), state: z.string(), job: z.int().optional() })).optional(),
  })
  .meta({ id: 'Why' })

/** Why something that a dialect keeps does not run: all that holds it. */
export const whyHeldOut = whyOut
  .extend({
    holders: z
      .array(
        z.object({
          on: z.string().describe('What holds it, by its name: itself, or something above or below it'),
          waitsFor: z.string(),
          text: z.string(),
          sinceAt: z.number().optional(),
          untilAt: z.number().optional(),
        }),
      )
      .describe('Everything that keeps it from running, the outermost first'),
  })
  .meta({ id: 'WhyHeld' })

const stepKey = text
  .min(1)
  .max(200)
  .regex(/^[^/\s]+$/, 'no slash and no white space')

/** How many nodes a flow may come to, those of the flows inside it included. */
export const nodesMax = 100_000

/** One step of a flow: a job, or a flow of its own. */
const stepFields = {
  key: stepKey,
  needs: z.array(stepKey).max(10_000).optional().describe('Steps that come before it'),
  when: z
    .enum(['succeeded', 'ended', 'failed'])
    .optional()
    .describe('What the needed steps must have come to'),
  retries: z
    .int()
    .min(0)
    .max(1_000)
    .optional()
    .describe('How often a failed node is tried again as a new job'),
  fanOut: z
    .union([
      z.strictObject({ count: z.int().min(1).max(nodesMax) }),
      z.strictObject({
        over: z.array(z.record(z.string().min(1), z.union([z.string(), z.number(), z.boolean()]))).min(1),
      }),
    ])
    .optional()
    .describe('Instances: {{index}} and the names of `over` are replaced in all texts of the spec'),
}

export interface FlowIn {
  name?: string | undefined
  labels?: Record<string, string> | undefined
  failure?: 'cut' | 'spread' | undefined
  idleMax?: number | undefined
  steps: StepIn[]
}

export interface StepIn {
  key: string
  needs?: string[] | undefined
  when?: 'succeeded' | 'ended' | 'failed' | undefined
  retries?: number | undefined
  fanOut?: { count: number } | { over: Record<string, string | number | boolean>[] } | undefined
  job?: z.infer<typeof jobIn> | undefined
  flow?: FlowIn | undefined
}

/** A flow as it is submitted. */
export const flowIn: z.ZodType<FlowIn> = z
  .strictObject({
    name: name.optional(),
    labels: labels.optional(),
    failure: z
      .enum(['cut', 'spread'])
      .optional()
      .describe(
        'What a failure does. cut: the branch is dead, and the flow ends when nothing else runs. spread: dependents are blocked, and the flow stays open until what failed is run again or the flow is cancelled',
      ),
    idleMax: z.int().min(1).optional().describe('At most this many of its jobs waiting to start at a time'),
    get steps(): z.ZodType<StepIn[]> {
      return z.array(stepIn).min(1).max(50_000)
    },
  })
  .meta({ id: 'FlowSubmission' })

const stepIn: z.ZodType<StepIn> = z
  .strictObject({
    ...stepFields,
    job: jobIn.optional(),
    get flow(): z.ZodType<FlowIn | undefined> {
      return flowIn.optional()
    },
  })
  .refine(step => (step.job === undefined) !== (step.flow === undefined), 'a step has either a job or a flow')
  .meta({ id: 'Step' })

const progressOut = z.object({
  total: z.int(),
  waiting: z.int(),
  live: z.int(),
  done: z.int(),
  failed: z.int(),
  skipped: z.int(),
})

export const flowOut = z
  .object({
    id: z.string(),
    n: z.int(),
    dialect: z.string(),
    ref: textOrNull,
    kind: z.string(),
    name: z.string(),
    owner: z.string(),
    labels: z.record(z.string(), z.string()),
    state: z.enum(flowStates),
    stop: z.enum(['none', 'cancel']),
    progress: progressOut,
    parentFlow: z.int().nullable(),
    createdAt: z.number(),
    startedAt: numberOrNull,
    endedAt: numberOrNull,
    detail: z.record(z.string(), json).nullable(),
  })
  .meta({ id: 'Flow' })

export const nodeOut = z
  .object({
    key: z.string(),
    step: z.int(),
    index: z.int(),
    state: z.enum(nodeStates),
    job: z.int().nullable().describe('The place (n) of its newest job'),
    flow: z.int().nullable().describe('The place (n) of its child flow'),
    runs: z.int(),
  })
  .meta({ id: 'Node' })

export const eventOut = z
  .object({
    seq: z.int(),
    at: z.number(),
    subject: z.enum(['job', 'flow', 'server']),
    n: z.int(),
    type: z.string(),
    body: z.record(z.string(), json).nullable(),
  })
  .meta({ id: 'Event' })

export const poolOut = z
  .object({
    name: z.string(),
    slots: numberOrNull,
    slotsUsed: z.int(),
    resources: needsIn.nullable(),
    used: needsIn,
    ready: z.int(),
  })
  .meta({ id: 'Pool' })

export const problemOut = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    field: z.string().optional(),
  })
  .catchall(json)
  .meta({ id: 'Problem' })

/** A page of anything. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({
    items: z.array(item),
    next: z
      .string()
      .optional()
      .describe('Give it back as `after` for the next page; absent on the last. A page may be short.'),
  })
}

const csv = z.string().max(4_000)
const count = z.coerce.number().int()

export const jobsQuery = z.strictObject({
  state: csv.optional().describe('States, joined by commas'),
  dialect: z.string().max(100).optional(),
  owner: z.string().max(512).optional(),
  kind: z.string().max(100).optional(),
  name: name.optional(),
  flow: count.min(1).optional(),
  label: z
    .union([z.string(), z.array(z.string())])
    .optional()
    .describe('KEY=VALUE, may be repeated; all must hold'),
  from: count.min(0).optional().describe('Created at or after'),
  to: count.min(0).optional().describe('Created before'),
  order: z.enum(['newest', 'oldest']).optional(),
  after: z.string().max(500).optional(),
  limit: count.min(1).max(1_000).optional(),
})

export const flowsQuery = z.strictObject({
  state: csv.optional(),
  dialect: z.string().max(100).optional(),
  owner: z.string().max(512).optional(),
  kind: z.string().max(100).optional(),
  name: name.optional(),
  label: z.union([z.string(), z.array(z.string())]).optional(),
  order: z.enum(['newest', 'oldest']).optional(),
  after: z.string().max(500).optional(),
  limit: count.min(1).max(1_000).optional(),
})

export const nodesQuery = z.strictObject({
  after: z
    .string()
    .regex(/^\d+\.\d+$/)
    .optional(),
  limit: count.min(1).max(10_000).optional(),
  state: csv.optional(),
})

export const cancelIn = z
  .strictObject({ message: text.max(1_000).optional(), kill: z.boolean().optional() })
  .meta({ id: 'Cancel' })
export const rankIn = z.strictObject({ rank: z.int() }).meta({ id: 'Rank' })
export const eventsQuery = z.strictObject({
  after: count.min(0).optional().describe('Only events after this seq; -H Last-Event-ID does the same'),
  limit: count.min(1).max(10_000).optional(),
  subject: z.enum(['job', 'flow', 'server']).optional(),
  n: count.min(0).optional(),
  type: csv.optional(),
})
export const waitQuery = z.strictObject({
  wait: count.min(0).max(120_000).optional().describe('Wait this many ms for its end'),
})
export const logQuery = z.strictObject({
  attempt: count.min(1).optional(),
  offset: count.min(0).optional(),
  limit: count.min(1).optional(),
})
