// Definition text → trees. One pass over the text, line by line, with a stack of open nodes instead of recursion.

import type { Variable } from '../tree/attribute.ts'
import { keepEdit } from '../tree/edits.ts'
import { Node, type NodeKind } from '../tree/node.ts'
import { DefinitionError } from './definition-error.ts'
import { isName, nameRule } from './name.ts'
import { readAttributeState, readCalendar, readEdits, readNodeState } from './persisted-state.ts'
import { readAttribute, readVariable } from './read-attribute.ts'
import { Repetition } from './repetition.ts'
import { Statement } from './statement.ts'

/** What a text defines. The nodes hang nowhere yet; references are not looked at. */
export interface Definition {
  /** Suites, or a single family or task. */
  readonly nodes: readonly Node[]
  /** `edit` lines before the first suite: variables of the server. */
  readonly variables: readonly Variable[]
  /** Paths, with `:NAME` or without, that may be missing. */
  readonly externs: readonly string[]
  /** The text carried states in comments. */
  readonly isPersisted: boolean
}

/** Families nested deeper than this are refused, so that whoever walks a tree may recurse. */
export const nestingMax = 200

/** Reads a definition. Throws a DefinitionError at the first fault; nothing is kept then. */
export function parseDefinition(text: string): Definition {
  return new Parser(text).run()
}

class Parser {
  private readonly text: string
  private readonly statement = new Statement(new Repetition())
  private readonly stack: Node[] = []
  private readonly nodes: Node[] = []
  private readonly variables: Variable[] = []
  private readonly externs: string[] = []
  private readonly histories: { path: string; text: string }[] = []
  private readonly suiteNames = new Set<string>()
  /** Stands for the server while `edit` lines come before the first suite. */
  private readonly server = new Node('root', '')
  private isPersisted = false
  /** Where the next semicolon of the text stands; behind the reader when it has to be looked for again. */
  private semicolon = -1

  constructor(text: string) {
    this.text = text
  }

  run(): Definition {
    const { text } = this
    const nul = text.indexOf('\0')
    if (nul >= 0) throw this.faultAt(nul, 'a NUL', 'text')
    let line = 0
    let start = 0
    while (start < text.length) {
      line++
      let end = text.indexOf('\n', start)
      if (end < 0) end = text.length
      const next = end + 1
      if (end > start && text.charCodeAt(end - 1) === 13) end--
      let from = start
      while (from < end && isBlank(text.charCodeAt(from))) from++
      if (from < end) {
        const first = text.charCodeAt(from)
        if (first !== 35 && text.charCodeAt(end - 1) === 92) {
          const joined = this.joinLines(from, end, next)
          this.readLine(joined.text, { start: 0, end: joined.text.length, line, lineStart: 0 })
          line += joined.lines
          start = joined.next
          continue
        }
        if (first !== 35) this.readLine(text, { start: from, end, line, lineStart: start })
      }
      start = next
    }
    this.refuseEmpty()
    this.readHistories()
    return {
      nodes: this.nodes,
      variables: this.server.attributes?.variables ?? this.variables,
      externs: this.externs,
      isPersisted: this.isPersisted,
    }
  }

  /** A trailing backslash joins the next line. */
  private joinLines(from: number, end: number, next: number): { text: string; lines: number; next: number } {
    const { text } = this
    const parts = [text.slice(from, end - 1)]
    let at = next
    let lines = 0
    while (at < text.length) {
      let stop = text.indexOf('\n', at)
      if (stop < 0) stop = text.length
      let tail = stop
      if (tail > at && text.charCodeAt(tail - 1) === 13) tail--
      lines++
      const isContinued = tail > at && text.charCodeAt(tail - 1) === 92
      parts.push(text.slice(at, isContinued ? tail - 1 : tail))
      at = stop + 1
      if (!isContinued) break
    }
    return { text: parts.join(' '), lines, next: at }
  }

  private readLine(text: string, at: { start: number; end: number; line: number; lineStart: number }): void {
    if (this.hasSemicolon(text, at) && this.isSplit(text, at)) {
      let end = text.indexOf('#', at.start)
      if (end < 0 || end > at.end) end = at.end
      let start = at.start
      while (start < end) {
        let stop = text.indexOf(';', start)
        if (stop < 0 || stop > end) stop = end
        this.readStatement(text, { ...at, start, end: stop })
        start = stop + 1
      }
      return
    }
    this.readStatement(text, at)
  }

  /** Looks for the next ; once, not once per line: most definitions have none. */
  private hasSemicolon(text: string, at: { start: number; end: number }): boolean {
    if (text !== this.text) return text.includes(';')
    if (this.semicolon < at.start) {
      const found = text.indexOf(';', at.start)
      this.semicolon = found < 0 ? Number.POSITIVE_INFINITY : found
    }
    return this.semicolon < at.end
  }

  /** `a; b` are two statements, except on a label line, and on an edit line whose parts are not all edits. */
  private isSplit(text: string, at: { start: number; end: number }): boolean {
    const line = text.slice(at.start, at.end)
    if (/^(?:label|aviso|mirror|generic)\s/.test(line) || this.isPersisted) return false
    if (!/^edit\s/.test(line)) return true
    const plain = line.includes('#') ? line.slice(0, line.indexOf('#')) : line
    return plain
      .split(';')
      .filter(part => part.trim() !== '')
      .every(part => /^\s*edit\s/.test(part))
  }

  private readStatement(
    text: string,
    at: { start: number; end: number; line: number; lineStart: number },
  ): void {
    const { statement } = this
    statement.fill(text, at)
    if (statement.count === 0) return
    const keyword = statement.word(0)
    switch (keyword) {
      case 'task':
        this.openTask()
        return
      case 'family':
        this.openFamily()
        return
      case 'suite':
        this.openSuite()
        return
      case 'endtask':
        this.closeTask()
        return
      case 'endfamily':
        this.closeFamily()
        return
      case 'endsuite':
        this.closeSuite()
        return
      case 'alias':
        this.openAlias()
        return
      case 'endalias':
        this.closeAlias()
        return
      case 'extern':
        this.readExtern()
        return
      case 'defs_state':
        if (this.nodes.length > 0) throw statement.fault(0, 'defs_state before the first suite')
        this.isPersisted = true
        return
      case 'history':
        if (!this.isPersisted || this.stack.length > 0) break
        this.histories.push({
          path: statement.word(1),
          text: statement.text.slice(statement.startOf(2), statement.end),
        })
        return
    }
    const node = this.stack.at(-1)
    if (!node) {
      this.readOutside(keyword)
      return
    }
    if (keyword === 'calendar' && this.isPersisted) {
      readCalendar(node, statement.words(1), statement.text.slice(statement.start, statement.end))
      return
    }
    if (this.isPersisted && this.readOwnKeyword(keyword, node)) return
    if (!readAttribute(statement, keyword, node)) throw statement.fault(0, this.expectedKeywords(node))
    if (this.isPersisted && statement.comment >= 0) {
      readAttributeState(node, keyword, statement.commentText())
    }
  }

  /** What only this server writes into its own persisted texts: values that no line of the language could hold. */
  private readOwnKeyword(keyword: string, node: Node): boolean {
    if (!ownKeywords.has(keyword)) return false
    const { statement } = this
    let value: unknown
    try {
      value = JSON.parse(statement.text.slice(statement.startOf(1), statement.end))
    } catch {
      throw statement.fault(1, 'JSON')
    }
    const texts = [value].flat()
    if (!texts.every(text => typeof text === 'string'))
      throw statement.fault(1, 'a JSON string, or a list of them')
    const [first = '', second = '', third = ''] = texts
    if (keyword === 'archived_children') node.archive = first
    else if (keyword === 'edit_history') keepEdit(node, { at: Number(first) || 0, by: second, text: third })
    else if (!isName(first)) throw statement.fault(1, nameRule)
    else if (keyword === 'edit_json') (node.own.variables ??= []).push({ name: first, value: second })
    else (node.own.labels ??= []).push({ name: first, text: second, value: third })
    return true
  }

  /** What the original's checkpoints say about who did what, before the suites. Of nodes that are not there: nothing. */
  private readHistories(): void {
    if (this.histories.length === 0) return
    const suites = new Map(this.nodes.map(suite => [suite.name, suite]))
    for (const { path, text } of this.histories) {
      const names = path.split('/').slice(1)
      let node = suites.get(names[0] ?? '')
      for (const name of names.slice(1)) node = node?.child(name)
      if (node) readEdits(node, text)
    }
  }

  private readOutside(keyword: string): void {
    const { statement } = this
    // The variables that the other server set for itself would be wrong here: its folders, its host, its port.
    if (
      keyword === 'edit' &&
      this.isPersisted &&
      /(?:^|\s)server(?:\s|$)/.test(readVariableComment(statement))
    )
      return
    if (keyword !== 'edit' || this.nodes.length > 0) {
      throw statement.fault(
        0,
        this.nodes.length > 0 ? 'suite or the end' : 'suite, family, task, extern or edit',
      )
    }
    if (!readAttribute(statement, 'edit', this.server)) throw statement.fault(0, 'edit')
  }

  private expectedKeywords(node: Node): string {
    if (node.kind === 'task') return 'an attribute, task, family, endtask, endfamily or endsuite'
    return node.kind === 'alias'
      ? 'an attribute or endalias'
      : `an attribute, task, family or end${node.kind}`
  }

  private openSuite(): void {
    const { statement } = this
    this.closeOpenTask()
    const open = this.stack.at(-1)
    if (open?.kind === 'family') throw statement.fault(0, `endfamily of the family ${open.name}`)
    this.stack.length = 0
    const single = this.nodes[0]
    if (single && single.kind !== 'suite')
      throw statement.fault(0, `the end after the ${single.kind} ${single.name}`)
    const name = this.readNodeName()
    if (this.suiteNames.has(name)) throw statement.fault(1, 'a name that no other suite of the text has')
    this.suiteNames.add(name)
    this.push('suite', name)
  }

  private openFamily(): void {
    this.closeOpenTask()
    this.openChild('family')
  }

  private openTask(): void {
    this.closeOpenTask()
    this.openChild('task')
  }

  private openChild(kind: NodeKind): void {
    const { statement } = this
    const parent = this.stack.at(-1)
    const name = this.readNodeName()
    if (!parent) {
      const single = this.nodes[0]
      if (single) {
        throw statement.fault(
          0,
          single.kind === 'suite' ? 'suite or the end' : `the end after the ${single.kind} ${single.name}`,
        )
      }
    } else if (parent.child(name)) {
      throw statement.fault(1, `a name that no other child of ${parent.path} has`)
    }
    if (this.stack.length >= nestingMax) throw statement.fault(0, `at most ${nestingMax} levels of nesting`)
    this.push(kind, name)
  }

  private openAlias(): void {
    const { statement } = this
    const task = this.stack.at(-1)
    if (task?.kind !== 'task') throw statement.fault(0, 'an alias only in a task')
    const name = this.readNodeName()
    if (task.child(name)) throw statement.fault(1, `a name that no other alias of ${task.path} has`)
    this.push('alias', name)
  }

  private push(kind: NodeKind, name: string): void {
    const parent = this.stack.at(-1)
    const node = new Node(kind, name)
    if (parent) parent.add(node)
    else this.nodes.push(node)
    this.stack.push(node)
    if (this.isPersisted && this.statement.comment >= 0) readNodeState(node, this.statement.commentText())
    this.statement.expectEnd(2)
  }

  private readNodeName(): string {
    const name = this.statement.word(1)
    if (!isName(name)) throw this.statement.fault(1, nameRule)
    return name
  }

  private closeOpenTask(): void {
    if (this.stack.at(-1)?.kind === 'alias') throw this.statement.fault(0, 'endalias')
    if (this.stack.at(-1)?.kind === 'task') this.stack.pop()
  }

  private closeTask(): void {
    if (this.stack.at(-1)?.kind !== 'task') throw this.statement.fault(0, 'endtask only after a task')
    this.stack.pop()
  }

  private closeAlias(): void {
    if (this.stack.at(-1)?.kind !== 'alias') throw this.statement.fault(0, 'endalias only after an alias')
    this.stack.pop()
  }

  private closeFamily(): void {
    this.closeOpenTask()
    if (this.stack.at(-1)?.kind !== 'family') throw this.statement.fault(0, 'endfamily only after a family')
    this.stack.pop()
  }

  /** Closes everything, whatever families are still open: the original forgives them (observed). */
  private closeSuite(): void {
    this.closeOpenTask()
    if (this.stack[0]?.kind !== 'suite') throw this.statement.fault(0, 'endsuite only after a suite')
    this.stack.length = 0
  }

  private readExtern(): void {
    const { statement } = this
    const path = statement.word(1)
    if (!/^[A-Za-z0-9_./]+(?::[A-Za-z0-9_.]+)?$/.test(path)) throw statement.fault(1, 'PATH or PATH:NAME')
    statement.expectEnd(2)
    this.externs.push(path)
  }

  private refuseEmpty(): void {
    if (this.nodes.length > 0) return
    const lines = this.text.split('\n').length
    throw new DefinitionError({
      line: this.text === '' ? 1 : lines,
      column: 1,
      found: 'the end of the text',
      expected: 'a suite, family or task',
    })
  }

  private faultAt(offset: number, found: string, expected: string): DefinitionError {
    const before = this.text.slice(0, offset)
    const lineStart = before.lastIndexOf('\n') + 1
    const line = before.split('\n').length
    return new DefinitionError({ line, column: offset - lineStart + 1, found, expected })
  }
}

/** The comment of an edit line: only once the value was read is it known where that ends. */
function readVariableComment(statement: Statement): string {
  readVariable(statement)
  return statement.commentText()
}

const ownKeywords = new Set(['archived_children', 'edit_json', 'label_json', 'edit_history'])

function isBlank(char: number): boolean {
  return char === 32 || char === 9
}
