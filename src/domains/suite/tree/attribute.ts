// The attributes a node may carry: what the definition says, and beside it what happened since.
// Plain data; the language reads and prints them, the planner moves their living parts.

import type { Expression } from '../expression/expression.ts'
import type { Repeat } from './repeat.ts'

export interface Variable {
  readonly name: string
  value: string
}

export interface Event {
  /** The number it may be called by; -1 when it has only a name. */
  readonly number: number
  /** '' when it has only a number. */
  readonly name: string
  readonly initial: boolean
  value: boolean
}

export interface Meter {
  readonly name: string
  readonly min: number
  readonly max: number
  readonly threshold: number
  value: number
}

export interface Label {
  readonly name: string
  /** What the definition says. */
  readonly text: string
  /** What it shows now. */
  value: string
}

export interface Limit {
  readonly name: string
  max: number
  value: number
  /** Tokens by the path of the node that took them. Absent while empty; a value set by hand has no holders. */
  holders: Map<string, number> | undefined
}

export interface InLimit {
  /** '' when the limit is looked for towards the root. */
  readonly path: string
  readonly name: string
  readonly tokens: number
  /** `node`: taken once for the whole subtree (-n). `submission`: given back once the task is active (-s). */
  readonly per: 'task' | 'node' | 'submission'
  /** Only for `node`: whether this node holds its tokens now. */
  taken: boolean
}

/** One time, or times from start to finish every step. All in minutes. */
export interface TimeSeries {
  readonly relative: boolean
  readonly start: number
  /** -1 for a single time. */
  readonly finish: number
  readonly step: number
}

/** `time`, `today`, and the clock part of `cron`. */
export interface TimeAttribute {
  readonly series: TimeSeries
  /** It became free since the last requeue and stays so. */
  free: boolean
  /** The earliest slot that still counts, in minutes of the day (or since `since`, when relative). */
  next: number
  /** No slot counts any more until the next day or requeue. */
  spent: boolean
  /** Relative: elapsed suite minutes when its clock started. Else: the suite day on which it became free. */
  since: number
}

export interface Cron extends TimeAttribute {
  /** 0 = Sunday. */
  readonly weekdays: readonly number[]
  /** Weekdays meant as the last such one of the month. */
  readonly lastWeekdays: readonly number[]
  readonly monthDays: readonly number[]
  readonly lastMonthDay: boolean
  readonly months: readonly number[]
}

/** 0 stands for `*`. */
export interface DateAttribute {
  readonly day: number
  readonly month: number
  readonly year: number
  free: boolean
}

export interface DayAttribute {
  /** 0 = Sunday. */
  readonly weekday: number
  free: boolean
  expired: boolean
  /** The suite day (days since 1970) it waits for; -1 before begin. */
  target: number
}

/** Minutes; -1 when the option was not given. */
export interface Late {
  readonly submitted: number
  readonly active: number
  readonly complete: number
  readonly submittedRelative: boolean
  readonly completeRelative: boolean
  isLate: boolean
}

/** autocancel and autoarchive. */
export interface Expiry {
  readonly relative: boolean
  readonly days: boolean
  readonly minutes: number
  /** autoarchive -i: also while queued or aborted. */
  readonly idle: boolean
}

export const zombieKinds = ['user', 'ecf', 'ecf_pid', 'ecf_passwd', 'ecf_pid_passwd', 'path'] as const
export type ZombieKind = (typeof zombieKinds)[number]
/** How long a zombie of a kind is kept when nothing else is said. */
export const zombieSeconds: Readonly<Record<ZombieKind, number>> = {
  user: 300,
  ecf: 3600,
  ecf_pid: 3600,
  ecf_passwd: 3600,
  ecf_pid_passwd: 3600,
  path: 900,
}
export const zombieActions = ['fob', 'fail', 'adopt', 'remove', 'block', 'kill'] as const
export type ZombieAction = (typeof zombieActions)[number]
export const childCommands = [
  'init',
  'event',
  'meter',
  'label',
  'wait',
  'queue',
  'abort',
  'complete',
] as const
export type ChildCommand = (typeof childCommands)[number]

export interface Zombie {
  readonly kind: ZombieKind
  readonly action: ZombieAction | ''
  /** Empty: all of them. */
  readonly commands: readonly ChildCommand[]
  readonly lifetimeSeconds: number
}

export type QueueState = 'queued' | 'active' | 'complete' | 'aborted'

export interface Queue {
  readonly name: string
  readonly items: readonly string[]
  readonly states: QueueState[]
  index: number
}

export interface Generic {
  readonly name: string
  readonly values: readonly string[]
}

export interface Verify {
  readonly state: string
  readonly count: number
}

export interface Aviso {
  readonly name: string
  /** With the single quotes round it. */
  readonly listener: string
  readonly url: string
  readonly schema: string
  readonly polling: string
  readonly auth: string
  /** The newest message that was looked at. */
  revision: string
  /** Why its service cannot be asked; '' when it can. */
  reason: string
  /** The awaited message came; until the next requeue. */
  free: boolean
}

export interface Mirror {
  readonly name: string
  readonly remotePath: string
  readonly remoteHost: string
  readonly remotePort: string
  readonly polling: string
  readonly ssl: boolean
  readonly auth: string
  /** Why the other server cannot be asked; '' when it can. */
  reason: string
}

/** One line of a trigger or complete expression. */
export interface Part {
  readonly join: 'first' | 'and' | 'or'
  readonly text: string
  readonly tree: Expression
}

/** A whole trigger or complete expression. */
export interface Condition {
  readonly parts: readonly Part[]
  /** Freed by hand: holds whatever it says, until requeue. */
  free: boolean
}

export interface ClockAttribute {
  readonly hybrid: boolean
  /** 0 when no date is given. */
  readonly day: number
  readonly month: number
  readonly year: number
  readonly gainSeconds: number
  /** Whether the gain was given with a sign, which is only how it is printed. */
  readonly signed: boolean
  /** Whether a gain was written at all. */
  readonly hasGain: boolean
}

/**
 * All attributes of one node. A class so that every instance has the same shape; a node without attributes has
 * none of these at all.
 */
export class Attributes {
  variables: Variable[] | undefined = undefined
  trigger: Condition | undefined = undefined
  complete: Condition | undefined = undefined
  events: Event[] | undefined = undefined
  meters: Meter[] | undefined = undefined
  labels: Label[] | undefined = undefined
  limits: Limit[] | undefined = undefined
  inlimits: InLimit[] | undefined = undefined
  repeat: Repeat | undefined = undefined
  times: TimeAttribute[] | undefined = undefined
  todays: TimeAttribute[] | undefined = undefined
  dates: DateAttribute[] | undefined = undefined
  days: DayAttribute[] | undefined = undefined
  crons: Cron[] | undefined = undefined
  rare: RareAttributes | undefined = undefined
}

/** What few nodes have, kept apart so that the many stay small. */
export class RareAttributes {
  late: Late | undefined = undefined
  autocancel: Expiry | undefined = undefined
  autoarchive: Expiry | undefined = undefined
  autorestore: string[] | undefined = undefined
  zombies: Zombie[] | undefined = undefined
  queues: Queue[] | undefined = undefined
  generics: Generic[] | undefined = undefined
  verifies: Verify[] | undefined = undefined
  avisos: Aviso[] | undefined = undefined
  mirrors: Mirror[] | undefined = undefined
  clock: ClockAttribute | undefined = undefined
}
