// Trees as JSON text, made in chunks so that a hundred thousand nodes stream out without ever being one string.

import { showClock, showCondition } from '../language/print-attribute.ts'
import type { Attributes } from '../tree/attribute.ts'
import { showFlags } from '../tree/flag.ts'
import { generatedVariables } from '../tree/generated.ts'
import type { Node } from '../tree/node.ts'
import {
  type Shape,
  showAvisoShape,
  showCronShape,
  showDateShape,
  showDayShape,
  showEvent,
  showExpiryShape,
  showGeneric,
  showInLimitShape,
  showLateShape,
  showLimit,
  showMirrorShape,
  showNumberedEvent,
  showQueue,
  showRepeatShape,
  showTimeShape,
  showTodayShape,
  showZombieShape,
} from './attribute-json.ts'
import { quote } from './json-text.ts'

export interface TreeOptions {
  readonly content: 'basic' | 'full'
  readonly withId: boolean
  readonly withGenerated: boolean
  /** Whether generated variables show the passwords of running jobs. */
  readonly withSecrets: boolean
  /** Ours: defstatus, clock, try, abort reason, and the numbers of events. */
  readonly withMeta: boolean
  /** How many levels below the named node are shown; all without it. */
  readonly depth?: number
}

const chunkLength = 64 * 1024

/** The tree of one node, named by itself; of the root, all suites. */
export function* treeChunks(top: Node, options: TreeOptions): Generator<string> {
  const depthMax = options.depth ?? Number.POSITIVE_INFINITY
  const nodes = top.kind === 'root' ? (top.children ?? []) : [top]
  const stack: Frame[] = [{ nodes, at: 0, close: '}' }]
  let text = '{'
  while (stack.length > 0) {
    const frame = stack[stack.length - 1]!
    if (frame.at === frame.nodes.length) {
      stack.pop()
      text += frame.close
      continue
    }
    const node = frame.nodes[frame.at]!
    if (frame.at > 0) text += ','
    frame.at++
    text += `"${node.name}":`
    const below = stack.length <= depthMax ? (node.children ?? none) : none
    if (options.content === 'basic') {
      if (below.length === 0 || node.kind === 'task') text += '{}'
      else {
        text += '{'
        stack.push({ nodes: below, at: 0, close: '}' })
      }
    } else {
      text += openFull(node, options)
      if (node.kind === 'alias') text += '}'
      else if (below.length === 0) text += node.kind === 'task' ? '"aliases":{}}' : '"children":{}}'
      else {
        text += node.kind === 'task' ? '"aliases":{' : '"children":{'
        stack.push({ nodes: below, at: 0, close: '}}' })
      }
    }
    if (text.length > chunkLength) {
      yield text
      text = ''
    }
  }
  yield text
}

interface Frame {
  readonly nodes: readonly Node[]
  at: number
  readonly close: string
}

const none: readonly Node[] = []

function openFull(node: Node, options: TreeOptions): string {
  const id = options.withId ? `"id":${quote(node.path)},` : ''
  const meta = options.withMeta ? showMeta(node) : ''
  const shown = node.displayState
  const end = node.kind === 'alias' ? '' : ','
  return `{"type":"${node.kind}",${id}"state":{"node":"${node.state}","default":"${shown}"},${meta}"attributes":[${showAll(node, options)}]${end}`
}

function showMeta(node: Node): string {
  let meta = `"defstatus":"${node.defaultState}",`
  const clock = node.attributes?.rare?.clock
  if (clock) meta += `"clock":${quote(showClock(clock).trimEnd())},`
  if (node.kind === 'task' || node.kind === 'alias') {
    meta += `"try":${node.run?.tryNumber ?? 0},"abort_reason":${quote(node.run?.abortReason ?? '')},`
  }
  return meta
}

/** All attributes in the order that dashboards show as it comes: contract ecflow §4.1. */
function showAll(node: Node, options: TreeOptions): string {
  const own = node.attributes
  if (!own && node.flags === 0 && !options.withGenerated) return ''
  const parts: string[] = []
  if (own) showFirst(parts, own, options)
  if (options.withGenerated) {
    for (const [name, given] of generatedVariables(node)) {
      const value = name === 'ECF_PASS' && !options.withSecrets ? '' : given
      parts.push(
        `{"name":"${name}","value":${quote(value)},"const":false,"type":"variable","generated":true}`,
      )
    }
  }
  if (own) showSecond(parts, own)
  if (node.flags !== 0) parts.push(`{"value":"${showFlags(node.flags)}","type":"flag"}`)
  if (own?.rare) {
    showEach(parts, 'aviso', own.rare.avisos, showAvisoShape)
    showEach(parts, 'mirror', own.rare.mirrors, showMirrorShape)
  }
  return parts.join(',')
}

function showFirst(parts: string[], own: Attributes, options: TreeOptions): void {
  if (own.labels) {
    for (const { name, value } of own.labels)
      parts.push(`{"name":"${name}","value":${quote(value)},"type":"label"}`)
  }
  if (own.meters) {
    for (const { name, min, max, value } of own.meters) {
      parts.push(`{"name":"${name}","min":${min},"max":${max},"value":${value},"type":"meter"}`)
    }
  }
  showEach(parts, 'event', own.events, options.withMeta ? showNumberedEvent : showEvent)
  if (own.variables) {
    for (const { name, value } of own.variables) {
      parts.push(`{"name":"${name}","value":${quote(value)},"const":false,"type":"variable"}`)
    }
  }
}

function showSecond(parts: string[], own: Attributes): void {
  const { rare } = own
  showEach(parts, 'limit', own.limits, showLimit)
  showEach(parts, 'inlimit', own.inlimits, showInLimitShape)
  showEach(parts, 'date', own.dates, showDateShape)
  showEach(parts, 'day', own.days, showDayShape)
  showEach(parts, 'cron', own.crons, showCronShape)
  showEach(parts, 'time', own.times, showTimeShape)
  showEach(parts, 'today', own.todays, showTodayShape)
  if (rare) {
    showEach(parts, 'late', rare.late && [rare.late], showLateShape)
    showEach(parts, 'autocancel', rare.autocancel && [rare.autocancel], showExpiryShape)
    showEach(parts, 'autoarchive', rare.autoarchive && [rare.autoarchive], showExpiryShape)
    if (rare.autorestore) parts.push(`{"value":${quote(rare.autorestore.join(' '))},"type":"autorestore"}`)
  }
  if (own.repeat) showEach(parts, 'repeat', [own.repeat], showRepeatShape)
  // Here, unlike in attribute lists, the expression carries its keyword: contract ecflow §5 quirk 5.
  if (own.complete) {
    parts.push(`{"expression":${quote(`complete ${showCondition(own.complete)}`)},"type":"complete"}`)
  }
  if (own.trigger) {
    parts.push(`{"expression":${quote(`trigger ${showCondition(own.trigger)}`)},"type":"trigger"}`)
  }
  if (rare) {
    showEach(parts, 'queue', rare.queues, showQueue)
    if (rare.zombies) {
      for (const zombie of rare.zombies) {
        parts.push(JSON.stringify({ ...showZombieShape(zombie), zombie_type: zombie.kind, type: 'zombie' }))
      }
    }
    showEach(parts, 'generic', rare.generics, showGeneric)
  }
}

function showEach<T>(
  parts: string[],
  type: string,
  list: readonly T[] | undefined,
  show: (it: T) => Shape,
): void {
  if (!list) return
  for (const item of list) {
    const shape = show(item)
    shape.type = type
    parts.push(JSON.stringify(shape))
  }
}
