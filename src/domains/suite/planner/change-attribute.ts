// Changing attributes of a living node, which keep their place and whatever of their state the edit does not name.

import { refuse } from '../../../core/refusal.ts'
import { inLimitName } from '../language/read-attribute.ts'
import type { Node } from '../tree/node.ts'
import { placeRepeat } from '../tree/repeat.ts'
import {
  type AttributeEdit,
  demand,
  finishEdit,
  need,
  needInteger,
  needName,
  needValue,
  readSwitch,
  refuseMissing,
  refuseType,
} from './attribute-edit.ts'
import { readScratch } from './attribute-text.ts'
import { setEvent, setLabel } from './child-commands.ts'
import { changeTime } from './edit-times.ts'
import { setLimitMax, setLimitValue } from './limits.ts'
import type { Living } from './living.ts'
import { checkRestores, setCondition } from './referring-attributes.ts'
import { noteRepeat } from './state-change.ts'

/** Changes an attribute that is there (a trigger, late or the like may be new). */
export function changeAttribute(living: Living, node: Node, edit: AttributeEdit): void {
  const { type } = edit
  switch (type) {
    case 'variable': {
      const name = needName(edit)
      const value = needValue(edit)
      demand(
        node.attributes?.variables?.find(it => it.name === name),
        node,
        edit,
      ).value = value
      break
    }
    case 'label':
      if (!setLabel(living, node, needName(edit), needValue(edit))) refuseMissing(node, edit)
      break
    case 'event':
      if (!setEvent(living, node, need(edit, 'name'), readSwitch(edit))) refuseMissing(node, edit)
      break
    case 'meter':
      changeMeter(node, edit)
      break
    case 'limit':
      changeLimit(living, node, edit)
      break
    case 'inlimit':
      changeInLimit(node, edit)
      break
    case 'generic':
    case 'queue':
      changeList(node, edit)
      break
    case 'time':
    case 'today':
    case 'date':
    case 'day':
    case 'cron':
      changeTime(node, edit)
      break
    case 'trigger':
      setCondition(living, node, 'trigger', edit.value ? edit.value : need(edit, 'name'))
      break
    case 'complete':
      setCondition(living, node, 'complete', needValue(edit))
      break
    case 'repeat':
      changeRepeat(living, node, needValue(edit))
      break
    case 'late':
    case 'autocancel':
    case 'autoarchive':
    case 'autorestore':
      changeSingle(living, node, type, needValue(edit))
      break
    default:
      refuseType(edit)
  }
  finishEdit(living, node, edit)
}

function changeMeter(node: Node, edit: AttributeEdit): void {
  const name = needName(edit)
  const value = needInteger(edit, 'value', needValue(edit))
  const meter = demand(
    node.attributes?.meters?.find(it => it.name === name),
    node,
    edit,
  )
  if (value < meter.min || value > meter.max) {
    refuse('bad-field', `value: must be between ${meter.min} and ${meter.max}`, { field: 'value' })
  }
  meter.value = value
}

function changeLimit(living: Living, node: Node, edit: AttributeEdit): void {
  const name = needName(edit)
  if (edit.max === undefined && edit.value === undefined) {
    refuse('bad-field', "For limit either 'max' or 'value' must be given", { field: 'value' })
  }
  const value = edit.max ?? edit.value!
  const number = needInteger(edit, edit.max === undefined ? 'value' : 'max', value)
  const limit = demand(
    node.attributes?.limits?.find(it => it.name === name),
    node,
    edit,
  )
  if (edit.max !== undefined) setLimitMax(living, node, limit, number)
  else setLimitValue(living, node, limit, number)
}

function changeInLimit(node: Node, edit: AttributeEdit): void {
  const name = need(edit, 'name')
  const tokens = needInteger(edit, 'value', needValue(edit))
  if (tokens < 1) refuse('bad-field', 'value: must be at least 1', { field: 'value' })
  const list = node.attributes?.inlimits
  const at = list?.findIndex(it => inLimitName(it) === name) ?? -1
  if (at < 0) refuseMissing(node, edit)
  list![at] = { ...list![at]!, tokens }
}

/** New items for a queue or generic. */
function changeList(node: Node, edit: AttributeEdit): void {
  const scratch = readScratch(node, edit.type, `${needName(edit)} ${needValue(edit)}`).rare!
  const rare = node.attributes?.rare
  if (edit.type === 'queue') replaceNamed(node, edit, rare?.queues, scratch.queues![0]!)
  else replaceNamed(node, edit, rare?.generics, scratch.generics![0]!)
}

function replaceNamed<T extends { readonly name: string }>(
  node: Node,
  edit: AttributeEdit,
  list: T[] | undefined,
  item: T,
): void {
  const at = list?.findIndex(it => it.name === item.name) ?? -1
  if (at < 0) refuseMissing(node, edit)
  list![at] = item
}

function changeRepeat(living: Living, node: Node, value: string): void {
  const repeat = node.attributes?.repeat
  if (!repeat) refuse('not-found', `Could not find a repeat on ${node.path}`)
  const wrong = placeRepeat(repeat, value)
  if (wrong !== undefined) refuse('bad-field', `value: ${wrong}`, { field: 'value' })
  noteRepeat(living, node)
}

function changeSingle(
  living: Living,
  node: Node,
  type: 'late' | 'autocancel' | 'autoarchive' | 'autorestore',
  value: string,
): void {
  const rare = readScratch(node, type, value).rare!
  if (type === 'autocancel' || type === 'autoarchive') {
    const other = type === 'autocancel' ? 'autoarchive' : 'autocancel'
    if (node.attributes?.rare?.[other])
      refuse('bad-field', `The node has an ${other} already`, { field: 'type' })
  }
  const before = node.attributes?.rare?.[type]
  ;(node.ownRare as unknown as Record<string, unknown>)[type] = rare[type]
  if (type !== 'autorestore') return
  try {
    checkRestores(living, node)
  } catch (error) {
    ;(node.ownRare as unknown as Record<string, unknown>)[type] = before
    throw error
  }
}
