// Volumes: folders of the machine that the operator has declared, seen by jobs that name them.

import { realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Mount } from './driver.ts'
import type { ContainerSpec } from './spec.ts'
import { StageFault } from './stage/stage-fault.ts'

/** How the volumes of a job are mounted. Throws StageFault where one is not there, or a path leads out of it. */
export async function mountVolumes(
  wanted: ContainerSpec['volumes'],
  declared: Readonly<Record<string, string>>,
): Promise<Mount[]> {
  const mounts: Mount[] = []
  for (const { name, to, below } of wanted) {
    const folder = Object.hasOwn(declared, name) ? declared[name] : undefined
    if (folder === undefined) throw new StageFault('launch', 'mount', `there is no volume ${name} here`)
    const root = await found(name, folder)
    // Links in a volume are its users' work: they may not lead out of it.
    const from = below === undefined ? root : await found(`${name}/${below}`, join(root, below))
    if (from !== root && !from.startsWith(`${root}/`))
      throw new StageFault('launch', 'mount', `${below} leads out of volume ${name}`)
    mounts.push({ from, to: to.replace(/\/+$/, ''), readOnly: false })
  }
  return mounts
}

async function found(name: string, folder: string): Promise<string> {
  const real = await realpath(folder).catch(() => undefined)
  const isDirectory = real !== undefined && (await stat(real)).isDirectory()
  if (!isDirectory) throw new StageFault('launch', 'mount', `the folder of volume ${name} is not there`)
  return real
}
