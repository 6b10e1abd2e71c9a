import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../core/json.ts'
import { aNode, aRevision } from './testing.ts'
import { guardsOf, type RecipeRevision, type Unfolded, unfold } from './unfold.ts'

function aRecipe(typeName: string, nodes: JsonObject, input: JsonObject = {}): RecipeRevision {
  return { typeName, revision: 1, ...aRevision({ input, nodes }) }
}

function unfolded(top: RecipeRevision, ...inner: RecipeRevision[]): Unfolded {
  const result = unfold(top, name => inner.find(recipe => recipe.typeName === name))
  if (!('unfolded' in result)) throw new Error(result.refusal)
  return result.unfolded
}

const sub = (name: string): JsonObject => ({
  node_type: 'recipe',
  recipe_type_name: name,
  recipe_type_revision: 1,
})
const gate: JsonObject = {
  node_type: 'condition',
  interface: { files: [], json: [{ name: 'n', type: 'integer', required: true }] },
  data_filter: { filters: [] },
}
const number = { json: [{ name: 'n', type: 'integer' }] }
const needsOf = (whole: Unfolded): Record<string, string[]> =>
  Object.fromEntries(whole.steps.map(step => [step.key, [...step.needs]]))

describe('an unfolded recipe', () => {
  test('has sub-recipes between a join before and a join behind them', () => {
    const inner = aRecipe('inner', { say: aNode(), rest: aNode(['say']) })
    const outer = aRecipe('outer', {
      first: aNode(),
      in: aNode(['first'], { type: sub('inner') }),
      last: aNode(['in']),
    })
    const whole = unfolded(outer, inner)
    expect(needsOf(whole)).toEqual({
      first: [],
      'in>': ['first'],
      'in/say': ['in>'],
      'in/rest': ['in/say'],
      'in<': ['in>', 'in/rest'],
      last: ['in<'],
    })
    expect(whole.recipes.map(recipe => recipe.parent)).toEqual([undefined, { recipe: 0, node: 'in' }])
  })

  test('leads every input back to the top input or to a job', () => {
    const inner = aRecipe(
      'inner',
      { say: aNode([], { input: { V: { type: 'recipe', input: 'n' } } }) },
      number,
    )
    const outer = aRecipe(
      'outer',
      {
        a: aNode(),
        gate: aNode(['a'], { type: gate, input: { n: { type: 'dependency', node: 'a', output: 'OUT' } } }),
        in: aNode(['gate'], {
          type: sub('inner'),
          input: { n: { type: 'dependency', node: 'gate', output: 'n' } },
        }),
      },
      number,
    )
    const say = unfolded(outer, inner).steps.find(step => step.key === 'in/say')
    expect(say?.does === 'job' && say.input.get('V')).toEqual({ from: 'job', step: 'a', output: 'OUT' })
  })

  test('runs on a condition’s yes or no, and lets a sub-recipe end when its conditional leaves were skipped', () => {
    const no = { ...aNode(), dependencies: [{ name: 'gate', acceptance: false }] }
    const inner = aRecipe('inner', {
      gate: aNode([], { type: gate }),
      go: aNode(['gate']),
      stay: no,
      lone: aNode(),
    })
    const whole = unfolded(aRecipe('outer', { in: aNode([], { type: sub('inner') }) }), inner)
    expect(needsOf(whole)).toMatchObject({
      'in/go': ['in/gate?yes'],
      'in/stay': ['in/gate?no'],
      'in<~': ['in/go', 'in/stay'],
      'in<': ['in>', 'in/lone', 'in<~'],
    })
    expect(whole.steps.find(step => step.key === 'in<~')).toMatchObject({ soft: true })
  })

  test('never names two steps alike', () => {
    const inner = aRecipe('inner', { x: aNode() })
    const whole = unfolded(aRecipe('outer', { 'a/x': aNode(), a: aNode([], { type: sub('inner') }) }), inner)
    expect(new Set(whole.steps.map(step => step.key)).size).toBe(whole.steps.length)
  })

  test('that would be without bounds is refused', () => {
    const levels = Array.from({ length: 20 }, (_, level) =>
      aRecipe(`r${level}`, {
        a: aNode([], { type: sub(`r${level + 1}`) }),
        b: aNode([], { type: sub(`r${level + 1}`) }),
      }),
    )
    const bottom = aRecipe('r20', { x: aNode() })
    const result = unfold(levels[0]!, name => [...levels, bottom].find(recipe => recipe.typeName === name))
    expect('refusal' in result && result.refusal).toContain('more than 50000 steps')
  })
})

describe('what has to be open for a step to exist', () => {
  const input = { n: { type: 'recipe', input: 'n' } }
  const condition = (parents: string[] = []) => aNode(parents, { type: gate, input })

  test('is told by the nearest conditions alone', () => {
    const nodes = { c1: condition(), c2: condition(['c1']), a: aNode(['c2']), b: aNode(['a', 'c1']) }
    const guards = guardsOf(unfolded(aRecipe('gates', nodes, number)))!
    expect(Object.fromEntries(guards)).toEqual({
      'c2?yes': ['c1?yes'],
      'c2?no': ['c1?yes'],
      a: ['c2?yes'],
      b: ['c2?yes', 'c1?yes'],
    })
  })

  test('is nothing that can be kept where many steps wait for many conditions', () => {
    const gates = Array.from({ length: 1100 }, (_, at) => `c${at}`)
    const chain = Array.from({ length: 1000 }, (_, at) => [
      `n${at}`,
      aNode(at === 0 ? gates : [`n${at - 1}`]),
    ])
    const nodes = {
      ...Object.fromEntries(gates.map(name => [name, condition()])),
      ...Object.fromEntries(chain),
    }
    expect(guardsOf(unfolded(aRecipe('wide', nodes as JsonObject, number)))).toBeUndefined()
  })
})
