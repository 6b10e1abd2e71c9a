// A checkpoint that the real server writes is loaded here and goes on: states, tries, meters, repeats, who did what.

import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { startEcflow, token } from '../contract/ecflow-server.ts'
import { missingRealEcflow, startRealEcflow } from './ecflow-server.ts'

const missing = missingRealEcflow()

const definition = `suite s
  edit A 'it is # no comment'
  limit lim 2
  family f
    repeat integer N 1 3
    task a
      event go
      meter m 0 10
      label l "text"
      inlimit /s:lim
      queue q one two three
    task b
      trigger a:go or a == complete
      time 23:59
      late -s +00:15 -a 20:00
  endfamily
  family held
    defstatus suspended
    task z
      cron -w 1,2 10:00
      zombie ecf:fob
  endfamily
endsuite
`

describe.skipIf(missing !== undefined)(
  `a checkpoint of the real ecflow_server${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    test('loads with its states and histories, and says the same about every node', async () => {
      const real = await startRealEcflow()
      const ours = await startEcflow()
      try {
        const steps = [
          ['--begin=s'],
          ['--alter', 'add', 'variable', 'FRED', 'some value', '/s/f'],
          ['--alter', 'change', 'meter', 'm', '7', '/s/f/a'],
          ['--alter', 'change', 'label', 'l', 'two words', '/s/f/a'],
          ['--alter', 'change', 'repeat', '2', '/s/f'],
          ['--force=set', '/s/f/a:go'],
          ['--force=complete', '/s/f/a'],
          ['--suspend', '/s/f/b'],
          ['--check_pt'],
        ]
        expect(real.load(definition).ok).toBe(true)
        for (const step of steps)
          expect([step, real.run(...step).text]).toEqual([step, expect.not.stringContaining('Error')])
        const file = readdirSync(real.home).find(name => name.endsWith('.check'))!
        const text = readFileSync(join(real.home, file), 'utf8')
        const loaded = await ours.ask('POST', '/v1/suites', { definition: text }, token)
        expect(loaded.status, loaded.text).toBe(201)

        const ask = async (path: string) => (await ours.ask('GET', `/v1/suites${path}`)).json
        for (const path of ['/s', '/s/f', '/s/f/a', '/s/f/b', '/s/held', '/s/held/z']) {
          const name = path.split('/').at(-1)!
          const line = text
            .split('\n')
            .find(it => new RegExp(`^ *(?:suite|family|task) ${name}(?: |$)`).test(it))
          const theirs = / state:(\w+)/.exec(line ?? '')?.[1] ?? 'unknown'
          expect([path, (await ask(`${path}/tree?content=full`))[name].state.node]).toEqual([path, theirs])
        }
        const a = await ask('/s/f/a/attributes')
        expect([a.meters[0].value, a.labels[0].value, a.events[0].value]).toEqual([7, 'two words', true])
        expect((await ask('/s/f/attributes')).repeat).toMatchObject({ name: 'N', value: 2 })
        expect((await ask('/s/f/b/status')).status).toBe('suspended')
        expect((await ask('/s/held/status')).status).toBe('suspended')
        const edits = (await ask('/s/f/history')).edits.map((it: { command: string }) => it.command)
        expect(edits).toEqual(
          ['alter add variable FRED some value /s/f', 'alter change repeat 2 /s/f'].map(it =>
            expect.stringContaining(it.slice(0, 16)),
          ),
        )
        // The other server's own folders and port did not come along.
        const { variables } = (await ours.ask('GET', '/v1/server/attributes')).json
        const home = variables.filter((it: { name: string }) => it.name === 'ECF_HOME')
        expect(home).toEqual([{ name: 'ECF_HOME', value: ours.home, const: true }])
        // And it goes on: what is requeued here runs here.
        const requeued = await ours.ask('PUT', '/v1/suites/s/f/a/status', { action: 'requeue' }, token)
        expect(requeued.status, requeued.text).toBe(200)
      } finally {
        real.stop()
        await ours.close()
        await rm(ours.dir, { recursive: true, force: true })
      }
    })
  },
)
