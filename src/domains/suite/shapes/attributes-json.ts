// All attributes of one node as one object: every member is always there. Contract ecflow §4.2.

import { showCondition } from '../language/print-attribute.ts'
import { rootOf } from '../tree/find.ts'
import { showFlags } from '../tree/flag.ts'
import { generatedVariables } from '../tree/generated.ts'
import { ancestors, type Node } from '../tree/node.ts'
import {
  type Shape,
  showAvisoShape,
  showConditionShape,
  showCronShape,
  showDateShape,
  showDayShape,
  showEvent,
  showExpiryShape,
  showGeneric,
  showInLimitShape,
  showLabel,
  showLateShape,
  showLimit,
  showMeter,
  showMirrorShape,
  showQueue,
  showRepeatShape,
  showTimeShape,
  showTodayShape,
  showVariable,
  showZombieShape,
} from './attribute-json.ts'

/** The attributes of a node, and the variables it inherits. Job passwords are shown only when asked for. */
export function showAttributes(node: Node, options: { secrets: boolean }): Shape {
  const own = node.attributes
  const rare = own?.rare
  return {
    meters: all(own?.meters, showMeter),
    limits: all(own?.limits, showLimit),
    inlimits: all(own?.inlimits, showInLimitShape),
    events: all(own?.events, showEvent),
    labels: all(own?.labels, showLabel),
    dates: all(own?.dates, showDateShape),
    days: all(own?.days, showDayShape),
    crons: all(own?.crons, showCronShape),
    times: all(own?.times, showTimeShape),
    todays: all(own?.todays, showTodayShape),
    repeat: own?.repeat ? showRepeatShape(own.repeat) : null,
    path: node.path,
    trigger: own?.trigger ? showConditionShape(own.trigger, showCondition(own.trigger)) : null,
    complete: own?.complete ? showConditionShape(own.complete, showCondition(own.complete)) : null,
    flag: { value: showFlags(node.flags) },
    late: rare?.late ? showLateShape(rare.late) : null,
    zombies: all(rare?.zombies, zombie => ({ type: zombie.kind, ...showZombieShape(zombie) })),
    generics: all(rare?.generics, showGeneric),
    queues: all(rare?.queues, showQueue),
    autocancel: rare?.autocancel ? showExpiryShape(rare.autocancel) : null,
    autoarchive: rare?.autoarchive ? showExpiryShape(rare.autoarchive) : null,
    autorestore: rare?.autorestore ? { value: rare.autorestore.join(' ') } : null,
    avisos: all(rare?.avisos, showAvisoShape),
    mirrors: all(rare?.mirrors, showMirrorShape),
    variables: showVariables(node, options),
    inherited_variables: showInherited(node),
  }
}

function all<T>(list: readonly T[] | undefined, show: (item: T) => Shape): Shape[] {
  return list ? list.map(show) : []
}

/** A node's own variables: the user's, then the generated ones. */
export function showVariables(node: Node, options: { secrets: boolean }): Shape[] {
  const user = (node.attributes?.variables ?? []).map(({ name, value }) => showVariable(name, value))
  const generated = generatedVariables(node).map(([name, value]) => ({
    ...showVariable(name, name === 'ECF_PASS' && !options.secrets ? '' : value),
    generated: true,
  }))
  return [...user, ...generated]
}

/** Level by level towards the root, the server last. */
function showInherited(node: Node): Shape[] {
  const levels: Shape[] = ancestors(node).map(at => ({
    name: at.name,
    path: at.path,
    variables: showVariables(at, { secrets: false }),
  }))
  const root = rootOf(node)
  if (root.kind === 'root') {
    const variables = [...(root.serverVariables ?? []), ...(root.attributes?.variables ?? [])]
    levels.push({
      name: 'server',
      path: '/',
      variables: variables.map(({ name, value }) => showVariable(name, value)),
    })
  }
  return levels
}
