// A whole server for the Scale tests: memory store, real process executor, worker threads, and two directories that the
// recordings' workspaces point to.

import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { systemClock } from '../../src/app/clocks.ts'
import { type Server, startServer } from '../../src/app/server.ts'
import { settingsSchema } from '../../src/app/settings/schema.ts'
import { scale } from '../../src/dialects/scale/index.ts'
import { ContainerExecutor } from '../../src/executors/container/container-executor.ts'
import { type Item, tarOf } from '../../src/executors/container/images/archive-fixture.ts'
import { importImage, openImageStore } from '../../src/executors/container/images/index.ts'
import { FunctionExecutor } from '../../src/executors/function/function-executor.ts'
import { ProcessExecutor } from '../../src/executors/process/process-executor.ts'
import { BlobFiles } from '../../src/store/blob-files/blob-files.ts'
import { MemoryDisk } from '../../src/store/memory/disk.ts'
import { MemoryStore } from '../../src/store/memory/memory-store.ts'

/** The token of servers that are started with authentication. */
export const adminToken = 'an-admin-token-for-the-tests'

export interface ScaleServer {
  readonly server: Server
  readonly url: string
  /** What the recordings call /data. */
  readonly data: string
  /** Stops the server and starts it again over the same store and folders. */
  restart(): Promise<ScaleServer>
  close(): Promise<void>
}

export interface ScaleAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

/** Starts a server; `dialect` is the dialect's section of the configuration. */
export async function startScale(
  options: {
    withAuth?: boolean
    dialect?: Record<string, unknown>
    dir?: string
    disk?: MemoryDisk
    cpus?: number
    /** How long ended jobs stay. */
    retention?: string
    containers?: boolean
  } = {},
): Promise<ScaleServer> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'switchyard-scale-')))
  const disk = options.disk ?? new MemoryDisk()
  const data = join(dir, 'files')
  await mkdir(join(data, 'raw', 'day1'), { recursive: true })
  await mkdir(join(data, 'products'), { recursive: true })
  // Containers of a server that runs as root are another user.
  await mkdir(join(data, 'shared'), { recursive: true })
  await chmod(join(data, 'shared'), 0o777)
  await writeFile(join(data, 'shared', 'known.txt'), 'from the machine\n')
  await writeFile(join(data, 'raw', 'day1', 'alpha.txt'), 'one\ntwo\nthree\n')
  await writeFile(join(data, 'raw', 'beta.txt'), 'four\n')
  const server = await startServer({
    settings: settingsSchema.parse({
      store: 'memory',
      server: { port: 0 },
      pools: { default: { cpus: options.cpus ?? 8, memory: '64GB' } },
      retention: options.retention === undefined ? {} : { jobs: options.retention },
      dialects: { scale: { ...options.dialect } },
    }),
    dataPath: join(dir, 'data'),
    env: options.withAuth ? { SWITCHYARD_ADMIN_TOKEN: adminToken } : {},
    noAuth: options.withAuth !== true,
    log: pino({ level: process.env['SWITCHYARD_TEST_LOG'] ?? 'silent' }),
    clock: systemClock(),
    dialects: [scale],
    tell: () => {},
    adapters: async ({ dir: folders, work }) => {
      const blobs = new BlobFiles(folders.blobs)
      return {
        store: new MemoryStore({ disk, blobs }),
        executors: [
          new FunctionExecutor({
            functions: work,
            folder: join(folders.executors, 'function'),
            blobsDir: folders.blobs,
            threadsMax: 1,
          }),
          new ProcessExecutor({ folder: join(folders.executors, 'process') }),
          ...(options.containers
            ? [await containers(dir, folders.executors, blobs, join(data, 'shared'))]
            : []),
        ],
      }
    },
  })
  return {
    server,
    url: server.url,
    data,
    async restart() {
      await server.close()
      return startScale({ ...options, dir, disk })
    },
    async close() {
      await server.close()
      // Programs that just ended may still leave something.
      await rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
    },
  }
}

/** Why containers cannot run here; undefined when they can. */
export function missingForContainers(): string | undefined {
  if (busybox === undefined) return 'busybox is not installed (Debian: busybox-static)'
  if (!existsSync('/usr/bin/bwrap')) return 'bwrap is not installed (Debian: bubblewrap)'
  return existsSync('/usr/bin/time') ? undefined : 'GNU time is not installed (Debian: time)'
}

const busybox = ['/bin/busybox', '/usr/bin/busybox'].find(path => existsSync(path))

// One image, `counter`, made of busybox: its entry point is a shell that counts lines.
async function containers(
  dir: string,
  executors: string,
  blobs: BlobFiles,
  shared: string,
): Promise<ContainerExecutor> {
  const images = await openImageStore({ dataDir: dir, now: () => 1 })
  const file = join(dir, 'counter.tar')
  const items: Item[] = [
    ['bin/', {}],
    ...['sh', 'wc', 'cat'].map(
      (name): Item => [`bin/${name}`, { type: 'symlink', linkname: '/bin/busybox.real' }],
    ),
    ['etc/passwd', 'root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n'],
    ['etc/resolv.conf', ''],
    ['etc/hosts', ''],
    ['bin/busybox.real', await readFile(busybox!)],
  ]
  await writeFile(file, await tarOf(items))
  await importImage(images, { file, name: 'counter', config: { entrypoint: ['/bin/sh', '-c'] } })
  return new ContainerExecutor({
    folder: join(executors, 'container'),
    images,
    drivers: ['rootfs'],
    volumes: { shared },
    stage: { blobs, openUrl: () => Promise.reject(new Error('nothing is fetched from the web here')) },
  })
}

/** Sends a request; the body of the answer is parsed where it is JSON. */
export async function ask(
  server: { readonly url: string },
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<ScaleAnswer> {
  const response = await fetch(new URL(path, server.url), {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.startsWith('application/json')
  return {
    status: response.status,
    headers: response.headers,
    body: isJson && text !== '' ? JSON.parse(text) : text,
  }
}
