// The rootfs driver: bwrap over an unpacked image, in two levels. The outer one makes the process namespace with GNU
// time as its process 1, so that the figures are exact, self-sent signals work, and killing it kills everything; the
// inner one makes the view. Environment and mounts go through a file, since process 1 can be seen inside.
import {
  commandOf,
  type Driver,
  HOME,
  type Mount,
  type Owner,
  type TaskFiles,
  type TaskPlan,
  workdirOf,
} from './driver.ts'
import { viewOf } from './rootfs-view.ts'
import { shellLine, shellWord } from './shell-words.ts'

/** Where the programs are; found by probing. */
export interface RootfsTools {
  readonly bwrap: string
  /** Null where GNU time is not installed: then there are no figures. */
  readonly time: string | null
  /** How a server that is root stops being it; null when it is not. */
  readonly setpriv: string | null
  /** Files of the machine that name resolution needs, shown to tasks with network. */
  readonly resolverFiles: readonly string[]
}

/** The user of an image that names none: least privilege. */
const PLAIN_USER = { uid: 1000, gid: 1000 }
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * Whom the tasks of a root server really are on the machine. Never root: to the kernel, root in a namespace of its own
 * still owns /proc/sys. A number that no system hands out, so that nothing else on the machine is theirs.
 */
export const TASK_OWNER: Owner = { uid: 1_900_000_000, gid: 1_900_000_000 }

/**
 * Where the outer sandbox shows the inner one its sources. The inner one may be another user, whom the server's own
 * folders are closed to; and this place of the machine is needed by none of the programs in between.
 */
const SOURCES = '/sys'

/** The words in front of a command that make it one of TASK_OWNER's. */
export function dropRights(setpriv: string): string[] {
  const { uid, gid } = TASK_OWNER
  return [setpriv, `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs']
}

/** Makes the driver. */
export function rootfsDriver(tools: RootfsTools): Driver {
  return {
    name: 'rootfs',
    check: () => undefined,
    owner: tools.setpriv === null ? null : TASK_OWNER,
    files: plan => taskFiles(plan, tools),
  }
}

async function taskFiles(plan: TaskPlan, tools: RootfsTools): Promise<TaskFiles> {
  const { task, image } = plan
  if (image === null) throw new Error('the rootfs driver was given no image')
  const user = task.user ?? (image.config.user === '' ? PLAIN_USER : (image.owner ?? PLAIN_USER))
  const env = new Map([['PATH', PATH], ...image.config.env.map(splitVariable), ...plan.env])
  const { sources, mounts } = showSources(plan, image.rootDir)
  const resolver = plan.spec.network ? tools.resolverFiles : []
  const resolverMounts = resolver.map(path => ({ from: path, to: path, readOnly: true }))
  const args = [
    ['--unshare-user', '--uid', String(user.uid), '--gid', String(user.gid)],
    ['--unshare-ipc', '--unshare-uts', '--hostname', 'container', '--cap-drop', 'ALL', '--new-session'],
    plan.spec.network ? [] : ['--unshare-net'],
    await viewOf(image.rootDir, `${SOURCES}/root`, [...mounts, ...resolverMounts]),
    ['--chdir', workdirOf(task), '--clearenv'],
    [...env].flatMap(([name, value]) => ['--setenv', name, value]),
  ].flat()
  return { args: `${args.join('\0')}\0`, run: runScript({ plan, tools, sources }) }
}

/** The outer arguments that put everything the task sees below SOURCES, and the mounts by their place there. */
function showSources(plan: TaskPlan, rootDir: string): { sources: string[]; mounts: Mount[] } {
  const sources = ['--tmpfs', SOURCES, '--ro-bind', rootDir, `${SOURCES}/root`]
  const places = new Map<string, string>()
  const own: Mount[] = [
    { from: plan.scratchDir, to: HOME, readOnly: false },
    { from: plan.tmpDir, to: '/tmp', readOnly: false },
  ]
  const mounts = [...own, ...plan.mounts].map(mount => {
    let place = places.get(mount.from)
    if (place === undefined) {
      place = `${SOURCES}/${places.size}`
      places.set(mount.from, place)
      sources.push('--bind', mount.from, place)
    }
    return { ...mount, from: place }
  })
  return { sources, mounts }
}

function runScript({
  plan,
  tools,
  sources,
}: {
  plan: TaskPlan
  tools: RootfsTools
  sources: string[]
}): string {
  const lines = ['#!/bin/sh']
  for (const file of plan.cgroup?.procsFiles ?? []) lines.push(`echo $$ >${shellWord(file)} || exit 122`)
  lines.push(`exec 9<${shellWord(`${plan.dir}/args`)} || exit 122`)
  const outer = [tools.bwrap, '--dev-bind', '/', '/', '--unshare-pid', '--proc', '/proc', '--die-with-parent']
  const drop = tools.setpriv === null ? [] : dropRights(tools.setpriv)
  const inner = shellLine([...drop, tools.bwrap, '--args', '9', '--', ...commandOf(plan)])
  if (tools.time === null) {
    lines.push(`exec ${shellLine([...outer, ...sources])} ${inner}`)
  } else {
    // GNU time leaves its output file open in the child, on the lowest free number: closed before the view is made,
    // so that a task cannot write its own figures.
    const usage = `${shellWord(`${plan.dir}/usage`)}."$1"`
    const time = `${shellWord(tools.time)} -q -f '%U %S %M' -o ${usage}`
    const close = shellWord('exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&-; exec "$@"')
    lines.push(
      `exec ${shellLine([...outer, ...sources, '--as-pid-1'])} ${time} /bin/sh -c ${close} sh ${inner}`,
    )
  }
  return `${lines.join('\n')}\n`
}

function splitVariable(line: string): [name: string, value: string] {
  const at = line.indexOf('=')
  return [line.slice(0, at), line.slice(at + 1)]
}
