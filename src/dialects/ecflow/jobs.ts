// Starting what the planner asked for: the job is made from its script and handed to the engine as a job of its own,
// which runs the job command. The running job reports for itself; here only the end of its command is heard.

import { createHash } from 'node:crypto'
import type { Logger } from 'pino'
import type { Clock } from '../../core/clock.ts'
import { attemptIdOf } from '../../core/ids.ts'
import type { Job } from '../../core/job.ts'
import type { JsonObject } from '../../core/json.ts'
import { Refused } from '../../core/refusal.ts'
import { makeJob } from '../../domains/suite/jobs/make-job.ts'
import { JobFault, jobVariable, substitute } from '../../domains/suite/jobs/substitute.ts'
import { jobFailed } from '../../domains/suite/planner/job-outcome.ts'
import type { Ask } from '../../domains/suite/planner/living.ts'
import { findNode } from '../../domains/suite/tree/find.ts'
import type { FlagName } from '../../domains/suite/tree/flag.ts'
import { type Node, visitAll } from '../../domains/suite/tree/node.ts'
import { findUserVariable } from '../../domains/suite/tree/user-variable.ts'
import type { Engine } from '../../engine/engine.ts'
import type { Keeper } from './keeper.ts'
import type { OpenFolders } from './script-files.ts'

export const jobKind = 'ecflow.job'
export const killKind = 'ecflow.kill'
const scriptKind = 'ecflow.script'
const scriptMsMax = 60_000
const scriptBytesMax = 16 * 1024 * 1024
export const poolName = 'ecflow'

/** Jobs made at the same time: making one is reading files, which does not get faster by doing more at once. */
const makersMax = 16

/** How long after a failure of the store it is tried again. */
const retryMs = 1000

export interface JobParts {
  readonly engine: Engine
  readonly clock: Clock
  readonly keeper: () => Keeper
  readonly folders: OpenFolders
  readonly home: string
  readonly executor: string
  /** What jobs find in their environment: the way back to this server, and its ecflow_client on their PATH. */
  readonly environment: () => Record<string, string>
  readonly log: Logger
}

export class JobStarter {
  readonly #parts: JobParts
  readonly #queue: Ask[] = []
  #makers = 0
  #isClosed = false

  constructor(parts: JobParts) {
    this.#parts = parts
  }

  /** Takes asks that are durable. Never throws: what fails is told to the tree. */
  act(asks: readonly Ask[]): void {
    this.#queue.push(...asks)
    while (this.#makers < makersMax && this.#queue.length > 0) this.#runMaker()
  }

  /** After a restart: starts what was promised and never begun, and listens to what runs. */
  resume(): void {
    const { root } = this.#parts.keeper().living
    const promised: Ask[] = []
    visitAll(root, node => {
      const { run } = node
      if (node.isContainer || !run || (node.state !== 'submitted' && node.state !== 'active')) return
      promised.push({ type: 'start', path: node.path, tryNumber: run.tryNumber, password: run.password })
    })
    void this.#resumeAll(promised)
  }

  async #resumeAll(promised: readonly Ask[]): Promise<void> {
    for (const ask of promised) {
      if (ask.type !== 'start') continue
      const job = await this.#parts.engine.job({ dialect: 'ecflow', ref: refOf(ask) }).catch(() => undefined)
      if (job) this.#listen(ask, job)
      else if (findNode(this.#parts.keeper().living.root, ask.path)?.state === 'submitted') this.act([ask])
    }
  }

  close(): void {
    this.#isClosed = true
    this.#queue.length = 0
  }

  #runMaker(): void {
    this.#makers++
    void (async () => {
      for (let ask = this.#queue.shift(); ask && !this.#isClosed; ask = this.#queue.shift()) {
        await this.#carryOut(ask).catch(error => {
          this.#parts.log.error({ err: error, path: ask?.path }, 'a job could not be started')
        })
      }
    })().finally(() => {
      this.#makers--
    })
  }

  async #carryOut(ask: Ask): Promise<void> {
    if (ask.type === 'kill') return this.#kill(ask)
    const { living } = this.#parts.keeper()
    const node = findNode(living.root, ask.path)
    if (!node || node.run?.password !== ask.password) return
    let command: string
    try {
      command = await this.#makeCommand(node)
    } catch (error) {
      const flag = error instanceof JobFault ? error.flag : 'edit_failed'
      await this.#fail(ask, flag, (error as Error).message)
      return
    }
    // It may have been requeued, forced or deleted while its script was read.
    if (findNode(this.#parts.keeper().living.root, ask.path) !== node || node.run?.password !== ask.password)
      return
    try {
      const job = await this.#submit({ kind: jobKind, command, name: ask.path, ref: refOf(ask), owner: node })
      this.#listen(ask, job)
    } catch (error) {
      // The store fails at the moment: that is no fault of the task, so it is started when it works again.
      if (error instanceof Refused && error.refusal.kind === 'unavailable') this.#later(() => this.act([ask]))
      else await this.#fail(ask, 'ecfcmd_failed', (error as Error).message)
    }
  }

  #later(run: () => void): void {
    const { clock } = this.#parts
    clock.alarm(clock.now() + retryMs, () => {
      if (!this.#isClosed) run()
    })
  }

  async #makeCommand(node: Node): Promise<string> {
    const { folders } = this.#parts
    if (findUserVariable(node, 'ECF_NO_SCRIPT') === undefined) {
      const files = folders.forJobs(command => this.#output(node, command))
      const text = await makeJob(node, files)
      const path = jobVariable(node, 'ECF_JOB') ?? ''
      await folders.writeJob(path, text).catch(error => {
        throw new JobFault(
          'edit_failed',
          `The job file ${path} cannot be written: ${(error as Error).message}`,
        )
      })
    }
    return substitute(node, jobVariable(node, 'ECF_JOB_CMD') ?? '', { where: 'ECF_JOB_CMD' })
  }

  /** What a command prints, for scripts that come from one (ECF_SCRIPT_CMD). */
  async #output(node: Node, command: string): Promise<string> {
    const { engine } = this.#parts
    const job = await this.#submit({ kind: scriptKind, command, name: node.path, owner: node })
    const ended = await engine.settled(job.n, { timeoutMs: scriptMsMax })
    if (ended?.state !== 'succeeded') {
      const why = ended
        ? (ended.message ?? `exit code ${ended.exitCode}`)
        : `no end after ${scriptMsMax / 1000} s`
      throw new JobFault('no_script', `ECF_SCRIPT_CMD failed (${why}): ${command.slice(0, 200)}`)
    }
    const executor = engine.executors.get(this.#parts.executor)
    const chunk = await executor?.read(attemptIdOf(ended.id, ended.attempts), 'out', 0, scriptBytesMax)
    return chunk ? Buffer.from(chunk.bytes).toString('utf8') : ''
  }

  #submit(at: { kind: string; command: string; name: string; ref?: string; owner: Node }): Promise<Job> {
    const { engine, executor, home } = this.#parts
    const spec: JsonObject = {
      argv: ['/bin/sh', '-c', at.command],
      cwd: home,
      env: this.#parts.environment(),
      // The job often goes on behind its command: it is its own reporter.
      leftovers: 'leave',
    }
    return engine.write(tx =>
      tx.submit({
        dialect: 'ecflow',
        executor,
        kind: at.kind,
        spec,
        name: at.name,
        pool: poolName,
        ...(at.ref === undefined ? {} : { ref: at.ref }),
      }),
    )
  }

  /** The job command ended: badly is a matter for the tree, well is not. */
  #listen(ask: Extract<Ask, { type: 'start' }>, job: Job): void {
    void this.#parts.engine
      .settled(job.n)
      .then(async ended => {
        if (this.#isClosed || ended?.state === 'succeeded') return
        if (!ended) {
          // The engine had to start over; the job goes on, and so does listening to it.
          this.#later(() => this.#listen(ask, job))
          return
        }
        const why = ended.message ?? `The job command ended with exit code ${ended.exitCode ?? 'none'}`
        await this.#fail(ask, 'ecfcmd_failed', why)
      })
      .catch(error => this.#parts.log.warn({ err: error, path: ask.path }, 'the end of a job was not heard'))
  }

  async #fail(ask: Extract<Ask, { type: 'start' }>, flag: FlagName, why: string): Promise<void> {
    this.#parts.log.info({ path: ask.path, try: ask.tryNumber, flag, why }, 'a job did not start')
    await this.#parts.keeper().change(living => {
      const node = findNode(living.root, ask.path)
      // Only the run that was asked for may fail by this: a requeued task begins at try 1 again.
      if (node?.run?.password !== ask.password && node?.state !== 'complete') return
      jobFailed(living, { path: ask.path, tryNumber: ask.tryNumber, flag, why })
    })
  }

  async #kill(ask: Extract<Ask, { type: 'kill' }>): Promise<void> {
    const { living } = this.#parts.keeper()
    const node = findNode(living.root, ask.path)
    if (!node || ask.remoteId === '') return
    const text = jobVariable(node, 'ECF_KILL_CMD') ?? ''
    const command = substitute(node, text.replaceAll('%ECF_RID%', ask.remoteId), { where: 'ECF_KILL_CMD' })
    await this.#submit({ kind: killKind, command, name: ask.path, owner: node })
  }
}

/** One run of a task, told apart from every other one without showing its secret. */
function refOf(ask: Extract<Ask, { type: 'start' }>): string {
  const mark = createHash('sha256').update(ask.password).digest('hex').slice(0, 16)
  return `${ask.path}#${ask.tryNumber}.${mark}`
}
