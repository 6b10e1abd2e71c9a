import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { sharedPath } from '../../../../test/support/shared.ts'
import { treeChunks } from '../shapes/tree-json.ts'
import { Node } from '../tree/node.ts'
import { DefinitionError } from './definition-error.ts'
import { nestingMax, parseDefinition } from './parse-definition.ts'
import { printDefinition, printPersisted } from './print-definition.ts'

const folder = sharedPath('recordings', 'ecflow', 'defs')
const files = existsSync(folder) ? readdirSync(folder).filter(file => file.endsWith('.def')) : []

function faultOf(text: string): DefinitionError {
  try {
    parseDefinition(text)
  } catch (error) {
    if (error instanceof DefinitionError) return error
    throw error
  }
  throw new Error('the definition was accepted')
}

function treeOf(node: Node, content: 'basic' | 'full'): unknown {
  const options = { content, withId: false, withGenerated: false, withMeta: false, withSecrets: false }
  return JSON.parse([...treeChunks(node, options)].join(''))
}

describe.skipIf(files.length === 0)('definitions that the real server has shown', () => {
  test.each(files)('%s has the recorded text and trees', file => {
    const { nodes } = parseDefinition(readFileSync(`${folder}/${file}`, 'utf8'))
    const expected = JSON.parse(readFileSync(`${folder}/${file.replace('.def', '.expected.json')}`, 'utf8'))
    const root = new Node('root', '')
    for (const node of nodes) root.add(node)
    expect(Object.fromEntries(nodes.map(node => [node.name, printDefinition(node)]))).toEqual(
      expected.definition,
    )
    expect(treeOf(root, 'basic')).toEqual(expected.tree_basic)
    expect(JSON.parse(JSON.stringify(treeOf(root, 'full'), withoutOurs))).toEqual(
      JSON.parse(JSON.stringify(expected.tree_full, withoutOurs)),
    )
  })

  /** What the contract decides otherwise than the recording: events by number are named, zombies keep their type. */
  function withoutOurs(_key: string, value: unknown): unknown {
    if (value === null || typeof value !== 'object') return value
    const shape = value as { type?: string; name?: string; zombie_type?: string }
    if (shape.type === 'event' && /^\d*$/.test(shape.name ?? '')) return { ...shape, name: '' }
    if (shape.zombie_type !== undefined) return { ...shape, zombie_type: undefined }
    return value
  }

  test.each(files)('%s printed with its states loads again to the same tree', file => {
    const { nodes } = parseDefinition(readFileSync(`${folder}/${file}`, 'utf8'))
    const again = parseDefinition(printPersisted(nodes))
    expect(again.isPersisted).toBe(true)
    expect(again.nodes.map(printDefinition)).toEqual(nodes.map(printDefinition))
  })
})

describe('what is refused', () => {
  test.each([
    ['an unknown keyword', 'suite s\n  tusk x\nendsuite', 2, 3, "'tusk'"],
    ['a duplicate child', 'suite s\n  task a\n  family a\n', 3, 10, "'a'"],
    ['a name with other characters', 'suite a-b', 1, 7, "'a-b'"],
    ['a name that begins with a dot', 'suite s\n task .x', 2, 7, "'.x'"],
    ['a missing name', 'suite', 1, 6, 'the end of the line'],
    ['a broken expression', 'suite s\n task a\n  trigger b = = complete', 3, 13, "'= = complete'"],
    ['a trigger on a suite', 'suite s\n trigger 1 == 1', 2, 2, "'trigger'"],
    ['a clock in a family', 'suite s\n family f\n  clock real', 3, 3, "'clock'"],
    ['a suite in an open family', 'suite s\n family f\nsuite t', 3, 1, "'suite'"],
    ['a second plain trigger', 'suite s\n task a\n  trigger 1 == 1\n  trigger 2 == 2', 4, 11, "'2'"],
    ['a time of 25 hours', 'suite s\n task a\n  time 25:00', 3, 8, "'25:00'"],
    ['a day that does not exist', 'suite s\n task a\n  date 30.2.2024', 3, 8, "'30.2.2024'"],
    ['a cron without a time', 'suite s\n task a\n  cron -w 1', 3, 12, 'the end of the line'],
    ['a meter from high to low', 'suite s\n task a\n  meter m 10 5', 3, 14, "'5'"],
    ['an unknown repeat', 'suite s\n repeat month M 1 2', 2, 9, "'month'"],
    ['an edit without a value', 'suite s\n edit A', 2, 8, 'the end of the line'],
    ['nothing at all', '', 1, 1, 'the end of the text'],
    ['only a comment', '# nothing here', 1, 1, 'the end of the text'],
    ['two suites of one name', 'suite s\nendsuite\nsuite s', 3, 7, "'s'"],
    ['a NUL', 'suite s\n task a\0b', 2, 8, 'a NUL'],
    ['a division by zero', 'suite s\n task a\n  trigger 1 / 0 == 1', 3, 15, '0'],
  ])('%s is refused with its place', (_what, text, line, column, found) => {
    const fault = faultOf(text)
    expect({ line: fault.line, column: fault.column, found: fault.found }).toEqual({ line, column, found })
    expect(fault.expected).not.toBe('')
  })
})

describe('a checkpoint of the original', () => {
  const checkpoint = `#5.9.2
defs_state MIGRATE state>:aborted flag:message state_change:52 modify_change:5 cal_count:0
edit ECF_HOME '/elsewhere' # server
edit SITE 'north'
history /s/f \bMSG:[06:58:04 22.11.2026] --alter add variable FRED 1 /s/f :root@vm\bMSG:[06:59:05 2.1.2026] --suspend /s/f :ann
suite s # begun:1 state:aborted
  calendar initTime:2026-Nov-22 06:58:04 suiteTime:2026-Nov-22 06:58:04 duration:00:00:00
  family f # state:aborted flag:message suspended:1
    task a # passwd:b.RAJdth rid:77 abort<:   Script for /s/f/a cannot be found:   so\\n>abort try:1 state:aborted flag:task_aborted
  endfamily
endsuite
history /gone \bMSG:[06:58:04 22.11.2026] --suspend /gone :root@vm
history / \bMSG:[06:58:04 22.11.2026] --restart :root@vm
# enddef
`

  test('brings states and histories, but not the folders and ports of the server it was written by', () => {
    const { nodes, variables } = parseDefinition(checkpoint)
    expect(variables).toEqual([{ name: 'SITE', value: 'north' }])
    const family = nodes[0]!.child('f')!
    expect([family.state, family.suspended, nodes[0]!.suite?.begun]).toEqual(['aborted', true, true])
    expect(family.child('a')!.run).toMatchObject({ password: 'b.RAJdth', remoteId: '77', tryNumber: 1 })
    expect(family.edits).toEqual([
      { at: Date.UTC(2026, 10, 22, 6, 58, 4), by: 'root@vm', text: 'alter add variable FRED 1 /s/f' },
      { at: Date.UTC(2026, 0, 2, 6, 59, 5), by: 'ann', text: 'suspend /s/f' },
    ])
    const again = parseDefinition(printPersisted(nodes))
    expect(again.nodes[0]!.child('f')!.edits).toEqual(family.edits)
  })

  test('without its header the same lines are plain comments, and a history is no keyword', () => {
    const { nodes } = parseDefinition('suite s # begun:1 state:aborted\n')
    expect([nodes[0]!.state, nodes[0]!.suite]).toEqual(['unknown', undefined])
    expect(faultOf('suite s\nendsuite\nhistory /s MSG').found).toBe("'history'")
  })
})

describe('hostile input', () => {
  test('a hundred thousand levels are refused and do not exhaust the stack', () => {
    const text = `suite s\n${Array.from({ length: 100_000 }, (_, index) => `family f${index}`).join('\n')}`
    expect(faultOf(text)).toMatchObject({
      line: nestingMax + 1,
      expected: `at most ${nestingMax} levels of nesting`,
    })
  })

  test('ten thousand parentheses are refused', () => {
    const text = `suite s\n task a\n  trigger ${'('.repeat(10_000)}1 == 1${')'.repeat(10_000)}`
    expect(faultOf(text).expected).toBe('at most 200 nested parentheses')
  })

  test('a trigger of a megabyte is read and evaluated without recursion', () => {
    const line = Array.from({ length: 100_000 }, () => 'a == complete').join(' or ')
    const { nodes } = parseDefinition(`suite s\n task a\n task b\n  trigger ${line}`)
    expect(printDefinition(nodes[0]!).length).toBeGreaterThan(1_000_000)
  })

  test('a node with a hundred thousand variables is read', () => {
    const lines = Array.from({ length: 100_000 }, (_, index) => ` edit V${index} 'x'`)
    const { nodes } = parseDefinition(`suite s\n${lines.join('\n')}`)
    expect(nodes[0]!.attributes!.variables).toHaveLength(100_000)
  })

  test('a name of a megabyte is refused with a short text', () => {
    expect(faultOf(`suite ${'-'.repeat(1_000_000)}`).message.length).toBeLessThan(300)
  })
})

describe('lines', () => {
  test('a trailing backslash joins the next line, and blanks between words become one', () => {
    const { nodes } = parseDefinition('suite s\n task a\n task b\n  trigger a == complete and \\\n     a:x\n')
    expect(printDefinition(nodes[0]!)).toContain('trigger a == complete and a:x\n')
  })

  test('semicolons part statements, except in labels and in edits that hold them', () => {
    const text = "suite s; task a; task b # c; task d\n label l x; y\n edit E 'p; q'\n edit A 1; edit B 2"
    expect(printDefinition(parseDefinition(text).nodes[0]!)).toBe(
      [
        'suite s',
        '  task a',
        '  task b',
        "    edit E 'p; q'",
        "    edit A '1'",
        "    edit B '2'",
        '    label l "x; y"',
        'endsuite',
        '',
      ].join('\n'),
    )
  })

  test('states in comments are read only after the persisted header', () => {
    const body =
      'suite s # begun:1 state:active\n task a # state:active try:2 passwd:p rid:7\n  meter m 0 9 # 4\n'
    expect(parseDefinition(body).nodes[0]!.state).toBe('unknown')
    const { nodes } = parseDefinition(`#5.17.0\ndefs_state MIGRATE state>:complete\n${body}`)
    const task = nodes[0]!.child('a')!
    expect(nodes[0]!.suite?.begun).toBe(true)
    expect(task.run).toEqual({ tryNumber: 2, password: 'p', remoteId: '7', abortReason: '' })
    expect(task.attributes!.meters![0]!.value).toBe(4)
  })
})
