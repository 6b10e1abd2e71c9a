// The seam between the container executor and the ways to run a container. A driver only writes down how a task is
// started; the runner (run-tasks.sh) starts it.
import type { Image } from './images/index.ts'
import type { ContainerSpec, TaskSpec } from './spec.ts'

/** The drivers there are. */
export type DriverName = 'rootfs' | 'podman' | 'docker'

/** What a task may use and where. */
export interface Limits {
  readonly cpus: number | null
  readonly memoryBytes: number | null
}

/** A user and group by number. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** A directory or file of the machine that a task sees at a path of its own. */
export interface Mount {
  readonly from: string
  readonly to: string
  readonly readOnly: boolean
}

/** Everything a driver knows about a task when it writes its files. */
export interface TaskPlan {
  readonly spec: ContainerSpec
  readonly task: TaskSpec
  /** Names the container uniquely on this machine. */
  readonly containerName: string
  /** The task's own directory, not visible to the task. */
  readonly dir: string
  /** Seen as /home/user by all tasks of the attempt. */
  readonly scratchDir: string
  /** Seen as /tmp. */
  readonly tmpDir: string
  readonly env: ReadonlyMap<string, string>
  /** What is mounted besides, in this order. */
  readonly mounts: readonly Mount[]
  readonly limits: Limits
  /** Files to write our process number into, and the same group as the CLI drivers name it. */
  readonly cgroup: { readonly procsFiles: readonly string[]; readonly parent: string } | null
  /** The unpacked image: for the rootfs driver, and for others where it came as a file. */
  readonly image: Image | null
}

/** The files of one task. `run` is called with the number of the try. */
export interface TaskFiles {
  readonly run: string
  /** NUL-separated arguments with everything that must not be seen in a process list. */
  readonly args?: string
  /** NAME=VALUE lines. */
  readonly env?: string
  /** Makes sure that the image is there; not zero when it cannot be had. */
  readonly pull?: string
  /** What the client shows a registry. */
  readonly login?: string
  /** Ends the container for good, also when nobody waits for it any more. */
  readonly stop?: string
}

/** One way to run containers. */
export interface Driver {
  readonly name: DriverName
  /** A sentence when a spec cannot be run this way; the job is then refused. */
  check(spec: ContainerSpec): string | undefined
  /** Whom the scratch directory must belong to; null when that is the server's own user. */
  readonly owner: Owner | null
  files(plan: TaskPlan): Promise<TaskFiles>
}

/** What a task runs over an image of our own store: what it says itself, or else what the image says. */
export function commandOf({ task, image }: Pick<TaskPlan, 'task' | 'image'>): readonly string[] {
  const entrypoint = task.entrypoint === 'image' ? (image?.config.entrypoint ?? []) : []
  const command = [...entrypoint, ...(task.argv ?? image?.config.cmd ?? [])]
  if (command.length === 0) throw new Error(`the image ${task.image} says no command, and the task neither`)
  return [...(image?.launcher ?? []), ...command]
}

/** Where the scratch directory is seen, and the default working directory. */
export const HOME = '/home/user'

/** The working directory of a task. */
export function workdirOf(task: TaskSpec): string {
  const workdir = task.workdir ?? ''
  return workdir.startsWith('/') ? workdir : workdir === '' ? HOME : `${HOME}/${workdir}`
}
