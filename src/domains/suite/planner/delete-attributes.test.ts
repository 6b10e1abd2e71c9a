import { expect, test } from 'vitest'
import { parseDefinition } from '../language/parse-definition.ts'
import { printDefinition } from '../language/print-definition.ts'
import { deleteAllAttributes, deleteAttribute } from './delete-attributes.ts'
import { loadSuites } from './edit-tree.ts'
import { Living } from './living.ts'
import { demandNode } from './user-commands.ts'

/** What the definition says, and what an edit calls it. */
const several: Record<string, Readonly<Record<string, string>>> = {
  variable: { "edit A '1'": 'A', "edit B '2'": 'B' },
  label: { 'label l "one"': 'l', 'label k "two"': 'k' },
  meter: { 'meter m 0 10 10': 'm', 'meter n 0 10 10': 'n' },
  event: { 'event 1 a': 'a', 'event 2 b': '2' },
  limit: { 'limit one 7': 'one', 'limit two 8': 'two' },
  inlimit: { 'inlimit /s:one': '/s:one', 'inlimit two': 'two' },
  zombie: { 'zombie ecf:fob::300': 'ecf', 'zombie user:fail::300': 'user' },
  queue: { 'queue q 1 2': 'q', 'queue r 3 4': 'r' },
  generic: { 'generic g 1': 'g', 'generic h 2': 'h' },
  aviso: { [`aviso --name A --listener '{ "event": "e#1" }' --url file:///x`]: 'A' },
  mirror: { 'mirror --name M --remote_path /x --remote_host h': 'M' },
  time: { 'time 10:00': '10:00', 'time 11:00': '11:00' },
  today: { 'today 10:00': '10:00', 'today 11:00': '11:00' },
  date: { 'date 1.2.*': '1.2.*', 'date 2.2.*': '2.2.*' },
  day: { 'day monday': 'monday', 'day friday': 'friday' },
  cron: { 'cron 10:00': '10:00', 'cron 11:00': '11:00' },
}
const unnamed = new Set(['time', 'today', 'date', 'day', 'cron'])

function setup(own: readonly string[]) {
  const living = new Living({ password: () => 'p' })
  const text = ['suite s', ' limit one 2', ' limit two 2', ' task t', ...own.map(line => `  ${line}`)]
  loadSuites(living, parseDefinition(text.join('\n')), { allowMissing: false, localMinute: 0 })
  const node = demandNode(living, '/s/t')
  const left = () => own.filter(line => printDefinition(living.root).includes(line))
  return { living, node, left }
}

for (const [type, calls] of Object.entries(several)) {
  test(`a ${type} is deleted by what it is called, and no other with it`, () => {
    const { living, node, left } = setup(Object.keys(calls))
    const edit = (called: string) => (unnamed.has(type) ? { type, value: called } : { type, name: called })
    const there = Object.keys(calls)
    for (const called of Object.values(calls)) {
      expect(left()).toEqual(there)
      deleteAttribute(living, node, edit(called))
      there.shift()
      expect(() => deleteAttribute(living, node, edit(called))).toThrow(`Could not find ${type}`)
    }
    expect(left()).toEqual([])
  })

  test(`all of type ${type} are deleted together, and there may be none`, () => {
    const { living, node, left } = setup(Object.keys(calls))
    expect(left()).toEqual(Object.keys(calls))
    deleteAllAttributes(living, node, type)
    expect(left()).toEqual([])
    deleteAllAttributes(living, node, type)
  })
}

const singles = {
  trigger: 'trigger 1 == 1',
  complete: 'complete 1 == 2',
  repeat: 'repeat integer N 1 3',
  late: 'late -s +00:01',
  autocancel: 'autocancel +01:00',
  autoarchive: 'autoarchive +01:00',
  autorestore: 'autorestore /s',
} as const

for (const [type, line] of Object.entries(singles)) {
  test(`a ${type} is deleted once`, () => {
    const { living, node, left } = setup([line])
    expect(left()).toEqual([line])
    deleteAttribute(living, node, { type })
    expect(left()).toEqual([])
    expect(() => deleteAttribute(living, node, { type })).toThrow(`Could not find ${type}`)
  })
}

test('what is no type of attribute is refused, also when every object has something of that name', () => {
  const { living, node } = setup([])
  for (const type of ['', 'unknown', 'constructor', '__proto__', 'toString']) {
    expect(() => deleteAttribute(living, node, { type, name: 'x' })).toThrow('is no type of attribute')
    expect(() => deleteAllAttributes(living, node, type)).toThrow('that could be deleted together')
  }
})
