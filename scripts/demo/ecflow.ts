// ecFlow: a suite of two tasks, the second behind a trigger on the first. The scripts are as a weather centre writes
// them: their `ecflow_client` is the one that the server puts on their PATH.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Act, ask, type Row, type Stage, until } from './act.ts'

const script = (work: string) => `#!/bin/sh
set -e
export ECF_NAME=%ECF_NAME% ECF_PASS=%ECF_PASS% ECF_TRYNO=%ECF_TRYNO% ECF_RID=$$
ecflow_client --init=$$
trap 'trap 0; ecflow_client --abort=trapped; exit 1' 0 1 2 15
${work}
trap 0
ecflow_client --complete
`

export const ecflow: Act = {
  title: 'ecFlow',
  async play(stage) {
    const home = join(stage.dataDir, 'dialects/ecflow/home')
    mkdirSync(join(home, 'demo/f'), { recursive: true })
    writeFileSync(join(home, 'demo/f/first.ecf'), script('ecflow_client --meter=step 3\necho first has run'))
    writeFileSync(join(home, 'demo/f/second.ecf'), script('echo second saw step %STEP% done'))
    await ask(stage, '/v1/suites', { body: { definition } })
    await ask(stage, '/v1/suites/demo/status', { method: 'PUT', body: { action: 'begin' } })
    const state = await until(
      async () => ((await ask(stage, '/v1/suites/demo/status')) as { status: string }).status,
      it => it === 'complete' || it === 'aborted',
    )
    return [await rowOf(stage, state)]
  },
}

const definition = `suite demo
  family f
    edit STEP '3'
    task first
      meter step 0 5 5
    task second
      trigger first == complete and first:step ge 3
  endfamily
endsuite
`

async function rowOf(stage: Stage, state: string): Promise<Row> {
  const { job_output } = (await ask(stage, '/v1/suites/demo/f/second/output')) as { job_output: string }
  return {
    dialect: 'ecFlow',
    what: 'a suite: second triggers on first and its meter',
    state,
    result: job_output.trim(),
    address: '/v1/suites/demo/tree',
  }
}
