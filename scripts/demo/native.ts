// The native API: a job and a DAG of processes, both durable when answered.

import { type Act, ask, type Row, type Stage } from './act.ts'

interface Shown {
  id: string
  state: string
  progress: { done: number; total: number }
}

export const native: Act = {
  title: 'native API',
  async play(stage) {
    return [await playJob(stage), await playFlow(stage)]
  },
}

async function playJob(stage: Stage): Promise<Row> {
  const job = (await ask(stage, '/yard/v1/jobs', {
    body: { executor: 'process', name: 'hello', spec: { argv: ['sh', '-c', 'echo hello from $(uname -s)'] } },
  })) as Shown
  const ended = (await ask(stage, `/yard/v1/jobs/${job.id}?wait=30000`)) as Shown
  return {
    dialect: 'native',
    what: 'a job: one process',
    state: ended.state,
    result: await textOf(stage, `/yard/v1/jobs/${job.id}/logs/out`),
    address: `/yard/v1/jobs/${job.id}`,
  }
}

async function playFlow(stage: Stage): Promise<Row> {
  const say = (text: string) => ({ executor: 'process', spec: { argv: ['echo', text] } })
  const flow = (await ask(stage, '/yard/v1/flows', {
    body: {
      name: 'diamond',
      steps: [
        { key: 'prepare', job: say('prepared') },
        {
          key: 'work',
          needs: ['prepare'],
          fanOut: { over: [{ tile: 'north' }, { tile: 'south' }] },
          job: say('tile {{tile}}'),
        },
        { key: 'merge', needs: ['work'], job: say('merged') },
      ],
    },
  })) as Shown
  const ended = (await ask(stage, `/yard/v1/flows/${flow.id}?wait=30000`)) as Shown
  return {
    dialect: 'native',
    what: 'a DAG: prepare → work × 2 → merge',
    state: ended.state,
    result: `${ended.progress.done} of ${ended.progress.total} nodes done`,
    address: `/yard/v1/flows/${flow.id}`,
  }
}

async function textOf(stage: Stage, path: string): Promise<string> {
  const response = await fetch(stage.url + path, { headers: { authorization: `Bearer ${stage.token}` } })
  return (await response.text()).trim()
}
