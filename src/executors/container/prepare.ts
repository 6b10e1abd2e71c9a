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
  writeNote,
  writeTaskFiles,
} from './attempt-folder.ts'
import { type CgroupRoot, openCgroup } from './cgroup.ts'
import { type Driver, HOME, type Limits, type Mount, type TaskPlan } from './driver.ts'
import { ImageMissing } from './image-missing.ts'
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
  /** Brings in what the job wants, before anything of it runs. */
  readonly bringIn?: ((folder: AttemptFolder) => Promise<void>) | undefined
}

/** Prepares an attempt. What it holds is noted before it is taken, so that a crash in between can be cleared. */
export async function prepareAttempt(preparation: Preparation): Promise<void> {
  const { order, spec, driver, folder } = preparation
  const isRootfs = driver.name === 'rootfs'
  const found = isRootfs ? await findImages(preparation) : new Map<string, Found>()
  const ordinary = spec.tasks.filter(task => !task.sidecar)
  await makeFolder(folder)
  const names = cgroupNames(preparation, ordinary.length)
  await writeNote(folder, {
    driver: driver.name,
    taskCount: ordinary.length,
    digests: [...new Set([...found.values()].map(({ image }) => image.digest))],
    cgroups: names,
    succeedOnTaskFailure: spec.succeedOnTaskFailure,
    memoryBytes: order.needs?.memoryBytes ?? null,
    diskBytes: order.needs?.diskBytes ?? null,
  })
  for (const digest of new Set([...found.values()].map(({ image }) => image.digest))) {
    await holdImage(preparation.images, digest, order.id)
  }
  await placeFiles(folder, spec)
  await preparation.bringIn?.(folder)
  const shared = await shareDirectories(folder, spec)
  const merged = await shareMergedFiles(folder, spec)
  if (driver.owner !== null) await giveTo(folder, driver.owner)

  const limits: Limits = { cpus: order.needs?.cpus ?? null, memoryBytes: order.needs?.memoryBytes ?? null }
  const seen = new Set<string>()
  const counts = { task: 0, sidecar: 0 }
  for (const task of spec.tasks) {
    const n = task.sidecar ? ++counts.sidecar : ++counts.task
    const dir = join(folder.dir, task.sidecar ? 'sidecars' : 'tasks', String(n))
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const cgroupName = isRootfs ? names[0] : task.sidecar ? undefined : names[n - 1]
    const cgroup =
      preparation.cgroups === undefined || cgroupName === undefined
        ? null
        : await openCgroup(
            preparation.cgroups,
            cgroupName,
            isRootfs ? limits : { cpus: null, memoryBytes: null },
          )
    const plan: TaskPlan = {
      spec,
      task,
      dir,
      containerName: `switchyard-${order.id}-${task.sidecar ? 's' : 't'}${n}`,
      scratchDir: folder.scratchDir,
      tmpDir: folder.tmpDir,
      env: environmentOf(spec, task),
      mounts: [...preparation.mounts, ...mountsOf(task, shared), ...merged.values()],
      limits,
      cgroup,
      image: found.get(task.image)?.image ?? null,
    }
    await writeTaskFiles(dir, await driver.files(plan))
    const mergedFile = merged.get(task.mergeInto ?? '')?.from
    if (mergedFile !== undefined) await writeFile(join(dir, 'merge'), mergedFile, { mode: 0o600 })
    if (spec.inside && !task.sidecar && n === 1) await writeInsidePlan(folder, plan)
    const facts = found.get(task.image)
    if (facts !== undefined && !task.sidecar) {
      const status = seen.has(task.image) ? 'cached' : 'completed'
      await writeFile(join(dir, 'image.status'), `${status} ${facts.image.digest} ${facts.tookMs}\n`)
      seen.add(task.image)
    }
  }
}

interface Found {
  readonly image: Image
  readonly tookMs: number
}

async function findImages({ spec, images }: Preparation): Promise<Map<string, Found>> {
  const found = new Map<string, Found>()
  for (const { image: reference } of spec.tasks) {
    if (found.has(reference)) continue
    const begunAt = performance.now()
    const image = await findImage(images, reference)
    if (image === undefined) {
      throw new ImageMissing(
        `there is no image ${reference} here; import it with: switchyard image import FILE --name ${reference}`,
      )
    }
    found.set(reference, { image, tookMs: Math.round(performance.now() - begunAt) })
  }
  return found
}

function cgroupNames({ cgroups, driver, order }: Preparation, taskCount: number): string[] {
  if (cgroups === undefined) return []
  if (driver.name === 'rootfs') return [order.id]
  return Array.from({ length: taskCount }, (_, i) => `${order.id}.t${i + 1}`)
}

/** What every task has, then its own, then what the job says of all. */
function environmentOf(spec: ContainerSpec, task: TaskSpec): ReadonlyMap<string, string> {
  const common = { HOME, TMPDIR: '/tmp', TMP: '/tmp', TEMP: '/tmp' }
  return new Map(Object.entries({ ...common, ...task.env, ...spec.env }))
}

function mountsOf(task: TaskSpec, shared: ReadonlyMap<string, Mount>): Mount[] {
  const elsewhere = task.mounts.map(({ from, to, readOnly }) => {
    const source = shared.get(from)
    if (source === undefined) throw new Error(`${from} was not shared`)
    return { from: source.from, to: to.replace(/\/+$/, ''), readOnly }
  })
  return [...shared.values(), ...elsewhere]
}
