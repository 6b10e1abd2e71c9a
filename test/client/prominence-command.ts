// PROMINENCE's own command line client, where somebody has put it on this machine: the command `prominence`, or what
// PROMINENCE_CLI names. Its package comes from Python's registry alone, so no script of ours fetches it.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface Said {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** The client's command; undefined where there is none. */
export const prominenceCommand = process.env['PROMINENCE_CLI'] ?? inPath('prominence')

/** Why the client cannot be driven here; undefined when it can. */
export function missingForClient(): string | undefined {
  if (prominenceCommand === undefined)
    return 'the command prominence is not on this machine: pip install prominence==0.21.0, or name it in PROMINENCE_CLI'
  return isRunnable(prominenceCommand)
    ? undefined
    : `PROMINENCE_CLI names ${prominenceCommand}, which cannot be run`
}

/** The Python that has the client's classes: PROMINENCE_PYTHON, or the one that the command itself is run by. */
export function prominencePython(): string | undefined {
  const named = process.env['PROMINENCE_PYTHON']
  if (named !== undefined || prominenceCommand === undefined) return named
  const first = readFileSync(prominenceCommand, 'latin1').split('\n', 1)[0] ?? ''
  return /^#!\s*(\S*python[\d.]*)\s*$/.exec(first)?.[1]
}

/** Runs the client in a home and a folder of its own, and keeps what of it was used. */
export class ProminenceCommand {
  readonly #env: NodeJS.ProcessEnv
  readonly folder: string
  /** `create --name`, `kv set`, `list`: the commands that were run, each with and without its options. */
  readonly used = new Set<string>()
  readonly #help = new Map<string, Promise<string>>()

  constructor(options: { home: string; folder: string; url: string; issuer: string }) {
    const { PROMINENCE_TOKEN: _, HTTP_PROXY: __, http_proxy: ___, ...rest } = process.env
    this.#env = {
      ...rest,
      HOME: options.home,
      PROMINENCE_URL: options.url,
      PROMINENCE_OIDC_URL: options.issuer,
      PYTHONUNBUFFERED: '1',
    }
    this.folder = options.folder
  }

  /** One run to its end. */
  run(...args: readonly string[]): Promise<Said> {
    this.#note(args)
    return this.program(prominenceCommand!, args)
  }

  /** Another program with the same home, folder and variables. */
  program(file: string, args: readonly string[]): Promise<Said> {
    return new Promise(resolve => {
      const options = { cwd: this.folder, env: this.#env, timeout: 300_000, maxBuffer: 64 * 1024 * 1024 }
      execFile(file, args, options, (error, out, err) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err }),
      )
    })
  }

  /** What a run that ends well prints. */
  async out(...args: readonly string[]): Promise<string> {
    const said = await this.run(...args)
    if (said.code !== 0) throw new Error(`prominence ${args.join(' ')}: ${JSON.stringify(said)}`)
    return said.out
  }

  /** A run that is watched while it goes on. */
  begin(...args: readonly string[]): ChildProcess {
    this.#note(args)
    return spawn(prominenceCommand!, args, {
      cwd: this.folder,
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  /** The commands that this client has; `kv` by its parts. */
  async commands(): Promise<string[]> {
    const names = choicesOf(await this.#helpOf([]))
    const parts = choicesOf(await this.#helpOf(['kv']))
    return [...names.filter(name => name !== 'kv'), ...parts.map(name => `kv ${name}`)]
  }

  /** The long options of a command, without `--help`. */
  async options(command: string): Promise<string[]> {
    const text = await this.#helpOf(command.split(' '))
    return [...text.matchAll(/^ {2}(?:-\w[^,]*, )?(--[\w-]+)/gm)]
      .map(([, name]) => name!)
      .filter(it => it !== '--help')
  }

  #helpOf(words: readonly string[]): Promise<string> {
    const key = words.join(' ')
    const known =
      this.#help.get(key) ?? this.program(prominenceCommand!, [...words, '--help']).then(({ out }) => out)
    this.#help.set(key, known)
    return known
  }

  #note(args: readonly string[]): void {
    const command = args.slice(0, args[0] === 'kv' ? 2 : 1).join(' ')
    this.used.add(command)
    for (const arg of args) if (arg.startsWith('--')) this.used.add(`${command} ${arg.split('=')[0]}`)
  }
}

function choicesOf(help: string): string[] {
  return /\{([\w,]+)\}/.exec(help)?.[1]?.split(',') ?? []
}

function inPath(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map(folder => join(folder, name))
    .find(isRunnable)
}

function isRunnable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false // Not there, or not for us to run.
  }
}
