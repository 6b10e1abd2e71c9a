// Which ways to run containers work on this machine, found out once, when the executor opens.
import { execFile } from 'node:child_process'
import { access, constants, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cliDriver } from './cli-driver.ts'
import type { Driver, DriverName } from './driver.ts'
import { dropRights, rootfsDriver } from './rootfs-driver.ts'

/** What was found out about one driver. */
export interface ProbeResult {
  readonly name: DriverName
  readonly driver: Driver | null
  /** Why it cannot be used, or what it is: for people. */
  readonly text: string
}

/** How to probe. */
export interface ProbeOptions {
  /** Where the executor keeps what it writes for the clients. */
  readonly folder: string
  readonly names: readonly DriverName[]
  /** Whether podman and docker may fetch images that they do not have. */
  readonly pull: 'missing' | 'never'
}

const PROBE_MS = 30_000

/** Probes the drivers, in the order of the names. */
export async function probeDrivers(options: ProbeOptions): Promise<ProbeResult[]> {
  return Promise.all(options.names.map(name => (name === 'rootfs' ? probeRootfs() : probeCli(name, options))))
}

async function probeRootfs(): Promise<ProbeResult> {
  const name = 'rootfs'
  const bwrap = await findProgram('bwrap')
  if (bwrap === undefined) return { name, driver: null, text: 'bwrap is not installed (Debian: bubblewrap)' }
  const setpriv = process.getuid?.() === 0 ? await findProgram('setpriv') : null
  if (setpriv === undefined)
    return { name, driver: null, text: 'setpriv is not installed (Debian: util-linux)' }
  const outer = ['--dev-bind', '/', '/', '--unshare-pid', '--proc', '/proc', '--die-with-parent']
  // Both levels and the change of user, since a machine may allow the one and forbid the other.
  const drop = setpriv === null ? [] : dropRights(setpriv)
  const inner = [bwrap, '--unshare-user', '--ro-bind', '/', '/', '--proc', '/proc', '--', '/bin/true']
  const { problem } = await run(bwrap, [...outer, ...drop, ...inner], {})
  if (problem !== undefined) return { name, driver: null, text: `bwrap does not work here: ${problem}` }
  const time = await findGnuTime()
  const resolverFiles: string[] = []
  for (const path of ['/etc/resolv.conf', '/etc/hosts']) if (await isThere(path)) resolverFiles.push(path)
  const driver = rootfsDriver({ bwrap, time: time ?? null, setpriv, resolverFiles })
  return { name, driver, text: time === undefined ? 'bwrap, without figures (Debian: time)' : 'bwrap' }
}

async function findGnuTime(): Promise<string | undefined> {
  const time = await findProgram('time')
  if (time === undefined) return undefined
  const { problem } = await run(time, ['-f', '%e', '-o', '/dev/null', '/bin/true'], {})
  return problem === undefined ? time : undefined
}

async function probeCli(name: 'podman' | 'docker', options: ProbeOptions): Promise<ProbeResult> {
  const program = await findProgram(name)
  if (program === undefined) return { name, driver: null, text: `${name} is not installed` }
  const env = name === 'podman' ? { CONTAINERS_CONF: await writePodmanConf(options.folder) } : {}
  const question =
    name === 'podman'
      ? ['info', '--format', '{{.Version.Version}}']
      : ['version', '--format', '{{.Server.Version}}']
  const { problem, text } = await run(program, question, env)
  if (problem !== undefined) return { name, driver: null, text: `${name} does not work here: ${problem}` }
  const driver = cliDriver({ name, program, env: { ...clientEnvironment(), ...env }, pull: options.pull })
  return { name, driver, text: `${name} ${text}` }
}

/**
 * Podman asks for more open files than this user may have and then starts nothing; and without systemd it must make
 * its control groups itself. Both are said in a file of our own, so that the machine's settings stay as they are.
 */
async function writePodmanConf(folder: string): Promise<string> {
  const limits = await readFile('/proc/self/limits', 'utf8')
  const hard = (label: string, most: number) =>
    Math.min(most, Number(new RegExp(`^${label} +\\S+ +(\\d+)`, 'm').exec(limits)?.[1] ?? most))
  const nofile = hard('Max open files', 1_048_576)
  const nproc = hard('Max processes', 4096)
  const runc = (await findProgram('runc')) === undefined ? '' : 'runtime = "runc"\n'
  const path = join(folder, 'containers.conf')
  await writeFile(
    path,
    `[containers]\ndefault_ulimits = ["nofile=${nofile}:${nofile}", "nproc=${nproc}:${nproc}"]\n` +
      `[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n${runc}`,
  )
  return path
}

/** What the clients read from their environment: where their own files and sockets are. */
function clientEnvironment(): Record<string, string> {
  const names = [
    'HOME',
    'PATH',
    'XDG_RUNTIME_DIR',
    'CONTAINERS_STORAGE_CONF',
    'CONTAINER_HOST',
    'DOCKER_HOST',
    'DOCKER_CONFIG',
  ]
  return Object.fromEntries(
    names.flatMap(name => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  )
}

/** A program by the PATH, or where Debian puts it. */
export async function findProgram(name: string): Promise<string | undefined> {
  for (const dir of [...(process.env['PATH'] ?? '').split(':'), '/usr/bin', '/bin', '/usr/sbin', '/sbin']) {
    if (!dir.startsWith('/')) continue
    const isProgram = await access(join(dir, name), constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isProgram) return join(dir, name)
  }
  return undefined
}

async function isThere(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  )
}

function run(
  program: string,
  args: readonly string[],
  env: Record<string, string>,
): Promise<{ problem: string | undefined; text: string }> {
  return new Promise(resolve => {
    const options = { timeout: PROBE_MS, env: { ...process.env, ...env } }
    execFile(program, [...args], options, (error, stdout, stderr) => {
      const problem = error === null ? undefined : stderr.trim().split('\n').at(-1) || error.message
      resolve({ problem, text: stdout.trim() })
    })
  })
}
