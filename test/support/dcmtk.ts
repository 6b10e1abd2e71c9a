// DCMTK's programs for tests: run to their end, or kept running as a peer on a port of their own.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

export const hasDcmtk = ['storescp', 'storescu', 'findscu', 'movescu', 'getscu', 'echoscu', 'dcmqrscp'].every(
  name => existsSync(`/usr/bin/${name}`),
)

/** Without it DCMTK leaves Nagle's algorithm on, and each instance waits for two delayed acknowledgements of TCP. */
export const dcmtkEnv = { ...process.env, TCP_NODELAY: '1' }

/** Runs a program; what it printed on both streams. Throws when it fails. */
export async function run(program: string, ...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(program, [...args], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    timeout: 120_000,
    env: dcmtkEnv,
  })
  return stdout + stderr
}

export interface Peer {
  readonly child: ChildProcess
  readonly output: () => string
  kill(signal?: NodeJS.Signals): Promise<void>
}

/** Starts a program that listens, and waits until it does. */
export async function start(program: string, port: number, ...args: readonly string[]): Promise<Peer> {
  const child = spawn(program, [...args], { stdio: ['ignore', 'pipe', 'pipe'], env: dcmtkEnv })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-1_000_000)))
  const gone = new Promise<void>(resolve => child.once('exit', () => resolve()))
  const peer = {
    child,
    output: () => output,
    async kill(signal: NodeJS.Signals = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      await gone
    },
  }
  for (let turn = 0; turn < 300; turn++) {
    if (child.exitCode !== null) throw new Error(`${program} ended: ${output}`)
    if (await answers(port)) return peer
    await sleep(30)
  }
  await peer.kill('SIGKILL')
  throw new Error(`${program} does not listen: ${output}`)
}

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
