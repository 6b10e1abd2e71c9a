// Servers that a benchmark starts and ends: ours, the bare limit, Redis. Each in a fresh folder, on a port of its own.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'

export const root = resolve(import.meta.dirname, '../..')
/** Beside the repository's own data, so that all measure the same disk. */
export const scratch = mkdtempSync(join(root, 'tmp-bench-'))
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }))

export interface Running {
  readonly pid: number
  readonly url: string
  stop(): Promise<void>
}

export interface RunningYard extends Running {
  readonly token: string
  readonly dataDir: string
}

let count = 0

/** Where the product's modules are: what was built, as `make bench` does, else the sources. */
export function builtRoot(): string {
  const built = join(root, 'dist')
  return existsSync(join(built, 'app/main.js')) ? built : join(root, 'src')
}

/** A fresh folder of the benchmark's own. */
export function freshDir(name: string): string {
  return mkdtempSync(join(scratch, `${name}-`))
}

/** Our server on SQLite. `config` is TOML. */
export async function startYard(options: { dataDir?: string; config?: string } = {}): Promise<RunningYard> {
  const dataDir = options.dataDir ?? freshDir('yard')
  const token = 'bench-token-of-at-least-sixteen'
  const words = ['serve', '--data', dataDir, '--port', '0']
  if (options.config !== undefined) {
    const file = join(scratch, `config-${++count}.toml`)
    writeFileSync(file, options.config)
    words.push('--config', file)
  }
  const child = spawn(join(root, 'bin/switchyard'), words, {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, SWITCHYARD_ADMIN_TOKEN: token },
  })
  const url = await firstMatch(child, /^ready (\S+)$/m)
  return { pid: child.pid!, url, token, dataDir, stop: () => end(child) }
}

/** One of our own programs in a process of its own, which prints `ready URL`. */
export async function startProgram(file: string, args: readonly string[]): Promise<Running> {
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const url = await firstMatch(child, /^ready (\S+)$/m)
  return { pid: child.pid!, url, stop: () => end(child) }
}

/** Runs one of our programs to its end and gives what it printed as JSON. */
export async function runProgram(file: string, args: readonly string[]): Promise<never> {
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', chunk => (text += chunk))
  const code = await new Promise(resolved => child.once('exit', resolved))
  if (code !== 0) throw new Error(`${file} ended with ${code}`)
  return JSON.parse(text) as never
}

/** Redis that appends every write durably before it answers. */
export async function startRedis(): Promise<Running & { port: number }> {
  const port = await freePort()
  const child = spawn(
    'redis-server',
    [
      '--port',
      String(port),
      '--dir',
      freshDir('redis'),
      '--save',
      '',
      '--appendonly',
      'yes',
      '--appendfsync',
      'always',
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  await firstMatch(child, /(Ready to accept connections)/)
  return { pid: child.pid!, port, url: `redis://127.0.0.1:${port}`, stop: () => end(child) }
}

/** Resident memory of a process, in bytes. */
export function rssOf(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(found?.[1]) * 1024
}

/** The processor time that a process has used so far, in seconds. */
export function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

async function firstMatch(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolved, reject) => {
    let text = ''
    child.stdout!.on('data', chunk => {
      if (text === 'found') return
      text += chunk
      const found = pattern.exec(text)
      if (found !== null) {
        text = 'found'
        resolved(found[1]!)
      }
    })
    child.once('exit', code =>
      reject(new Error(`it ended with ${code} before it was ready: ${text.slice(-500)}`)),
    )
  })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise(resolved => child.once('exit', resolved))
  child.kill('SIGTERM')
  await ended
}

export async function freePort(): Promise<number> {
  return new Promise(resolved => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number }
      probe.close(() => resolved(port))
    })
  })
}
