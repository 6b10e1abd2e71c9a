import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../core/json.ts'
import { diffDefinitions, forceNodes, runsAgain, showDiff } from './diff.ts'
import { planReprocess } from './reprocess.ts'
import { acyclicNodes, aNode, aRevision, around, jobType } from './testing.ts'

const base = { a: aNode(), b: aNode(['a']), c: aNode(['b']), lone: aNode() }

function diffOf(before: JsonObject, after: JsonObject): ReturnType<typeof diffDefinitions> {
  return diffDefinitions(aRevision(before).definition, aRevision(after))
}

function changesOf(before: JsonObject, after: JsonObject, node: string): string[] {
  return diffOf({ nodes: before }, { nodes: after })
    .nodes.get(node)!
    .changes.map(change => change.description)
}

describe('the diff of two revisions', () => {
  test('says for each node what changed, and lets a change flow downstream', () => {
    expect(changesOf(base, { ...base, b: aNode() }, 'b')).toEqual(['Previous parent node a removed'])
    expect(changesOf(base, { ...base, b: aNode() }, 'c')).toEqual(['Parent node b changed'])
    const other = { ...base, a: aNode([], { type: jobType('other', '2.0.0', 3) }) }
    expect(changesOf(base, other, 'a')).toEqual([
      'Job type changed from noop to other',
      'Job type version changed from 1.0.0 to 2.0.0',
      'Job type revision changed from 1 to 3',
    ])
  })

  test('calls a new parent new, and nothing more, below it', () => {
    const after = { ...base, extra: aNode(), c: aNode(['b', 'extra']) }
    expect(changesOf(base, after, 'c')).toEqual(['New parent node extra added'])
    expect(changesOf(base, after, 'extra')).toEqual([])
  })

  test('shows a deleted node as it was, and a moved kind beside the node type', () => {
    const sub = { node_type: 'recipe', recipe_type_name: 'r', recipe_type_revision: 2 }
    const shown = showDiff(
      diffOf({ nodes: base }, { nodes: { a: aNode([], { type: sub }), b: aNode(['a']) } }),
    )
    expect(shown['nodes']).toMatchObject({
      a: {
        status: 'CHANGED',
        prev_node_type: 'job',
        changes: [{ name: 'NODE_TYPE_CHANGE', description: 'Node type changed from job to recipe' }],
        node_type: sub,
      },
      c: { status: 'DELETED', changes: [], reprocess_new_node: false, dependencies: [{ name: 'b' }] },
    })
  })

  test('shows previous revisions as integers', () => {
    const after = { ...base, a: aNode([], { type: jobType('noop', '1.0.0', 2) }) }
    const shown = showDiff(diffOf({ nodes: base }, { nodes: after })) as {
      nodes: Record<string, { node_type: JsonObject }>
    }
    expect(shown.nodes['a']!.node_type['prev_job_type_revision']).toBe(1)
  })

  test('cannot be reprocessed when the recipe input takes what was not given before', () => {
    const input = (...names: string[]): JsonObject => ({ files: names.map(name => ({ name })) })
    const refused = diffOf({ input: input('src'), nodes: base }, { input: input('src', 'more'), nodes: base })
    expect(refused.canBeReprocessed).toBe(false)
    expect(refused.reasons).toEqual([
      { name: 'INPUT_CHANGE', description: "Input interface has changed: Parameter 'more' is required" },
    ])
    expect([...refused.nodes.values()].some(node => runsAgain(refused, node))).toBe(false)
    const fewer = diffOf({ input: input('src', 'more'), nodes: base }, { input: input('src'), nodes: base })
    expect(fewer.canBeReprocessed).toBe(true)
  })

  test('sees a changed approval, a rewired input and a changed filter, but not a condition’s interface', () => {
    const gate = (value: number, type: string): JsonObject =>
      aNode([], {
        type: {
          node_type: 'condition',
          interface: { files: [], json: [{ name: 'v', type, required: true }] },
          data_filter: { filters: [{ name: 'v', type: 'integer', condition: '==', values: [value] }] },
        },
      })
    const child = (acceptance: boolean): JsonObject => ({
      ...aNode(),
      dependencies: [{ name: 'gate', acceptance }],
    })
    expect(
      changesOf(
        { gate: gate(1, 'integer'), child: child(true) },
        { gate: gate(1, 'string'), child: child(false) },
        'gate',
      ),
    ).toEqual([])
    expect(changesOf({ gate: gate(1, 'integer') }, { gate: gate(2, 'integer') }, 'gate')).toEqual([
      'Data filter changed',
    ])
    expect(
      changesOf(
        { gate: gate(1, 'integer'), child: child(true) },
        { gate: gate(1, 'integer'), child: child(false) },
        'child',
      ),
    ).toEqual(['Approval for parent node gate changed'])
    const wired = (input: JsonObject): JsonObject => around({ a: aNode([], { input }) })
    const names = (before: JsonObject, after: JsonObject): string[] =>
      diffOf(wired(before), wired(after))
        .nodes.get('a')!
        .changes.map(change => change.name)
    const from = { type: 'recipe', input: 'v' }
    expect(names({ X: from }, { Y: from })).toEqual(['INPUT_NEW', 'INPUT_REMOVED'])
  })

  test('forcing reaches everything below and changes neither status nor reasons', () => {
    const revision = aRevision({ nodes: base })
    const forced = forceNodes(diffDefinitions(revision.definition, revision), revision.graph, ['b'])
    const again = [...forced.nodes].filter(([, node]) => runsAgain(forced, node)).map(([name]) => name)
    expect(again.toSorted()).toEqual(['b', 'c'])
    expect([...forced.nodes.values()].every(node => node.status === 'UNCHANGED')).toBe(true)
  })
})

describe('for any two definitions', () => {
  test('a definition compared with itself is unchanged everywhere', () => {
    fc.assert(
      fc.property(acyclicNodes, nodes => {
        const diff = diffOf(around(nodes), around(nodes))
        expect(diff.canBeReprocessed).toBe(true)
        for (const node of diff.nodes.values()) expect([node.status, node.changes]).toEqual(['UNCHANGED', []])
      }),
      { seed: 8, numRuns: 300 },
    )
  })

  test('a node below a changed or new one is never unchanged, and copies stand only on copies', () => {
    fc.assert(
      fc.property(acyclicNodes, acyclicNodes, fc.constantFrom('a', 'b', 'c'), (before, after, force) => {
        const next = aRevision(around(after))
        const diff = forceNodes(
          diffDefinitions(aRevision(around(before)).definition, next),
          next.graph,
          Object.hasOwn(after, force) ? [force] : [],
        )
        const plans = planReprocess(diff)
        for (const [name, node] of diff.nodes) {
          if (node.status === 'DELETED') continue
          for (const parent of node.node.dependencies) {
            const above = diff.nodes.get(parent.name)!
            if (above.status === 'CHANGED' || above.status === 'NEW')
              expect(node.status).not.toBe('UNCHANGED')
            if (plans.get(name)!.action === 'copy') expect(plans.get(parent.name)!.action).toBe('copy')
          }
          expect(plans.get(name)!.why.length).toBeGreaterThan(0)
        }
      }),
      { seed: 8, numRuns: 500 },
    )
  })

  test('every node of either definition is there once', () => {
    fc.assert(
      fc.property(acyclicNodes, acyclicNodes, (before, after) => {
        const names = new Set([...Object.keys(before), ...Object.keys(after)])
        expect(new Set(diffOf(around(before), around(after)).nodes.keys())).toEqual(names)
      }),
      { seed: 8, numRuns: 300 },
    )
  })
})

test('two definitions of 2 000 nodes are compared in one pass over each', () => {
  // No timing here: the work is counted, since every node looks its parents and inputs up once.
  const nodes = (shift: number): JsonObject =>
    Object.fromEntries(
      Array.from({ length: 2000 }, (_, n) => [
        `n${n}`,
        aNode(
          [n - 1, n - 2 - shift, n - 7].filter(parent => parent >= 0).map(parent => `n${parent}`),
          { type: jobType('noop', '1.0.0', 1 + (n === 1000 ? shift : 0)) },
        ),
      ]),
    )
  const diff = diffOf({ nodes: nodes(0) }, { nodes: nodes(1) })
  expect(diff.nodes.size).toBe(2000)
  expect(diff.nodes.get('n1000')!.changes.map(change => change.name)).toContain('JOB_TYPE_REVISION_CHANGE')
})
