// How much of each resource a job gets: what its manifest asks for, grown with its input, never below the floor
// (contracts/scale.md §5.5). Amounts are in the manifest's units: cpus, and MiB for memory and disk.

import type { ResourceWish } from './manifest.ts'

const floor: readonly (readonly [string, number])[] = [
  ['cpus', 0.25],
  ['mem', 128],
  ['disk', 0],
  ['gpus', 0],
]

/** MiB of one byte count, rounded up, as Scale tells sizes. */
export function mebibytes(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 1_048_576)
}

/** The resources of a job with an input of so many MiB. */
export function resourcesFor(wishes: readonly ResourceWish[], inputMebibytes: number): Map<string, number> {
  const amounts = new Map(floor)
  for (const { name, value, inputMultiplier } of wishes) {
    const grown = inputMultiplier > 0 ? Math.ceil(value + inputMultiplier * inputMebibytes) : value
    amounts.set(name, Math.max(grown, amounts.get(name) ?? 0))
  }
  amounts.set('disk', Math.max(amounts.get('disk')!, inputMebibytes))
  return amounts
}
