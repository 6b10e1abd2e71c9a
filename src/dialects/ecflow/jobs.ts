// Starting what the planner asked for: jobs are made from their scripts and handed to the engine, which runs the job
// commands. The running job reports for itself; here only the end of its command is heard.

import type { Logger } from 'pino'
import type { Clock } from '../../core/clock.ts'
import { attemptIdOf } from '../../core/ids.ts'
import type { Job } from '../../core/job.ts'
import { isObject, type JsonObject } from '../../core/json.ts'
import { Refused } from '../../core/refusal.ts'
import { makeJob } from '../../domains/suite/jobs/make-job.ts'
import { JobFault, jobVariable, substitute } from '../../domains/suite/jobs/substitute.ts'
import { jobFailed } from '../../domains/suite/planner/job-outcome.ts'
import type { Ask, Living } from '../../domains/suite/planner/living.ts'
import { findNode } from '../../domains/suite/tree/find.ts'
import type { FlagName } from '../../domains/suite/tree/flag.ts'
import { type Node, visitAll } from '../../domains/suite/tree/node.ts'
import { findUserVariable } from '../../domains/suite/tree/user-variable.ts'
import type { Engine, Tx } from '../../engine/engine.ts'
import { endedRuns, groupMax, markOf, type ReadyRun, type Run, specOfRuns } from './job-groups.ts'
import type { Keeper } from './keeper.ts'
import type { OpenFolders } from './script-files.ts'

export const jobKind = 'ecflow.job'
export const killKind = 'ecflow.kill'
const scriptKind = 'ecflow.script'
/** The commands about a running job: the variable that holds it, the kind of engine job, the flag when it fails. */
const commandsOf = {
  kill: { variable: 'ECF_KILL_CMD', kind: killKind, flag: 'killcmd_failed' },
  status: { variable: 'ECF_STATUS_CMD', kind: 'ecflow.status', flag: 'statuscmd_failed' },
} as const
const scriptMsMax = 60_000
const scriptBytesMax = 16 * 1024 * 1024
export const poolName = 'ecflow'

/** Jobs made at the same time: making one is reading files, which does not get faster by doing more at once. */
const makersMax = 16

/** A job that is ready waits so long for others at most, while others are being made. */
const gatherMs = 20

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

type Start = Extract<Ask, { type: 'start' }>

export class JobStarter {
  readonly #parts: JobParts
  readonly #queue: Ask[] = []
  readonly #printing = new Map<string, Promise<string>>()
  #ready: ReadyRun[] = []
  #stopGathering: (() => void) | undefined
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

  /** After a restart: starts what was promised and never handed over, and listens to what was. */
  resume(): void {
    const { root } = this.#parts.keeper().living
    const promised: Start[] = []
    const handed = new Map<number, Run[]>()
    visitAll(root, node => {
      const { run } = node
      if (node.isContainer || !run || (node.state !== 'submitted' && node.state !== 'active')) return
      const { tryNumber, password, job } = run
      const of = { path: node.path, tryNumber, password }
      if (job === undefined) {
        if (node.state === 'submitted') promised.push({ type: 'start', ...of })
      } else if (handed.has(job)) handed.get(job)!.push(of)
      else handed.set(job, [of])
    })
    this.act(promised)
    void this.#listenAgain(handed)
  }

  async #listenAgain(handed: ReadonlyMap<number, readonly Run[]>): Promise<void> {
    for (const [n, runs] of handed) {
      // One that has left the history ended long ago, and well as far as anybody knows.
      const job = await this.#parts.engine.job({ n }).catch(() => undefined)
      if (job) this.#listen(runs, job)
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
      if (this.#makers === 0) this.#handOver()
    })
  }

  async #carryOut(ask: Ask): Promise<void> {
    if (ask.type !== 'start') return this.#command(ask)
    const node = nodeOfRun(this.#parts.keeper().living, ask)
    if (!node || node.run?.job !== undefined) return
    try {
      const command = await this.#makeCommand(node)
      this.#gather({ path: ask.path, tryNumber: ask.tryNumber, password: ask.password, command })
    } catch (error) {
      const flag = error instanceof JobFault ? error.flag : 'edit_failed'
      await this.#fail([ask], flag, (error as Error).message)
    }
  }

  /** Hands over when many are ready, when nothing more is being made, or when the first has waited long enough. */
  #gather(run: ReadyRun): void {
    this.#ready.push(run)
    const { clock } = this.#parts
    if (this.#ready.length >= groupMax) this.#handOver()
    else this.#stopGathering ??= clock.alarm(clock.now() + gatherMs, () => this.#handOver())
  }

  #handOver(): void {
    this.#stopGathering?.()
    this.#stopGathering = undefined
    const ready = this.#ready
    this.#ready = []
    // Only the process executor is known to have what a group needs.
    const size = this.#parts.executor === 'process' ? groupMax : 1
    for (let from = 0; from < ready.length; from += size)
      void this.#submitRuns(ready.slice(from, from + size))
  }

  /** The engine's job and the word that it was handed over are one transaction: it is done once, or not at all. */
  async #submitRuns(ready: readonly ReadyRun[]): Promise<void> {
    const { home, environment } = this.#parts
    let runs: readonly ReadyRun[] = []
    try {
      const job = await this.#parts.keeper().changeWith((living, tx) => {
        // Some may have been requeued, forced or deleted while their scripts were read. And after a failure of the
        // store a run is asked for by who failed and by who read everything back: it is handed over once.
        runs = ready.filter(run => {
          const node = nodeOfRun(living, run)
          return node !== undefined && node.run?.job === undefined
        })
        if (runs.length === 0) return undefined
        const made = this.#submit(tx, {
          kind: jobKind,
          name: runs.length === 1 ? runs[0]!.path : `${runs[0]!.path} and ${runs.length - 1} more`,
          spec: specOfRuns(runs, { home, environment: environment() }),
        })
        for (const run of runs) {
          const node = nodeOfRun(living, run)!
          node.run!.job = made.n
          living.touch(node)
        }
        return made
      })
      if (job) this.#listen(runs, job)
    } catch (error) {
      // The store fails at the moment: that is no fault of the task, so it is started when it works again.
      if (error instanceof Refused && error.refusal.kind === 'unavailable') {
        this.#later(() => this.act(ready.map(({ command: _, ...run }) => ({ type: 'start', ...run }))))
      } else await this.#fail(ready, 'ecfcmd_failed', (error as Error).message)
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
      const files = folders.forJobs(command => this.print(node, command))
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

  /** The same for readers: however many ask at once, the command runs once. */
  printForReaders(node: Node, command: string): Promise<string> {
    let printed = this.#printing.get(command)
    if (!printed) {
      printed = this.print(node, command).finally(() => this.#printing.delete(command))
      this.#printing.set(command, printed)
    }
    return printed
  }

  /** What a command prints, for scripts that come from one (ECF_FETCH, ECF_SCRIPT_CMD). */
  async print(node: Node, command: string): Promise<string> {
    const { engine } = this.#parts
    const job = await this.#submitCommand({ kind: scriptKind, command, name: node.path })
    const ended = await engine.settled(job.n, { timeoutMs: scriptMsMax })
    if (ended?.state !== 'succeeded') {
      const why = ended
        ? (ended.message ?? `exit code ${ended.exitCode}`)
        : `no end after ${scriptMsMax / 1000} s`
      if (!ended) await engine.write(tx => tx.cancel(job.n, { kill: true }))
      throw new JobFault('no_script', `The script's command failed (${why}): ${command.slice(0, 200)}`)
    }
    const executor = engine.executors.get(this.#parts.executor)
    const chunk = await executor?.read(attemptIdOf(ended.id, ended.attempts), 'out', 0, scriptBytesMax)
    return chunk ? Buffer.from(chunk.bytes).toString('utf8') : ''
  }

  #submit(tx: Tx, at: { kind: string; name: string; spec: JsonObject }): Job {
    return tx.submit({ dialect: 'ecflow', executor: this.#parts.executor, pool: poolName, ...at })
  }

  #submitCommand(at: { kind: string; command: string; name: string }): Promise<Job> {
    const { engine, home, environment } = this.#parts
    const run = { path: at.name, tryNumber: 0, password: '', command: at.command }
    const spec = specOfRuns([run], { home, environment: environment() })
    return engine.write(tx => this.#submit(tx, { kind: at.kind, name: at.name, spec }))
  }

  /** The job commands ended: well is no matter for the tree. What ended badly in a group was told by it already. */
  #listen(runs: readonly Run[], job: Job): void {
    void this.#parts.engine
      .settled(job.n)
      .then(async ended => {
        if (this.#isClosed || ended?.state === 'succeeded') return
        if (!ended) {
          // The engine had to start over; the job goes on, and so does listening to it.
          this.#later(() => this.#listen(runs, job))
          return
        }
        const why = ended.message ?? `The job command ended with exit code ${ended.exitCode ?? 'none'}`
        await this.#fail(await this.#unheard(runs, ended), 'ecfcmd_failed', why)
      })
      .catch(error => {
        this.#parts.log.warn({ err: error, path: job.name }, 'the end of a job was not heard')
      })
  }

  /** The runs of a group that was cut short whose own ends nobody has heard. */
  async #unheard(runs: readonly Run[], ended: Job): Promise<readonly Run[]> {
    const spec = await this.#parts.engine.spec(ended.n)
    const orders = isObject(spec) && typeof spec['stdin'] === 'string' ? spec['stdin'].split('\0') : undefined
    if (!orders) return runs
    const executor = this.#parts.engine.executors.get(this.#parts.executor)
    const chunk = await executor?.read(attemptIdOf(ended.id, ended.attempts), 'out', 0, scriptBytesMax)
    const heard = endedRuns(chunk ? Buffer.from(chunk.bytes).toString('utf8') : '')
    const places = new Map<string, number>()
    for (let at = 0; at * 4 + 2 < orders.length; at++) places.set(orders[at * 4 + 2]!, at)
    return runs.filter(run => !heard.has(places.get(markOf(run.password)) ?? -1))
  }

  async #fail(runs: readonly Run[], flag: FlagName, why: string): Promise<void> {
    for (const { path, tryNumber } of runs) {
      this.#parts.log.info({ path, try: tryNumber, flag, why }, 'a job did not start')
    }
    if (runs.length === 0) return
    await this.#parts.keeper().change(living => {
      for (const run of runs) failRun(living, { ...run, mark: markOf(run.password) }, { flag, why })
    })
  }

  /** Runs the kill or status command of a task; that it failed is shown on the task. */
  async #command(ask: Extract<Ask, { type: 'kill' | 'status' }>): Promise<void> {
    const keeper = this.#parts.keeper()
    const node = findNode(keeper.living.root, ask.path)
    // Without its id nothing is known of the job yet.
    if (!node || ask.remoteId === '') return
    const { variable, kind, flag } = commandsOf[ask.type]
    let why: string | undefined
    try {
      if (!/^(?!0+$)[\w.:@+=,/][\w.:@+=,/-]{0,200}$/.test(ask.remoteId)) {
        // The job wrote it, or somebody who says that he is one: it goes into a shell's line, next to `kill`.
        throw new JobFault(
          'edit_failed',
          `ECF_RID is nothing that a command may be given: ${ask.remoteId.slice(0, 100)}`,
        )
      }
      const text = (jobVariable(node, variable) ?? '').replaceAll('%ECF_RID%', ask.remoteId)
      const command = substitute(node, text, { where: variable })
      const job = await this.#submitCommand({ kind, command, name: ask.path })
      const ended = await this.#parts.engine.settled(job.n, { timeoutMs: scriptMsMax })
      if (ended && ended.state !== 'succeeded') why = ended.message ?? `exit code ${ended.exitCode ?? 'none'}`
    } catch (error) {
      if (!(error instanceof JobFault)) throw error
      why = error.message
    }
    if (why === undefined || this.#isClosed) return
    this.#parts.log.info({ path: ask.path, variable, why }, 'a command about a job failed')
    await keeper.change(living => {
      const task = findNode(living.root, ask.path)
      if (task) living.setFlag(task, flag, true)
    })
  }
}

/** The task of a run, while it is still in it. */
function nodeOfRun(living: Living, run: Run): Node | undefined {
  const node = findNode(living.root, run.path)
  return node?.run && node.run.password === run.password ? node : undefined
}

/** A run's job command ended badly. Only the run that was asked for may fail by this: a requeued task begins at try 1. */
export function failRun(
  living: Living,
  run: { path: string; tryNumber: number; mark: string },
  failure: { flag: FlagName; why: string },
): void {
  const node = findNode(living.root, run.path)
  if (!node?.run || (markOf(node.run.password) !== run.mark && node.state !== 'complete')) return
  jobFailed(living, { path: run.path, tryNumber: run.tryNumber, ...failure })
}
