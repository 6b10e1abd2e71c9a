// The rootfs driver: bwrap over an unpacked image, in two levels. The outer one makes the process namespace with GNU
// time as its process 1, so that the figures are exact, self-sent signals work, and killing it kills everything; the
// inner one makes the view. Environment and mounts go through a file, since process 1 can be seen inside.
import { type Driver, HOME, type Mount, type TaskFiles, type TaskPlan, workdirOf } from './driver.ts'
import { viewOf } from './rootfs-view.ts'
import { shellLine, shellWord } from './shell-words.ts'

/** Where the programs are; found by probing. */
export interface RootfsTools {
  readonly bwrap: string
  /** Null where GNU time is not installed: then there are no figures. */
  readonly time: string | null
  /** Files of the machine that name resolution needs, shown to tasks with network. */
  readonly resolverFiles: readonly string[]
}

/** The user of an image that names none: least privilege. */
const PLAIN_USER = { uid: 1000, gid: 1000 }
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Makes the driver. */
export function rootfsDriver(tools: RootfsTools): Driver {
  return {
    name: 'rootfs',
    check: () => undefined,
    files: plan => taskFiles(plan, tools),
  }
}

async function taskFiles(plan: TaskPlan, tools: RootfsTools): Promise<TaskFiles> {
  const { task, image } = plan
  if (image === null) throw new Error('the rootfs driver was given no image')
  const user = task.user ?? (image.config.user === '' ? PLAIN_USER : (image.owner ?? PLAIN_USER))
  const env = new Map([['PATH', PATH], ...image.config.env.map(splitVariable), ...plan.env])
  const args = [
    ['--unshare-user', '--uid', String(user.uid), '--gid', String(user.gid)],
    ['--unshare-ipc', '--unshare-uts', '--hostname', 'container', '--cap-drop', 'ALL', '--new-session'],
    plan.spec.network ? [] : ['--unshare-net'],
    await viewOf(image.rootDir, mountsOf(plan, tools)),
    ['--chdir', workdirOf(task), '--clearenv'],
    [...env].flatMap(([name, value]) => ['--setenv', name, value]),
  ].flat()
  return { args: `${args.join('\0')}\0`, run: runScript(plan, tools) }
}

function mountsOf(plan: TaskPlan, tools: RootfsTools): Mount[] {
  const own: Mount[] = [
    { from: plan.scratchDir, to: HOME, readOnly: false },
    { from: plan.tmpDir, to: '/tmp', readOnly: false },
  ]
  const resolver = plan.spec.network ? tools.resolverFiles : []
  return [...own, ...resolver.map(path => ({ from: path, to: path, readOnly: true })), ...plan.mounts]
}

function runScript(plan: TaskPlan, tools: RootfsTools): string {
  const lines = ['#!/bin/sh']
  for (const file of plan.cgroup?.procsFiles ?? []) lines.push(`echo $$ >${shellWord(file)} || exit 122`)
  lines.push(`exec 9<${shellWord(`${plan.dir}/args`)} || exit 122`)
  const outer = [tools.bwrap, '--dev-bind', '/', '/', '--unshare-pid', '--proc', '/proc', '--die-with-parent']
  const inner = shellLine([tools.bwrap, '--args', '9', '--', ...commandOf(plan)])
  if (tools.time === null) {
    lines.push(`exec ${shellLine(outer)} ${inner}`)
  } else {
    // GNU time leaves its output file open in the child, on the lowest free number: closed before the view is made,
    // so that a task cannot write its own figures.
    const usage = `${shellWord(`${plan.dir}/usage`)}."$1"`
    const time = `${shellWord(tools.time)} -q -f '%U %S %M' -o ${usage}`
    const close = shellWord('exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&-; exec "$@"')
    lines.push(`exec ${shellLine([...outer, '--as-pid-1'])} ${time} /bin/sh -c ${close} sh ${inner}`)
  }
  return `${lines.join('\n')}\n`
}

function commandOf(plan: TaskPlan): readonly string[] {
  const { task, image } = plan
  const entrypoint = task.entrypoint === 'image' ? (image?.config.entrypoint ?? []) : []
  const command = [...entrypoint, ...(task.argv ?? image?.config.cmd ?? [])]
  if (command.length === 0) throw new Error(`the image ${task.image} says no command, and the task neither`)
  return command
}

function splitVariable(line: string): [name: string, value: string] {
  const at = line.indexOf('=')
  return [line.slice(0, at), line.slice(at + 1)]
}
