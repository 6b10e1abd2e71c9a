import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, test } from 'vitest'
import { Float } from '../values/float.ts'
import { Raster } from '../values/raster.ts'
import { readCommandTask } from './command-task.ts'
import { makeRaster } from './demo.ts'
import { runTask } from './task.ts'

describe('a command as a task', () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-command-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  async function run(
    script: string,
    args: Record<string, unknown> = {},
    signal = new AbortController().signal,
  ) {
    const told: { lines: string[]; progress: number[] } = { lines: [], progress: [] }
    const task = readCommandTask(
      {
        command: ['sh', '-c', script],
        inputs: [
          { name: 'n', type: 'int', args: [[], { required: false }] },
          { name: 'grid', type: 'raster', args: [[], { required: false }] },
        ],
        outputs: [
          { name: 'sum', type: 'number' },
          { name: 'grid', type: 'raster' },
        ],
      },
      folder,
    )
    const tools = {
      signal,
      progress: (fraction: number) => void told.progress.push(fraction),
      log: (line: string) => void told.lines.push(line),
      scratchDir: folder,
    }
    const outputs = Object.fromEntries(await runTask(task, new Map(Object.entries(args)), tools))
    return { outputs, told }
  }
  const write = (json: string): string => `printf '%s' '${json}' > outputs.json`

  test('reads its inputs, writes its outputs, and tells how far it is', async () => {
    const { outputs, told } = await run(
      `grep -q '"n": 4' inputs.json && printf 'prog'; sleep 0.05; echo 'ress 0.5'; echo a line; printf 'no end' >&2; ${write('{"sum": 8.5}')}`,
      { n: '4' },
    )
    assert.deepEqual(outputs['sum'], new Float(8.5))
    assert.deepEqual(told.progress, [0.5])
    assert.deepEqual(told.lines.sort(), ['a line', 'no end'])
  })

  test('takes and gives rasters as files', async () => {
    const grid = makeRaster({ width: 3, height: 2, mask_above: 4 })
    const { outputs } = await run(`cp input-0.nc mine.nc; ${write('{"grid": {"$raster": "mine.nc"}}')}`, {
      grid,
    })
    assert.ok(outputs['grid'] instanceof Raster)
    assert.deepEqual(outputs['grid'].toLists(), grid.toLists())
  })

  test('fails with what it said when it ends badly, says nothing, or says what is no JSON', async () => {
    await assert.rejects(run('echo the reason >&2; exit 3'), /ended with 3: the reason/)
    await assert.rejects(run('true'), /without writing outputs.json/)
    await assert.rejects(run(write('nonsense')), /./)
    await assert.rejects(run(write('[1]')), /must hold an object/)
    await assert.rejects(run(write('{"other": 1}')), /Unrecognized parameter: other/)
    await assert.rejects(run('truncate -s 100M outputs.json'), /larger than/)
  })

  test('gives no file from outside of its folder', async () => {
    writeFileSync(join(folder, 'secret.nc'), 'CDF')
    for (const path of ['../secret.nc', join(folder, 'secret.nc'), '/etc/passwd'])
      await assert.rejects(
        run(write(`{"grid": {"$raster": "${path}"}}`)),
        /must be a file in the folder|ENOENT/,
        path,
      )
    await assert.rejects(
      run(`ln -s ../secret.nc link.nc; ${write('{"grid": {"$raster": "link.nc"}}')}`),
      /must be a file in the folder/,
    )
  })

  test('ends with all that it started when it is stopped, and leaves nothing running when it ends', async () => {
    const stop = new AbortController()
    const pids = join(folder, 'pids')
    const running = run(`sleep 600 & echo $! > ${pids}; wait`, {}, stop.signal)
    while (!existsSync(pids) || readFileSync(pids, 'utf8') === '') await sleep(10)
    stop.abort()
    await assert.rejects(running)
    await gone(Number(readFileSync(pids, 'utf8')))
    // The one that is left behind holds the streams open.
    await run(`sleep 600 & echo $! > ${pids}; ${write('{}')}`)
    await gone(Number(readFileSync(pids, 'utf8')))
  })

  async function gone(pid: number): Promise<void> {
    const isAlive = (): boolean => {
      try {
        // A child that nobody has waited for yet is dead all the same.
        return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
      } catch {
        return false
      }
    }
    while (isAlive()) await sleep(10)
  }
})
