// Makes everything ready for the runner: scratch directory, images, control groups, and the files of every task.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { StartOrder } from '../executor.ts'
import {
  type AttemptFolder,
  giveTo,
  makeFolder,
  placeFiles,
  shareDirectories,
  shareMergedFiles,
  tmpDirOf,
  writeNote,
  writeTaskFiles,
} from './attempt-folder.ts'
import { type CgroupRoot, openCgroup } from './cgroup.ts'
import { type Driver, HOME, type Limits, type Mount, type TaskPlan } from './driver.ts'
import { ImageMissing, storedDigest } from './image-missing.ts'
import { findImage, holdImage, type Image, type ImageStore } from './images/index.ts'
import { writeInsidePlan } from './inside-plan.ts'
import type { ContainerSpec, TaskSpec } from './spec.ts'

/** What is needed to prepare an attempt. */
export interface Preparation {
  readonly order: StartOrder
  readonly spec: ContainerSpec
  readonly driver: Driver
  readonly folder: AttemptFolder
  readonly images: ImageStore
  readonly cgroups: CgroupRoot | undefined
  /** What every task sees besides its own. */
  readonly mounts: readonly Mount[]
  /** Where the streams of the nodes after the first go. */
  readonly nodeStreams?: string | undefined
  /** Brings in what the job wants, before anything of it runs. */
  readonly bringIn?: ((folder: AttemptFolder) => Promise<void>) | undefined
}

/** Prepares an attempt. What it holds is noted before it is taken, so that a crash in between can be cleared. */
export async function prepareAttempt(preparation: Preparation): Promise<void> {
  const { order, spec, driver, folder } = preparation
  const found = await findImages(preparation)
  const ordinary = spec.tasks.filter(task => !task.sidecar)
  const digests = [...new Set([...found.values()].map(({ image }) => image.digest))]
  await makeFolder(folder, spec.nodes)
  await writeNote(folder, {
    driver: driver.name,
    taskCount: ordinary.length,
    digests,
    cgroups: groupsOf(preparation, ordinary),
    succeedOnTaskFailure: spec.succeedOnTaskFailure,
    memoryBytes: order.needs?.memoryBytes ?? null,
    diskBytes: order.needs?.diskBytes ?? null,
    copyCounts: ordinary.map(task => copyCountOf(spec, task)),
  })
  for (const digest of digests) await holdImage(preparation.images, digest, order.id)
  await placeFiles(folder, spec)
  await preparation.bringIn?.(folder)
  const shared = await shareDirectories(folder, spec)
  const merged = await shareMergedFiles(folder, spec)
  if (driver.owner !== null) await giveTo(folder, { user: driver.owner, nodeCount: spec.nodes })
  if (preparation.nodeStreams !== undefined && spec.nodes > 1)
    await mkdir(preparation.nodeStreams, { recursive: true, mode: 0o700 })

  const seen = new Set<string>()
  const counts = { task: 0, sidecar: 0 }
  for (const task of spec.tasks) {
    const n = task.sidecar ? ++counts.sidecar : ++counts.task
    const dir = join(folder.dir, task.sidecar ? 'sidecars' : 'tasks', String(n))
    const copyCount = copyCountOf(spec, task)
    for (let node = 0; node < copyCount; node++)
      await prepareCopy(preparation, {
        ...{ task, n, dir, node, found },
        mounts: [...preparation.mounts, ...mountsOf(task, shared), ...merged.values()],
        mergedFile: merged.get(task.mergeInto ?? '')?.from,
      })
    if (copyCount > 1) await writeFile(join(dir, 'nodes'), `${copyCount}\n`)
    const facts = found.get(task.image)
    if (facts !== undefined && !task.sidecar && driver.name === 'rootfs') {
      const status = seen.has(task.image) ? 'cached' : 'completed'
      await writeFile(join(dir, 'image.status'), `${status} ${facts.image.digest} ${facts.tookMs}\n`)
      seen.add(task.image)
    }
  }
}

/** One task on one node, as the runner finds it. */
async function prepareCopy(
  preparation: Preparation,
  copy: {
    readonly task: TaskSpec
    readonly n: number
    /** The task's directory; that of the copies on further nodes lies in it. */
    readonly dir: string
    readonly node: number
    readonly found: ReadonlyMap<string, Found>
    readonly mounts: readonly Mount[]
    readonly mergedFile: string | undefined
  },
): Promise<void> {
  const { order, spec, driver, folder } = preparation
  const { task, n, node } = copy
  const dir = node === 0 ? copy.dir : join(copy.dir, `node.${node}`)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const limits = limitsOf(preparation, task)
  const groupName = groupOf(preparation, { task, n, node })
  const cgroup =
    preparation.cgroups === undefined || groupName === undefined
      ? null
      : await openCgroup(
          // GNU time tells the figures of such tasks, and each controller costs a start two milliseconds.
          driver.name === 'rootfs' ? withoutFigures(preparation.cgroups) : preparation.cgroups,
          groupName,
          // Podman and docker limit for themselves: their groups are only for the figures.
          driver.name === 'rootfs' ? limits : { cpus: null, memoryBytes: null },
        )
  const plan: TaskPlan = {
    spec,
    task,
    dir,
    containerName: `switchyard-${order.id}-${task.sidecar ? 's' : 't'}${n}${node === 0 ? '' : `-n${node}`}`,
    scratchDir: folder.scratchDir,
    tmpDir: tmpDirOf(folder, node),
    env: environmentOf(spec, task, node),
    mounts: copy.mounts,
    limits,
    cgroup,
    image: copy.found.get(task.image)?.image ?? null,
  }
  await writeTaskFiles(dir, await driver.files(plan))
  if (copy.mergedFile !== undefined) await writeFile(join(dir, 'merge'), copy.mergedFile, { mode: 0o600 })
  if (node > 0) {
    const streams = (['out', 'err'] as const).map(name =>
      join(preparation.nodeStreams ?? dir, `${node}.${name}`),
    )
    await writeFile(join(dir, 'streams'), streams.map(path => `${path}\n`).join(''))
  }
  if (spec.inside && !task.sidecar && n === 1 && node === 0) await writeInsidePlan(folder, plan)
}

function copyCountOf(spec: ContainerSpec, task: TaskSpec): number {
  return task.onNodes === 'each' && !task.sidecar ? spec.nodes : 1
}

/** A node's share of what the job needs, or all of it for a task that uses all nodes. */
function limitsOf({ order: { needs }, spec }: Preparation, task: TaskSpec): Limits {
  const shares = task.onNodes === 'together' ? 1 : spec.nodes
  return {
    cpus: needs?.cpus === undefined ? null : needs.cpus / shares,
    memoryBytes: needs?.memoryBytes === undefined ? null : Math.floor(needs.memoryBytes / shares),
  }
}

interface Found {
  readonly image: Image
  readonly tookMs: number
}

/** Of our own store: for podman and docker only those that came as files, since the rest is their affair. */
async function findImages({ spec, images, driver }: Preparation): Promise<Map<string, Found>> {
  const found = new Map<string, Found>()
  for (const { image: reference, imageSha256 } of spec.tasks) {
    if (driver.name !== 'rootfs' && storedDigest(reference) === '') continue
    const known = found.get(reference)
    if (known !== undefined) checkDigest(reference, known.image, imageSha256)
    if (known !== undefined) continue
    const begunAt = performance.now()
    const image = await findImage(images, reference)
    if (image === undefined) {
      throw new ImageMissing(
        `there is no image ${reference} here; import it with: switchyard image import FILE --name ${reference}`,
      )
    }
    checkDigest(reference, image, imageSha256)
    found.set(reference, { image, tookMs: Math.round(performance.now() - begunAt) })
  }
  return found
}

/** Images that came as files are known by the digest of the file, too. */
function checkDigest(reference: string, image: Image, wanted: string | null | undefined): void {
  if (wanted == null) return
  const known = [image.digest, image.manifestDigest ?? '', storedDigest(reference)]
  if (!known.some(digest => digest === `sha256:${wanted}`))
    throw new ImageMissing(`the image ${reference} has the digest ${image.digest}, not sha256:${wanted}`)
}

/**
 * The control group of a task on a node. Over unpacked images a node's tasks share one, so that what an earlier one
 * left in memory counts; podman and docker tell the figures of a task by a group of its own.
 */
function groupOf(
  { driver, order, spec }: Preparation,
  { task, n, node }: { task: TaskSpec; n: number; node: number },
): string | undefined {
  if (driver.name === 'rootfs')
    return spec.nodes === 1 || task.onNodes === 'together' ? order.id : `${order.id}.n${node}`
  if (task.sidecar) return undefined
  return node === 0 ? `${order.id}.t${n}` : `${order.id}.t${n}.n${node}`
}

function withoutFigures(root: CgroupRoot): CgroupRoot {
  return { ...root, controllers: root.controllers.filter(name => name !== 'cpuacct') }
}

function groupsOf(preparation: Preparation, ordinary: readonly TaskSpec[]): string[] {
  if (preparation.cgroups === undefined) return []
  const { spec } = preparation
  const names = new Set<string>()
  const add = (name: string | undefined) => name !== undefined && names.add(name)
  for (const [at, task] of ordinary.entries())
    for (let node = 0; node < copyCountOf(spec, task); node++)
      add(groupOf(preparation, { task, n: at + 1, node }))
  for (const task of spec.tasks) if (task.sidecar) add(groupOf(preparation, { task, n: 0, node: 0 }))
  return [...names]
}

/** What every task has, then its own, then what the job says of all. */
function environmentOf(spec: ContainerSpec, task: TaskSpec, node: number): ReadonlyMap<string, string> {
  const common = { HOME, TMPDIR: '/tmp', TMP: '/tmp', TEMP: '/tmp' }
  const place = spec.nodeVariable == null ? {} : { [spec.nodeVariable]: String(node) }
  return new Map(Object.entries({ ...common, ...task.env, ...spec.env, ...place }))
}

function mountsOf(task: TaskSpec, shared: ReadonlyMap<string, Mount>): Mount[] {
  const elsewhere = task.mounts.map(({ from, to, readOnly }) => {
    const source = shared.get(from)
    if (source === undefined) throw new Error(`${from} was not shared`)
    return { from: source.from, to: to.replace(/\/+$/, ''), readOnly }
  })
  return [...shared.values(), ...elsewhere]
}
