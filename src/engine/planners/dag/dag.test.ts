import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { aJob, setup, type TestYard } from '../../../../test/support/yard.ts'
import type { DagPlan, Flow, FlowDraft, FlowNode, Step } from '../../../core/flow.ts'
import type { Job } from '../../../core/job.ts'
import type { Refused } from '../../../core/refusal.ts'

function aStep(key: string, facts: Partial<Step> = {}): Step {
  return { key, does: 'job', count: 1, fansOut: false, needs: [], when: 'succeeded', retries: 0, ...facts }
}

function aFlow(
  steps: Step[],
  facts: Partial<DagPlan> & { spec?: FlowDraft['spec']; done?: string[] } = {},
): FlowDraft {
  const { spec, done, ...plan } = facts
  return {
    dialect: 'native',
    kind: 'test.flow',
    plan: { steps, failure: 'cut', ...plan },
    spec: spec ?? {},
    done: done ?? [],
  }
}

async function begin(yard: TestYard, draft: FlowDraft): Promise<Flow> {
  return yard.tell(tx => tx.startFlow(draft))
}

/** The job of a node that waits, made before its time. */
async function make(yard: TestYard, flow: Flow, node: string): Promise<Job> {
  const made = await yard.tell(tx => tx.makeJob(flow.n, node))
  assert.ok(made.ok)
  return made.value
}

/** The live jobs of a flow by node. */
function live(yard: TestYard, flow: Flow): Record<string, Job> {
  return Object.fromEntries([...yard.engine.liveJobs({ flow: flow.n })].map(job => [job.node, job]))
}

async function states(yard: TestYard, flow: Flow): Promise<Record<string, string>> {
  return Object.fromEntries((await yard.engine.nodes(flow.n)).map(node => [node.key, node.state]))
}

describe('a plan', () => {
  test('with a cycle, an unknown need, or two steps of one name is refused', async () => {
    const yard = await setup()
    const wrong = [
      [aStep('a', { needs: ['b'] }), aStep('b', { needs: ['a'] })],
      [aStep('a', { needs: ['nowhere'] })],
      [aStep('a'), aStep('a')],
      [aStep('a', { needs: ['a'] })],
    ]
    for (const steps of wrong) {
      await assert.rejects(begin(yard, aFlow(steps)), (error: Refused) => error.refusal.kind === 'bad-field')
    }
    assert.equal(yard.disk.flows.size, 0)
  })
})

describe('a chain', () => {
  test('goes step by step and ends as succeeded', async () => {
    const yard = await setup()
    const flow = await begin(
      yard,
      aFlow([aStep('a'), aStep('b', { needs: ['a'] }), aStep('c', { needs: ['b'] })]),
    )
    for (const key of ['a', 'b', 'c']) {
      assert.deepEqual(Object.keys(live(yard, flow)), [key])
      await yard.end(live(yard, flow)[key]!)
    }
    const ended = (await yard.engine.flow({ n: flow.n }))!
    assert.deepEqual([ended.state, ended.progress.done], ['succeeded', 3])
  })

  test('of a failed step is cut: what needs it never runs, and the flow fails', async () => {
    const yard = await setup()
    const flow = await begin(
      yard,
      aFlow([aStep('a'), aStep('b', { needs: ['a'] }), aStep('c', { needs: ['b'] }), aStep('free')]),
    )
    await yard.fail(live(yard, flow)['a']!)
    assert.equal((await yard.engine.flow({ n: flow.n }))!.state, 'running')
    await yard.end(live(yard, flow)['free']!)
    const ended = (await yard.engine.flow({ n: flow.n }))!
    assert.deepEqual(
      [ended.state, ended.progress],
      ['failed', { total: 4, waiting: 0, live: 0, done: 1, failed: 1, skipped: 2 }],
    )
  })

  test('of fifty thousand gates needs no stack', async () => {
    const yard = await setup()
    const steps = Array.from({ length: 50_000 }, (_, at) =>
      aStep(`g${at}`, { does: 'gate', needs: at === 0 ? [] : [`g${at - 1}`] }),
    )
    const flow = await begin(yard, aFlow(steps))
    assert.equal((await yard.engine.flow({ n: flow.n }))!.state, 'succeeded')
  })
})

describe('conditions', () => {
  test('a step for failures runs when one happened and is skipped when none did', async () => {
    for (const [result, cleanup] of [
      ['failed', 'done'],
      ['succeeded', 'skipped'],
    ] as const) {
      const yard = await setup()
      const flow = await begin(
        yard,
        aFlow([
          aStep('a'),
          aStep('mend', { needs: ['a'], when: 'failed' }),
          aStep('report', { needs: ['a'], when: 'ended' }),
        ]),
      )
      const { a } = live(yard, flow)
      await (result === 'failed' ? yard.fail(a!) : yard.end(a!))
      for (const job of Object.values(live(yard, flow))) await yard.end(job)
      assert.deepEqual(await states(yard, flow), {
        a: result === 'failed' ? 'failed' : 'done',
        mend: cleanup,
        report: 'done',
      })
    }
  })

  test('a gate that stays shut skips everything behind it', async () => {
    const yard = await setup()
    const flow = await begin(
      yard,
      aFlow([aStep('gate', { does: 'gate' }), aStep('a', { needs: ['gate'] })], { spec: { gate: false } }),
    )
    assert.deepEqual(await states(yard, flow), { gate: 'skipped', a: 'skipped' })
    assert.equal((await yard.engine.flow({ n: flow.n }))!.state, 'succeeded')
  })
})

describe('fan-out', () => {
  test('all instances come before what needs them, and edges are between steps', async () => {
    const yard = await setup()
    const flow = await begin(
      yard,
      aFlow([aStep('a', { count: 3, fansOut: true }), aStep('b', { count: 2, fansOut: true, needs: ['a'] })]),
    )
    assert.deepEqual(Object.keys(live(yard, flow)), ['a/0', 'a/1', 'a/2'])
    for (const key of ['a/2', 'a/0']) await yard.end(live(yard, flow)[key]!)
    assert.deepEqual(Object.keys(live(yard, flow)), ['a/1'])
    await yard.end(live(yard, flow)['a/1']!)
    assert.deepEqual(Object.keys(live(yard, flow)), ['b/0', 'b/1'])
  })

  test('no more jobs wait to start than the flow allows, and each start makes room', async () => {
    const yard = await setup({ slots: 2 })
    const flow = await begin(yard, aFlow([aStep('a', { count: 10, fansOut: true })], { idleMax: 3 }))
    const waiting = () => Object.values(live(yard, flow)).filter(job => job.state === 'ready').length
    await yard.settle()
    assert.deepEqual([Object.keys(live(yard, flow)).length, waiting()], [5, 3])
    await yard.end(live(yard, flow)['a/0']!)
    assert.deepEqual([Object.keys(live(yard, flow)).length, waiting()], [5, 3])
  })
})

describe('a failed node', () => {
  test('is tried again as a new job as often as its step says', async () => {
    const yard = await setup()
    const flow = await begin(yard, aFlow([aStep('a', { retries: 1 })]))
    const first = live(yard, flow)['a']!
    await yard.fail(first)
    const second = live(yard, flow)['a']!
    assert.notEqual(second.n, first.n)
    assert.equal(second.name, 'a#2')
    await yard.fail(second)
    assert.equal((await yard.engine.flow({ n: flow.n }))!.state, 'failed')
  })

  test('that its pool can never hold fails at once', async () => {
    const yard = await setup({ pools: { default: { resources: { cpus: 1 } } } })
    const flow = await begin(
      yard,
      aFlow([aStep('a'), aStep('b', { needs: ['a'] })], { spec: { a: { needs: { cpus: 2 } } } }),
    )
    assert.deepEqual(await states(yard, flow), { a: 'failed', b: 'skipped' })
  })
})

describe('failures that spread', () => {
  const steps = [aStep('a'), aStep('b', { needs: ['a'] }), aStep('c', { needs: ['b'] })]

  test('block what depends on them, and the block is undone when the failed job is resubmitted', async () => {
    const yard = await setup()
    const flow = await begin(yard, aFlow(steps, { failure: 'spread', sparse: true }))
    for (const key of ['b', 'c']) await make(yard, flow, key)
    const jobs = live(yard, flow)
    assert.deepEqual(
      Object.values(jobs).map(job => job.state),
      ['starting', 'blocked', 'blocked'],
    )
    await yard.fail(jobs['a']!)
    assert.deepEqual(await states(yard, flow), { a: 'failed', b: 'blocked', c: 'blocked' })
    assert.deepEqual([jobs['b']!.reason, jobs['c']!.reason], ['upstream', 'upstream'])
    assert.equal((await yard.engine.flow({ n: flow.n }))!.state, 'running')
    await yard.engine.resubmit(jobs['a']!.n)
    await yard.settle()
    assert.deepEqual(await states(yard, flow), { a: 'live', b: 'waiting', c: 'waiting' })
    assert.deepEqual([jobs['b']!.reason, jobs['c']!.reason], [null, null])
    for (const key of ['a', 'b', 'c']) await yard.end(live(yard, flow)[key]!)
    assert.equal((await yard.engine.flow({ n: flow.n }))!.state, 'succeeded')
  })

  test('are all there after a restart at any moment, although only what cannot be told from their jobs is stored', async () => {
    let yard = await setup()
    const gated = [...steps, aStep('g', { does: 'gate', needs: ['a'] }), aStep('d', { needs: ['g', 'c'] })]
    const flow = await begin(yard, aFlow(gated, { failure: 'spread', sparse: true, done: ['none'] }))
    const stored = (): Promise<FlowNode[]> =>
      yard.engine.history.nodes(flow.n, { step: 0, index: 0, limit: 99 })
    const again = async (): Promise<Record<string, string>> => {
      const before = await states(yard, flow)
      yard = await setup(yard.crash())
      const after = await states(yard, flow)
      assert.deepEqual(after, before)
      return after
    }
    assert.deepEqual(await stored(), [])
    assert.deepEqual(await again(), { a: 'live', b: 'waiting', c: 'waiting', g: 'waiting', d: 'waiting' })
    await yard.fail(live(yard, flow)['a']!)
    assert.deepEqual(await again(), { a: 'failed', b: 'blocked', c: 'blocked', g: 'blocked', d: 'blocked' })
    await yard.engine.resubmit((await yard.engine.nodes(flow.n))[0]!.job)
    await yard.settle()
    assert.deepEqual(await again(), { a: 'live', b: 'waiting', c: 'waiting', g: 'waiting', d: 'waiting' })
    for (const key of ['a', 'b', 'c', 'd']) {
      await yard.end(live(yard, flow)[key]!)
      if (key !== 'd') await again()
    }
    assert.equal((await yard.engine.flow({ n: flow.n }))!.state, 'succeeded')
    assert.deepEqual(
      (await stored()).map(node => [node.key, node.state, node.job > 0]),
      [
        ['a', 'done', true],
        ['b', 'done', true],
        ['c', 'done', true],
        ['g', 'done', false],
        ['d', 'done', true],
      ],
    )
  })

  test('stay as they are across a restart', async () => {
    const before = await setup()
    const flow = await begin(before, aFlow(steps, { failure: 'spread', sparse: true }))
    await before.fail(live(before, flow)['a']!)
    const yard = await setup(before.crash())
    assert.deepEqual(await states(yard, flow), { a: 'failed', b: 'blocked', c: 'blocked' })
    const a = (await yard.engine.nodes(flow.n)).find(node => node.key === 'a')!
    await yard.engine.resubmit(a.job)
    await yard.settle()
    for (const key of ['a', 'b', 'c']) await yard.end(live(yard, flow)[key]!)
    assert.equal((await yard.engine.flow({ n: flow.n }))!.state, 'succeeded')
  })
})

describe('the job of a node that waits', () => {
  const steps = [aStep('a'), aStep('b', { needs: ['a'] }), aStep('c', { needs: ['b'] })]

  test.for([true, false])(
    'is made when somebody wants it, and is the one that runs (sparse: %s)',
    async sparse => {
      let yard = await setup()
      const flow = await begin(yard, aFlow(steps, { failure: 'spread', sparse }))
      const b = await make(yard, flow, 'b')
      assert.equal((await make(yard, flow, 'b')).n, b.n)
      await yard.tell(tx => tx.hold(b.n))
      yard = await setup(yard.crash())
      await yard.end(live(yard, flow)['a']!)
      assert.deepEqual(await states(yard, flow), { a: 'done', b: 'live', c: 'waiting' })
      assert.deepEqual([live(yard, flow)['b']!.n, live(yard, flow)['b']!.state], [b.n, 'ready'])
      await yard.tell(tx => tx.release(b.n))
      for (const key of ['b', 'c']) await yard.end(live(yard, flow)[key]!)
      assert.equal((await yard.engine.flow({ n: flow.n }))!.state, 'succeeded')
    },
  )

  test('knows at once when something above it has failed', async () => {
    const yard = await setup()
    const flow = await begin(yard, aFlow(steps, { failure: 'spread', sparse: true }))
    await yard.fail(live(yard, flow)['a']!)
    const c = await make(yard, flow, 'c')
    assert.deepEqual([c.state, c.reason], ['blocked', 'upstream'])
    assert.deepEqual(await states(yard, flow), { a: 'failed', b: 'blocked', c: 'blocked' })
  })

  test('fails with its node, and does not run, when its pool can never hold it', async () => {
    const yard = await setup({ pools: { default: { resources: { cpus: 1 } } } })
    const spec = { b: { needs: { cpus: 2 } } }
    const flow = await begin(yard, aFlow(steps, { failure: 'spread', sparse: true, spec }))
    await make(yard, flow, 'b')
    assert.deepEqual(await states(yard, flow), { a: 'live', b: 'failed', c: 'blocked' })
  })

  test('has had its first run once it was resubmitted, and is not tried more often than its step says', async () => {
    let yard = await setup()
    const flow = await begin(yard, aFlow(steps, { failure: 'spread', sparse: true }))
    const b = await make(yard, flow, 'b')
    await yard.tell(tx => tx.cancel(b.n))
    assert.ok((await yard.engine.resubmit(b.n)).ok)
    await yard.settle()
    await yard.fail(live(yard, flow)['b']!)
    assert.deepEqual(await states(yard, flow), { a: 'live', b: 'failed', c: 'blocked' })
    yard = await setup(yard.crash())
    assert.deepEqual(await states(yard, flow), { a: 'live', b: 'failed', c: 'blocked' })
  })

  test('is not made for gates, for nodes that have ended, and in flows that have', async () => {
    const yard = await setup()
    const gated = [...steps, aStep('g', { does: 'gate', needs: ['c'] })]
    const flow = await begin(yard, aFlow(gated, { failure: 'spread', sparse: true }))
    const refusal = async (node: string): Promise<unknown> => {
      const verdict = await yard.tell(tx => tx.makeJob(flow.n, node))
      return !verdict.ok && verdict.refusal.kind
    }
    await yard.end(live(yard, flow)['a']!)
    for (const node of ['a', 'g', 'nobody']) assert.equal(await refusal(node), 'illegal-move')
    for (const key of ['b', 'c']) await yard.end(live(yard, flow)[key]!)
    assert.equal(await refusal('c'), 'not-found')
  })

  test('that an earlier version made ahead is still the one that runs', async () => {
    const before = await setup()
    const old = { failure: 'spread', ahead: true } as Partial<DagPlan>
    const flow = await begin(before, aFlow(steps, old))
    const b = await make(before, flow, 'b')
    const yard = await setup(before.crash())
    await yard.end(live(yard, flow)['a']!)
    assert.equal(live(yard, flow)['b']!.n, b.n)
    for (const key of ['b', 'c']) await yard.end(live(yard, flow)[key]!)
    assert.equal((await yard.engine.flow({ n: flow.n }))!.state, 'succeeded')
  })
})

test('the specs of a sparse flow are drafted again when they are wanted, during its life and after it', async () => {
  let yard = await setup()
  const steps = [aStep('a', { retries: 1 }), aStep('b', { count: 2, fansOut: true, needs: ['a'] })]
  const spec = { a: { spec: { say: 'a' } }, b: { spec: { say: 'b' } } }
  const flow = await begin(yard, aFlow(steps, { sparse: true, spec }))
  const specs = async (): Promise<unknown[]> => {
    const nodes = await yard.engine.nodes(flow.n)
    return Promise.all(nodes.map(node => (node.job === 0 ? null : yard.engine.spec(node.job))))
  }
  const first = live(yard, flow)['a']!
  assert.equal((await yard.engine.history.specs([first.n])).size, 0)
  yard = await setup(yard.crash())
  assert.deepEqual(await yard.engine.spec(first.n), { say: 'a' })
  await yard.fail(live(yard, flow)['a']!)
  // Another run may be drafted otherwise: what it was drafted as is stored.
  assert.equal((await yard.engine.history.specs([live(yard, flow)['a']!.n])).size, 1)
  await yard.end(live(yard, flow)['a']!)
  yard = await setup(yard.crash())
  const running = await specs()
  assert.deepEqual([running[0], running[2]], [{ say: 'a' }, { say: 'b' }])
  for (const job of Object.values(live(yard, flow))) await yard.end(job)
  yard = await setup(yard.crash())
  assert.deepEqual(await specs(), running)
})

describe('a step that asks that nothing failed', () => {
  const steps = [
    aStep('a'),
    aStep('maybe', { does: 'gate', needs: ['a'] }),
    aStep('branch', { needs: ['maybe'] }),
    aStep('last', { needs: ['branch'], when: 'unfailed' }),
    aStep('after', { needs: ['last'] }),
  ]

  test('runs when what it needs was skipped', async () => {
    const yard = await setup()
    const flow = await begin(yard, aFlow(steps, { failure: 'spread', spec: { maybe: false } }))
    await yard.end(live(yard, flow)['a']!)
    assert.deepEqual(await states(yard, flow), {
      a: 'done',
      maybe: 'skipped',
      branch: 'skipped',
      last: 'live',
      after: 'waiting',
    })
  })

  test('is blocked, with all behind it, while what it needs has failed, and goes on once that is mended', async () => {
    const yard = await setup()
    const flow = await begin(yard, aFlow(steps, { failure: 'spread', sparse: true }))
    await yard.end(live(yard, flow)['a']!)
    const { branch } = live(yard, flow)
    await yard.fail(branch!)
    await make(yard, flow, 'after')
    const blocked = { a: 'done', maybe: 'done', branch: 'failed', last: 'blocked', after: 'blocked' }
    assert.deepEqual(await states(yard, flow), blocked)
    assert.equal(live(yard, flow)['after']!.reason, 'upstream')
    assert.ok((await yard.engine.resubmit(branch!.n)).ok)
    await yard.settle()
    for (const key of ['branch', 'last', 'after']) await yard.end(live(yard, flow)[key]!)
    assert.equal((await yard.engine.flow({ n: flow.n }))!.state, 'succeeded')
  })

  test('is skipped where failures cut', async () => {
    const yard = await setup()
    const flow = await begin(yard, aFlow(steps, { failure: 'cut' }))
    await yard.end(live(yard, flow)['a']!)
    await yard.fail(live(yard, flow)['branch']!)
    assert.deepEqual(
      [(await states(yard, flow))['last'], (await yard.engine.flow({ n: flow.n }))!.state],
      ['skipped', 'failed'],
    )
  })
})

describe('a job of a flow that is revived', () => {
  const steps = [aStep('a'), aStep('b', { needs: ['a'] })]

  test('waits again for what it needs, and goes when that is done', async () => {
    const yard = await setup()
    const flow = await begin(yard, aFlow(steps, { failure: 'spread', sparse: true }))
    const b = await make(yard, flow, 'b')
    const { a } = live(yard, flow)
    await yard.tell(tx => tx.cancel(b.n))
    assert.deepEqual(await states(yard, flow), { a: 'live', b: 'failed' })
    assert.ok((await yard.engine.revive(b.n)).ok)
    await yard.settle()
    assert.deepEqual(await states(yard, flow), { a: 'live', b: 'waiting' })
    await yard.end(a!)
    await yard.end(live(yard, flow)['b']!)
    assert.equal((await yard.engine.flow({ n: flow.n }))!.state, 'succeeded')
  })

  test('goes at once when nothing is left to wait for; outside of a running flow it is refused', async () => {
    const yard = await setup()
    const flow = await begin(yard, aFlow(steps, { failure: 'spread' }))
    await yard.end(live(yard, flow)['a']!)
    const { b } = live(yard, flow)
    await yard.fail(b!)
    assert.ok((await yard.engine.revive(b!.n)).ok)
    await yard.settle()
    await yard.end(live(yard, flow)['b']!)
    assert.equal((await yard.engine.flow({ n: flow.n }))!.state, 'succeeded')
    const [lone] = await yard.submit(aJob({}))
    await yard.tell(tx => tx.cancel(lone!.n))
    const verdict = await yard.engine.revive(lone!.n)
    assert.ok(!verdict.ok && verdict.refusal.kind === 'illegal-move')
  })
})

describe('a flow in a flow', () => {
  const child = aFlow([aStep('inner')])
  const parent = aFlow([aStep('sub', { does: 'flow' }), aStep('after', { needs: ['sub'] })], {
    spec: { sub: child as never },
  })

  test('is one node of its parent, and its end is the node’s', async () => {
    const yard = await setup()
    const flow = await begin(yard, parent)
    const inner = [...yard.engine.liveJobs()][0]!
    assert.equal(inner.node, 'inner')
    await yard.end(inner)
    assert.deepEqual(await states(yard, flow), { sub: 'done', after: 'live' })
  })

  test('is cancelled with its parent', async () => {
    const yard = await setup()
    const flow = await begin(yard, parent)
    await yard.tell(tx => tx.cancelFlow(flow.n))
    const inner = [...yard.engine.liveJobs()][0]!
    assert.equal(inner.stop, 'cancel')
    await yard.end(inner, { result: 'stopped' })
    assert.equal((await yard.engine.flow({ n: flow.n }))!.state, 'cancelled')
  })
})

describe('cancel and rerun', () => {
  test('a cancelled flow starts nothing more, and ends when its live jobs have', async () => {
    const yard = await setup({ slots: 1 })
    const flow = await begin(
      yard,
      aFlow([aStep('a', { count: 3, fansOut: true }), aStep('b', { needs: ['a'] })]),
    )
    await yard.tell(tx => tx.cancelFlow(flow.n))
    const running = [...yard.engine.liveJobs()]
    assert.equal(running.length, 1)
    await yard.end(running[0]!, { result: 'stopped' })
    const ended = (await yard.engine.flow({ n: flow.n }))!
    assert.equal(ended.state, 'cancelled')
    assert.equal((await yard.engine.history.flow({ n: flow.n }))!.progress.skipped, 1)
  })

  test('a rerun runs what failed or was cut, and nothing that is done', async () => {
    const yard = await setup()
    const flow = await begin(
      yard,
      aFlow([aStep('a'), aStep('b', { needs: ['a'] }), aStep('c', { needs: ['b'] })]),
    )
    await yard.end(live(yard, flow)['a']!)
    await yard.fail(live(yard, flow)['b']!)
    assert.equal((await yard.engine.flow({ n: flow.n }))!.state, 'failed')
    assert.equal((await yard.engine.rerunFlow(flow.n)).ok, true)
    await yard.settle()
    assert.deepEqual(Object.keys(live(yard, flow)), ['b'])
    await yard.end(live(yard, flow)['b']!)
    await yard.end(live(yard, flow)['c']!)
    assert.equal((await yard.engine.flow({ n: flow.n }))!.state, 'succeeded')
    assert.equal((await yard.engine.rerunFlow(flow.n)).ok, false)
  })

  test('nodes named as done are never run', async () => {
    const yard = await setup()
    const flow = await begin(yard, aFlow([aStep('a'), aStep('b', { needs: ['a'] })], { done: ['a'] }))
    assert.deepEqual(Object.keys(live(yard, flow)), ['b'])
  })
})

describe('a child flow that can never be', () => {
  const noPlan = aFlow([aStep('x', { needs: ['y'] }), aStep('y', { needs: ['x'] })]) as never

  test('fails its node alone, says why, and leaves the engine up', async () => {
    const yard = await setup()
    const draft = aFlow(
      [aStep('first'), aStep('bad', { does: 'flow', needs: ['first'] }), aStep('good', { needs: ['first'] })],
      { spec: { bad: noPlan } },
    )
    const flow = await begin(yard, draft)
    await yard.end(live(yard, flow)['first']!)
    assert.equal(yard.engine.up, true)
    assert.deepEqual(await states(yard, flow), { first: 'done', bad: 'failed', good: 'live' })
    await yard.end(live(yard, flow)['good']!)
    const ended = (await yard.engine.flow({ n: flow.n }))!
    assert.equal(ended.state, 'failed')
    const told = (await yard.engine.history.chain(ended.lastEvent, 10)).find(it => it.type === 'node-refused')
    assert.equal(told?.body?.['node'], 'bad')
    assert.match(String(told?.body?.['message']), /these steps wait for each other: x, y/)
  })

  test('is refused by name before a flow is begun, when asked', async () => {
    const yard = await setup()
    assert.match(String(yard.engine.planTrouble((noPlan as FlowDraft).plan)?.text), /wait for each other/)
    assert.equal(yard.engine.planTrouble(aFlow([aStep('a')]).plan), undefined)
  })
})

describe('why', () => {
  test('a node names the steps it waits for', async () => {
    const yard = await setup()
    const flow = await begin(yard, aFlow([aStep('a'), aStep('b', { needs: ['a'] })]))
    const why = await yard.engine.whyNode(flow.n, 'b')
    assert.deepEqual([why?.waitsFor, why?.upstream?.map(node => node.node)], ['upstream', ['a']])
    assert.equal(aJob().executor, 'scripted')
  })
})

test('planning without anything new asks for nothing', async () => {
  const before = await setup()
  await begin(before, aFlow([aStep('a', { count: 4, fansOut: true }), aStep('b', { needs: ['a'] })]))
  const changes: string[] = []
  const image = before.crash()
  const jobs = image.disk.jobs.size
  const yard = await setup({
    ...image,
    onCommit: (apply, batch) => {
      changes.push(...batch.events.map(event => event.type))
      apply()
    },
  })
  assert.equal(yard.disk.jobs.size, jobs)
  // The jobs that were starting are adopted; the planner itself has nothing to add.
  assert.deepEqual([...new Set(changes)], ['started', 'began'])
})

test('a node is found by its key alone, while its flow lives and after that', async () => {
  let yard = await setup()
  const steps = [aStep('a'), aStep('b/c', { count: 3, fansOut: true, needs: ['a'] }), aStep('b')]
  const flow = await begin(yard, aFlow(steps))
  const wrong = ['', 'c', 'a/0', 'b/c', 'b/c/3', 'b/c/-1', 'b/c/1.0', 'b/c/01', 'b/c/', 'b/c/x', 'b/0', '/']
  const check = async () => {
    const nodes = await yard.engine.nodes(flow.n)
    assert.equal(nodes.length, 5)
    for (const node of nodes) assert.deepEqual(await yard.engine.node(flow.n, node.key), node)
    for (const key of wrong) assert.equal(await yard.engine.node(flow.n, key), undefined, key)
    assert.equal(await yard.engine.node(flow.n + 1000, 'a'), undefined)
  }
  await check()
  for (let jobs = Object.values(live(yard, flow)); jobs.length > 0; jobs = Object.values(live(yard, flow)))
    for (const job of jobs) await yard.end(job)
  assert.equal((await yard.engine.flow({ n: flow.n }))!.state, 'succeeded')
  await check()
  yard = await setup(yard.crash())
  await check()
})

test('a drafter is handed what it holds of a document, which is stored as a whole', async () => {
  const seen: unknown[] = []
  const drafter = (yard: TestYard) =>
    yard.engine.drafter('test.held', {
      job: (_flow, spec) => {
        seen.push(spec)
        return aJob()
      },
      hold: spec => ({ small: (spec as { small: string }).small }),
    })
  const yard = await setup()
  drafter(yard)
  const steps = [aStep('a'), aStep('b', { needs: ['a'] })]
  const flow = await begin(yard, { ...aFlow(steps, { spec: { small: 's', large: 'l' } }), kind: 'test.held' })
  await yard.end(live(yard, flow)['a']!)
  assert.deepEqual(seen, [{ small: 's' }, { small: 's' }])
  assert.deepEqual(await yard.engine.spec(flow.n), { small: 's', large: 'l' })
})
