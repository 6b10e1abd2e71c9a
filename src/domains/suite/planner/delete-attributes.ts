// Deleting attributes of a living node: one, or all of a type.

import { refuse } from '../../../core/refusal.ts'
import { showLate } from '../language/print-attribute.ts'
import { inLimitName } from '../language/read-attribute.ts'
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
import { dropTime } from './edit-times.ts'
import { dropHolder, forgetLimit } from './limits.ts'
import type { Living } from './living.ts'

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
    case 'limit': {
      const gone = own?.limits?.filter(it => it.name === edit.name) ?? []
      node.own.limits = without(node, edit, own?.limits, it => it.name)
      for (const limit of gone) forgetLimit(living, limit)
      break
    }
    case 'limit_path': {
      const limit = demand(
        own?.limits?.find(it => it.name === edit.name),
        node,
        edit,
      )
      if (!dropHolder(living, node, limit, needValue(edit)))
        refuseMissing(node, { ...edit, name: edit.value ?? '' })
      break
    }
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
  finishEdit(living, node, edit)
}

/** Where the attributes of a type stand that a node can have several of. */
const listOf = {
  variable: 'variables',
  label: 'labels',
  meter: 'meters',
  event: 'events',
  limit: 'limits',
  inlimit: 'inlimits',
  time: 'times',
  today: 'todays',
  date: 'dates',
  day: 'days',
  cron: 'crons',
} as const
const rareListOf = {
  zombie: 'zombies',
  queue: 'queues',
  generic: 'generics',
  aviso: 'avisos',
  mirror: 'mirrors',
} as const

/** Deletes all attributes of a type; there may be none. */
export function deleteAllAttributes(living: Living, node: Node, type: string): void {
  const own = node.attributes
  if (Object.hasOwn(listOf, type)) {
    const name = listOf[type as keyof typeof listOf]
    const gone = own?.[name] ?? []
    if (own) own[name] = undefined
    for (const item of gone) if ('name' in item) living.wakeReaders(node, item.name)
    if (name === 'limits') for (const limit of gone) forgetLimit(living, limit as never)
  } else if (Object.hasOwn(rareListOf, type)) {
    if (own?.rare) own.rare[rareListOf[type as keyof typeof rareListOf]] = undefined
  } else {
    refuse('bad-field', `type: a node has no several '${type.slice(0, 40)}' that could be deleted together`, {
      field: 'type',
    })
  }
  finishEdit(living, node, { type })
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
