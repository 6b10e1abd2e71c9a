// The podman and docker drivers: one argument list for the command-line clients of both, and its small differences.
import { commandOf, type Driver, HOME, type TaskFiles, type TaskPlan, workdirOf } from './driver.ts'
import type { Image } from './images/index.ts'
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
    env: environmentOf(plan),
    pull: script(
      ...(plan.image === null ? pullLines(plan, tools) : importLines(plan.image, { plan, tools })),
    ),
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
  // What came as a file is imported without a word about how to run it.
  const [image, argv] =
    plan.image === null ? [task.image, task.argv ?? []] : [importedName(plan.image), commandOf(plan)]
  const isBare = plan.image !== null || (task.entrypoint === 'none' && task.argv)
  const entrypoint = isBare ? ['--entrypoint', ''] : []
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
    ...['--env-file', `${plan.dir}/env`, '--workdir', workdirOf(task), ...entrypoint, image],
    ...argv,
  ]
  return `exec ${shellLine([tools.program, ...args])}`
}

/** Lines cannot hold a line break: a variable of an image that has one is left out. */
function environmentOf({ env, image }: TaskPlan): string {
  const own = (image?.config.env ?? []).filter(line => !/[\r\n]/.test(line) && line.indexOf('=') > 0)
  const all = new Map([
    ...own.map((line): [string, string] => [
      line.slice(0, line.indexOf('=')),
      line.slice(line.indexOf('=') + 1),
    ]),
    ...env,
  ])
  return [...all].map(([name, value]) => `${name}=${value}\n`).join('')
}

/** What an image that came as a file is called in the client's own store. */
function importedName(image: Image): string {
  return `localhost/switchyard/stored:${image.digest.replace('sha256:', '').slice(0, 40)}`
}

/** Hands the client an unpacked image of ours, once. */
function importLines(image: Image, { plan, tools }: { plan: TaskPlan; tools: CliTools }): string[] {
  const client = shellWord(tools.program)
  const name = shellWord(importedName(image))
  const status = shellWord(`${plan.dir}/image.status`)
  return [
    `if ${client} image inspect --format '{{.Id}}' ${name} >/dev/null 2>&1; then echo "cached ${image.digest} 0" >${status}; exit 0; fi`,
    'begin=$(date +%s%3N)',
    `tar -C ${shellWord(image.rootDir)} -cf - . | ${client} import - ${name} >/dev/null || { echo failed >${status}; exit 1; }`,
    `echo "completed ${image.digest} $(($(date +%s%3N) - begin))" >${status}`,
  ]
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
