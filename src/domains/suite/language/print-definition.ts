// Trees → definition text that loads again to the same trees; with states in comments when asked for.

import type { Attributes, Aviso, Event, Mirror } from '../tree/attribute.ts'
import type { Node } from '../tree/node.ts'
import { writeNodeState, writeRepeatState, writeTimeState } from './persisted-state.ts'
import {
  showClock,
  showCron,
  showDate,
  showDay,
  showExpiry,
  showInLimit,
  showLate,
  showRepeat,
  showSeries,
  showZombie,
} from './print-attribute.ts'

interface Printer {
  /** Lines that are not joined yet. */
  lines: string[]
  readonly pieces: string[]
  readonly withState: boolean
  /** Others read it: without the passwords of jobs, and what means something to this server alone. */
  readonly isPublic?: boolean
}

/** Lines are joined this many at a time: a hundred thousand nodes would be a million strings at once. */
const linesMax = 2000

function finish(printer: Printer): string {
  const { lines, pieces } = printer
  lines.push('')
  pieces.push(lines.join('\n'))
  return pieces.length === 1 ? pieces[0]! : pieces.join('')
}

/** The definition of a node and what is below it; all but suites are indented by one level. No state, no aliases. */
export function printDefinition(node: Node): string {
  const printer: Printer = { lines: [], pieces: [], withState: false }
  printNode(printer, node, node.kind === 'suite' ? 0 : 1)
  return finish(printer)
}

/** The same with states in comments, to be read back by `parseDefinition`. */
export function printPersisted(nodes: readonly Node[]): string {
  return printPersistedPieces(nodes).join('')
}

/** The same in pieces that follow each other: large suites need not be one string. */
export function printPersistedPieces(nodes: readonly Node[]): string[] {
  const printer: Printer = { lines: ['defs_state MIGRATE'], pieces: [], withState: true }
  for (const node of nodes) printNode(printer, node, 0)
  printer.lines.push('')
  printer.pieces.push(printer.lines.join('\n'))
  return printer.pieces
}

/** A node and all below it with states, for others to read: no passwords, and no numbers of this server's jobs. */
export function printStates(node: Node): string {
  const printer: Printer = { lines: ['defs_state MIGRATE'], pieces: [], withState: true, isPublic: true }
  printNode(printer, node, 0)
  return finish(printer)
}

/** The same piece by piece, each printed when it is asked for: of what the nodes are then. Children may not come or go. */
export function* persistedPieces(top: Node): Generator<string, void> {
  const printer: Printer = { lines: ['defs_state MIGRATE'], pieces: [], withState: true }
  printHead(printer, top, 0)
  const open = [{ node: top, next: 0 }]
  for (let last = open.at(-1); last; last = open.at(-1)) {
    const child = last.node.children?.[last.next++]
    if (child) {
      if (flush(printer)) yield printer.pieces.pop()!
      printHead(printer, child, open.length)
      open.push({ node: child, next: 0 })
    } else {
      open.pop()
      printTail(printer, last.node, open.length)
    }
  }
  yield finish(printer)
}

/** One node with its attributes and states, and nothing of what is below it. */
export function printAlone(node: Node): string {
  const printer: Printer = { lines: ['defs_state MIGRATE'], pieces: [], withState: true }
  const kind = node.kind === 'alias' ? 'task' : node.kind
  printer.lines.push(`${kind} ${node.name}${stateComment(node)}`)
  printAttributes(printer, node, ' ')
  printEdits(printer, node, ' ')
  printArchive(printer, node)
  return finish(printer)
}

/** Archived children are not in the tree, but they are part of its state. */
function printArchive(printer: Printer, node: Node): void {
  if (!printer.withState || node.archive === undefined) return
  const text = printer.isPublic ? node.archive.replace(/^( *task .*?) passwd:\S+/gm, '$1') : node.archive
  printer.lines.push(`archived_children ${JSON.stringify(text)}`)
}

function printEdits(printer: Printer, node: Node, indent: string): void {
  if (!printer.withState || !node.edits) return
  for (const { at, by, text } of node.edits) {
    printer.lines.push(`${indent}edit_history ${JSON.stringify([String(at), by, text])}`)
  }
}

function stateComment(node: Node, isPublic = false): string {
  const state = writeNodeState(node, isPublic)
  return state === '' ? '' : ` # ${state}`
}

function printNode(printer: Printer, node: Node, depth: number): void {
  flush(printer)
  printHead(printer, node, depth)
  if (node.kind === 'task' && !printer.withState) return
  if (node.children) for (const child of node.children) printNode(printer, child, depth + 1)
  printTail(printer, node, depth)
}

/** Joins the lines when there are many. */
function flush(printer: Printer): boolean {
  if (printer.lines.length <= linesMax) return false
  printer.lines.push('')
  printer.pieces.push(printer.lines.join('\n'))
  printer.lines = []
  return true
}

function indentOf(printer: Printer, depth: number): string {
  return printer.withState ? ' '.repeat(depth) : '  '.repeat(depth)
}

function printHead(printer: Printer, node: Node, depth: number): void {
  const indent = indentOf(printer, depth)
  printer.lines.push(
    `${indent}${node.kind} ${node.name}${printer.withState ? stateComment(node, printer.isPublic) : ''}`,
  )
  printAttributes(printer, node, indent + (printer.withState ? ' ' : '  '))
  printEdits(printer, node, indent)
  printArchive(printer, node)
}

function printTail(printer: Printer, node: Node, depth: number): void {
  const indent = indentOf(printer, depth)
  if (node.kind === 'family') printer.lines.push(`${indent}endfamily`)
  else if (node.kind === 'suite') printer.lines.push(`${indent}endsuite`)
  else if (node.kind === 'alias') printer.lines.push(`${indent}endalias`)
}

function printAttributes(printer: Printer, node: Node, indent: string): void {
  const { lines, withState } = printer
  if (node.defaultState !== 'queued') lines.push(`${indent}defstatus ${node.defaultState}`)
  const own = node.attributes
  if (!own) return
  const put = (text: string, state = '') => {
    lines.push(withState && state !== '' ? `${indent}${text} # ${state}` : indent + text)
  }
  const { rare } = own
  if (rare?.late) put(`late ${showLate(rare.late)}`, rare.late.isLate ? 'late' : '')
  printCondition(put, 'complete', own.complete)
  printCondition(put, 'trigger', own.trigger)
  if (own.repeat) put(`repeat ${showRepeat(own.repeat)}`, writeRepeatState(own.repeat))
  if (own.variables) {
    for (const { name, value } of own.variables) {
      if (withState && needsJson(value)) put(`edit_json ${JSON.stringify([name, value])}`)
      else put(`edit ${name} '${oneLine(value)}'`)
    }
  }
  if (own.limits) for (const limit of own.limits) put(`limit ${limit.name} ${limit.max}`, limitState(limit))
  if (own.inlimits) {
    for (const inlimit of own.inlimits) {
      put(`inlimit ${showInLimit(inlimit)}`, inlimit.taken ? 'incremented:1' : '')
    }
  }
  if (own.labels) for (const label of own.labels) printLabel(put, withState, label)
  if (own.meters) {
    for (const { name, min, max, threshold, value } of own.meters) {
      put(`meter ${name} ${min} ${max} ${threshold}`, value === min ? '' : String(value))
    }
  }
  if (own.events) for (const event of own.events) put(`event ${showEvent(event)}`, eventState(event))
  if (own.times) for (const time of own.times) put(`time ${showSeries(time.series)}`, writeTimeState(time))
  if (own.todays) for (const time of own.todays) put(`today ${showSeries(time.series)}`, writeTimeState(time))
  if (own.dates) for (const date of own.dates) put(`date ${showDate(date)}`, date.free ? 'free' : '')
  if (own.days) {
    for (const day of own.days) {
      const words = [
        day.free ? 'free' : '',
        day.expired ? 'expired' : '',
        day.target >= 0 ? `target:${day.target}` : '',
      ]
      put(`day ${showDay(day)}`, words.filter(word => word !== '').join(' '))
    }
  }
  if (own.crons) for (const cron of own.crons) put(`cron ${showCron(cron)}`, writeTimeState(cron))
  if (rare) printRare(put, own)
}

type Put = (text: string, state?: string) => void

function printRare(put: Put, own: Attributes): void {
  const rare = own.rare!
  if (rare.avisos) for (const aviso of rare.avisos) put(`aviso ${showAviso(aviso)}`, aviso.free ? 'free' : '')
  if (rare.mirrors) for (const mirror of rare.mirrors) put(`mirror ${showMirror(mirror)}`)
  if (rare.autocancel) put(`autocancel ${showExpiry(rare.autocancel)}`)
  if (rare.autoarchive) put(`autoarchive ${showExpiry(rare.autoarchive)}`)
  if (rare.autorestore) put(`autorestore ${rare.autorestore.join(' ')}`)
  if (rare.zombies) for (const zombie of rare.zombies) put(`zombie ${showZombie(zombie)}`)
  if (rare.verifies) for (const verify of rare.verifies) put(`verify ${verify.state}:${verify.count}`)
  if (rare.queues) {
    for (const queue of rare.queues) {
      const isFresh = queue.index === 0 && queue.states.every(state => state === 'queued')
      put(
        `queue ${queue.name} ${queue.items.map(showItem).join(' ')}`,
        isFresh ? '' : `${queue.index} ${queue.states.join(' ')}`,
      )
    }
  }
  if (rare.generics)
    for (const generic of rare.generics)
      put(`generic ${[generic.name, ...generic.values.map(showItem)].join(' ')}`)
  if (rare.clock) put(`clock ${showClock(rare.clock)}`)
}

function printCondition(put: Put, keyword: string, condition: Attributes['trigger']): void {
  if (!condition) return
  for (const part of condition.parts) {
    const option = part.join === 'first' ? '' : part.join === 'and' ? '-a ' : '-o '
    put(`${keyword} ${option}${part.text}`, condition.free ? 'free' : '')
  }
}

/** `event 7 seven`, `event go set`, `event 0 ` (a blank at the end without a name). */
export function showEvent(event: Event): string {
  const name = event.number < 0 ? event.name : `${event.number} ${event.name}`
  return event.initial ? `${name.trimEnd()} set` : name
}

function eventState(event: Event): string {
  return event.value === event.initial ? '' : event.value ? 'set' : 'clear'
}

function limitState(limit: { value: number; holders: Map<string, number> | undefined }): string {
  if (limit.value === 0 && !limit.holders) return ''
  const holders = limit.holders
    ? [...limit.holders].map(([path, tokens]) => ` ${path}${tokens === 1 ? '' : `:${tokens}`}`)
    : []
  return `${limit.value}${holders.join('')}`
}

function printLabel(
  put: Put,
  withState: boolean,
  label: { name: string; text: string; value: string },
): void {
  const { name, text, value } = label
  const isPlain = value === text && !/[\\\0-\x1f]/.test(text)
  if (withState && !isPlain) put(`label_json ${JSON.stringify([name, text, value])}`)
  else put(`label ${name} "${oneLine(text)}"`)
}

/** An aviso as the language writes it, without its keyword; what is as usual is left out. */
export function showAviso(aviso: Aviso): string {
  const parts = [`--name ${aviso.name} --listener ${aviso.listener}`]
  if (aviso.url !== '%ECF_AVISO_URL%') parts.push(`--url ${aviso.url}`)
  if (aviso.schema !== '%ECF_AVISO_SCHEMA%') parts.push(`--schema ${aviso.schema}`)
  if (aviso.polling !== '%ECF_AVISO_POLLING%') parts.push(`--polling ${aviso.polling}`)
  if (aviso.auth !== '%ECF_AVISO_AUTH%') parts.push(`--auth ${aviso.auth}`)
  parts.push(`--revision ${aviso.revision}`, `--reason '${aviso.reason}'`)
  return parts.join(' ')
}

/** A mirror as the language writes it, without its keyword; what is as usual is left out. */
export function showMirror(mirror: Mirror): string {
  const parts = [`--name ${mirror.name} --remote_path ${mirror.remotePath}`]
  if (mirror.remoteHost !== '%ECF_MIRROR_REMOTE_HOST%') parts.push(`--remote_host ${mirror.remoteHost}`)
  if (mirror.remotePort !== '%ECF_MIRROR_REMOTE_PORT%') parts.push(`--remote_port ${mirror.remotePort}`)
  if (mirror.polling !== '%ECF_MIRROR_REMOTE_POLLING%') parts.push(`--polling ${mirror.polling}`)
  if (mirror.ssl) parts.push('--ssl')
  if (mirror.auth !== '%ECF_MIRROR_REMOTE_AUTH%') parts.push(`--remote_auth ${mirror.auth}`)
  if (mirror.reason !== '') parts.push(`--reason '${mirror.reason}'`)
  return parts.join(' ')
}

/** An item that would not be read back as it is stands in quotes. */
function showItem(item: string): string {
  return item === '' || /^#|^(["']).*\1$/.test(item) ? `"${item}"` : item
}

/** A value over several lines would break the text apart. */
function oneLine(text: string): string {
  return text.includes('\n') || text.includes('\r') ? text.replaceAll('\r', '').replaceAll('\n', '\\n') : text
}

/** Whether a value would not come back as it is from between single quotes on one line. */
function needsJson(value: string): boolean {
  return /[\0-\x1f]/.test(value)
}
