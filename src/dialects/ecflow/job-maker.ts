// Making jobs: from a run that was handed to the engine to the command that the executor starts. Scripts are read here,
// after the commit that promised the run and before its start, so that no file system holds a commit up.

import type { Logger } from 'pino'
import type { Json } from '../../core/json.ts'
import { editedPath, readEdited, withVariables } from '../../domains/suite/jobs/edit-script.ts'
import type { ScriptFiles } from '../../domains/suite/jobs/find-script.ts'
import { makeJob } from '../../domains/suite/jobs/make-job.ts'
import { JobFault, jobVariable, substitute } from '../../domains/suite/jobs/substitute.ts'
import type { FlagName } from '../../domains/suite/tree/flag.ts'
import type { Node } from '../../domains/suite/tree/node.ts'
import { findUserVariable } from '../../domains/suite/tree/user-variable.ts'
import { Unprepared } from '../../engine/engine.ts'
import { nodeOfRun, type ReadyRun, type Run, readGroup, specOfRuns } from './job-groups.ts'
import type { Keeper } from './keeper.ts'
import type { OpenFolders } from './script-files.ts'
import { Turns } from './turns.ts'

/** Jobs made at the same time: making one is reading files, which does not get faster by doing more at once. */
const makersMax = 16

/** Commands that print scripts, at the same time for each suite: however slow they are, only their own suite waits. */
const printersMax = 4

/** How a job ends of which nothing was made; nobody else fails a job for this reason. */
export const unmadeReason = 'user'

export interface MakerParts {
  readonly keeper: () => Keeper
  readonly folders: OpenFolders
  readonly home: string
  /** What jobs find in their environment: the way back to this server, and its ecflow_client on their PATH. */
  readonly environment: () => Record<string, string>
  /** What a command prints, for scripts that come from one. */
  readonly print: (node: Node, command: string) => Promise<string>
  /** Tells the tree that a run came to nothing; resolves when that is durable. */
  readonly fail: (runs: readonly Run[], failure: { flag: FlagName; why: string }) => Promise<void>
  readonly log: Logger
}

export class JobMaker {
  readonly #parts: MakerParts
  readonly #makers = new Turns(makersMax)
  readonly #printers = new Turns(printersMax)
  /** Job files that are being written. */
  readonly #writing = new Map<string, Promise<void>>()

  constructor(parts: MakerParts) {
    this.#parts = parts
  }

  /**
   * The commands of a group's runs, their job files written. A run that has been requeued, forced or deleted since is left
   * out, and so is one that cannot be made: the tree knows before the others start. Throws Unprepared when none is left.
   */
  async prepare(spec: Json): Promise<Json> {
    const keeper = this.#parts.keeper()
    // The engine takes up what it was given before the suites are read back.
    await keeper.ready()
    const runs = readGroup(spec)
    const made = await Promise.all(runs.map(run => this.#makers.run('', () => this.#make(run))))
    const ready = made.filter(it => it !== undefined)
    if (ready.length === 0)
      throw new Unprepared(
        unmadeReason,
        'No job was made: the tasks moved on, or say themselves what is wrong',
      )
    return specOfRuns(ready, { home: this.#parts.home, environment: this.#parts.environment() })
  }

  async #make(run: Run): Promise<ReadyRun | undefined> {
    const node = this.#nodeOf(run)
    if (!node) return undefined
    try {
      const command = await this.#makeCommand(node, run)
      return this.#nodeOf(run) && { ...run, command }
    } catch (error) {
      const flag = error instanceof JobFault ? error.flag : 'edit_failed'
      await this.#parts.fail([run], { flag, why: (error as Error).message })
      return undefined
    }
  }

  /** The task, while this is its run and nobody has moved it on. */
  #nodeOf(run: Run): Node | undefined {
    const node = nodeOfRun(this.#parts.keeper().living, run)
    return node?.state === 'submitted' ? node : undefined
  }

  async #makeCommand(node: Node, run: Run): Promise<string> {
    const { folders } = this.#parts
    if (findUserVariable(node, 'ECF_NO_SCRIPT') === undefined) {
      const files = folders.forJobs(command => this.#print(node, command))
      const text = await (node.run?.edited ? this.#makeEdited(node, files) : makeJob(node, files))
      await this.#write(run, jobVariable(node, 'ECF_JOB') ?? '', text)
    }
    return substitute(node, jobVariable(node, 'ECF_JOB_CMD') ?? '', { where: 'ECF_JOB_CMD' })
  }

  /** The job of a script that somebody edited for this run, kept since it was submitted. */
  async #makeEdited(node: Node, files: ScriptFiles): Promise<string> {
    const source = editedPath(node)
    const text = await files.read(source)
    if (text === undefined) throw new JobFault('no_script', `The edited script ${source} is gone`)
    const { variables, script } = readEdited(node, text)
    return makeJob(withVariables(node, variables), files, { text: script, source })
  }

  /** A requeued task writes to the same file: one after the other, and never what is not wanted any more. */
  async #write(run: Run, path: string, text: string): Promise<void> {
    const before = this.#writing.get(path)
    const turn = (async () => {
      await before?.catch(() => {})
      if (this.#nodeOf(run)) await this.#parts.folders.writeJob(path, text)
    })()
    this.#writing.set(path, turn)
    try {
      await turn
    } catch (error) {
      const why = (error as Error).message
      throw new JobFault('edit_failed', `The job file ${path} cannot be written: ${why}`)
    } finally {
      if (this.#writing.get(path) === turn) this.#writing.delete(path)
    }
  }

  /** Nobody knows how long a command takes: the turn goes to those who read files meanwhile. */
  async #print(node: Node, command: string): Promise<string> {
    this.#makers.give('')
    try {
      return await this.#printers.run(node.suiteNode?.name ?? '', () => this.#parts.print(node, command))
    } finally {
      await this.#makers.take('')
    }
  }
}
