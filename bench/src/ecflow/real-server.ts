// The real ecflow_server (Debian's 5.9.2) and its client, on a port and in a folder of their own.

import { spawn, spawnSync } from 'node:child_process'
import { createServer } from 'node:net'
import { freshDir } from '../processes.ts'

export interface RealServer {
  readonly pid: number
  readonly port: number
  readonly home: string
  /** Runs ecflow_client; throws with what it said when it fails. */
  client(...args: string[]): string
  stop(): void
}

/** Whether both are installed here. */
export function hasRealServer(): boolean {
  return spawnSync('sh', ['-c', 'command -v ecflow_server && command -v ecflow_client']).status === 0
}

/** Starts a real server and waits until it answers. */
export async function startRealServer(): Promise<RealServer> {
  const port = await freePort()
  const home = freshDir('ecflow')
  const env = { ...process.env, ECF_HOME: home, ECF_PORT: String(port), ECF_HOST: 'localhost' }
  const child = spawn('ecflow_server', [`--port=${port}`], { cwd: home, env, stdio: 'ignore' })
  const client = (...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync('ecflow_client', args, {
      env,
      encoding: 'utf8',
      maxBuffer: 1 << 30,
    })
    if (status !== 0) throw new Error(`ecflow_client ${args[0]}: ${stderr || stdout}`)
    return stdout
  }
  for (let left = 100; left > 0; left--) {
    if (spawnSync('ecflow_client', ['--ping'], { env }).status === 0) break
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  client('--restart')
  return {
    pid: child.pid!,
    port,
    home,
    client,
    stop: () => {
      child.kill('SIGKILL')
    },
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
