// Flows over the native API: how they unfold, end, are run again, and what a hostile one is answered.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { NativeServer, noop, sh, sleeper } from './native-server.ts'

let yard: NativeServer
beforeAll(async () => {
  yard = await NativeServer.start()
})
afterAll(() => yard.close())

describe('a flow', () => {
  test('runs its steps in order, fans out, and fills values into each instance', async () => {
    const flow = await submitted({
      name: 'fan',
      labels: { project: 'x' },
      steps: [
        { key: 'first', job: noop },
        {
          key: 'each',
          needs: ['first'],
          fanOut: {
            over: [
              { who: 'ann', n: 1 },
              { who: 'ben', n: 2 },
            ],
          },
          job: sh('echo {{index}} {{who}} {{ n }} {{other}}'),
        },
        { key: 'many', needs: ['first'], fanOut: { count: 3 }, job: noop },
        { key: 'last', needs: ['each', 'many'], job: noop },
      ],
    })
    const ended = await over(flow.id)
    assert.deepEqual(
      [ended.state, ended.progress.total, ended.progress.done, ended.labels],
      ['succeeded', 7, 7, { project: 'x' }],
    )
    const nodes = await nodesOf(flow.id)
    assert.deepEqual(Object.keys(nodes), ['first', 'each/0', 'each/1', 'many/0', 'many/1', 'many/2', 'last'])
    const printed = await Promise.all(
      ['each/0', 'each/1'].map(async key => (await yard.get(`/jobs/${nodes[key]!.job}/logs/out`)).text),
    )
    assert.deepEqual(printed, ['0 ann 1 {{other}}\n', '1 ben 2 {{other}}\n'])
    const jobs = (await yard.get(`/jobs?flow=${flow.n}&order=oldest`)).json.items
    assert.deepEqual(jobs.map((job: { node: string }) => job.node).toSorted(), Object.keys(nodes).toSorted())
    assert.equal(jobs[0].name, 'fan/first')
  })

  test('takes the way for failures when one happens, tries again as told, and the cut branch is skipped', async () => {
    const flow = await submitted({
      steps: [
        { key: 'bad', retries: 1, job: sh('exit 1') },
        { key: 'after', needs: ['bad'], job: noop },
        { key: 'mend', needs: ['bad'], when: 'failed', job: noop },
        { key: 'report', needs: ['bad'], when: 'ended', job: noop },
      ],
    })
    assert.equal((await over(flow.id)).state, 'failed')
    const nodes = await nodesOf(flow.id)
    assert.deepEqual(
      Object.entries(nodes).map(([key, node]) => [key, node.state, node.runs]),
      [
        ['bad', 'failed', 2],
        ['after', 'skipped', 0],
        ['mend', 'done', 1],
        ['report', 'done', 1],
      ],
    )
    assert.equal((await yard.get(`/flows/${flow.id}/nodes?state=skipped`)).json.items.length, 1)
    assert.equal((await yard.get(`/flows/${flow.id}/nodes?state=odd`)).json.field, 'state')
  })

  test('may hold flows, which are flows of their own', async () => {
    const inner = {
      name: 'inner {{who}}',
      steps: [
        { key: 'a', job: sh('echo {{who}} {{index}}') },
        { key: 'b', needs: ['a'], job: noop },
      ],
    }
    const flow = await submitted({
      steps: [
        { key: 'child', fanOut: { over: [{ who: 'x' }, { who: 'y' }] }, flow: inner },
        { key: 'end', needs: ['child'], job: noop },
      ],
    })
    assert.equal((await over(flow.id)).state, 'succeeded')
    const nodes = await nodesOf(flow.id)
    const child = (await yard.get(`/flows/${nodes['child/1']!.flow}`)).json
    assert.deepEqual([child.name, child.state, child.parentFlow], ['inner y', 'succeeded', flow.n])
    const a = (await nodesOf(child.id))['a']!
    assert.equal((await yard.get(`/jobs/${a.job}/logs/out`)).text, 'y 1\n')
  })

  test('is cancelled with all that runs in it, also in the flows inside it', async () => {
    const flow = await submitted({
      steps: [
        { key: 'runs', job: sleeper },
        { key: 'inside', flow: { steps: [{ key: 'deep', job: sleeper }] } },
        { key: 'never', needs: ['runs'], job: noop },
      ],
    })
    const { json: why } = await yard.get(`/flows/${flow.id}/nodes/never/why`)
    assert.deepEqual([why.waiting, why.waitsFor, why.upstream[0].node], [true, 'upstream', 'runs'])
    assert.equal((await yard.ask('DELETE', `/flows/${flow.id}`)).status, 409)
    assert.equal((await yard.post(`/flows/${flow.id}/rerun`)).status, 409)
    assert.equal((await yard.post(`/flows/${flow.id}/cancel`)).json.stop, 'cancel')
    assert.equal((await over(flow.id)).state, 'cancelled')
    const nodes = await nodesOf(flow.id)
    assert.equal((await yard.get(`/flows/${nodes['inside']!.flow}`)).json.state, 'cancelled')
    assert.equal(nodes['never']!.state, 'skipped')
    assert.equal((await yard.post(`/flows/${flow.id}/cancel`)).status, 409)
    assert.equal((await yard.ask('DELETE', `/flows/${flow.id}`)).status, 204)
    assert.equal((await yard.get(`/flows/${flow.id}`)).status, 404)
    assert.equal((await yard.get(`/jobs/${nodes['runs']!.job}`)).status, 200)
  })

  test('keeps its jobs until it has ended', async () => {
    const flow = await submitted({
      steps: [
        { key: 'a', job: noop },
        { key: 'b', needs: ['a'], job: { ...noop, held: true } },
      ],
    })
    const first = (await nodesOf(flow.id))['a']!.job!
    await yard.ended(first)
    assert.equal((await yard.ask('DELETE', `/jobs/${first}`)).status, 409)
    await yard.post(`/flows/${flow.id}/cancel`)
    await over(flow.id)
    assert.equal((await yard.ask('DELETE', `/jobs/${first}`)).status, 204)
  })

  test('that stays open after a failure is run again from what failed, in the flows inside it too', async () => {
    const flag = `${yard.dir}/mended-open`
    const broken = { key: 'a', job: sh(`test -e ${flag}`) }
    const after = { key: 'b', needs: ['a'], job: noop }
    const inner = { failure: 'spread', steps: [broken, after] }
    const flow = await submitted({
      failure: 'spread',
      steps: [broken, after, { key: 'f', flow: inner }, { key: 'g', needs: ['f'], job: noop }],
    })
    const failures = async () => {
      const { a, f } = await nodesOf(flow.id)
      const child = f!.flow === null ? undefined : (await nodesOf(String(f!.flow)))['a']
      return [a!.state, child?.state]
    }
    while ((await failures()).join() !== 'failed,failed') await new Promise(turn => setTimeout(turn, 20))
    await writeFile(flag, '')
    assert.equal((await yard.post(`/flows/${flow.id}/rerun`)).status, 200)
    assert.equal((await over(flow.id)).state, 'succeeded')

    const open = await submitted({ steps: [{ key: 'a', job: { ...noop, held: true } }] })
    const nothing = await yard.post(`/flows/${open.id}/rerun`)
    assert.deepEqual([nothing.status, /nothing of it has failed/.test(nothing.json.detail)], [409, true])
  })

  test('that failed is run again from what failed, also after a restart', async () => {
    const flag = `${yard.dir}/mended`
    const flow = await submitted({
      steps: [
        { key: 'done', job: noop },
        { key: 'bad', needs: ['done'], job: sh(`test -e ${flag}`) },
        { key: 'after', needs: ['bad'], job: noop },
      ],
    })
    assert.equal((await over(flow.id)).state, 'failed')
    const before = await nodesOf(flow.id)
    await yard.restart()
    await writeFile(flag, '')
    assert.equal((await yard.post(`/flows/${flow.id}/rerun`)).json.state, 'running')
    assert.equal((await over(flow.id)).state, 'succeeded')
    const after = await nodesOf(flow.id)
    assert.equal(after['done']!.job, before['done']!.job)
    assert.notEqual(after['bad']!.job, before['bad']!.job)
    assert.equal((await yard.post(`/flows/${flow.id}/rerun`)).status, 409)
  })

  test('of thousands of nodes is paged through, each node once', async () => {
    const flow = await submitted({
      steps: [
        { key: 'gate', job: { ...noop, held: true } },
        { key: 'many', needs: ['gate'], fanOut: { count: 2_500 }, job: noop },
        { key: 'last', needs: ['many'], job: noop },
      ],
    })
    const keys: string[] = []
    for (let after = ''; ; ) {
      const { json } = await yard.get(`/flows/${flow.id}/nodes?limit=1000${after}`)
      keys.push(...json.items.map((node: { key: string }) => node.key))
      if (json.next === undefined) break
      after = `&after=${json.next}`
    }
    assert.deepEqual([keys.length, new Set(keys).size, keys[0], keys.at(-1)], [2_502, 2_502, 'gate', 'last'])
    assert.equal((await yard.get(`/flows/${flow.id}/nodes?after=x`)).json.field, 'after')
    assert.equal((await yard.get(`/flows/${flow.id}/nodes/many%2F3/why`)).json.waitsFor, 'upstream')
    assert.equal((await yard.get(`/flows/${flow.id}/nodes/many/3/why`)).json.waitsFor, 'upstream')
    for (const path of ['many/3', 'nothing/why', 'many/2500/why', '__proto__/why'])
      assert.equal((await yard.get(`/flows/${flow.id}/nodes/${path}`)).status, 404, path)
    await yard.post(`/flows/${flow.id}/cancel`)
    assert.equal((await over(flow.id)).state, 'cancelled')
  })

  test('lists by name, label and state, in both orders', async () => {
    for (const name of ['l1', 'l2', 'l3'])
      await submitted({ name, labels: { list: 'yes' }, steps: [{ key: 'a', job: noop }] })
    const names = async (query: string) =>
      (await yard.get(`/flows?label=list=yes${query}`)).json.items.map((it: { name: string }) => it.name)
    assert.deepEqual(await names(''), ['l3', 'l2', 'l1'])
    assert.deepEqual(await names('&order=oldest'), ['l1', 'l2', 'l3'])
    assert.deepEqual(await names('&name=l2'), ['l2'])
    assert.deepEqual(await names('&limit=1'), ['l3'])
    assert.equal((await yard.get('/flows?state=odd')).json.field, 'state')
  })
})

describe('a flow that cannot be', () => {
  test('is refused before any of it is done, and the step is named', async () => {
    const newest = (await yard.get('/flows?limit=1')).json.items[0].n
    const a = { key: 'a', job: noop }
    const wide = (steps: object[], count: number) => ({ key: 'w', fanOut: { count }, flow: { steps } })
    const wrong: [object, number, string][] = [
      [{ steps: [] }, 400, 'steps'],
      [{ steps: [a, a] }, 400, 'steps.a'],
      [{ steps: [{ ...a, needs: ['b'] }] }, 400, 'steps.a'],
      [{ steps: [{ ...a, needs: ['a'] }] }, 400, 'steps'],
      [{ steps: [{ ...a, key: 'a/b' }] }, 400, 'steps.0.key'],
      [{ steps: [{ key: 'a' }] }, 400, 'steps.0'],
      [{ steps: [{ ...a, flow: { steps: [a] } }] }, 400, 'steps.0'],
      [{ steps: [{ ...a, when: 'never' }] }, 400, 'steps.0.when'],
      [{ steps: [{ ...a, fanOut: { count: 0 } }] }, 400, 'steps.0.fanOut.count'],
      [{ steps: [{ ...a, job: { executor: 'nobody', spec: 1 } }] }, 400, 'steps.a.job.executor'],
      [{ steps: [{ ...a, job: { ...noop, pool: 'smal' } }] }, 400, 'steps.a.job.pool'],
      [
        { steps: [{ ...a, job: { executor: 'function', spec: { function: 'prominence.notice' } } }] },
        400,
        'steps.a',
      ],
      [{ steps: [{ key: 'f', flow: { steps: [a, a] } }] }, 400, 'steps.f.flow.steps.a'],
      [{ steps: [{ key: 'f', flow: { steps: [{ ...a, needs: ['a'] }] } }] }, 400, 'steps.f.flow.steps'],
      [
        { steps: [{ key: 'f', flow: { steps: [{ key: 'x', job: { executor: 'nobody', spec: 1 } }] } }] },
        400,
        'steps.f.flow.steps.x.job.executor',
      ],
      // Small documents that come to a great deal.
      [
        {
          steps: [
            { ...a, fanOut: { count: 100_000 } },
            { ...a, key: 'b' },
          ],
        },
        413,
        'steps.b',
      ],
      [{ steps: [wide([wide([{ ...a, fanOut: { count: 100 } }], 100)], 100)] }, 413, 'steps.w'],
      [
        {
          steps: [
            {
              key: 'x',
              fanOut: { over: Array.from({ length: 50 }, () => ({ v: 'y'.repeat(10_000) })) },
              job: sh('{{v}}'.repeat(1_000)),
            },
          ],
        },
        413,
        'steps.x',
      ],
      [
        { steps: [{ key: 'x', fanOut: { over: [{ v: '{{w}}' }] }, flow: { steps: [a] } }] },
        400,
        'steps.x.fanOut.over.0.v',
      ],
    ]
    for (const [flow, status, field] of wrong) {
      const answer = await yard.post('/flows', flow)
      assert.deepEqual([answer.status, answer.json.field], [status, field], answer.text)
    }
    assert.equal((await yard.get('/flows?limit=1')).json.items[0].n, newest)
    assert.equal((await yard.post('/jobs', noop)).status, 201)
  })

  test('because of its values alone fails its node, and the server stays up', async () => {
    const inner = {
      steps: [
        { key: '{{a}}', job: noop },
        { key: '{{b}}', job: noop },
      ],
    }
    const flow = await submitted({
      steps: [
        { key: 'first', job: noop },
        {
          key: 'child',
          needs: ['first'],
          fanOut: {
            over: [
              { a: 'x', b: 'y' },
              { a: 'same', b: 'same' },
              { a: 'with/slash', b: 'z' },
            ],
          },
          flow: inner,
        },
      ],
    })
    assert.equal((await over(flow.id)).state, 'failed')
    const nodes = await nodesOf(flow.id)
    assert.deepEqual(
      ['child/0', 'child/1', 'child/2'].map(key => nodes[key]!.state),
      ['done', 'failed', 'failed'],
    )
    assert.equal((await yard.post('/jobs', noop)).status, 201)
  })

  test('in one instance only fails that one: its job says what is wrong', async () => {
    const job = { executor: 'process', spec: { argv: ['pwd'], cwd: '{{dir}}' } }
    const flow = await submitted({
      steps: [{ key: 'x', fanOut: { over: [{ dir: '/' }, { dir: 'not-absolute' }] }, job }],
    })
    assert.equal((await over(flow.id)).state, 'failed')
    const nodes = await nodesOf(flow.id)
    const failed = (await yard.get(`/jobs/${nodes['x/1']!.job}`)).json
    assert.deepEqual([nodes['x/0']!.state, failed.reason], ['done', 'launch'])
    assert.match(failed.message, /cwd/)
  })
})

async function submitted(flow: object): Promise<{ id: string; n: number }> {
  const answer = await yard.post('/flows', flow)
  assert.equal(answer.status, 201, answer.text)
  return answer.json
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
async function over(id: string): Promise<any> {
  for (;;) {
    const { json } = await yard.get(`/flows/${id}?wait=5000`)
    if (json.state !== 'running') return json
  }
}

interface ShownNode {
  readonly key: string
  readonly state: string
  readonly job: number | null
  readonly flow: number | null
  readonly runs: number
}

async function nodesOf(id: string): Promise<Record<string, ShownNode>> {
  const { items } = (await yard.get(`/flows/${id}/nodes`)).json as { items: ShownNode[] }
  return Object.fromEntries(items.map(node => [node.key, node]))
}
