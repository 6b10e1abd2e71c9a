// Volumes: folders of the machine that the operator has declared, seen by jobs that name them.

import { realpath, stat } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import type { Mount } from './driver.ts'
import type { ContainerSpec } from './spec.ts'
import { StageFault } from './stage/stage-fault.ts'

/** How the volumes of a job are mounted. Throws StageFault where one is not there, or a path leads out of it. */
export async function mountVolumes(
  wanted: ContainerSpec['volumes'],
  declared: Readonly<Record<string, string>>,
): Promise<Mount[]> {
  const mounts: Mount[] = []
  for (const volume of wanted) {
    const place = placeOf(volume, declared)
    if (typeof place === 'string') throw new StageFault('launch', 'mount', place)
    const { name, folder, below } = place
    const root = await found(name, folder)
    // Links in a volume are its users' work: they may not lead out of it.
    const from = below === '' ? root : await found(`${name}/${below}`, join(root, below))
    if (from !== root && !from.startsWith(`${root}/`))
      throw new StageFault('launch', 'mount', `${below} leads out of volume ${name}`)
    mounts.push({ from, to: volume.to.replace(/\/+$/, ''), readOnly: volume.readOnly })
  }
  return mounts
}

/** Why folders that are asked for by their path can never be mounted here; undefined when they may be there. */
export function refuseVolumes(
  wanted: ContainerSpec['volumes'],
  declared: Readonly<Record<string, string>>,
): string | undefined {
  const places = wanted.filter(volume => volume.path !== undefined).map(volume => placeOf(volume, declared))
  return places.find(place => typeof place === 'string')
}

/** Which volume is meant, and where in it; a text when there is none. */
function placeOf(
  { name, path, below = '' }: ContainerSpec['volumes'][number],
  declared: Readonly<Record<string, string>>,
): { readonly name: string; readonly folder: string; readonly below: string } | string {
  if (path === undefined) {
    const folder = Object.hasOwn(declared, name!) ? declared[name!] : undefined
    return folder === undefined ? `there is no volume ${name} here` : { name: name!, folder, below }
  }
  const wanted = resolve(path, below)
  for (const [volume, folder] of Object.entries(declared)) {
    const inside = relative(resolve(folder), wanted)
    if (inside !== '..' && !inside.startsWith('../')) return { name: volume, folder, below: inside }
  }
  return `${path} lies in no volume that is declared here`
}

async function found(name: string, folder: string): Promise<string> {
  const real = await realpath(folder).catch(() => undefined)
  const isDirectory = real !== undefined && (await stat(real)).isDirectory()
  if (!isDirectory) throw new StageFault('launch', 'mount', `the folder of volume ${name} is not there`)
  return real
}
