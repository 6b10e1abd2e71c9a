// Adding attributes to a living node. An edit touches what it names and leaves states alone: the original re-sends the
// whole node for some kinds, and so begins it anew.

import { refuse } from '../../../core/refusal.ts'
import type { Node } from '../tree/node.ts'
import {
  type AttributeEdit,
  finishEdit,
  need,
  needInteger,
  needName,
  needValue,
  readSwitch,
  refuseDuplicate,
  refuseType,
} from './attribute-edit.ts'
import { addByText, readScratch } from './attribute-text.ts'
import { setVariable } from './child-commands.ts'
import { addTime } from './edit-times.ts'
import type { Living } from './living.ts'
import { checkRestores, setCondition } from './referring-attributes.ts'

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
