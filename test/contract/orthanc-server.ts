// A whole server with the Orthanc dialect alone, for tests: memory store, real worker threads, and a gate that keeps
// jobs from starting for as long as a test wants to see them waiting.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { systemClock } from '../../src/app/clocks.ts'
import { type Server, startServer } from '../../src/app/server.ts'
import { settingsSchema } from '../../src/app/settings/schema.ts'
import { orthanc } from '../../src/dialects/orthanc/index.ts'
import { FunctionExecutor } from '../../src/executors/function/function-executor.ts'
import { TalkExecutor } from '../../src/executors/talk/talk-executor.ts'
import { BlobFiles } from '../../src/store/blob-files/blob-files.ts'
import { MemoryDisk } from '../../src/store/memory/disk.ts'
import { MemoryStore } from '../../src/store/memory/memory-store.ts'
import { StartGate } from '../support/start-gate.ts'

export interface OrthancServer {
  readonly server: Server
  readonly url: string
  readonly dir: string
  readonly gate: StartGate
  /** Stops it and starts another on the same data, perhaps with other options. */
  restart(options?: Record<string, unknown>): Promise<OrthancServer>
  close(): Promise<void>
}

interface Place {
  readonly dir: string
  readonly disk: MemoryDisk
}

/** Starts a server with these options of the original. */
export async function startOrthanc(
  options: Record<string, unknown> = {},
  place?: Place,
): Promise<OrthancServer> {
  const dir = place?.dir ?? (await mkdtemp(join(tmpdir(), 'switchyard-orthanc-')))
  const disk = place?.disk ?? new MemoryDisk()
  const gate = new StartGate()
  const server = await startServer({
    settings: settingsSchema.parse({
      store: 'memory',
      server: { port: 0 },
      dialects: { orthanc: { ...options } },
    }),
    dataPath: join(dir, 'data'),
    env: {},
    noAuth: false,
    log: pino({ level: process.env['SWITCHYARD_TEST_LOG'] ?? 'silent' }),
    clock: systemClock(),
    dialects: [orthanc],
    tell: () => {},
    adapters: async ({ dir: data, work, talks }) => ({
      store: new MemoryStore({ disk, blobs: new BlobFiles(data.blobs) }),
      executors: [
        gate.before(
          new FunctionExecutor({
            functions: work,
            folder: join(data.executors, 'function'),
            blobsDir: data.blobs,
            threadsMax: 2,
          }),
        ),
        gate.before(new TalkExecutor({ talks, folder: join(data.executors, 'talk') })),
      ],
    }),
  })
  return {
    server,
    url: server.url,
    dir,
    gate,
    async restart(next = options) {
      gate.open()
      await server.close()
      return startOrthanc(next, { dir, disk })
    },
    async close() {
      gate.open()
      await server.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}
