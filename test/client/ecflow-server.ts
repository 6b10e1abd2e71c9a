// The real ecflow_server and ecflow_client (Debian's 5.9.2), for tests that compare with them.

import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../support/free-port.ts'

/** Why the comparison cannot be made here; undefined when it can. */
export function missingRealEcflow(): string | undefined {
  const found = spawnSync('sh', ['-c', 'command -v ecflow_server && command -v ecflow_client']).status === 0
  return found
    ? undefined
    : 'ecflow_server and ecflow_client are not installed (Debian: ecflow-server, ecflow-client)'
}

export interface RealEcflow {
  readonly home: string
  readonly port: string
  /** Runs the client. */
  run(...args: string[]): { ok: boolean; text: string }
  /** Loads a definition; false with what was said when it is refused. */
  load(definition: string): { ok: boolean; text: string }
  stop(): void
}

/** Starts a server of its own, which runs suites. `interval`: seconds between polls; below 60 each is a suite minute. */
export async function startRealEcflow(interval = 60): Promise<RealEcflow> {
  const home = mkdtempSync(join(tmpdir(), 'switchyard-real-ecflow-'))
  const port = await freePort()
  const env = {
    ...process.env,
    ECF_HOME: home,
    ECF_PORT: String(port),
    ECF_HOST: 'localhost',
  }
  const child = spawn('ecflow_server', [`--port=${port}`, `--ecfinterval=${interval}`], {
    cwd: home,
    env,
    stdio: 'ignore',
  })
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync('ecflow_client', args, {
      env,
      encoding: 'utf8',
      cwd: home,
      timeout: 60_000,
    })
    return { ok: status === 0, text: stdout + stderr }
  }
  for (let left = 100; left > 0 && !run('--ping').ok; left--)
    await new Promise(resolve => setTimeout(resolve, 100))
  run('--restart')
  let count = 0
  return {
    home,
    port: String(port),
    run,
    load(definition) {
      const file = join(home, `load${++count}.def`)
      writeFileSync(file, definition)
      return run(`--load=${file}`)
    },
    stop() {
      child.kill('SIGKILL')
      rmSync(home, { recursive: true, force: true })
    },
  }
}
