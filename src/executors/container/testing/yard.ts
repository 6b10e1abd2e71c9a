// A container executor of its own for each test, with a small image made of the machine's busybox.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Outcome, Resources } from '../../../core/job.ts'
import type { Json } from '../../../core/json.ts'
import type { Report } from '../../executor.ts'
import { ContainerExecutor, type ContainerExecutorOptions } from '../container-executor.ts'
import { type Item, tarOf } from '../images/archive-fixture.ts'
import { type ImageStore, importImage, openImageStore } from '../images/index.ts'

const busybox = ['/bin/busybox', '/usr/bin/busybox'].find(path => existsSync(path))

/** Why the rootfs tests cannot run here; undefined when they can. */
export function missingForRootfs(): string | undefined {
  if (busybox === undefined) return 'busybox is not installed (Debian: busybox-static)'
  if (!existsSync('/usr/bin/bwrap')) return 'bwrap is not installed (Debian: bubblewrap)'
  if (!existsSync('/usr/bin/time')) return 'GNU time is not installed (Debian: time)'
  return undefined
}

/** A root file system with busybox and its usual names, as a tar. */
export async function busyboxTar(more: readonly Item[] = []): Promise<Buffer> {
  const program = await readFile(busybox as string)
  const names = execFileSync(busybox as string, ['--list'], { encoding: 'utf8' })
    .trim()
    .split('\n')
  return tarOf([
    ['bin/', {}],
    ...names.map((name): Item => [`bin/${name}`, { type: 'symlink', linkname: '/bin/busybox.real' }]),
    ['usr/bin/', {}],
    ['etc/passwd', 'root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n'],
    ['etc/resolv.conf', ''],
    ['etc/hosts', ''],
    ...more,
    ['bin/busybox.real', program],
  ])
}

/** What a test does with its yard. */
export interface Yard {
  readonly dir: string
  readonly images: ImageStore
  readonly executor: ContainerExecutor
  readonly reports: Report[]
  start(id: string, spec: Json, needs?: Resources): void
  /** The outcome of an attempt, once it has ended. */
  end(id: string): Promise<Outcome>
  began(id: string): Promise<void>
  text(id: string, stream: string): Promise<string>
  /** Waits until the stream holds this text. */
  until(id: string, text: string, stream?: string): Promise<void>
  /** Another executor over the same folder, as after a restart of the server. */
  restart(): Promise<void>
  close(): Promise<void>
}

/** Opens a yard whose store has the image `box`. */
export async function openYard(options: Partial<ContainerExecutorOptions> = {}): Promise<Yard> {
  const dir = await mkdtemp(join(tmpdir(), 'switchyard-yard-'))
  const images = await openImageStore({ dataDir: dir, now: () => 1 })
  const setup = { folder: join(dir, 'container'), images, drivers: ['rootfs'] as const, ...options }
  let executor = new ContainerExecutor(setup)
  const reports: Report[] = []
  const listeners = new Set<() => void>()
  const report = (news: readonly Report[]) => {
    reports.push(...news)
    for (const listener of listeners) listener()
  }
  await executor.open(report)

  function waitFor<T>(look: () => T | undefined): Promise<T> {
    return new Promise(resolve => {
      const listener = () => {
        const found = look()
        if (found === undefined) return
        listeners.delete(listener)
        resolve(found)
      }
      listeners.add(listener)
      listener()
    })
  }

  return {
    dir,
    images,
    reports,
    get executor() {
      return executor
    },
    start(id, spec, needs) {
      executor.start([
        {
          id,
          job: id,
          dialect: 'test',
          kind: 'test',
          owner: 'me',
          spec,
          needs: needs ?? null,
          runMsMax: null,
        },
      ])
    },
    end: id =>
      waitFor(() => {
        const found = reports.find(each => each.id === id && each.type === 'ended')
        return found?.type === 'ended' ? found.outcome : undefined
      }),
    began: id => waitFor(() => (reports.some(each => each.id === id) ? null : undefined)).then(() => {}),
    async text(id, stream) {
      const chunk = await executor.read(id, stream, 0, 1_000_000)
      return Buffer.from(chunk?.bytes ?? []).toString()
    },
    async until(id, text, stream = 'out') {
      for (;;) {
        const chunk = await executor.read(id, stream, 0, 1_000_000)
        if (Buffer.from(chunk?.bytes ?? []).includes(text)) return
        if (reports.some(each => each.id === id && each.type === 'ended'))
          throw new Error(`${id} ended without ${text}`)
        await new Promise(resolve => setTimeout(resolve, 20))
      }
    },
    async restart() {
      await executor.close()
      reports.length = 0
      executor = new ContainerExecutor(setup)
      await executor.open(report)
    },
    async close() {
      await executor.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** Puts the busybox image into a yard's store. */
export async function addBox(
  yard: Yard,
  name = 'box',
  more: readonly Item[] = [],
  config = {},
): Promise<string> {
  const file = join(yard.dir, `${name}.tar`)
  const { writeFile } = await import('node:fs/promises')
  await writeFile(file, await busyboxTar(more))
  const { image } = await importImage(yard.images, {
    file,
    name,
    config: { cmd: ['/bin/echo', 'default'], ...config },
  })
  return image.digest
}
