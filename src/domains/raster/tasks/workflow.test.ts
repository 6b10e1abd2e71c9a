import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { loadJobs } from './registration.ts'
import { TaskRegistry } from './registry.ts'
import { runTask, type Task, type TaskTools } from './task.ts'
import { readWorkflow } from './workflow.ts'

const tools: TaskTools = { signal: new AbortController().signal, progress() {}, log() {}, scratchDir: '' }

const echo: Task = {
  name: 'test:echo',
  inputs: [{ kind: 'any', name: 'value', isRequired: false }],
  outputs: [
    { kind: 'any', name: 'first', isRequired: true },
    { kind: 'any', name: 'second', isRequired: true },
  ],
  execute: args => (Object.hasOwn(args, 'value') ? args['value'] : 'nothing came'),
}

function workflow(document: object): Task {
  const registry = new TaskRegistry()
  registry.add(echo)
  return readWorkflow(document, name => registry.find(name))
}

async function run(document: object, args: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
  return Object.fromEntries(await runTask(workflow(document), new Map(Object.entries(args)), tools))
}

const node = (id: string, source: object, task = 'test:echo') => ({ id, task, inputs: { value: source } })
const result = (id: string, name = 'out') => ({ name, node: [id, 'first'] })

describe('workflow files of old', () => {
  for (const value of [0, false, '', null, [], 'text', 1.5]) {
    test(`keep the literal ${JSON.stringify(value)}, under either of its names`, async () => {
      for (const source of [
        { source: 'literal', input: value },
        { source: 'literal', node: value },
      ])
        assert.deepEqual(await run({ workflow: [node('a', source)], outputs: [result('a')] }), { out: value })
    })
  }

  test('declare lists, choices and optional inputs by their args', async () => {
    const inputs = [
      { name: 'numbers', type: 'list', args: [[['int', [[''], {}]]], {}] },
      {
        name: 'either',
        type: 'multiple',
        args: [
          [
            [
              ['int', [[''], {}]],
              ['string', [[''], {}]],
            ],
          ],
          { required: false },
        ],
      },
      { name: 'maybe', type: 'int', args: [[], { required: false }] },
    ]
    const document = {
      inputs,
      workflow: [
        node('a', { source: 'input', input: 'numbers' }),
        node('b', { source: 'input', input: 'either' }),
        node('c', { source: 'input', input: 'maybe' }),
      ],
      outputs: [result('a', 'numbers'), result('b', 'either'), result('c', 'maybe')],
    }
    assert.deepEqual(await run(document, { numbers: ['1', 2.9], either: 'x' }), {
      ...{ numbers: [1, 2], either: 'x', maybe: 'nothing came' },
    })
    assert.deepEqual(await run(document, { numbers: 7, either: '7' }), {
      ...{ numbers: [7], either: 7, maybe: 'nothing came' },
    })
    await assert.rejects(run(document, {}), /Missing required parameters: \(numbers\)/)
  })

  test('may lack everything', async () => {
    assert.deepEqual(await run({}), {})
    assert.deepEqual(await run({ meta: { name: 'nothing' }, inputs: [], workflow: [], outputs: [] }), {})
  })

  test('run no node that no output needs, and each that is needed once', async () => {
    const ran: string[] = []
    const task: Task = {
      ...echo,
      name: 'test:count',
      execute: ({ value }) => {
        ran.push(String(value))
        return value
      },
    }
    const registry = new TaskRegistry()
    registry.add(task)
    const from = (id: string) => ({ source: 'dependency', node: [id, 'first'] })
    const document = {
      workflow: [
        node('unneeded', { source: 'literal', input: 'never' }, 'test:count'),
        node('right', from('root'), 'test:count'),
        node('left', from('root'), 'test:count'),
        node('root', { source: 'literal', input: 'root' }, 'test:count'),
      ],
      outputs: [result('left', 'l'), result('right', 'r')],
    }
    const read = readWorkflow(document, name => registry.find(name))
    assert.deepEqual(Object.fromEntries(await runTask(read, new Map(), tools)), { l: 'root', r: 'root' })
    assert.equal(ran.length, 3)
  })

  test('leave an input out when the output it waits for was not set', async () => {
    const document = {
      workflow: [
        node('a', { source: 'literal', input: 1 }),
        node('b', { source: 'dependency', node: ['a', 'second'] }),
      ],
      outputs: [result('b')],
    }
    assert.deepEqual(await run(document), { out: 'nothing came' })
  })

  const one = { source: 'literal', input: 1 }
  for (const [what, document, expected] of [
    ['two nodes of one name', { workflow: [node('a', one), node('a', one)] }, /two nodes a/],
    ['an input that there is not', { workflow: [node('a', { source: 'input', input: 'x' })] }, /x/],
    [
      'a node that there is not',
      { workflow: [node('a', { source: 'dependency', node: ['z', 'first'] })] },
      /node z/,
    ],
    [
      'an output that there is not',
      { workflow: [node('a', { source: 'dependency', node: ['a', 'zz'] })] },
      /zz/,
    ],
    [
      'a node that waits for itself',
      { workflow: [node('a', { source: 'dependency', node: ['a', 'first'] })] },
      /a/,
    ],
    ['a source of no kind', { workflow: [node('a', { source: 'file' })] }, /unknown source: file/],
    ['lists that are none', { workflow: {} }, /must be a list/],
  ] as const)
    test(`are refused with ${what}`, () => {
      assert.throws(() => workflow(document), expected)
    })
})

test('workflows call each other by name, in whatever order they are registered', async () => {
  const inner = {
    meta: { name: 'inner' },
    inputs: [{ name: 'n', type: 'int' }],
    workflow: [{ id: 'a', task: 'demo:scale', inputs: { value: { source: 'input', input: 'n' } } }],
    outputs: [{ name: 'scaled', node: ['a', 'scaled'] }],
  }
  const outer = {
    inputs: [{ name: 'n', type: 'int' }],
    workflow: [{ id: 'x', task: 'inner', inputs: { n: { source: 'input', input: 'n' } } }],
    outputs: [{ name: 'out', node: ['x', 'scaled'] }],
  }
  const load = (jobs: Record<string, unknown>) =>
    loadJobs({ jobs, hasDemoJobs: false, folder: '.', rasterRoot: undefined })
  const jobs = await load({
    outer: { type: 'workflow', workflow: outer },
    inner: { type: 'workflow', workflow: inner },
  })
  const done = await runTask(jobs.get('outer')!.task, new Map([['n', 2]]), tools)
  assert.deepEqual(Object.fromEntries(done), { out: 10 })
  await assert.rejects(load({ outer: { type: 'workflow', workflow: outer } }), /job outer: .*inner/)
})
