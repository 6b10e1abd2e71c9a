import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseDefinition } from '../../src/domains/suite/language/parse-definition.ts'
import { printDefinition } from '../../src/domains/suite/language/print-definition.ts'
import { loadSuites } from '../../src/domains/suite/planner/edit-tree.ts'
import { Living } from '../../src/domains/suite/planner/living.ts'
import { drawSuite } from './ecflow-definition.ts'
import { missingRealEcflow, type RealEcflow, startRealEcflow } from './ecflow-server.ts'

const missing = missingRealEcflow()

describe.skipIf(missing !== undefined)(
  `the real ecflow_server${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    let real: RealEcflow
    beforeAll(async () => {
      real = await startRealEcflow()
    })
    afterAll(() => real.stop())

    const load = (text: string): string => {
      const living = new Living({ password: () => '' })
      const [suite] = loadSuites(living, parseDefinition(text), { allowMissing: false, localMinute: 0 })
      return printDefinition(suite!)
    }

    test('accepts what we accept, and shows the same tree', () => {
      let count = 0
      fc.assert(
        fc.property(fc.gen(), dice => {
          const name = `p${++count}`
          const text = drawSuite(dice, name)
          const ours = load(text)
          const loaded = real.load(text)
          expect(loaded.ok, `${text}\n${loaded.text}`).toBe(true)
          // Its text in its own order of attributes, read by us, is the tree that we have.
          const theirs = real.run('--get', `/${name}`)
          expect(load(theirs.text), text).toBe(ours)
          // What we print it accepts as well.
          real.run('--delete=force', 'yes', `/${name}`)
          const again = real.load(ours)
          expect(again.ok, `${ours}\n${again.text}`).toBe(true)
          real.run('--delete=force', 'yes', `/${name}`)
        }),
        { numRuns: 60, seed: 592, endOnFailure: true },
      )
    })

    test.each([
      ['a duplicate task', 'suite r\n task a\n task a\nendsuite\n'],
      ['a bad name', 'suite r-1\nendsuite\n'],
      ['a broken trigger', 'suite r\n task a\n  trigger a = = complete\nendsuite\n'],
      ['a trigger on an unknown node', 'suite r\n task a\n  trigger b == complete\nendsuite\n'],
      ['a meter from high to low', 'suite r\n task a\n  meter m 5 1\nendsuite\n'],
      ['a day that does not exist', 'suite r\n task a\n  date 32.1.2024\nendsuite\n'],
      ['a weekday that does not exist', 'suite r\n task a\n  day someday\nendsuite\n'],
      ['two repeats', 'suite r\n task a\n  repeat integer I 1 2\n  repeat integer J 1 2\nendsuite\n'],
      ['an unknown keyword', 'suite r\n tusk a\nendsuite\n'],
      ['a family that is not closed before the next suite', 'suite r\n family f\nsuite t\nendsuite\n'],
    ])('refuses %s, and so do we', (_what, text) => {
      expect(() => load(text)).toThrow()
      expect(real.load(text).ok).toBe(false)
    })
  },
)
