// The real Orthanc, in a fresh folder, with its default options but for ports and plugins.

import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freshDir, type Running } from '../processes.ts'

const program = ['/usr/sbin/Orthanc', '/usr/bin/Orthanc'].find(path => existsSync(path))

export function hasRealServer(): boolean {
  return program !== undefined
}

export async function startRealServer(
  options: Record<string, unknown> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<Running> {
  const folder = freshDir('orthanc')
  const port = await freePort()
  const configuration = {
    StorageDirectory: join(folder, 'db'),
    IndexDirectory: join(folder, 'db'),
    HttpPort: port,
    DicomServerEnabled: false,
    RemoteAccessAllowed: false,
    AuthenticationEnabled: false,
    Plugins: [],
    ...options,
  }
  writeFileSync(join(folder, 'orthanc.json'), JSON.stringify(configuration))
  const child = spawn(program!, [join(folder, 'orthanc.json')], {
    stdio: 'ignore',
    env: { ...process.env, ...env },
  })
  const url = `http://127.0.0.1:${port}`
  for (let turn = 0; turn < 300 && child.exitCode === null; turn++) {
    if (
      await fetch(`${url}/system`).then(
        answer => answer.ok,
        () => false,
      )
    )
      break
    await sleep(100)
  }
  return {
    pid: child.pid!,
    url,
    async stop() {
      const gone = new Promise(resolve => child.once('exit', resolve))
      if (child.exitCode !== null) return
      child.kill('SIGTERM')
      await gone
    },
  }
}

async function freePort(): Promise<number> {
  return new Promise(resolve => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number }
      probe.close(() => resolve(port))
    })
  })
}
