import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type EcflowServer, startEcflow } from '../contract/ecflow-server.ts'
import { repository } from '../support/server.ts'

const run = promisify(execFile)
const program = join(repository, 'bin/ecflow_client')

describe('ecflow_client of ours', () => {
  let server: EcflowServer
  beforeAll(async () => {
    server = await startEcflow()
  })
  afterAll(() => server.close())

  const client = async (...args: string[]): Promise<string> => {
    const env = {
      ...process.env,
      SWITCHYARD_ECFLOW_URL: server.server.url,
      SWITCHYARD_ECFLOW_TOKEN: 'tok-sha',
    }
    return (await run(program, args, { env })).stdout
  }
  const state = async (path: string) =>
    (await server.ask('GET', `/v1/suites${path}/status?filter=status`)).json
  const until = async (path: string, wanted: string) => {
    for (let left = 600; left > 0 && (await state(path)) !== wanted; left--) {
      await new Promise(resolve => setTimeout(resolve, 25))
    }
    expect(await state(path)).toBe(wanted)
  }

  test('an existing script with ecflow_client calls runs unchanged', async () => {
    const folder = join(server.home, 'c')
    await mkdir(folder, { recursive: true })
    await writeFile(
      join(server.home, 'head.h'),
      [
        '#!/bin/sh',
        'set -e',
        'export ECF_PORT=%ECF_PORT% ECF_HOST=%ECF_HOST% ECF_NAME=%ECF_NAME% ECF_PASS=%ECF_PASS% ECF_TRYNO=%ECF_TRYNO%',
        'export ECF_RID=$$',
        'ecflow_client --init=$$',
        'ERROR() { set +e; ecflow_client --abort=trap; trap 0; exit 0; }',
        'trap ERROR 0 1 2 15',
      ].join('\n'),
    )
    await writeFile(join(server.home, 'tail.h'), 'ecflow_client --complete\ntrap 0\n')
    await writeFile(
      join(folder, 'good.ecf'),
      [
        '%include <head.h>',
        'ecflow_client --event=ready',
        'ecflow_client --meter=done 60',
        'ecflow_client --label=info \'it says "hello"\' and more',
        'step=$(ecflow_client --queue=q active)',
        'echo "step $step"',
        'ecflow_client --queue=q complete "$step"',
        'ecflow_client --wait="/c/other == complete"',
        '%include <tail.h>',
      ].join('\n'),
    )
    await writeFile(join(folder, 'bad.ecf'), '%include <head.h>\nfalse\n%include <tail.h>\n')
    const definition = [
      'suite c',
      ` edit ECF_INCLUDE '${server.home}'`,
      ' edit ECF_TRIES 1',
      ' task good',
      '  event ready',
      '  meter done 0 100',
      '  label info ""',
      '  queue q one two',
      ' task other',
      '  edit ECF_NO_SCRIPT 1',
      "  edit ECF_JOB_CMD 'true'",
      '  trigger good:done ge 50',
      ' task bad',
      '  trigger good == complete',
    ]
    const file = join(server.home, 'c.def')
    await writeFile(file, definition.join('\n'))
    await client(`--load=${file}`)
    await client('--begin=c')
    await until('/c/other', 'submitted')
    expect(await state('/c/good')).toBe('active')
    await client('--force=complete', '/c/other')
    await until('/c/good', 'complete')
    const { json } = await server.ask('GET', '/v1/suites/c/good/attributes')
    expect(json.events[0].value).toBe(true)
    expect(json.meters[0].value).toBe(60)
    expect(json.labels[0].value).toBe('it says "hello" and more')
    expect((await server.ask('GET', '/v1/suites/c/good/output?filter=job_output')).json).toContain('step one')
    await until('/c/bad', 'aborted')
    const meta = await server.ask('GET', '/v1/suites/c/bad/tree?content=full&with_meta=true')
    expect(meta.json.bad.abort_reason).toBe('trap')
  })

  test('the daily commands of people work', async () => {
    expect(await client('--ping')).toContain('succeeded')
    expect(await client('--get=/c/other')).toContain('trigger good:done ge 50')
    await client('--suspend=/c/bad')
    expect(await client('--get_state=/c/bad')).toBe('suspended\n')
    expect(await client('--why=/c/bad')).toContain('/c/bad is suspended')
    await client('--resume=/c/bad')
    await client('--alter=add', 'variable', 'V', 'some value', '/c/bad')
    const { json } = await server.ask('GET', '/v1/suites/c/bad/attributes?filter=variables[0]')
    expect(json).toEqual({ name: 'V', value: 'some value', const: false })
    await client('--alter=delete', 'variable', 'V', '/c/bad')
    await client('--order=/c/bad', 'top')
    expect(Object.keys((await server.ask('GET', '/v1/suites/c/tree')).json.c)).toEqual([
      'bad',
      'good',
      'other',
    ])
    await client('--shutdown=yes')
    expect((await server.ask('GET', '/v1/server/status?filter=status')).json).toBe('SHUTDOWN')
    await client('--restart')
    await expect(client('--requeue=/nosuch')).rejects.toThrow('Could not find node')
    await client('--delete=force', 'yes', '/c')
    expect(await client('--suites')).toBe('\n')
  })

  test('a job goes on trying while the server is away', async () => {
    const heard: string[] = []
    const away = createServer((request, response) => {
      heard.push(`${request.method} ${request.url}`)
      response.end('{}')
    })
    // A port that nobody listens on yet.
    const { port } = await new Promise<{ port: number }>(resolve => {
      away.listen(0, '127.0.0.1', () => resolve(away.address() as { port: number }))
    })
    await new Promise(resolve => away.close(resolve))
    const env = {
      ...process.env,
      SWITCHYARD_ECFLOW_URL: `http://127.0.0.1:${port}`,
      ECF_NAME: '/s/t',
      ECF_PASS: 'p',
      ECF_RID: '1',
    }
    const saying = run(program, ['--complete'], { env })
    await new Promise(resolve => setTimeout(resolve, 300))
    await new Promise<void>(resolve => away.listen(port, '127.0.0.1', resolve))
    await saying
    expect(heard).toEqual(['PUT /v1/suites/s/t/status'])
    await expect(
      run(program, ['--complete'], {
        env: { ...env, ECF_TIMEOUT: '0', SWITCHYARD_ECFLOW_URL: 'http://127.0.0.1:9' },
      }),
    ).rejects.toThrow('no answer')
    await new Promise(resolve => away.close(resolve))
  })
})
