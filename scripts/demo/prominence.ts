// PROMINENCE: a container job from an image that was made on the spot, then a workflow with a factory that reads a data
// file which was uploaded before.

import { type Act, ask, type Row, type Stage, until } from './act.ts'

interface ShownJob {
  id: number
  status: string
  execution?: { tasks?: { exitCode?: number }[] }
}

interface ShownWorkflow {
  id: number
  status: string
  progress: { done: number; total: number }
}

const ended = new Set(['completed', 'failed', 'killed', 'deleted'])

export const prominence: Act = {
  title: 'PROMINENCE',
  async play(stage) {
    if (stage.image === undefined) return [absent]
    // Its clients read the expiry of their token themselves, so it must be a JWT.
    const token = await stage.cli(
      'token',
      'create',
      '--jwt',
      '--user',
      'demo',
      '--group',
      'demo',
      '--quiet',
      '--data',
      stage.dataDir,
    )
    const mine = { ...stage, token }
    return [await playJob(mine, stage.image), await playWorkflow(mine, stage.image)]
  },
}

const absent: Row = {
  dialect: 'PROMINENCE',
  what: 'a container job',
  state: 'not run',
  result: 'busybox-static is not installed',
  address: '',
}

async function playJob(stage: Stage, image: string): Promise<Row> {
  const { id } = (await ask(stage, '/api/v1/jobs', {
    body: {
      name: 'hello',
      resources: { cpus: 1, memory: 0.5, disk: 1 },
      tasks: [
        { image, runtime: 'singularity', cmd: 'sh -c "echo hello from job $PROMINENCE_JOB_ID in $PWD"' },
      ],
    },
  })) as { id: number }
  const job = await until(
    async () => ((await ask(stage, `/api/v1/jobs/${id}`)) as ShownJob[])[0]!,
    it => ended.has(it.status),
  )
  return {
    dialect: 'PROMINENCE',
    what: `a job in a ${image} container`,
    state: `${job.status}, exit ${job.execution?.tasks?.[0]?.exitCode}`,
    result: await textOf(stage, `/api/v1/jobs/${id}/stdout`),
    address: `/api/v1/jobs/${id}`,
  }
}

async function playWorkflow(stage: Stage, image: string): Promise<Row> {
  const { url } = (await ask(stage, '/api/v1/data/upload', {
    body: { filename: 'words.txt', checksum: null },
  })) as { url: string }
  const put = await fetch(url, { method: 'PUT', body: 'north\nsouth\neast\n' })
  if (!put.ok) throw new Error(`PUT of the data file: ${put.status}`)
  const { id } = (await ask(stage, '/api/v1/workflows', {
    body: {
      name: 'lines',
      jobs: [
        {
          name: 'line',
          resources: { cpus: 1, memory: 0.5, disk: 1 },
          artifacts: [{ url: 'words.txt' }],
          tasks: [{ image, runtime: 'singularity', cmd: "awk 'NR == $n' words.txt" }],
        },
      ],
      factories: [
        {
          name: 'lines',
          type: 'parameterSweep',
          jobs: ['line'],
          parameters: [{ name: 'n', start: 1, end: 3, step: 1 }],
        },
      ],
    },
  })) as { id: number }
  const flow = await until(
    async () => ((await ask(stage, `/api/v1/workflows/${id}`)) as ShownWorkflow[])[0]!,
    it => ended.has(it.status),
  )
  const lines = await Promise.all(
    [0, 1, 2].map(index => textOf(stage, `/api/v1/workflows/${id}/line/${index}/stdout`)),
  )
  return {
    dialect: 'PROMINENCE',
    what: 'a workflow: a sweep of 3 over a data file',
    state: `${flow.status}, ${flow.progress.done} of ${flow.progress.total}`,
    result: lines.join(' '),
    address: `/api/v1/workflows/${id}`,
  }
}

async function textOf(stage: Stage, path: string): Promise<string> {
  const response = await fetch(stage.url + path, { headers: { authorization: `Bearer ${stage.token}` } })
  return (await response.text()).trim()
}
