// Another server process with the same executor, made to be killed.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { AttemptId } from '../../core/ids.ts'
import type { Report, StartOrder } from '../executor.ts'
import { eventually } from './eventually.ts'

/** Another server process with the same executor, made to be killed. */
export class KilledServer {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #reports: Report[] = []
  readonly #exit: Promise<void>
  #children: number[] = []
  #heard: () => void = () => {}

  static async start(moduleUrl: string, folder: string): Promise<KilledServer> {
    const server = new KilledServer(moduleUrl, folder)
    await eventually(() => expect(server.#children).not.toEqual([-1]))
    return server
  }

  private constructor(moduleUrl: string, folder: string) {
    this.#children = [-1]
    const host = fileURLToPath(new URL('./conformance-host.ts', import.meta.url))
    this.#child = spawn(process.execPath, [host, moduleUrl, folder], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child.stdin.on('error', () => {}) // it is killed while we write
    this.#exit = new Promise(resolve => this.#child.once('close', () => resolve()))
    createInterface({ input: this.#child.stdout }).on('line', line => {
      const { report, ready } = JSON.parse(line) as { report?: Report; ready?: { children: number[] } }
      if (report) this.#reports.push(report)
      if (ready) this.#children = ready.children
      this.#heard()
    })
  }

  start(orders: readonly StartOrder[]): void {
    this.#child.stdin.write(`${JSON.stringify(orders)}\n`)
  }

  async saw(id: AttemptId, type: Report['type']): Promise<void> {
    await new Promise<void>(resolve => {
      this.#heard = () => {
        if (this.#reports.some(report => report.id === id && report.type === type)) resolve()
      }
      this.#heard()
    })
  }

  ends(): AttemptId[] {
    return this.#reports.filter(({ type }) => type === 'ended').map(({ id }) => id)
  }

  async kill({ helpers }: { helpers: boolean }): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGKILL')
    if (helpers) for (const pid of this.#children) killQuietly(pid)
    await this.#exit
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended with its server.
  }
}
