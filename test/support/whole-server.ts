// A whole server with one dialect, for tests: embedded store, real worker threads, and a gate that keeps jobs from
// starting for as long as a test wants to see them waiting.

import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { systemClock } from '../../src/app/clocks.ts'
import { type Server, startServer } from '../../src/app/server.ts'
import { settingsSchema } from '../../src/app/settings/schema.ts'
import { workAt } from '../../src/core/work.ts'
import type { Dialect } from '../../src/dialects/dialect.ts'
import { FunctionExecutor } from '../../src/executors/function/function-executor.ts'
import { TalkExecutor } from '../../src/executors/talk/talk-executor.ts'
import { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { StartGate } from './start-gate.ts'

export interface WholeServer {
  readonly server: Server
  readonly url: string
  /** The admin token. */
  readonly token: string
  readonly dir: string
  readonly gate: StartGate
  /** Stops it and starts another on the same data, perhaps with other options. */
  restart(options?: Record<string, unknown>): Promise<WholeServer>
  close(): Promise<void>
}

const blobFinder = workAt(import.meta.url, '../../src/store/sqlite/blob-finder.ts', 'openBlobFinder')

/** Starts a server that speaks one dialect; `options` is the dialect's own section of the settings. */
export async function startWhole(
  dialect: Dialect,
  options: Record<string, unknown> = {},
  place?: string,
): Promise<WholeServer> {
  const dir = place ?? (await mkdtemp(join(tmpdir(), `switchyard-${dialect.name}-`)))
  const gate = new StartGate()
  const server = await startServer({
    settings: settingsSchema.parse({
      server: { port: 0 },
      dialects: { [dialect.name]: { ...options } },
    }),
    dataPath: join(dir, 'data'),
    env: {},
    noAuth: false,
    log: pino({ level: process.env['SWITCHYARD_TEST_LOG'] ?? 'silent' }),
    clock: systemClock(),
    dialects: [dialect],
    tell: () => {},
    adapters: async ({ dir: data, work, talks, answer }) => ({
      store: new SqliteStore({ directory: data.path }),
      executors: [
        gate.before(
          new FunctionExecutor({
            functions: work,
            folder: join(data.executors, 'function'),
            blobsDir: data.blobs,
            answer,
            blobFinder: { ...blobFinder, folder: data.path },
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
    token: readFileSync(join(dir, 'data', 'admin-token'), 'utf8').trim(),
    dir,
    gate,
    async restart(next = options) {
      gate.open()
      await server.close()
      return startWhole(dialect, next, dir)
    },
    async close() {
      gate.open()
      await server.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}
