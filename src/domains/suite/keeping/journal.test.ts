import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Refused } from '../../../core/refusal.ts'
import { parseDefinition } from '../language/parse-definition.ts'
import { persistedPieces, printPersisted } from '../language/print-definition.ts'
import { addAttribute } from '../planner/add-attribute.ts'
import { changeAttribute } from '../planner/change-attribute.ts'
import { childCommand } from '../planner/child-commands.ts'
import { deleteAttribute } from '../planner/delete-attributes.ts'
import { noteEdit } from '../planner/edit-history.ts'
import { deleteNode, loadSuites, orderNode, putChild, setServerVariable } from '../planner/edit-tree.ts'
import { Living } from '../planner/living.ts'
import { runPass } from '../planner/pass.ts'
import { failRemote, showMirrored, tellAviso } from '../planner/remote.ts'
import { tickMinute } from '../planner/tick.ts'
import {
  archiveNode,
  beginSuite,
  demandNode,
  forceNode,
  requeueNode,
  restoreNode,
  resumeNode,
  suspendNode,
} from '../planner/user-commands.ts'
import { type Change, imageOfServer, readChanges, readImage, resume, takeChanges } from './journal.ts'

const localMinute = 19758 * 1440 + 540

const definition = `suite s
  edit A 'x'
  limit lim 2
  family f
    inlimit -n lim
    repeat integer N 1 3
    task a
      event go
      meter m 0 10
      label l "text"
    task b
      trigger a:go or a == complete
      inlimit /s:lim
  endfamily
  family h
    task watch
      aviso --name A --listener '{ "event": "e#1" }' --url file:///x
    task copy
      mirror --name M --remote_path /x --remote_host h
  endfamily
  family g
    queue q 1 2 3
    task c
      time 09:02
      late -s +00:01
    task d
      trigger ../f == complete
      defstatus suspended
  endfamily
endsuite
suite t
  task e
    trigger /s/f/b == complete
`

const commands: readonly ((living: Living, pick: (count: number) => number) => void)[] = [
  living => tickMinute(living),
  (living, pick) => report(living, pick, 'init'),
  (living, pick) => report(living, pick, 'complete'),
  (living, pick) => report(living, pick, 'abort'),
  living => suspendNode(living, '/s/f'),
  living => resumeNode(living, '/s/f'),
  living => requeueNode(living, '/s/g'),
  living => forceNode(living, '/s/f/a', 'complete', { recursive: false }),
  living => forceNode(living, '/s', 'aborted', { recursive: true }),
  living => archiveNode(living, '/s/g', { force: true }),
  living => restoreNode(living, '/s/g'),
  living => deleteNode(living, '/s/f/b', { force: true }),
  living => setServerVariable(living, 'SITE', 'north\nsouth'),
  living =>
    addAttribute(living, demandNode(living, '/s/f/a'), { type: 'variable', name: 'V', value: "it's\n\\n" }),
  living => addAttribute(living, demandNode(living, '/s/g'), { type: 'event', name: 'ev', value: 'set' }),
  living =>
    changeAttribute(living, demandNode(living, '/s/f/a'), { type: 'label', name: 'l', value: 'a\n"b"' }),
  living => changeAttribute(living, demandNode(living, '/s'), { type: 'limit', name: 'lim', value: '1' }),
  living => deleteAttribute(living, demandNode(living, '/s/f/a'), { type: 'meter', name: 'm' }),
  living =>
    putChild(living, '/s', parseDefinition('family f\n task a\n  event go\n task n\n').nodes[0]!, {
      allowMissing: true,
      externs: [],
      force: true,
    }),
  living => deleteNode(living, '/t', { force: true }),
  living => loadSuites(living, parseDefinition('suite t\n task e\n'), { allowMissing: false, localMinute }),
  living => beginSuite(living, '/t', localMinute),
  living => orderNode(living, '/s/f/a', 'bottom'),
  living => orderNode(living, '/s/g', 'up'),
  (living, pick) =>
    tellAviso(living, { path: '/s/h/watch', name: 'A' }, { revision: pick(9), isAnswered: pick(2) === 1 }),
  (living, pick) =>
    failRemote(living, { path: `/s/h/${['watch', 'copy'][pick(2)]}`, name: 'AM'[pick(2)]! }, "it's\n#gone"),
  (living, pick) =>
    showMirrored(
      living,
      { path: '/s/h/copy', name: 'M' },
      {
        state: pick(2) === 0 ? 'active' : 'complete',
        variables: [{ name: 'X', value: `'${pick(3)}'\n` }],
        labels: [{ name: 'l', value: `"${pick(3)}"` }],
        meters: [{ name: 'm', min: 0, max: 9, value: pick(9) }],
        events: [{ name: 'e', value: pick(2) === 0 }],
      },
    ),
  (living, pick) => orderNode(living, '/s/f', pick(2) === 0 ? 'alpha' : 'order'),
  (living, pick) =>
    noteEdit(living, ['/s/f', '/s/f/a', '/t/gone', '/'][pick(4)]!, { by: 'ann', text: 'x "y"\n' }),
]

function report(
  living: Living,
  pick: (count: number) => number,
  command: 'init' | 'complete' | 'abort',
): void {
  const path = ['/s/f/a', '/s/f/b', '/s/g/c'][pick(3)]!
  const password = demandNode(living, path).run?.password ?? ''
  childCommand(living, { path, password, remoteId: '1', tryNumber: 1 }, { command, why: 'x; y\nz' })
}

test('what is read back after any commands is what was there, however often it was interrupted', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(commands.length - 1), fc.nat(1000)), { maxLength: 40 }), steps => {
      let secret = 0
      const living = new Living({ password: () => `p${++secret}` })
      const images = new Map<string, { text: string; changes: Change[][] }>()
      let server = imageOfServer(living)
      const keep = () => {
        const taken = takeChanges(living)
        server = taken.server ?? server
        for (const change of taken.suites) {
          if (change.type === 'gone') images.delete(change.suite)
          else if (change.type === 'image') {
            images.delete(change.suite)
            images.set(change.suite, { text: change.pieces.join(''), changes: [] })
          } else images.get(change.suite)!.changes.push([...change.changes])
        }
      }
      const readBack = () => {
        const again = new Living({ password: () => '' })
        for (const { text, changes } of images.values()) {
          readImage(again.root, text)
          for (const list of changes) readChanges(again.root, list)
        }
        resume(again, server)
        return again
      }
      loadSuites(living, parseDefinition(definition), { allowMissing: false, localMinute })
      beginSuite(living, '/s', localMinute)
      runPass(living)
      keep()
      for (const [which, seed] of steps) {
        try {
          commands[which]!(living, count => seed % count)
        } catch (error) {
          if (!(error instanceof Refused)) throw error
        }
        runPass(living)
        keep()
        expect(sorted(readBack())).toEqual(sorted(living))
      }
      expect(imageOfServer(readBack())).toEqual(imageOfServer(living))
    }),
    { numRuns: 60, seed: 4 },
  )
})

/** Those that take no node away and bring none. */
const steady = commands.filter(
  command => !/archiveNode|restoreNode|deleteNode|putChild|loadSuites|orderNode/.test(String(command)),
)

test('an image that is printed while things change holds, with the changes since, what is there at its end', () => {
  let sliced = 0
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(steady.length - 1), fc.nat(1000)), { minLength: 8, maxLength: 40 }),
      steps => {
        let secret = 0
        const living = new Living({ password: () => `p${++secret}` })
        // Long enough for many pieces.
        const filler = Array.from(
          { length: 700 },
          (_, index) => ` task z${index}\n  label l ""\n  meter m 0 9\n`,
        )
        const text = definition.replace('endsuite', `${filler.join('')}endsuite`)
        loadSuites(living, parseDefinition(text), { allowMissing: false, localMinute })
        beginSuite(living, '/s', localMinute)
        runPass(living)
        takeChanges(living)
        const pieces = persistedPieces(living.root.child('s')!)
        const printed: string[] = []
        const changes: Change[][] = []
        for (const [which, seed] of steps) {
          try {
            steady[which]!(living, count => seed % count)
            const task = demandNode(living, `/s/z${seed % 700}`)
            changeAttribute(living, task, { type: 'label', name: 'l', value: `${seed}` })
          } catch (error) {
            if (!(error instanceof Refused)) throw error
          }
          runPass(living)
          const own = takeChanges(living).suites.find(change => change.suite === 's')
          if (own?.type === 'changes') changes.push([...own.changes])
          const piece = pieces.next()
          if (!piece.done) printed.push(piece.value)
        }
        for (const piece of pieces) printed.push(piece)
        sliced += printed.length
        const again = new Living({ password: () => '' })
        readImage(again.root, printed.join(''))
        for (const list of changes) readChanges(again.root, list)
        expect(printPersisted([again.root.child('s')!])).toBe(printPersisted([living.root.child('s')!]))
      },
    ),
    { numRuns: 60, seed: 41 },
  )
  expect(sliced).toBeGreaterThan(100)
})

/** Suites that were replaced as a whole keep their place in the store; here only what is in them counts. */
function sorted(living: Living): string[] {
  return (living.root.children ?? []).map(suite => printPersisted([suite])).sort()
}
