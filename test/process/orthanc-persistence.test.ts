// Recordings of restarts and kills, on the real program with Orthanc's own configuration file.

import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, test } from 'vitest'
import { type Ours, Replay, readRecording } from '../contract/orthanc-replay.ts'
import { freePort } from '../support/free-port.ts'
import { freshDataDir, type RealServer, startServer } from '../support/server.ts'
import { hasShared } from '../support/shared.ts'
import { startSlowScp } from '../support/slow-scp.ts'

const config = '[dialects.orthanc]\naccess = "open"\n'

/** The program, which can be ended and started again on the same data. */
class Program {
  readonly #dataDir = freshDataDir('orthanc')
  readonly #file = `${this.#dataDir}.json`
  #server!: RealServer

  constructor(options: Record<string, unknown>) {
    // As people write it, comments and all.
    writeFileSync(this.#file, `// Orthanc\n${JSON.stringify(options)}\n/* end */`)
  }

  get url(): string {
    return this.#server.url
  }

  async start(...args: string[]): Promise<void> {
    const words = ['--orthanc-config', this.#file, ...args]
    this.#server = await startServer({ dataDir: this.#dataDir, config, args: words })
  }

  stop = () => this.#server.stop()
  kill = () => this.#server.kill()

  async remove(): Promise<void> {
    await this.stop()
    for (const path of [this.#dataDir, this.#file, `${this.#dataDir}.toml`])
      rmSync(path, { recursive: true, force: true })
  }
}

/** What we answer otherwise, with the reason where it is left out. */
const differences: Readonly<Record<string, Ours | string>> = {
  'all jobs after the restart': 'archives survive a restart here: contracts/orthanc.md §3.3',
  'finished archive is gone': { status: 200, ignore: [''] },
  'pending archive is gone': { status: 200, ignore: [''] },
}

describe.skipIf(!hasShared('recordings', 'orthanc'))('recordings of restarts', () => {
  test('019-jobs-persistence: the recorded answers come', async () => {
    const slow = await startSlowScp(700)
    const program = new Program({
      ConcurrentJobs: 1,
      JobsHistorySize: 100,
      DicomScuTimeout: 30,
      DicomServerEnabled: false,
      DicomModalities: {
        slow: ['SLOWSCP', '127.0.0.1', slow.port],
        down: ['NOBODY', '127.0.0.1', await freePort()],
      },
    })
    try {
      await program.start()
      const replay = new Replay(program.url, { waitsForJobs: false })
      await replay.play(readRecording('004-jobs')[0]!)
      const wrong: string[] = []
      const steps = readRecording('019-jobs-persistence')
      const marks: Record<string, () => Promise<unknown>> = {
        'server stopped with SIGTERM and started again': async () => {
          await program.stop()
          await program.start()
        },
        'server killed (SIGKILL) half a second after the submission': async () => {
          await sleep(500)
          await program.kill()
          await program.start()
        },
        'server killed during a synchronous POST': async () => {
          const runs = steps.find(step => step.name === 'the job behind the synchronous call runs again')!
          const body = JSON.stringify([runs.vars!['SE']])
          const asked = fetch(`${program.url}/modalities/slow/store`, { method: 'POST', body })
          asked.catch(() => {}) // The server dies before it answers: that is the test.
          await sleep(1000)
          const jobs = (await (await fetch(`${program.url}/jobs?state=Running`)).json()) as string[]
          assert.equal(jobs.length, 1)
          replay.teach(runs.vars!['SYN']!, jobs[0]!)
          await program.kill()
          await program.start()
          await assert.rejects(asked)
        },
        'stopped, started with --no-jobs': async () => {
          await program.stop()
          await program.start('--no-jobs')
        },
        'stopped, started without --no-jobs': async () => {
          await program.stop()
          await program.start()
        },
      }
      for (const step of steps) {
        const mark = Object.keys(marks).find(
          name => step.request.method === '-' && step.name.startsWith(name),
        )
        if (mark !== undefined) {
          await marks[mark]!()
          replay.moveTo(program.url)
          continue
        }
        const ours = differences[step.name] ?? {}
        if (typeof ours === 'string') continue
        for (const difference of await replay.play(step, ours)) wrong.push(`${step.name}: ${difference}`)
      }
      assert.deepEqual(wrong, [])
    } finally {
      await program.remove()
      await slow.close()
    }
  })

  test('020-savejobs-false: the recorded answers come', async () => {
    const program = new Program({ SaveJobs: false, DicomServerEnabled: false })
    try {
      await program.start()
      const replay = new Replay(program.url)
      await replay.play(readRecording('004-jobs')[0]!)
      const wrong: string[] = []
      for (const step of readRecording('020-savejobs-false')) {
        if (step.request.method === '-') {
          await program.stop()
          await program.start()
          replay.moveTo(program.url)
          continue
        }
        for (const difference of await replay.play(step)) wrong.push(`${step.name}: ${difference}`)
      }
      assert.deepEqual(wrong, [])
    } finally {
      await program.remove()
    }
  })
})
