// A whole server for the PROMINENCE tests: SQLite, real container executor over a small busybox image, and a gate
// that can keep jobs from starting for as long as a test wants to see them pending.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { systemClock } from '../../src/app/clocks.ts'
import { type Server, startServer } from '../../src/app/server.ts'
import { settingsSchema } from '../../src/app/settings/schema.ts'
import { prominence } from '../../src/dialects/prominence/index.ts'
import { ContainerExecutor } from '../../src/executors/container/container-executor.ts'
import { type Item, tarOf } from '../../src/executors/container/images/archive-fixture.ts'
import { type ImageStore, importImage, openImageStore } from '../../src/executors/container/images/index.ts'
import { FunctionExecutor } from '../../src/executors/function/function-executor.ts'
import { issueJwt } from '../../src/http/auth/jwt.ts'
import { readSecret } from '../../src/http/auth/secrets.ts'
import { addressRules } from '../../src/http/outgoing/address-rules.ts'
import { openUrl } from '../../src/http/outgoing/open-url.ts'
import { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts'
import { StartGate } from '../support/start-gate.ts'

const busybox = ['/bin/busybox', '/usr/bin/busybox'].find(path => existsSync(path))

/** Why these tests cannot run here; undefined when they can. */
export function missingForContainers(): string | undefined {
  if (busybox === undefined) return 'busybox is not installed (Debian: busybox-static)'
  if (!existsSync('/usr/bin/bwrap')) return 'bwrap is not installed (Debian: bubblewrap)'
  return existsSync('/usr/bin/time') ? undefined : 'GNU time is not installed (Debian: time)'
}

export interface ProminenceServer {
  readonly server: Server
  readonly url: string
  readonly gate: StartGate
  readonly dir: string
  readonly images: ImageStore
  /** A token with these claims. */
  token(claims: {
    user: string
    groups?: readonly string[]
    email?: string
    expiresAt?: number
  }): Promise<string>
  close(): Promise<void>
}

/** Starts a server. `dialect` is the dialect's section of the configuration. */
export async function startProminence(
  options: {
    dialect?: Record<string, unknown>
    pools?: Record<string, unknown>
    fetchAllow?: readonly string[]
    volumes?: Record<string, string>
    oidc?: Record<string, unknown>
  } = {},
): Promise<ProminenceServer> {
  const dir = await mkdtemp(join(tmpdir(), 'switchyard-prominence-'))
  const images = await openImageStore({ dataDir: dir, now: () => 1 })
  await addBusybox(dir, images)
  const gate = new StartGate()
  const rules = addressRules(options.fetchAllow ?? [])
  const clock = systemClock()
  const server = await startServer({
    settings: settingsSchema.parse({
      server: { port: 0 },
      auth: { required: true, ...(options.oidc === undefined ? {} : { oidc: options.oidc }) },
      pools: options.pools ?? { prominence: { cpus: 3, memory: '16GB', fair: true } },
      dialects: { prominence: { ...options.dialect } },
    }),
    dataPath: join(dir, 'data'),
    env: {},
    noAuth: false,
    log: pino({ level: process.env['SWITCHYARD_TEST_LOG'] ?? 'silent' }),
    clock,
    dialects: [prominence],
    tell: () => {},
    adapters: async ({ dir: data, work }) => {
      const store = new SqliteStore({ directory: data.path })
      return {
        store,
        executors: [
          new FunctionExecutor({
            functions: work,
            folder: join(data.executors, 'function'),
            blobsDir: data.blobs,
            threadsMax: 1,
          }),
          gate.before(
            new ContainerExecutor({
              folder: join(data.executors, 'container'),
              images,
              drivers: ['rootfs'],
              volumes: options.volumes ?? {},
              stage: { blobs: store.blobs, openUrl: url => openUrl(url, { rules }) },
            }),
          ),
        ],
      }
    },
  })
  const key = await readSecret(server.dir.path, 'jwt')
  return {
    server,
    url: server.url,
    gate,
    dir,
    images,
    async token({ user, groups = [], email, expiresAt = clock.now() + 3_600_000 }) {
      const claims = {
        user,
        groups,
        role: 'submitter',
        expiresAt,
        ...(email === undefined ? {} : { email }),
      } as const
      return (await issueJwt(key, claims, clock.now())).token
    },
    async close() {
      gate.open()
      await server.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** The images that the recordings name, all made of busybox. */
async function addBusybox(dir: string, images: ImageStore): Promise<void> {
  const names = execFileSync(busybox!, ['--list'], { encoding: 'utf8' }).trim().split('\n')
  const file = join(dir, 'busybox.tar')
  const items: Item[] = [
    ['bin/', {}],
    ...names.map((name): Item => [`bin/${name}`, { type: 'symlink', linkname: '/bin/busybox.real' }]),
    ['usr/bin/', {}],
    ['usr/bin/env', { type: 'symlink', linkname: '/bin/busybox.real' }],
    ['etc/passwd', 'root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n'],
    ['etc/resolv.conf', ''],
    ['etc/hosts', ''],
    ['bin/mpirun', { type: 'file', mode: 0o755 }],
    ['bin/busybox.real', await readFile(busybox!)],
  ]
  await writeFile(file, await tarOf(items.filter(([name]) => name !== 'bin/mpirun')))
  for (const name of ['busybox', 'other', 'centos:7', 'eoscprominence/testpi'])
    await importImage(images, { file, name, config: { cmd: ['/bin/echo', 'default entrypoint'] } })
}
