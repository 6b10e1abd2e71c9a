// The podman and docker drivers: one argument list for the command-line clients of both, and its small differences.
import { type Driver, HOME, type TaskFiles, type TaskPlan, workdirOf } from './driver.ts'
import { shellLine, shellWord } from './shell-words.ts'
import type { ContainerSpec } from './spec.ts'

/** How a client is called. */
export interface CliTools {
  readonly name: 'podman' | 'docker'
  readonly program: string
  /** Variables the client itself needs, such as CONTAINERS_CONF. */
  readonly env: Readonly<Record<string, string>>
  /** `never`: only images that the client's own store has. */
  readonly pull: 'missing' | 'never'
}

/** The user of a task that names none; the scratch directory belongs to it. */
const CLI_USER = { uid: 1000, gid: 1000 }

/** Makes the driver. */
export function cliDriver(tools: CliTools): Driver {
  return {
    name: tools.name,
    check: checkVariables,
    owner: process.getuid?.() === 0 ? CLI_USER : null,
    files: async plan => taskFiles(plan, tools),
  }
}

/** The clients read variables from lines. On the command line a line break could pass, but so would every secret. */
function checkVariables(spec: ContainerSpec): string | undefined {
  const places: [string, Record<string, string>][] = [
    ['env', spec.env],
    ...spec.tasks.map((task, i): [string, Record<string, string>] => [`tasks.${i}.env`, task.env]),
  ]
  for (const [field, env] of places) {
    for (const [name, value] of Object.entries(env)) {
      if (/[\r\n]/.test(value)) return `${field}.${name}: this driver cannot pass a line break`
    }
  }
  return undefined
}

function taskFiles(plan: TaskPlan, tools: CliTools): TaskFiles {
  const remove = [
    tools.program,
    'rm',
    '-f',
    ...(tools.name === 'podman' ? ['-t', '0'] : []),
    plan.containerName,
  ]
  const prepare = Object.entries(tools.env).map(([name, value]) => `export ${name}=${shellWord(value)}`)
  const script = (...lines: string[]) => `${['#!/bin/sh', ...prepare, ...lines].join('\n')}\n`
  // A container of an earlier try, or of a client that was killed, would keep the name.
  const clear = `${shellLine(remove)} >/dev/null 2>&1`
  return {
    run: script(`[ "$1" = 0 ] || ${clear}`, runLine(plan, tools)),
    env: [...plan.env].map(([name, value]) => `${name}=${value}\n`).join(''),
    pull: script(...pullLines(plan, tools)),
    ...(plan.task.credential == null ? {} : { login: loginFile(plan.task.image, plan.task.credential) }),
    stop: script(clear),
  }
}

function runLine(plan: TaskPlan, tools: CliTools): string {
  const { task, limits } = plan
  const user = task.user ?? CLI_USER
  const mounts = [
    { from: plan.scratchDir, to: HOME, readOnly: false },
    { from: plan.tmpDir, to: '/tmp', readOnly: false },
    ...plan.mounts,
  ]
  const entrypoint = task.entrypoint === 'none' && task.argv ? ['--entrypoint', ''] : []
  const args = [
    ...['run', '--rm', '--name', plan.containerName, '--pull=never', '--read-only', '--cap-drop=all'],
    ...['--security-opt', 'no-new-privileges', '--user', `${user.uid}:${user.gid}`, '--log-driver=none'],
    ...(plan.spec.network ? [] : ['--network=none']),
    ...(limits.memoryBytes === null
      ? []
      : ['--memory', `${limits.memoryBytes}b`, '--memory-swap', `${limits.memoryBytes}b`]),
    ...(limits.cpus === null ? [] : ['--cpus', String(limits.cpus)]),
    ...(plan.cgroup === null ? [] : ['--cgroup-parent', plan.cgroup.parent]),
    ...mounts.flatMap(mount => ['-v', `${mount.from}:${mount.to}${mount.readOnly ? ':ro' : ''}`]),
    ...['--env-file', `${plan.dir}/env`, '--workdir', workdirOf(task), ...entrypoint, task.image],
    ...(task.argv ?? []),
  ]
  return `exec ${shellLine([tools.program, ...args])}`
}

/** Both clients read the same form: credentials by the registry's name. */
function loginFile(image: string, { username, token }: { username: string; token: string }): string {
  const [first = ''] = image.split('/')
  const isHost = image.includes('/') && (/[.:]/.test(first) || first === 'localhost')
  const auth = Buffer.from(`${username}:${token}`).toString('base64')
  const names = isHost ? [first] : ['docker.io', 'https://index.docker.io/v1/']
  return JSON.stringify({ auths: Object.fromEntries(names.map(name => [name, { auth }])) })
}

/** Leaves `image.status`: `cached` or `completed`, the image's id, and the milliseconds it took. */
function pullLines(plan: TaskPlan, tools: CliTools): string[] {
  const image = shellWord(plan.task.image)
  const client = shellWord(tools.program)
  const status = shellWord(`${plan.dir}/image.status`)
  const look = `${client} image inspect --format '{{.Id}}' ${image} 2>/dev/null`
  const login = plan.task.credential == null ? '' : shellWord(plan.dir)
  const asks =
    tools.name === 'podman' ? `pull -q --authfile ${login}/config.json` : `--config ${login} pull -q`
  const pull = `${client} ${login === '' ? 'pull -q' : asks} ${image} >/dev/null`
  const inspect = `${client} image inspect --format '{{.Id}} {{json .RepoDigests}}' ${image}`
  const wanted = plan.task.imageSha256
  // As an id it stands alone, as the digest of a manifest after a name.
  const check =
    wanted == null
      ? ''
      : `case "$(${inspect})" in *${wanted}*) ;; *) echo "the image "${image}" has another digest" >&2; echo failed >${status}; exit 1 ;; esac; `
  return [
    `if id=$(${look}); then ${check}echo "cached $id 0" >${status}; exit 0; fi`,
    ...(tools.pull === 'never'
      ? [
          `echo "the image "${image}" is not there, and pulling is switched off" >&2`,
          `echo failed >${status}`,
          'exit 1',
        ]
      : [
          'begin=$(date +%s%3N)',
          `${pull} || { echo failed >${status}; exit 1; }`,
          `id=$(${look})`,
          `${check}echo "completed $id $(($(date +%s%3N) - begin))" >${status}`,
        ]),
  ]
}
