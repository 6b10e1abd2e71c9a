// Adding, changing and deleting attributes of a living node. An edit touches what it names and leaves states alone:
// the original re-sends the whole node for some kinds, and so begins it anew.

import { refuse } from '../../../core/refusal.ts'
import { DefinitionError, ValueError } from '../language/definition-error.ts'
import { isName, nameRule, readInteger } from '../language/name.ts'
import { showCron, showDate, showDay, showLate, showSeries } from '../language/print-attribute.ts'
import { conditionOf, inLimitName, readAttribute } from '../language/read-attribute.ts'
import { statementOf } from '../language/statement.ts'
import type { Attributes, Condition, RareAttributes } from '../tree/attribute.ts'
import { Node } from '../tree/node.ts'
import { checkCondition, checkReferences, MissingReference } from '../tree/references.ts'
import { placeRepeat } from '../tree/repeat.ts'
import { setEvent, setLabel } from './child-commands.ts'
import { setLimitMax, setLimitValue } from './limits.ts'
import type { Living } from './living.ts'
import { noteRepeat } from './state-change.ts'
import { resetTimes, timeOfSuite } from './times.ts'

/** Texts of one edit, as the wire gave them. Which ones are needed depends on the type. */
export interface AttributeEdit {
  readonly type: string
  readonly name?: string
  readonly value?: string
  readonly oldValue?: string
  readonly min?: string
  readonly max?: string
}

type ListName = 'times' | 'todays' | 'dates' | 'days' | 'crons'
const timeLists: Record<string, ListName> = {
  time: 'times',
  today: 'todays',
  date: 'dates',
  day: 'days',
  cron: 'crons',
}

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
      addByText(node, type, needValue(edit))
      startTimes(node, timeLists[type]!)
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
  finish(living, node, edit)
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
  finish(living, node, edit)
}

/** Deletes an attribute: by exact text where it has no name. */
export function deleteAttribute(living: Living, node: Node, edit: AttributeEdit): void {
  const own = node.attributes
  const rare = own?.rare
  switch (edit.type) {
    case 'variable':
      node.own.variables = without(node, edit, own?.variables, it => it.name)
      break
    case 'label':
      node.own.labels = without(node, edit, own?.labels, it => it.name)
      break
    case 'meter':
      node.own.meters = without(node, edit, own?.meters, it => it.name)
      break
    case 'event':
      node.own.events = without(node, edit, own?.events, it =>
        it.name === edit.name ? it.name : String(it.number),
      )
      break
    case 'limit':
      node.own.limits = without(node, edit, own?.limits, it => it.name)
      break
    case 'inlimit':
      node.own.inlimits = without(node, edit, own?.inlimits, inLimitName)
      break
    case 'zombie':
      node.ownRare.zombies = without(node, edit, rare?.zombies, it => it.kind)
      break
    case 'queue':
      node.ownRare.queues = without(node, edit, rare?.queues, it => it.name)
      break
    case 'generic':
      node.ownRare.generics = without(node, edit, rare?.generics, it => it.name)
      break
    case 'aviso':
      node.ownRare.avisos = without(node, edit, rare?.avisos, it => it.name)
      break
    case 'mirror':
      node.ownRare.mirrors = without(node, edit, rare?.mirrors, it => it.name)
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
      if (!own?.[edit.type]) refuseMissing(node, edit)
      own[edit.type] = undefined
      break
    case 'late':
    case 'autocancel':
    case 'autoarchive':
    case 'autorestore':
      if (!rare?.[edit.type]) refuseMissing(node, edit)
      if (edit.type === 'late' && edit.value !== undefined && rare.late && edit.value !== showLate(rare.late))
        refuseMissing(node, edit)
      rare[edit.type] = undefined
      break
    default:
      refuseType(edit)
  }
  finish(living, node, edit)
}

/** What every edit leaves behind: it is written down, the planner knows, and who looks at it is woken. */
function finish(living: Living, node: Node, edit: AttributeEdit): void {
  living.touch(node)
  living.setFlag(node, 'message', true)
  living.enrolNode(node)
  if (edit.name !== undefined) living.wakeReaders(node, edit.name)
  else living.wakeDependents(node)
  living.mark(node)
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

function timeText(list: ListName, item: unknown): string {
  switch (list) {
    case 'times':
    case 'todays':
      return showSeries((item as NonNullable<Attributes['times']>[number]).series)
    case 'dates':
      return showDate(item as NonNullable<Attributes['dates']>[number])
    case 'days':
      return showDay(item as NonNullable<Attributes['days']>[number])
    case 'crons':
      return showCron(item as NonNullable<Attributes['crons']>[number])
  }
}

/** Finds a time attribute by its text, however it is spelled. */
function findTime(node: Node, edit: AttributeEdit, text: string): { list: unknown[]; at: number } {
  const name = timeLists[edit.type]!
  const wanted = timeText(name, readScratch(node, edit.type, text)[name]![0])
  const list = (node.attributes?.[name] ?? []) as unknown[]
  const at = list.findIndex(item => timeText(name, item) === wanted)
  if (at < 0) refuse('not-found', `Could not find ${edit.type} '${text.slice(0, 60)}' on ${node.path}`)
  return { list, at }
}

function changeTime(node: Node, edit: AttributeEdit): void {
  const name = timeLists[edit.type]!
  const oldValue = need(edit, 'oldValue')
  const item = readScratch(node, edit.type, needValue(edit))[name]![0]!
  const { list, at } = findTime(node, edit, oldValue)
  list[at] = item
  startTimes(node, name, at)
}

function dropTime(node: Node, edit: AttributeEdit): void {
  const name = timeLists[edit.type]!
  const { list, at } = findTime(node, edit, needValue(edit))
  const left = list.filter((_, index) => index !== at)
  ;(node.attributes as unknown as Record<string, unknown>)[name] = left.length > 0 ? left : undefined
}

/** A time attribute that came to a begun suite counts from now. */
function startTimes(node: Node, name: ListName, at = -1): void {
  const suite = node.suiteNode
  const list = node.attributes?.[name]
  if (!suite?.suite?.begun || !list) return
  const scratch = new Node('family', node.name).own
  ;(scratch as unknown as Record<string, unknown>)[name] = [list.at(at)]
  resetTimes(scratch, timeOfSuite(suite), 'user')
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

/** Reads the text behind a keyword with the language's own reader, and adds what it gives to the node. */
function addByText(node: Node, keyword: string, value: string): void {
  const scratch = new Node(node.kind, node.name)
  // The reader sees what is there already, so that it refuses what may stand only once.
  const own = node.attributes
  if (own) {
    Object.assign(scratch.own, own)
    for (const key of ['times', 'todays', 'dates', 'days', 'crons', 'inlimits'] as const) {
      if (own[key]) (scratch.own as unknown as Record<string, unknown>)[key] = [...own[key]]
    }
    if (own.rare) {
      scratch.own.rare = Object.assign(
        Object.create(Object.getPrototypeOf(own.rare)),
        own.rare,
      ) as RareAttributes
      for (const key of ['zombies', 'queues', 'generics'] as const) {
        if (own.rare[key]) (scratch.own.rare as unknown as Record<string, unknown>)[key] = [...own.rare[key]]
      }
    }
  }
  readText(scratch, keyword, value)
  node.attributes = scratch.attributes
}

/** The attributes that a text gives by itself. */
function readScratch(node: Node, keyword: string, value: string): Attributes {
  const scratch = new Node(node.kind, node.name)
  readText(scratch, keyword, value)
  return scratch.own
}

function readText(scratch: Node, keyword: string, value: string): void {
  try {
    readAttribute(statementOf(keyword, value), keyword, scratch)
  } catch (error) {
    if (error instanceof DefinitionError) {
      refuse('bad-field', `${keyword}: found ${error.found}, expected ${error.expected}`, { field: 'value' })
    }
    throw error
  }
}

/** The list without the item of the edit's name; absent when it was the last one. */
function without<T>(
  node: Node,
  edit: AttributeEdit,
  list: T[] | undefined,
  nameOf: (item: T) => string,
): T[] | undefined {
  const name = need(edit, 'name')
  const left = list?.filter(item => nameOf(item) !== name)
  if (!list || !left || left.length === list.length) refuseMissing(node, edit)
  return left.length > 0 ? left : undefined
}

function need(edit: AttributeEdit, member: keyof AttributeEdit): string {
  const value = edit[member]
  const field = member === 'oldValue' ? 'old_value' : member
  if (value === undefined) refuse('bad-field', `The member '${field}' is missing`, { field })
  return value
}

function needName(edit: AttributeEdit): string {
  const name = need(edit, 'name')
  if (!isName(name))
    refuse('bad-field', `name: expected ${nameRule}, not '${name.slice(0, 60)}'`, { field: 'name' })
  return name
}

function needValue(edit: AttributeEdit): string {
  return need(edit, 'value')
}

function needInteger(edit: AttributeEdit, field: string, text: string): number {
  const value = readInteger(text.trim())
  if (value === undefined)
    refuse('bad-field', `${field}: expected an integer for ${edit.type}, not '${text.slice(0, 40)}'`, {
      field,
    })
  return value
}

function readSwitch(edit: AttributeEdit): boolean {
  const value = needValue(edit)
  if (value === 'set' || value === 'true') return true
  if (value === 'clear' || value === 'false') return false
  return refuse('bad-field', "'value' for an event must be one of set, true, clear, false", {
    field: 'value',
  })
}

function refuseDuplicate(
  list: readonly { name: string }[] | undefined,
  name: string,
  edit: AttributeEdit,
): void {
  if (!list?.some(it => it.name === name)) return
  refuse('bad-field', `Add ${edit.type} failed: a ${edit.type} of name '${name}' is there already`, {
    field: 'name',
  })
}

function demand<T>(item: T | undefined, node: Node, edit: AttributeEdit): T {
  if (item === undefined) refuseMissing(node, edit)
  return item
}

function refuseMissing(node: Node, edit: AttributeEdit): never {
  const what = edit.name ?? edit.value ?? ''
  return refuse(
    'not-found',
    `Could not find ${edit.type}${what === '' ? '' : ` '${what.slice(0, 60)}'`} on ${node.path}`,
  )
}

function refuseType(edit: AttributeEdit): never {
  return refuse('bad-field', `type: '${edit.type.slice(0, 40)}' is no type of attribute for this`, {
    field: 'type',
  })
}
