// What it takes to run a further command in the sandbox of an attempt: the plan of its first task, kept in its folder.

import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type AttemptFolder, writeTaskFiles, writeWhole } from './attempt-folder.ts'
import type { Driver, TaskPlan } from './driver.ts'
import { findImage, type ImageStore } from './images/index.ts'

/** Keeps a plan. It has secrets of the job in it, as the folder has anyway. */
export async function writeInsidePlan(folder: AttemptFolder, plan: TaskPlan): Promise<void> {
  const kept = { ...plan, env: [...plan.env], image: plan.image?.digest ?? null }
  await writeWhole(join(folder.dir, 'inside.json'), kept)
}

/** Writes down how to run a command line; answers the script, or undefined where none was kept. */
export async function prepareInside(
  folder: AttemptFolder,
  { name, command, driver, images }: { name: string; command: string; driver: Driver; images: ImageStore },
): Promise<{ script: string; dir: string } | undefined> {
  const text = await readFile(join(folder.dir, 'inside.json'), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const kept = JSON.parse(text) as Omit<TaskPlan, 'env' | 'image'> & {
    env: [string, string][]
    image: string | null
  }
  const dir = join(folder.dir, name)
  await mkdir(dir, { mode: 0o700 })
  const plan: TaskPlan = {
    ...kept,
    dir,
    containerName: `${kept.containerName}-${name}`,
    env: new Map(kept.env),
    image: kept.image === null ? null : ((await findImage(images, kept.image)) ?? null),
    task: { ...kept.task, argv: ['/bin/sh', '-c', command], entrypoint: 'none', workdir: null },
  }
  await writeTaskFiles(dir, await driver.files(plan))
  return { script: join(dir, 'run.sh'), dir }
}
