// The promise of the product, on the real thing: what was acknowledged survives kill -9, runs once, and keeps its
// exit code and its streams.

import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'vitest'
import { diceOf } from '../simulation/random.ts'
import { freshDataDir, type RealServer, startServer } from '../support/server.ts'

const kills = Number(process.env['KILLS'] ?? 30)
const seed = Number(process.env['SEED'] ?? 1)

interface Submitted {
  readonly id: string
  readonly tag: string
  readonly exitCode: number
}

test(`a server killed ${kills} times under load loses nothing, runs nothing twice, and keeps every outcome`, async () => {
  const dice = diceOf(seed)
  const dataDir = freshDataDir('kill')
  const ran = join(dataDir, 'ran')
  const config = '[pools.default]\nslots = 6\n'
  const ledger: Submitted[] = []
  let server = await startServer({ dataDir, config })
  try {
    for (let kill = 1; kill <= kills; kill++) {
      const over = new AbortController()
      const clients = Array.from({ length: 4 }, (_, client) =>
        submitUntil(over.signal, { server, ran, ledger, client, kill }),
      )
      await new Promise(resolve => setTimeout(resolve, 60 + dice.below(240)))
      await server.kill()
      over.abort()
      await Promise.all(clients)
      server = await startServer({ dataDir, config })
    }
    await idle(server)
    const runs = readFileSync(ran, 'utf8').trim().split('\n')
    assert.equal(new Set(runs).size, runs.length, 'an attempt ran twice')
    assert.ok(
      ledger.length >= kills * 3,
      `only ${ledger.length} jobs were acknowledged: the load was no load`,
    )
    const ranOnce = new Map<string, number>()
    for (const run of runs) {
      const job = run.slice(0, run.lastIndexOf('.'))
      ranOnce.set(job, (ranOnce.get(job) ?? 0) + 1)
    }
    for (const { id, tag, exitCode } of ledger) {
      const { status, json: job } = await server.ask(`/yard/v1/jobs/${id}`)
      assert.equal(status, 200, `job ${id} was acknowledged and is lost`)
      assert.equal(
        job.state,
        exitCode === 0 ? 'succeeded' : 'failed',
        `job ${id}: ${job.reason} ${job.message}`,
      )
      assert.equal(job.exitCode, exitCode)
      assert.equal(ranOnce.get(id), 1, `job ${id} ran ${ranOnce.get(id) ?? 0} times`)
      assert.equal((await server.ask(`/yard/v1/jobs/${id}/logs/out`)).text, `out ${tag}\n`)
      assert.equal((await server.ask(`/yard/v1/jobs/${id}/logs/err`)).text, `err ${tag}\n`)
    }
  } finally {
    await server.stop()
    rmSync(dataDir, { recursive: true, force: true })
    rmSync(`${dataDir}.toml`, { force: true })
  }
})

/** Submits jobs one after another until the server is gone, and remembers those that were acknowledged. */
async function submitUntil(
  over: AbortSignal,
  parts: { server: RealServer; ran: string; ledger: Submitted[]; client: number; kill: number },
): Promise<void> {
  for (let count = 0; !over.aborted; count++) {
    const tag = `${parts.kill}-${parts.client}-${count}`
    const exitCode = count % 3
    // It writes down that it runs before anything else, then takes a moment, so that kills find it alive.
    const script = `echo "$SWITCHYARD_ATTEMPT" >> "$RAN"; echo out ${tag}; echo err ${tag} >&2; sleep 0.0${count % 10}; exit ${exitCode}`
    const body = {
      executor: 'process',
      name: tag,
      spec: { argv: ['sh', '-c', script], env: { RAN: parts.ran } },
    }
    try {
      const { status, json } = await parts.server.ask('/yard/v1/jobs', { body })
      if (status === 201) parts.ledger.push({ id: json.id, tag, exitCode })
    } catch {
      return // The server was killed: what it did not acknowledge may or may not be there.
    }
  }
}

async function idle(server: RealServer): Promise<void> {
  for (let turn = 0; turn < 1_200; turn++) {
    const { json } = await server.ask('/yard/v1/pools')
    if (
      json.items.every(
        (pool: { ready: number; slotsUsed: number }) => pool.ready === 0 && pool.slotsUsed === 0,
      )
    )
      return
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  assert.fail('the server does not come to rest')
}
