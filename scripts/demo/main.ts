// `make demo`: starts a server, runs a real job through every dialect, prints what ran and where, and stays up.
// DEMO_EXIT=1 ends after the table; DEMO_PORT chooses the port (one that is free unless said), DEMO_DIR the folder.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import Table from 'cli-table3'
import { findBusybox, writeBusyboxImage } from '../busybox-image.ts'
import type { Row, Stage } from './act.ts'
import { acts } from './acts.ts'

const root = resolve(import.meta.dirname, '../..')
const program = join(root, 'bin/switchyard')
const demoDir = process.env['DEMO_DIR'] ?? join(root, '.demo')
const dataDir = join(demoDir, 'data')
const workDir = join(demoDir, 'work')

rmSync(demoDir, { recursive: true, force: true })
mkdirSync(workDir, { recursive: true })
const { server, url } = await startServer()
let failed = 0
try {
  const stage = await setStage(url)
  const rows: Row[] = []
  for (const act of acts) {
    process.stdout.write(`${act.title} … `)
    try {
      const played = await act.play(stage)
      rows.push(...played)
      console.log('done')
    } catch (error) {
      failed++
      console.log(`failed: ${error instanceof Error ? error.message : error}`)
    }
  }
  printRows(rows, url)
} catch (error) {
  failed++
  console.error(error)
}
if (process.env['DEMO_EXIT'] === '1' || failed > 0) {
  await stop()
  process.exitCode = failed > 0 ? 1 : 0
} else {
  console.log(
    `The server stays up at ${url} until you press Ctrl-C. Its admin token: ${join(dataDir, 'admin-token')}`,
  )
  process.once('SIGINT', () => void stop())
  process.once('SIGTERM', () => void stop())
}

async function startServer(): Promise<{ server: ChildProcess; url: string }> {
  const port = process.env['DEMO_PORT'] ?? '0'
  const child = spawn(program, ['serve', '--data', dataDir, '--port', port, '--log-level', 'warn'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ready = new Promise<string>((resolved, reject) => {
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const found = /^ready (\S+)$/m.exec(text)
      if (found !== null) resolved(found[1]!)
    })
    child.once('exit', code => reject(new Error(`the server ended with ${code} before it was ready`)))
  })
  return { server: child, url: await ready }
}

async function setStage(address: string): Promise<Stage> {
  const run = promisify(execFile)
  const cli = async (...words: string[]) => {
    try {
      return (await run(program, words)).stdout.trim()
    } catch (error) {
      throw new Error((error as { stderr?: string }).stderr?.trim() || String(error))
    }
  }
  let image: string | undefined
  if (findBusybox() !== undefined) {
    const file = join(workDir, 'busybox.tar')
    await writeBusyboxImage(file)
    await cli('image', 'import', file, '--name', 'busybox', '--data', dataDir)
    image = 'busybox'
  }
  return {
    url: address,
    token: readFileSync(join(dataDir, 'admin-token'), 'utf8').trim(),
    dataDir,
    workDir,
    cli,
    image,
  }
}

function printRows(rows: readonly Row[], address: string): void {
  const table = new Table({
    head: ['dialect', 'what ran', 'state', 'result', 'address'],
    style: { head: [], border: [] },
  })
  for (const row of rows) table.push([row.dialect, row.what, row.state, row.result, address + row.address])
  console.log(table.toString())
}

/** Asks the server to end, and waits until it has. */
async function stop(): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const ended = new Promise(done => server.once('exit', done))
  server.kill('SIGTERM')
  await ended
}
