// Reading one attribute statement onto a node: what each keyword takes, where it may stand, what it excludes.

import { parseExpression } from '../expression/parse-expression.ts'
import { isPath } from '../expression/scan-expression.ts'
import type { Condition, Event, InLimit, Label, Limit, Meter, Part, Variable } from '../tree/attribute.ts'
import type { Node } from '../tree/node.ts'
import { isDefaultState } from '../tree/state.ts'
import { ValueError } from './definition-error.ts'
import { isName, nameRule, readInteger, unquote } from './name.ts'
import { readAviso, readMirror, readQueue, readVerify, readZombie } from './read-rare.ts'
import { readRepeat } from './read-repeat.ts'
import {
  readClock,
  readCron,
  readDate,
  readDateAndGain,
  readDay,
  readExpiry,
  readLate,
  readTime,
} from './read-time.ts'
import type { Statement } from './statement.ts'

/** Reads the statement onto the node. False when its keyword is no attribute at all. */
export function readAttribute(statement: Statement, keyword: string, node: Node): boolean {
  switch (keyword) {
    case 'edit':
      putVariable(statement, node, readVariable(statement))
      return true
    case 'trigger':
      refuseOnSuite(statement, node)
      node.own.trigger = addPart(statement, node.own.trigger)
      return true
    case 'complete':
      refuseOnSuite(statement, node)
      node.own.complete = addPart(statement, node.own.complete)
      return true
    case 'defstatus': {
      const word = statement.word(1)
      if (!isDefaultState(word)) throw statement.fault(1, 'complete, unknown, queued, aborted or suspended')
      statement.expectEnd(2)
      node.defaultState = word
      return true
    }
    case 'event':
      addEvent(statement, node)
      return true
    case 'meter':
      node.own.meters = addNamed(statement, node.own.meters, readMeter(statement))
      return true
    case 'label':
      node.own.labels = addNamed(statement, node.own.labels, readLabel(statement))
      return true
    case 'limit':
      node.own.limits = addNamed(statement, node.own.limits, readLimit(statement))
      return true
    case 'inlimit':
      addInLimit(statement, node, readInLimit(statement))
      return true
    case 'repeat':
      addRepeat(statement, node)
      return true
    case 'time':
      refuseOnSuite(statement, node)
      node.own.times = append(node.own.times, readTime(statement))
      return true
    case 'today':
      refuseOnSuite(statement, node)
      node.own.todays = append(node.own.todays, readTime(statement))
      return true
    case 'date':
      refuseOnSuite(statement, node)
      node.own.dates = append(node.own.dates, readDate(statement))
      return true
    case 'day':
      refuseOnSuite(statement, node)
      node.own.days = append(node.own.days, readDay(statement))
      return true
    case 'cron':
      addCron(statement, node)
      return true
    default:
      return readRareAttribute(statement, keyword, node)
  }
}

function readRareAttribute(statement: Statement, keyword: string, node: Node): boolean {
  switch (keyword) {
    case 'late':
      if (node.attributes?.rare?.late) throw statement.fault(0, 'only one late on a node')
      node.ownRare.late = readLate(statement)
      return true
    case 'autocancel':
      refuseSecondExpiry(statement, node)
      node.ownRare.autocancel = readExpiry(statement, { mayIdle: false })
      return true
    case 'autoarchive':
      refuseSecondExpiry(statement, node)
      node.ownRare.autoarchive = readExpiry(statement, { mayIdle: true })
      return true
    case 'autorestore':
      if (node.attributes?.rare?.autorestore) throw statement.fault(0, 'only one autorestore on a node')
      node.ownRare.autorestore = readPaths(statement)
      return true
    case 'zombie': {
      const zombie = readZombie(statement)
      const list = (node.ownRare.zombies ??= [])
      if (list.some(other => other.kind === zombie.kind))
        throw statement.fault(1, `only one zombie of type ${zombie.kind} on a node`)
      list.push(zombie)
      return true
    }
    case 'queue':
      node.ownRare.queues = addNamed(statement, node.ownRare.queues, readQueue(statement))
      return true
    case 'generic': {
      if (!isName(statement.word(1))) throw statement.fault(1, nameRule)
      const generic = { name: statement.word(1), values: statement.words(2).map(unquote) }
      node.ownRare.generics = addNamed(statement, node.ownRare.generics, generic)
      return true
    }
    case 'verify': {
      const verify = readVerify(statement)
      const list = (node.ownRare.verifies ??= [])
      if (list.some(other => other.state === verify.state))
        throw statement.fault(1, 'each state verified only once on a node')
      list.push(verify)
      return true
    }
    case 'clock':
      if (node.kind !== 'suite') throw statement.fault(0, 'a clock only on a suite')
      if (node.attributes?.rare?.clock) throw statement.fault(0, 'only one clock on a suite')
      node.ownRare.clock = readClock(statement)
      return true
    case 'endclock':
      // Simulation only: it is checked and then dropped.
      if (node.kind !== 'suite') throw statement.fault(0, 'an endclock only on a suite')
      readDateAndGain(statement, 1)
      return true
    case 'aviso':
      if (node.kind !== 'task') throw statement.fault(0, 'an aviso only on a task')
      if (node.attributes?.rare?.avisos) throw statement.fault(0, 'only one aviso on a task')
      node.ownRare.avisos = [readAviso(statement)]
      return true
    case 'mirror':
      if (node.kind !== 'task' && node.kind !== 'family')
        throw statement.fault(0, 'a mirror only on a task or family')
      if (node.attributes?.rare?.mirrors) throw statement.fault(0, 'only one mirror on a node')
      node.ownRare.mirrors = [readMirror(statement)]
      return true
    default:
      return false
  }
}

function refuseOnSuite(statement: Statement, node: Node): void {
  if (node.kind === 'suite') throw statement.fault(0, `no ${statement.word(0)} on a suite`)
}

function refuseSecondExpiry(statement: Statement, node: Node): void {
  const rare = node.attributes?.rare
  if (rare?.autocancel || rare?.autoarchive) {
    throw statement.fault(0, 'only one of autocancel and autoarchive on a node')
  }
}

/** A list grows from exactly one item: most nodes have no more, and an empty list that is pushed to takes far more room. */
function append<T>(list: T[] | undefined, item: T): T[] {
  if (!list) return [item]
  list.push(item)
  return list
}

function addNamed<T extends { readonly name: string }>(
  statement: Statement,
  list: T[] | undefined,
  item: T,
): T[] {
  if (list && statement.find(list, item.name, other => other.name)) {
    throw statement.fault(1, `a name that no other ${statement.word(0)} of the node has`)
  }
  return append(list, item)
}

/** `edit NAME VALUE`: words up to a comment, or quotes that run to the last such quote on the line. */
export function readVariable(statement: Statement): Variable {
  const name = statement.word(1)
  if (!isName(name)) throw statement.fault(1, nameRule)
  if (statement.count < 3) throw statement.fault(2, "a value; '' for an empty one")
  const { text } = statement
  const from = statement.startOf(2)
  const quote = text[from]!
  // Several bare words are one value, with single blanks between them (observed on 5.9.2).
  if (quote !== "'" && quote !== '"') return { name, value: statement.joined(2) }
  const to = text.lastIndexOf(quote, statement.end - 1)
  if (to <= from) throw statement.faultAt(statement.end, 'the end of the line', `a closing ${quote}`)
  let after = to + 1
  while (after < statement.end && (text[after] === ' ' || text[after] === '\t' || text[after] === '\r'))
    after++
  if (after < statement.end && text[after] !== '#') {
    throw statement.faultAt(after, `'${text.slice(after, after + 20)}'`, 'the end of the line or a comment')
  }
  statement.comment = after < statement.end ? after : -1
  return { name, value: text.slice(from + 1, to) }
}

/** Repeated names: the last one wins, at the place of the first. */
function putVariable(statement: Statement, node: Node, variable: Variable): void {
  const list = node.own.variables
  const other = list && statement.find(list, variable.name, it => it.name)
  if (other) other.value = variable.value
  else node.own.variables = append(list, variable)
}

/** One more line of a trigger or complete expression. */
function addPart(statement: Statement, before: Condition | undefined): Condition {
  const option = statement.word(1)
  const join = option === '-a' ? 'and' : option === '-o' ? 'or' : 'first'
  const from = join === 'first' ? 1 : 2
  const keyword = statement.word(0)
  if (join === 'first' && before) throw statement.fault(1, `-a or -o, as there is a ${keyword} already`)
  if (join !== 'first' && !before) throw statement.fault(1, `a first ${keyword} without -a or -o`)
  if (statement.count <= from) throw statement.fault(from, 'an expression')
  const text = statement.phrase(from)
  const read = (one: string): readonly Part[] => [{ join, text: one, tree: readTree(statement, from, one) }]
  if (before) return { parts: [...before.parts, ...read(text)], free: before.free }
  return { parts: statement.repetition?.condition(text, read) ?? read(text), free: false }
}

function readTree(statement: Statement, from: number, text: string): Part['tree'] {
  try {
    return parseExpression(text)
  } catch (error) {
    if (!(error instanceof ValueError)) throw error
    throw statement.faultAt(statement.startOf(from) + error.offset, error.found, error.expected, error.fault)
  }
}

/** A whole condition from one text, as it comes over the wire. */
export function conditionOf(text: string): Condition {
  return { parts: [{ join: 'first', text, tree: parseExpression(text) }], free: false }
}

/** `NUMBER`, `NAME` or `NUMBER NAME`, each with an optional `set`. */
function addEvent(statement: Statement, node: Node): void {
  const event = readEvent(statement)
  const list = node.own.events ?? []
  const sameName = event.name !== '' && statement.find(list, event.name, it => it.name)
  if (sameName || (event.number >= 0 && list.length < 4096 && list.some(it => it.number === event.number))) {
    throw statement.fault(1, 'a number and name that no other event of the node has')
  }
  if (list.length >= 4096) throw statement.fault(0, 'at most 4096 events on a node')
  node.own.events = append(node.own.events, event)
}

function readEvent(statement: Statement): Event {
  let at = 1
  let number = -1
  let name = ''
  const first = statement.word(1)
  if (/^\d+$/.test(first)) {
    const read = readInteger(first)
    if (read === undefined) throw statement.fault(1, 'a number of at most 2147483647')
    number = read
    at = 2
  }
  const next = statement.word(at)
  if (next !== '' && !(at === 2 && next === 'set')) {
    if (!isName(next)) throw statement.fault(at, nameRule)
    name = next
    at++
  }
  if (number < 0 && name === '') throw statement.fault(1, 'a number or a name')
  let initial = false
  const last = statement.word(at)
  if (last !== '') {
    if (last !== 'set' && last !== 'clear') throw statement.fault(at, 'set or the end of the line')
    initial = last === 'set'
    at++
  }
  statement.expectEnd(at)
  return { number, name, initial, value: initial }
}

function readMeter(statement: Statement): Meter {
  const name = statement.word(1)
  if (!isName(name)) throw statement.fault(1, nameRule)
  const min = readInteger(statement.word(2))
  const max = readInteger(statement.word(3))
  if (min === undefined) throw statement.fault(2, 'the minimum as an integer')
  if (max === undefined) throw statement.fault(3, 'the maximum as an integer')
  if (min >= max) throw statement.fault(3, 'a maximum above the minimum')
  const threshold = statement.count > 4 ? readInteger(statement.word(4)) : max
  if (threshold === undefined || threshold < min || threshold > max) {
    throw statement.fault(4, 'a threshold between minimum and maximum')
  }
  statement.expectEnd(5)
  return { name, min, max, threshold, value: min }
}

/** A label's text may hold anything; it is never split at `;`. */
function readLabel(statement: Statement): Label {
  const name = statement.word(1)
  if (!isName(name)) throw statement.fault(1, nameRule)
  if (statement.count < 3) throw statement.fault(2, 'a text; "" for an empty one')
  const bare = unquote(statement.joined(2))
  const text = bare.includes('\\') ? bare.replaceAll('\\n', '\n') : bare
  return { name, text, value: text }
}

function readLimit(statement: Statement): Limit {
  const name = statement.word(1)
  if (!isName(name)) throw statement.fault(1, nameRule)
  const max = readInteger(statement.word(2))
  if (max === undefined) throw statement.fault(2, 'the maximum as an integer')
  statement.expectEnd(3)
  return { name, max, value: 0, holders: undefined }
}

/** `[-n|-s] [PATH:]NAME [TOKENS]`. */
export function readInLimit(statement: Statement): InLimit {
  let at = 1
  let per: InLimit['per'] = 'task'
  const option = statement.word(1)
  if (option === '-n' || option === '-s') {
    per = option === '-n' ? 'node' : 'submission'
    at = 2
  }
  const target = statement.word(at)
  const colon = target.lastIndexOf(':')
  const path = colon < 0 ? '' : target.slice(0, colon)
  const name = target.slice(colon + 1)
  if (!isName(name)) throw statement.fault(at, '[PATH:]NAME of a limit')
  if (path !== '' && !isPath(path)) throw statement.fault(at, 'a path before the :')
  let tokens = 1
  if (statement.count > at + 1) {
    const read = readInteger(statement.word(at + 1))
    if (read === undefined || read < 1) throw statement.fault(at + 1, 'a number of tokens of at least 1')
    tokens = read
  }
  statement.expectEnd(at + 2)
  return { path, name, tokens, per, taken: false }
}

function addInLimit(statement: Statement, node: Node, inlimit: InLimit): void {
  const list = node.own.inlimits ?? []
  if (statement.find(list, inLimitName(inlimit), inLimitName)) {
    throw statement.fault(1, 'each limit only once among the inlimits of a node')
  }
  node.own.inlimits = append(node.own.inlimits, inlimit)
}

/** `/s:limit` or `limit`: what tells the inlimits of a node apart. */
export function inLimitName(inlimit: InLimit): string {
  return inlimit.path === '' ? inlimit.name : `${inlimit.path}:${inlimit.name}`
}

function addRepeat(statement: Statement, node: Node): void {
  if (node.attributes?.repeat) throw statement.fault(0, 'only one repeat on a node')
  const crons = node.attributes?.crons
  if (crons) throw statement.fault(0, 'no repeat on a node with a cron')
  node.own.repeat = readRepeat(statement)
}

function addCron(statement: Statement, node: Node): void {
  const cron = readCron(statement)
  if (node.attributes?.repeat && cron.series.finish >= 0) {
    throw statement.fault(0, 'no cron series on a node with a repeat')
  }
  node.own.crons = append(node.own.crons, cron)
}

function readPaths(statement: Statement): string[] {
  if (statement.count < 2) throw statement.fault(1, 'at least one path')
  const paths = statement.words(1)
  const seen = new Set<string>()
  paths.forEach((path, index) => {
    if (!isPath(path)) throw statement.fault(index + 1, 'a path')
    if (seen.has(path)) throw statement.fault(index + 1, 'no path twice')
    seen.add(path)
  })
  return paths
}
