// The state that a persisted definition carries in comments: reading it back onto a node, and writing it.
// What the original's files say is understood; what only this server knows is added in the same manner.

import type { Attributes, QueueState, TimeAttribute } from '../tree/attribute.ts'
import { daysOf, pad2 } from '../tree/calendar-date.ts'
import { keepEdit } from '../tree/edits.ts'
import { readFlags, showFlags } from '../tree/flag.ts'
import type { Node } from '../tree/node.ts'
import { finishRepeat, isRange, placeRepeat, repeatText } from '../tree/repeat.ts'
import { isNodeState, type NodeState } from '../tree/state.ts'
import { readMinutes } from './read-time.ts'

/** Reads the comment of a suite, family or task line. */
export function readNodeState(node: Node, comment: string): void {
  const abort = /abort<:([\s\S]*?)>abort/.exec(comment)
  for (const word of (abort ? comment.replace(abort[0], '') : comment).split(/\s+/)) {
    const colon = word.indexOf(':')
    if (colon < 0) continue
    const value = word.slice(colon + 1)
    switch (word.slice(0, colon)) {
      case 'state':
        if (isNodeState(value)) node.state = value
        break
      case 'flag':
        node.flags = readFlags(value)
        break
      case 'suspended':
        node.suspended = value === '1'
        break
      case 'since':
        node.since = toNumber(value)
        break
      case 'begun':
        if (node.kind === 'suite') node.suite = { begun: value === '1', minute: 0, wall: 0, elapsed: 0 }
        break
      case 'minute':
        if (node.suite) node.suite.minute = toNumber(value)
        break
      case 'wall':
        if (node.suite) node.suite.wall = toNumber(value)
        break
      case 'elapsed':
        if (node.suite) node.suite.elapsed = toNumber(value)
        break
      case 'passwd':
        runOf(node).password = decode(value)
        break
      case 'rid':
        runOf(node).remoteId = decode(value)
        break
      case 'try':
        runOf(node).tryNumber = toNumber(value)
        break
      case 'job':
        runOf(node).job = toNumber(value)
        break
      case 'edited':
        runOf(node).edited = true
        break
    }
  }
  if (abort) runOf(node).abortReason = readReason(abort[1]!)
}

/** As this server writes it (a JSON text without its quotes), or as the original does. */
function readReason(text: string): string {
  try {
    return JSON.parse(`"${text}"`)
  } catch {
    return text.replaceAll('\\n', '\n')
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text // Written by the original, which does not encode.
  }
}

function runOf(node: Node): NonNullable<Node['run']> {
  node.run ??= { tryNumber: 0, password: '', remoteId: '', abortReason: '' }
  return node.run
}

function toNumber(text: string): number {
  return /^-?\d+$/.test(text) ? Number(text) : 0
}

/** Reads the comment of an attribute line onto the attribute that the line just added. */
export function readAttributeState(node: Node, keyword: string, comment: string): void {
  const own = node.attributes
  if (!own || comment === '') return
  const words = comment.split(/\s+/)
  switch (keyword) {
    case 'event': {
      const event = own.events?.at(-1)
      if (event) event.value = words.includes('set') || (event.value && !words.includes('clear'))
      return
    }
    case 'meter': {
      const meter = own.meters?.at(-1)
      if (meter && /^-?\d+$/.test(words[0]!))
        meter.value = Math.min(meter.max, Math.max(meter.min, Number(words[0])))
      return
    }
    case 'label': {
      const label = own.labels?.at(-1)
      if (label) label.value = readText(comment)
      return
    }
    case 'limit':
      readLimitState(own, words)
      return
    case 'inlimit': {
      const inlimit = own.inlimits?.at(-1)
      if (inlimit) inlimit.taken = words.includes('incremented:1')
      return
    }
    case 'repeat':
      readRepeatState(own, words)
      return
    case 'time':
      readTimeState(own.times?.at(-1), words)
      return
    case 'today':
      readTimeState(own.todays?.at(-1), words)
      return
    case 'cron':
      readTimeState(own.crons?.at(-1), words)
      return
    case 'date': {
      const date = own.dates?.at(-1)
      if (date) date.free = words.includes('free')
      return
    }
    case 'day': {
      const day = own.days?.at(-1)
      if (!day) return
      day.free = words.includes('free')
      day.expired = words.includes('expired')
      const target = words.find(word => word.startsWith('target:'))
      if (target) day.target = toNumber(target.slice(7))
      return
    }
    case 'aviso': {
      const aviso = own.rare?.avisos?.at(-1)
      if (aviso) aviso.free = words.includes('free')
      return
    }
    case 'late':
      if (own.rare?.late) own.rare.late.isLate = words.includes('late')
      return
    case 'trigger':
      if (own.trigger) own.trigger.free = words.includes('free')
      return
    case 'complete':
      if (own.complete) own.complete.free = words.includes('free')
      return
    case 'queue':
      readQueueState(own, words)
      return
  }
}

/** `"text"`, with \\n for line breaks. */
function readText(comment: string): string {
  return comment.replace(/^"([\s\S]*)"$/, '$1').replaceAll('\\n', '\n')
}

function readLimitState(own: Attributes, words: string[]): void {
  const limit = own.limits?.at(-1)
  if (!limit) return
  limit.value = toNumber(words[0]!)
  for (const word of words.slice(1)) {
    if (!word.startsWith('/')) continue
    const colon = word.indexOf(':')
    limit.holders ??= new Map()
    limit.holders.set(
      colon < 0 ? word : word.slice(0, colon),
      colon < 0 ? 1 : toNumber(word.slice(colon + 1)),
    )
  }
}

function readRepeatState(own: Attributes, words: string[]): void {
  const { repeat } = own
  if (!repeat) return
  const text = words[0]!
  // The original lets a repeat that is over stand behind its end.
  let isBehind = false
  if (repeat.kind !== 'day') {
    if (!isRange(repeat)) {
      isBehind = toNumber(text) >= repeat.items.length
      repeat.index = Math.min(Math.max(0, toNumber(text)), repeat.items.length - 1)
    } else if (placeRepeat(repeat, text) !== undefined && repeat.kind !== 'datetime') {
      isBehind = repeat.step > 0 ? toNumber(text) > repeat.end : toNumber(text) < repeat.end
    }
  }
  if (isBehind) finishRepeat(repeat)
  else repeat.exhausted = words.includes('exhausted')
}

function readTimeState(time: TimeAttribute | undefined, words: string[]): void {
  if (!time) return
  time.free = words.includes('free')
  time.spent = words.includes('isValid:false')
  for (const word of words) {
    if (word.startsWith('nextTimeSlot/')) time.next = readMinutes(word.slice(13), 999) ?? time.next
    else if (word.startsWith('since:')) time.since = toNumber(word.slice(6))
  }
}

const queueStates: readonly string[] = ['queued', 'active', 'complete', 'aborted']

function readQueueState(own: Attributes, words: string[]): void {
  const queue = own.rare?.queues?.at(-1)
  if (!queue) return
  queue.index = Math.min(Math.max(0, toNumber(words[0]!)), queue.items.length)
  words.slice(1, queue.items.length + 1).forEach((word, index) => {
    if (queueStates.includes(word)) queue.states[index] = word as QueueState
  })
}

/** A `calendar` line of the original: the suite's time. */
export function readCalendar(node: Node, words: readonly string[], line: string): void {
  const match = /suiteTime:(\d{4})-([A-Za-z]{3})-(\d{2}) (\d{2}):(\d{2})/.exec(line)
  if (!match || !node.suite || words.length === 0) return
  const month =
    'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ').indexOf(match[2]!.toLowerCase()) + 1
  if (month === 0) return
  node.suite.minute =
    daysOf(Number(match[1]), month, Number(match[3])) * 1440 + Number(match[4]) * 60 + Number(match[5])
}

/** The edits of a history line: entries behind backspaces, `MSG:[06:58:04 22.11.2026] --requeue /s/f :root@host`. */
export function readEdits(node: Node, text: string): void {
  for (const entry of text.split('\b')) {
    const match =
      /^\s*MSG:\[(\d\d):(\d\d):(\d\d) (\d{1,2})\.(\d{1,2})\.(\d{4})\] -{0,2}(.*?)(?: :(\S*))?\s*$/.exec(entry)
    if (!match) continue
    const [hour, minute, second, day, month, year] = match.slice(1, 7).map(Number)
    // It does not say in which zone it was written: taken as UTC.
    const at = ((daysOf(year!, month!, day!) * 24 + hour!) * 60 + minute!) * 60_000 + second! * 1000
    keepEdit(node, { at, by: match[8] ?? '', text: match[7]! })
  }
}

/** The comment that `readNodeState` reads; '' when there is nothing to say. */
export function writeNodeState(node: Node, isPublic = false): string {
  const words: string[] = []
  if (node.suite) {
    const { begun, minute, wall, elapsed } = node.suite
    if (begun) words.push(`begun:1 minute:${minute} elapsed:${elapsed}${wall > 0 ? ` wall:${wall}` : ''}`)
  }
  if (node.state !== 'unknown') words.push(`state:${node.state satisfies NodeState}`)
  if (node.flags !== 0) words.push(`flag:${showFlags(node.flags)}`)
  if (node.suspended) words.push('suspended:1')
  if (node.since !== 0) words.push(`since:${node.since}`)
  if (node.run) {
    const { password, remoteId, tryNumber, abortReason, job, edited } = node.run
    if (password !== '' && !isPublic) words.push(`passwd:${encodeURIComponent(password)}`)
    if (remoteId !== '') words.push(`rid:${encodeURIComponent(remoteId)}`)
    if (tryNumber !== 0) words.push(`try:${tryNumber}`)
    if (job !== undefined && !isPublic) words.push(`job:${job}`)
    if (edited && !isPublic) words.push('edited:1')
    if (abortReason !== '')
      words.push(`abort<:${JSON.stringify(abortReason).slice(1, -1).replaceAll('>', '\\u003e')}>abort`)
  }
  return words.join(' ')
}

/** The comment of a time, today or cron line. */
export function writeTimeState(time: TimeAttribute): string {
  const words: string[] = []
  if (time.free) words.push('free')
  if (time.spent) words.push('isValid:false')
  if (time.next !== time.series.start) {
    words.push(`nextTimeSlot/${pad2(Math.floor(time.next / 60))}:${pad2(time.next % 60)}`)
  }
  if (time.since !== 0) words.push(`since:${time.since}`)
  return words.join(' ')
}

/** The comment of a repeat line: where it stands. */
export function writeRepeatState(repeat: NonNullable<Attributes['repeat']>): string {
  const at = repeat.kind === 'day' ? '0' : isRange(repeat) ? repeatText(repeat) : String(repeat.index)
  return repeat.exhausted ? `${at} exhausted` : at
}
