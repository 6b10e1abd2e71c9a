// Reading what another server says about a node that is mirrored here: the answers of the REST API to status and
// attributes. What could not stand in a definition is left out, because it has to be printed into one.

import { isName } from '../language/name.ts'
import { isNodeState } from '../tree/state.ts'
import type { MirrorImage } from './remote.ts'

/** More of a kind than this is cut: a mirror is for looking. */
const itemsMax = 1000

/** The image in an object with `status` and, as far as there are any, variables, labels, meters, events; or none. */
export function readMirrorImage(value: unknown): MirrorImage | undefined {
  if (!isRecord(value)) return undefined
  const shown = value['status']
  // A suspended node keeps its state behind the switch; what that is, is not told.
  const state = shown === 'suspended' ? 'queued' : shown
  if (typeof state !== 'string' || !isNodeState(state)) return undefined
  return {
    state,
    variables: named(value['variables'])
      .filter(it => it['generated'] !== true)
      .map(it => ({ name: it.name, value: String(it['value'] ?? '') })),
    labels: named(value['labels']).map(it => ({ name: it.name, value: String(it['value'] ?? '') })),
    meters: named(value['meters']).flatMap(({ name, min, max, value: now }) =>
      isInteger(min) && isInteger(max) && isInteger(now) && min < max && min <= now && now <= max
        ? [{ name, min, max, value: now }]
        : [],
    ),
    events: named(value['events']).map(it => ({ name: it.name, value: it['value'] === true })),
  }
}

interface Named extends Record<string, unknown> {
  readonly name: string
}

function named(list: unknown): Named[] {
  if (!Array.isArray(list)) return []
  return (
    list
      .slice(0, itemsMax)
      .filter((it): it is Named => isRecord(it) && typeof it['name'] === 'string' && isName(it['name']))
      // A number alone is an event without a name.
      .filter(it => !/^\d+$/.test(it.name))
  )
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isInteger(value: unknown): value is number {
  return Number.isInteger(value) && Math.abs(value as number) <= 2147483647
}
