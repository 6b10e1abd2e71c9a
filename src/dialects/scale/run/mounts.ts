// What a program has mounted beside its input and output: folders of this machine, volumes, or an empty folder of its own
// (contracts/scale.md §6.4 and §6.6). Which folders may be mounted is the container executor's to allow (its `volumes`).

import { stat } from 'node:fs/promises'
import type { Json, JsonObject } from '../../../core/json.ts'
import type { Configuration } from '../../../domains/recipe/seed/configuration.ts'
import { builtInNumber } from '../../../domains/recipe/seed/errors.ts'
import type { Manifest } from '../../../domains/recipe/seed/manifest.ts'
import { Unprepared } from '../../../engine/engine.ts'

/** What the container executor is told of mounts. */
export interface ContainerMounts {
  /** Folders of this machine. */
  readonly volumes: readonly JsonObject[]
  /** Folders of the attempt, mounted into the task, and files that make them be there. */
  readonly mounts: readonly JsonObject[]
  readonly files: readonly JsonObject[]
}

/** Refuses, by the error of the catalogue, to start what cannot be started as it is configured. */
export function refuse(error: string, text: string): never {
  throw new Unprepared('stage-in', text, builtInNumber(error))
}

/** Refuses a program with a setting that nobody has set. */
export function demandSettings(manifest: Manifest, configuration: Configuration): void {
  for (const { name } of manifest.settings)
    if (configuration.settings.get(name) === undefined)
      refuse('missing-setting', `the setting ${name} is not configured`)
}

/** How the mounts of a manifest come about in a container; `check` says whether its executor could take a spec at all. */
export async function containerMounts(
  manifest: Manifest,
  configuration: Configuration,
  check: (spec: Json) => string | undefined,
): Promise<ContainerMounts> {
  const [volumes, mounts, files]: [JsonObject[], JsonObject[], JsonObject[]] = [[], [], []]
  for (const { name, path: to, mode } of manifest.mounts) {
    const source = configuration.mounts.get(name)
    if (!source) refuse('missing-mount', `the mount ${name} is not configured`)
    const readOnly = mode === 'ro'
    if (source.type === 'host') {
      const facts = await stat(source.hostPath).catch(() => undefined)
      if (!facts?.isDirectory())
        refuse('missing-mount', `the mount ${name} has no folder: ${source.hostPath} is not there`)
      volumes.push({ path: source.hostPath, to, readOnly })
    } else if (source.driver === '' || source.driver === 'local') {
      const folder = `mount-${name}`
      // A volume of no driver is empty, and gone with its execution; the file makes the folder be there.
      files.push({ path: `${folder}/.scale`, content: '' })
      mounts.push({ from: folder, to, readOnly })
    } else volumes.push({ name: source.driver, to, readOnly, ...belowOf(source.driverOptions) })
  }
  const probe = { tasks: [{ image: 'none', argv: ['true'] }], volumes }
  const trouble = volumes.length === 0 ? undefined : check(probe as unknown as Json)
  if (trouble?.startsWith('volumes')) refuse('missing-mount', trouble)
  return { volumes, mounts, files }
}

/** Programs of this machine see its own folders: a mount of theirs has to be where the program looks for it. */
export function demandLocalMounts(manifest: Manifest, configuration: Configuration): void {
  for (const { name, path } of manifest.mounts) {
    const source = configuration.mounts.get(name)
    if (!source) refuse('missing-mount', `the mount ${name} is not configured`)
    if (source.type !== 'host' || source.hostPath !== path)
      refuse(
        'missing-mount',
        `a program of this machine sees ${path} as it is: nothing else can be mounted there`,
      )
  }
}

function belowOf(options: Readonly<Record<string, string>>): JsonObject {
  return options['path'] === undefined ? {} : { below: options['path'] }
}
