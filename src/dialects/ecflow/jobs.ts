// Starting what the planner asked for: each run becomes part of an engine's job in the very transaction that made its task
// submitted. The running job reports for itself; here only the end of its command is heard.

import type { Logger } from 'pino'
import type { Clock } from '../../core/clock.ts'
import { attemptIdOf } from '../../core/ids.ts'
import type { Job } from '../../core/job.ts'
import type { Json, JsonObject } from '../../core/json.ts'
import { Refused, refuse } from '../../core/refusal.ts'
import { scriptIsPrinted } from '../../domains/suite/jobs/find-script.ts'
import { JobFault, jobVariable, substitute } from '../../domains/suite/jobs/substitute.ts'
import { jobFailed } from '../../domains/suite/planner/job-outcome.ts'
import type { Ask, Living } from '../../domains/suite/planner/living.ts'
import { findNode } from '../../domains/suite/tree/find.ts'
import type { FlagName } from '../../domains/suite/tree/flag.ts'
import { type Node, visitAll } from '../../domains/suite/tree/node.ts'
import type { Engine, Tx } from '../../engine/engine.ts'
import { endedRuns, groupMax, markOf, nodeOfRun, type Run, specOfCommand, specOfGroup } from './job-groups.ts'
import { JobMaker, unmadeReason } from './job-maker.ts'
import type { Keeper } from './keeper.ts'
import type { OpenFolders } from './script-files.ts'
import { Turns } from './turns.ts'

export const jobKind = 'ecflow.job'
const killKind = 'ecflow.kill'
const scriptKind = 'ecflow.script'
/** The commands about a running job: the variable that holds it, the kind of engine job, the flag when it fails. */
const commandsOf = {
  kill: { variable: 'ECF_KILL_CMD', kind: killKind, flag: 'killcmd_failed' },
  status: { variable: 'ECF_STATUS_CMD', kind: 'ecflow.status', flag: 'statuscmd_failed' },
} as const
/** How long the end of a kill or status command is waited for. */
const commandMsMax = 60_000
const scriptBytesMax = 16 * 1024 * 1024
/** Jobs of tasks; and what is done about them, which must not wait for the very jobs that it is about. */
export const poolName = 'ecflow'
export const commandPoolName = 'ecflow.commands'

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
  /** How long a command that prints a script may take. */
  readonly scriptMs: number
  readonly log: Logger
}

/** Commands that print scripts for readers, at the same time for each suite, and how many more may wait. */
const readersMax = 4
const readersWaitingMax = 100

export class JobStarter {
  readonly #parts: JobParts
  readonly #maker: JobMaker
  readonly #printing = new Map<string, Promise<string>>()
  readonly #readers = new Turns(readersMax)
  #isClosed = false

  constructor(parts: JobParts) {
    this.#parts = parts
    this.#maker = new JobMaker({
      ...parts,
      print: (node, command) => this.print(node, command),
      fail: (runs, failure) => this.#fail(runs, failure),
    })
  }

  /** What the executor is to start for a job of ours. */
  prepare(spec: Json): Promise<Json> {
    return this.#maker.prepare(spec)
  }

  /**
   * Writes what the planner asked for into the transaction that the asking is part of: done once, or not at all. The
   * returned function is to be called when that is durable. Never throws: what fails is told to the tree.
   */
  handOver(tx: Tx, living: Living, asks: readonly Ask[]): () => void {
    const deeds: (() => void)[] = []
    const runs: Run[] = []
    for (const ask of asks) {
      if (ask.type === 'start') {
        runs.push({ path: ask.path, tryNumber: ask.tryNumber, mark: markOf(ask.password) })
      } else deeds.push(this.#command(tx, living, ask))
    }
    // Only the process executor is known to have what a group needs.
    const size = this.#parts.executor === 'process' ? groupMax : 1
    // A group starts when all of it is made: a run whose script is still to be printed goes by itself.
    const isPrinted = (run: Run) => {
      const node = findNode(living.root, run.path)
      return node !== undefined && scriptIsPrinted(node)
    }
    const [alone, together] = divide(runs, isPrinted)
    for (const run of alone) deeds.push(this.#submitGroup(tx, living, [run]))
    for (let from = 0; from < together.length; from += size) {
      deeds.push(this.#submitGroup(tx, living, together.slice(from, from + size)))
    }
    return () => {
      for (const deed of deeds) deed()
    }
  }

  #submitGroup(tx: Tx, living: Living, asked: readonly Run[]): () => void {
    // Within one turn a task may have been asked for and requeued again.
    const nodes = asked.map(run => nodeOfRun(living, run))
    const runs = asked.filter((_, index) => nodes[index] !== undefined)
    const [first, ...others] = runs
    if (!first) return () => {}
    const name = others.length === 0 ? first.path : `${first.path} and ${others.length} more`
    try {
      const job = this.#submit(tx, { kind: jobKind, pool: poolName, name, spec: specOfGroup(runs) })
      for (const node of nodes) {
        if (!node) continue
        node.run!.job = job.n
        living.touch(node)
      }
      return () => this.#listen(runs, job)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      return () => void this.#fail(runs, { flag: 'ecfcmd_failed', why: error.message })
    }
  }

  /** After a restart: listens to what was handed over. The engine starts what it has not started yet. */
  resume(): void {
    const { root } = this.#parts.keeper().living
    const handed = new Map<number, Run[]>()
    visitAll(root, node => {
      const { run } = node
      if (node.isContainer || (node.state !== 'submitted' && node.state !== 'active')) return
      if (run?.job === undefined) return
      const of = { path: node.path, tryNumber: run.tryNumber, mark: markOf(run.password) }
      if (handed.has(run.job)) handed.get(run.job)!.push(of)
      else handed.set(run.job, [of])
    })
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
  }

  #later(run: () => void): void {
    const { clock } = this.#parts
    clock.alarm(clock.now() + retryMs, () => {
      if (!this.#isClosed) run()
    })
  }

  /** The same for readers: however many ask at once, the command runs once. */
  printForReaders(node: Node, command: string): Promise<string> {
    let printed = this.#printing.get(command)
    if (!printed) {
      const suite = node.suiteNode?.name ?? ''
      if (this.#readers.waiting(suite) >= readersWaitingMax)
        refuse('unavailable', `Too many scripts of ${suite} are being printed by commands at the moment`)
      printed = this.#readers
        .run(suite, () => this.print(node, command))
        .finally(() => this.#printing.delete(command))
      this.#printing.set(command, printed)
    }
    return printed
  }

  /** What a command prints, for scripts that come from one (ECF_FETCH, ECF_SCRIPT_CMD). */
  async print(node: Node, command: string): Promise<string> {
    const { engine, scriptMs } = this.#parts
    const job = await engine.write(tx =>
      this.#submitCommand(tx, { kind: scriptKind, command, name: node.path }),
    )
    const ended = await engine.settled(job.n, { timeoutMs: scriptMs })
    if (ended?.state !== 'succeeded') {
      const why = ended
        ? (ended.message ?? `exit code ${ended.exitCode}`)
        : `no end after ${scriptMs / 1000} s`
      if (!ended) await engine.write(tx => tx.cancel(job.n, { kill: true }))
      throw new JobFault('no_script', `The script's command failed (${why}): ${command.slice(0, 200)}`)
    }
    return this.#output(ended)
  }

  /** What an ended job wrote to its standard output. */
  async #output(ended: Job): Promise<string> {
    const executor = this.#parts.engine.executors.get(this.#parts.executor)
    const chunk = await executor?.read(attemptIdOf(ended.id, ended.attempts), 'out', 0, scriptBytesMax)
    return chunk ? Buffer.from(chunk.bytes).toString('utf8') : ''
  }

  #submit(tx: Tx, at: { kind: string; pool: string; name: string; spec: JsonObject }): Job {
    return tx.submit({ dialect: 'ecflow', executor: this.#parts.executor, ...at })
  }

  #submitCommand(tx: Tx, at: { kind: string; command: string; name: string }): Job {
    const { home, environment } = this.#parts
    const spec = specOfCommand(at.command, { home, environment: environment() })
    return this.#submit(tx, { kind: at.kind, pool: commandPoolName, name: at.name, spec })
  }

  /** The job commands ended: well is no matter for the tree. What ended badly in a group was told by it already. */
  #listen(runs: readonly Run[], job: Job): void {
    void this.#parts.engine
      .settled(job.n)
      .then(async ended => {
        if (this.#isClosed || ended?.state === 'succeeded' || isUnmade(ended)) return
        if (!ended) {
          // The engine had to start over; the job goes on, and so does listening to it.
          this.#later(() => this.#listen(runs, job))
          return
        }
        const why = ended.message ?? `The job command ended with exit code ${ended.exitCode ?? 'none'}`
        const heard = runs.length === 1 ? new Set<string>() : endedRuns(await this.#output(ended))
        const unheard = runs.filter(run => !heard.has(run.mark))
        await this.#fail(unheard, { flag: 'ecfcmd_failed', why })
      })
      .catch(error => {
        this.#parts.log.warn({ err: error, path: job.name }, 'the end of a job was not heard')
      })
  }

  async #fail(runs: readonly Run[], { flag, why }: { flag: FlagName; why: string }): Promise<void> {
    for (const { path, tryNumber } of runs) {
      this.#parts.log.info({ path, try: tryNumber, flag, why }, 'a job did not start')
    }
    if (runs.length === 0) return
    await this.#parts.keeper().change(living => {
      for (const run of runs) failRun(living, run, { flag, why })
    })
  }

  /** Has the kill or status command of a task run; that it failed is shown on the task. */
  #command(tx: Tx, living: Living, ask: Extract<Ask, { type: 'kill' | 'status' }>): () => void {
    const node = findNode(living.root, ask.path)
    // Without its id nothing is known of the job yet.
    if (!node || ask.remoteId === '') return () => {}
    const { variable, kind } = commandsOf[ask.type]
    try {
      const command = commandAbout(node, ask.remoteId, variable)
      const job = this.#submitCommand(tx, { kind, command, name: ask.path })
      return () => void this.#commandEnd(ask, job)
    } catch (error) {
      if (!(error instanceof JobFault) && !(error instanceof Refused)) throw error
      return () => void this.#commandFailed(ask, error.message)
    }
  }

  async #commandEnd(ask: Extract<Ask, { type: 'kill' | 'status' }>, job: Job): Promise<void> {
    const ended = await this.#parts.engine.settled(job.n, { timeoutMs: commandMsMax }).catch(() => undefined)
    if (!ended || ended.state === 'succeeded') return
    await this.#commandFailed(ask, ended.message ?? `exit code ${ended.exitCode ?? 'none'}`)
  }

  async #commandFailed(ask: Extract<Ask, { type: 'kill' | 'status' }>, why: string): Promise<void> {
    const { variable, flag } = commandsOf[ask.type]
    if (this.#isClosed) return
    this.#parts.log.info({ path: ask.path, variable, why }, 'a command about a job failed')
    await this.#parts
      .keeper()
      .change(living => {
        const task = findNode(living.root, ask.path)
        if (task) living.setFlag(task, flag, true)
      })
      .catch(error => this.#parts.log.warn({ err: error, path: ask.path }, 'a flag could not be set'))
  }
}

/** A list as those of which something is true, and the others. */
function divide<T>(list: readonly T[], is: (item: T) => boolean): [T[], T[]] {
  const parts: [T[], T[]] = [[], []]
  for (const item of list) parts[is(item) ? 0 : 1].push(item)
  return parts
}

/** The command about a running job, its id filled in. Throws a JobFault when it cannot be made. */
function commandAbout(node: Node, remoteId: string, variable: string): string {
  if (!/^(?!0+$)[\w.:@+=,/][\w.:@+=,/-]{0,200}$/.test(remoteId)) {
    // The job wrote it, or somebody who says that he is one: it goes into a shell's line, next to `kill`.
    throw new JobFault(
      'edit_failed',
      `ECF_RID is nothing that a command may be given: ${remoteId.slice(0, 100)}`,
    )
  }
  const text = (jobVariable(node, variable) ?? '').replaceAll('%ECF_RID%', remoteId)
  return substitute(node, text, { where: variable })
}

/** The maker made nothing of it: the tree has moved on, or was told why. */
function isUnmade(ended: Job | undefined): boolean {
  return ended?.state === 'failed' && ended.reason === unmadeReason
}

/** A run's job command ended badly. Only the run that was asked for may fail by this: a requeued task begins at try 1. */
export function failRun(living: Living, run: Run, failure: { flag: FlagName; why: string }): void {
  const node = findNode(living.root, run.path)
  if (!node?.run || (markOf(node.run.password) !== run.mark && node.state !== 'complete')) return
  jobFailed(living, { path: run.path, tryNumber: run.tryNumber, ...failure })
}
