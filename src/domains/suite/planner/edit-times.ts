// Adding, changing and dropping time, today, date, day and cron: they have no names, so they are found by their texts.

import { refuse } from '../../../core/refusal.ts'
import { showCron, showDate, showDay, showSeries } from '../language/print-attribute.ts'
import type { Attributes } from '../tree/attribute.ts'
import { Node } from '../tree/node.ts'
import { type AttributeEdit, need, needValue } from './attribute-edit.ts'
import { addByText, readScratch } from './attribute-text.ts'
import { resetTimes, timeOfSuite } from './times.ts'

type ListName = 'times' | 'todays' | 'dates' | 'days' | 'crons'
/** Where the attributes of each type of time stand. */
export const timeLists: Readonly<Record<string, ListName>> = {
  time: 'times',
  today: 'todays',
  date: 'dates',
  day: 'days',
  cron: 'crons',
}

/** Adds one; it counts from now. */
export function addTime(node: Node, edit: AttributeEdit): void {
  addByText(node, edit.type, needValue(edit))
  startTimes(node, timeLists[edit.type]!)
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

/** Puts another in the place of the one whose text is the old value; it counts from now. */
export function changeTime(node: Node, edit: AttributeEdit): void {
  const name = timeLists[edit.type]!
  const oldValue = need(edit, 'oldValue')
  const item = readScratch(node, edit.type, needValue(edit))[name]![0]!
  const { list, at } = findTime(node, edit, oldValue)
  list[at] = item
  startTimes(node, name, at)
}

/** Drops the one whose text is the edit's value. */
export function dropTime(node: Node, edit: AttributeEdit): void {
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
