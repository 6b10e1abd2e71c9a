// Deleting attributes of a living node: one, or all of a type.

import { refuse } from '../../../core/refusal.ts'
import { showLate } from '../language/print-attribute.ts'
import { inLimitName } from '../language/read-attribute.ts'
import type { Event, InLimit, Limit, Zombie } from '../tree/attribute.ts'
import type { Node } from '../tree/node.ts'
import {
  type AttributeEdit,
  demand,
  finishEdit,
  need,
  needValue,
  refuseMissing,
  refuseType,
} from './attribute-edit.ts'
import { dropTime, timeLists } from './edit-times.ts'
import { dropHolder, forgetLimit } from './limits.ts'
import type { Living } from './living.ts'

/** Where the attributes of a type stand that a node can have several of. */
const lists: ReadonlyMap<string, string> = new Map([
  ['variable', 'variables'],
  ['label', 'labels'],
  ['meter', 'meters'],
  ['event', 'events'],
  ['limit', 'limits'],
  ['inlimit', 'inlimits'],
  ...Object.entries(timeLists),
])
const rareLists: ReadonlyMap<string, string> = new Map([
  ['zombie', 'zombies'],
  ['queue', 'queues'],
  ['generic', 'generics'],
  ['aviso', 'avisos'],
  ['mirror', 'mirrors'],
])

/** Deletes an attribute: by exact text where it has no name. */
export function deleteAttribute(living: Living, node: Node, edit: AttributeEdit): void {
  const { type } = edit
  switch (type) {
    case 'limit_path':
      dropLimitPath(living, node, edit)
      break
    case 'time':
    case 'today':
    case 'date':
    case 'day':
    case 'cron':
      dropTime(node, edit)
      break
    case 'complete':
    case 'trigger':
    case 'repeat':
      if (!node.attributes?.[type]) refuseMissing(node, edit)
      node.attributes[type] = undefined
      break
    case 'late':
    case 'autocancel':
    case 'autoarchive':
    case 'autorestore':
      dropRareSingle(node, edit, type)
      break
    default:
      dropNamed(living, node, edit)
  }
  finishEdit(living, node, edit)
}

/** Deletes all attributes of a type; there may be none. */
export function deleteAllAttributes(living: Living, node: Node, type: string): void {
  const place = placeOf(node, type)
  if (place === undefined) {
    refuse('bad-field', `type: a node has no several '${type.slice(0, 40)}' that could be deleted together`, {
      field: 'type',
    })
  }
  const gone = place.room?.[place.list] ?? []
  if (place.room) place.room[place.list] = undefined
  if (lists.has(type)) for (const { name } of gone) if (name !== undefined) living.wakeReaders(node, name)
  if (type === 'limit') for (const limit of gone) forgetLimit(living, limit as Limit)
  finishEdit(living, node, { type })
}

interface Named {
  readonly name?: string
}

/** The list of a type that a node can have several of, and the room it is in; no room when the node has none such. */
function placeOf(
  { attributes }: Node,
  type: string,
): { list: string; room: Record<string, Named[] | undefined> | undefined } | undefined {
  const rare = rareLists.get(type)
  const list = rare ?? lists.get(type)
  if (list === undefined) return undefined
  const room = rare === undefined ? attributes : attributes?.rare
  return { list, room: room as unknown as Record<string, Named[] | undefined> | undefined }
}

/** Whether an edit's name means this one of several. */
function isCalled(type: string, item: Named, name: string): boolean {
  switch (type) {
    case 'event':
      return item.name === name || String((item as Event).number) === name
    case 'inlimit':
      return inLimitName(item as InLimit) === name
    case 'zombie':
      return (item as Zombie).kind === name
    default:
      return item.name === name
  }
}

/** The list goes without the one of the edit's name; it is absent when that was the last one. */
function dropNamed(living: Living, node: Node, edit: AttributeEdit): void {
  const place = placeOf(node, edit.type)
  if (place === undefined) refuseType(edit)
  const name = need(edit, 'name')
  const all = place.room?.[place.list] ?? []
  const left = all.filter(item => !isCalled(edit.type, item, name))
  if (!place.room || left.length === all.length) refuseMissing(node, edit)
  place.room[place.list] = left.length > 0 ? left : undefined
  if (edit.type === 'limit')
    for (const item of all) if (!left.includes(item)) forgetLimit(living, item as Limit)
}

/** Takes a path from those that hold a limit. */
function dropLimitPath(living: Living, node: Node, edit: AttributeEdit): void {
  const limit = demand(
    node.attributes?.limits?.find(it => it.name === edit.name),
    node,
    edit,
  )
  if (!dropHolder(living, node, limit, needValue(edit)))
    refuseMissing(node, { ...edit, name: edit.value ?? '' })
}

function dropRareSingle(
  node: Node,
  edit: AttributeEdit,
  type: 'late' | 'autocancel' | 'autoarchive' | 'autorestore',
): void {
  const rare = node.attributes?.rare
  if (!rare?.[type]) refuseMissing(node, edit)
  if (type === 'late' && edit.value !== undefined && rare.late && edit.value !== showLate(rare.late))
    refuseMissing(node, edit)
  rare[type] = undefined
}
