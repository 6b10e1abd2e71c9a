// The dialect port: what a tongue of Switchyard brings (paths, access rule, routes, flow drafters, kinds of work),
// and the kit it is given. A dialect is a translation: read → ask the engine → show. No timers, locks or retries here.

import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { Clock } from '../core/clock.ts'
import type { Random } from '../core/ids.ts'
import type { Json } from '../core/json.ts'
import type { Drafter } from '../core/planner.ts'
import type { Principal, Right } from '../core/principal.ts'
import type { Talk } from '../core/talk.ts'
import type { Answerer, WorkModule } from '../core/work.ts'
import type { Completer, Engine, Explainer, Forgetter, PoolSettings, Preparer } from '../engine/engine.ts'
import type { Blobs } from '../store/blobs.ts'
import type { Records } from '../store/store.ts'

export interface Dialect {
  /** As in settings, metrics and job.dialect: `native`, `prominence` … */
  readonly name: string
  /** First path segments that belong to it, such as `/yard/v1`. Two dialects may not claim the same. */
  readonly claims: readonly string[]
  readonly access: AccessRule
  /** Kinds of work it brings for the function executor, by name. */
  readonly work?: Readonly<Record<string, WorkModule>>
  /** Pools that its jobs compete in, from its own section of the configuration; what `pools` says there wins. */
  pools?(settings: Json): Readonly<Record<string, PoolSettings>>
  /** Called once, before the engine recovers: registers drafters and preparers, reads its settings. */
  open(kit: Kit): Promise<OpenDialect>
}

/** What may be done without credentials, where no authentication is configured (loopback only). */
export interface AccessRule {
  /** The rule that the dialect's own documents give. Never `submit` where a job can be a program of the caller's choice. */
  readonly anonymous: readonly Right[]
}

export interface OpenDialect {
  /** Where it is mounted, when its own settings put it elsewhere than at its claims. */
  readonly claims?: readonly string[]
  /** An encapsulated Fastify plugin: own body parsers, errors, 404 and 405. Registered without a prefix. */
  readonly routes: FastifyPluginAsync
  /** Called when the engine has recovered and may be asked; before the first request. */
  ready?(): Promise<void>
  /** Called at shutdown, after the last request. */
  close?(): Promise<void>
}

export interface Kit {
  readonly engine: Engine
  /** The engine's view: reads see what was written before. */
  readonly records: Records
  readonly blobs: Blobs
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** The product's metrics; a dialect prefixes its own with `switchyard_<dialect>_`. */
  readonly metrics: Registry
  /** The dialect's own section of the configuration, as written; the dialect checks it and names what is wrong. */
  readonly settings: Json
  readonly access: Access
  /** A folder of the dialect's own in the data directory; exists. */
  readonly dir: string
  /** Scheme, host and port under which clients reach this server: as configured, else as the request says. */
  publicUrl(request?: FastifyRequest): string
  /** Reads a secret that is kept in the data directory (mode 0600), making it at the first time. */
  secret(name: string): Promise<Uint8Array>
  /** Ends the server as a signal would: what is in progress is finished. The caller has checked who asks. */
  stop(why: string): void
  /** For flows of this kind. */
  draft(kind: string, drafter: Drafter): void
  /** For this dialect's jobs of this kind: completes a spec just before each attempt starts (secrets, tokens, addresses): never stored. */
  prepare(kind: string, preparer: Preparer): void
  /** Likewise: says what else is committed with the success of such a job: records that belong to its result. */
  complete(kind: string, completer: Completer): void
  /** Says why things of this kind, which the engine has no model of, are not running: for `/yard/v1/nodes/KIND/…/why`. */
  explain(kind: string, explainer: Explainer): void
  /** Retention asks this dialect what of its jobs and flows may go, instead of forgetting them by itself. */
  forget(forgetter: Forgetter): void
  /** Work for the talk executor, by name: what waits for other machines and needs what only the main thread has. */
  talk(name: string, talk: Talk): void
  /** Answers what running functions of this kind ask. */
  answer(kind: string, answerer: Answerer): void
}

/** Who is asking, and may they? One policy for all dialects; each shows refusals in its own shape. */
/** A value that may be at hand: whoever cannot wait for it looks, everybody else awaits it. */
export type Soon<T> = T | Promise<T>

export interface Access {
  /**
   * The caller of a request: by `Authorization` (Bearer, Basic), by what the dialect passes in `credentials`,
   * else the dialect's anonymous principal. Undefined when credentials were given and are not valid.
   */
  recognise(
    request: FastifyRequest,
    credentials?: { token?: string; user?: string; password?: string },
  ): Soon<Principal | undefined>
  /** As recognise, and throws Refused `not-authenticated` or `not-allowed` when the right is not there. */
  demand(request: FastifyRequest, right: Right): Soon<Principal>
  /** The principal of a token (opaque or JWT of ours), undefined when unknown, expired or revoked. */
  byToken(token: string): Soon<Principal | undefined>
  /** Issues a JWT of ours; also for running jobs that act for their owner (`job`). */
  issue(claims: {
    user: string
    groups: readonly string[]
    role: Principal['role']
    email?: string
    job?: string
    expiresAt: number
  }): Promise<string>
}
