// Adding, changing and deleting attributes of a living node. An edit touches what it names and leaves states alone:
// the original re-sends the whole node for some kinds, and so begins it anew.

import { refuse } from '../../../core/refusal.ts'
import { ValueError } from '../language/definition-error.ts'
import { conditionOf, inLimitName } from '../language/read-attribute.ts'
import type { Condition } from '../tree/attribute.ts'
import { Node } from '../tree/node.ts'
import { checkCondition, checkReferences, MissingReference } from '../tree/references.ts'
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
  refuseDuplicate,
  refuseMissing,
  refuseType,
} from './attribute-edit.ts'
import { addByText, readScratch } from './attribute-text.ts'
import { setEvent, setLabel } from './child-commands.ts'
import { addTime, changeTime } from './edit-times.ts'
import { setLimitMax, setLimitValue } from './limits.ts'
import type { Living } from './living.ts'
import { noteRepeat } from './state-change.ts'

/** Adds an attribute. A variable that is there is overwritten; other names must be new. */
export function addAttribute(living: Living, node: Node, edit: AttributeEdit): void {
  const { type } = edit
  switch (type) {
    case 'variable':
      setVariable(living, node, needName(edit), needValue(edit))
      break
    case 'label': {
      const [name, value] = [needName(edit), needValue(edit)]
      refuseDuplicate(node.attributes?.labels, name, edit)
      node.own.labels = [...(node.own.labels ?? []), { name, text: value, value }]
      break
    }
    case 'event':
      addEvent(node, edit)
      break
    case 'meter':
      addMeter(node, edit)
      break
    case 'limit': {
      const name = needName(edit)
      const max = needInteger(edit, 'value', needValue(edit))
      refuseDuplicate(node.attributes?.limits, name, edit)
      node.own.limits = [...(node.own.limits ?? []), { name, max, value: 0, holders: undefined }]
      break
    }
    case 'inlimit': {
      const tokens = edit.value === undefined || edit.value === '' ? '' : ` ${edit.value}`
      addByText(node, 'inlimit', need(edit, 'name') + tokens)
      break
    }
    case 'zombie':
      addByText(node, 'zombie', need(edit, 'name'))
      break
    case 'queue':
    case 'generic':
      addByText(node, type, `${needName(edit)} ${needValue(edit)}`)
      break
    case 'aviso':
    case 'mirror': {
      const value = needValue(edit)
      addByText(node, type, /--name\s/.test(value) ? value : `--name ${needName(edit)} ${value}`)
      break
    }
    case 'trigger':
    case 'complete':
      setCondition(living, node, type, needValue(edit))
      break
    case 'autorestore': {
      addByText(node, type, needValue(edit))
      checkRestores(living, node)
      break
    }
    case 'time':
    case 'today':
    case 'date':
    case 'day':
    case 'cron':
      addTime(node, edit)
      break
    case 'late':
    case 'autocancel':
    case 'autoarchive':
    case 'repeat':
      addByText(node, type, needValue(edit))
      break
    default:
      refuseType(edit)
  }
  finishEdit(living, node, edit)
}

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

function setVariable(living: Living, node: Node, name: string, value: string): void {
  const list = (node.own.variables ??= [])
  const known = list.find(it => it.name === name)
  if (known) known.value = value
  else list.push({ name, value })
  living.wakeReaders(node, name)
}

function addEvent(node: Node, edit: AttributeEdit): void {
  const name = need(edit, 'name')
  const isOn = readSwitch(edit)
  const scratch = readScratch(node, 'event', name)
  const event = scratch.events![0]!
  const isKnown = node.attributes?.events?.some(
    it => (event.name !== '' && it.name === event.name) || (event.number >= 0 && it.number === event.number),
  )
  if (isKnown) refuse('bad-field', `Add event failed: an event '${name}' is there already`, { field: 'name' })
  event.value = isOn
  node.own.events = [...(node.own.events ?? []), event]
}

function addMeter(node: Node, edit: AttributeEdit): void {
  const name = needName(edit)
  const min = needInteger(edit, 'min', need(edit, 'min'))
  const max = needInteger(edit, 'max', need(edit, 'max'))
  const value = needInteger(edit, 'value', needValue(edit))
  refuseDuplicate(node.attributes?.meters, name, edit)
  if (min >= max) refuse('bad-field', 'max: must be above min', { field: 'max' })
  if (value < min || value > max)
    refuse('bad-field', 'value: must be between min and max', { field: 'value' })
  node.own.meters = [...(node.own.meters ?? []), { name, min, max, threshold: max, value }]
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

function checkRestores(living: Living, node: Node): void {
  const paths = node.attributes?.rare?.autorestore
  if (!paths) return
  const only = new Node(node.kind, node.name, node.parent)
  only.ownRare.autorestore = paths
  try {
    checkReferences(only, { declared: living.externs, all: false })
  } catch (error) {
    if (!(error instanceof MissingReference)) throw error
    node.ownRare.autorestore = undefined
    refuse('not-found', error.message, { field: 'value' })
  }
}

function setCondition(living: Living, node: Node, keyword: 'trigger' | 'complete', text: string): void {
  if (node.kind === 'suite') refuse('bad-field', `type: no ${keyword} on a suite`, { field: 'type' })
  let condition: Condition
  try {
    condition = conditionOf(text.trim())
    checkCondition(node, condition, { keyword, externs: { declared: living.externs, all: false } })
  } catch (error) {
    if (error instanceof ValueError) refuse('bad-field', `value: ${error.message}`, { field: 'value' })
    if (error instanceof MissingReference) refuse('not-found', error.message, { field: 'value' })
    throw error
  }
  node.own[keyword] = condition
}
