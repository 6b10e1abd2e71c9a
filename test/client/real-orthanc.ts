// A real Orthanc beside us, for tests: started on free loopback ports in a folder of its own, ended by its process id.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { dcmtkEnv } from '../support/dcmtk.ts'
import { freePort } from '../support/free-port.ts'

const program = ['/usr/sbin/Orthanc', '/usr/bin/Orthanc', '/usr/local/sbin/Orthanc'].find(path =>
  existsSync(path),
)

export const hasOrthanc = program !== undefined

export interface RealOrthanc {
  readonly url: string
  readonly dicomPort: number
  /** SIGKILL; `again` starts it on the same data. */
  kill(): Promise<void>
  again(): Promise<void>
  close(): Promise<void>
}

export async function startRealOrthanc(options: Record<string, unknown> = {}): Promise<RealOrthanc> {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-real-orthanc-'))
  const [httpPort, dicomPort] = [await freePort(), await freePort()]
  const configuration = {
    StorageDirectory: join(folder, 'db'),
    IndexDirectory: join(folder, 'db'),
    HttpPort: httpPort,
    DicomPort: dicomPort,
    RemoteAccessAllowed: false,
    AuthenticationEnabled: false,
    Plugins: [],
    ...options,
  }
  await writeFile(join(folder, 'orthanc.json'), JSON.stringify(configuration))
  const url = `http://127.0.0.1:${httpPort}`
  const begin = (): ChildProcess =>
    spawn(program!, [join(folder, 'orthanc.json')], { stdio: 'ignore', cwd: folder, env: dcmtkEnv })
  let child = begin()
  const answers = async (): Promise<boolean> => {
    for (let turn = 0; turn < 600 && child.exitCode === null; turn++) {
      const answer = await fetch(`${url}/system`).catch(() => undefined)
      if (answer?.ok) return true
      await sleep(100)
    }
    return false
  }
  const close = async (): Promise<void> => {
    await end(child)
    await rm(folder, { recursive: true, force: true })
  }
  if (!(await answers())) {
    await close()
    throw new Error('the real Orthanc did not start')
  }
  return {
    url,
    dicomPort,
    close,
    async kill() {
      const gone = new Promise(resolve => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
    },
    async again() {
      child = begin()
      if (!(await answers())) throw new Error('the real Orthanc did not start again')
    },
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 20_000)
  await gone
  clearTimeout(late)
}
