// A data directory with a long history, written through the store itself: as many finished and waiting jobs as asked.

import { randomFillSync } from 'node:crypto'
import { idMaker } from '../../../src/core/ids.ts'
import type { Job } from '../../../src/core/job.ts'
import { Batch } from '../../../src/engine/batch.ts'
import { SqliteStore } from '../../../src/store/sqlite/sqlite-store.ts'
import { freshDir } from '../processes.ts'

const perBatch = 2_000

/** Fills a fresh data directory and gives its path. */
export async function fillHistory(counts: { finished: number; waiting: number }): Promise<string> {
  const directory = freshDir('full')
  const store = new SqliteStore({ directory })
  await store.open()
  const newId = idMaker(bytes => randomFillSync(bytes))
  const total = counts.finished + counts.waiting
  const begunAt = Date.now() - total
  let seq = 0
  for (let from = 0; from < total; from += perBatch) {
    const batch = new Batch()
    for (let n = from + 1; n <= Math.min(from + perBatch, total); n++) {
      const at = begunAt + n
      const job = aJob({ n, id: newId(at), at, ended: n <= counts.finished })
      const types = n <= counts.finished ? ['submitted', 'claimed', 'succeeded'] : ['submitted']
      for (const type of types) {
        seq++
        batch.events.push({
          seq,
          at,
          subject: 'job',
          n,
          prev: type === 'submitted' ? 0 : seq - 1,
          type,
          body: null,
        })
      }
      job.lastEvent = seq
      batch.newJobs.push({ job, spec: '{"function":"noop","input":null}' })
    }
    await store.commit(batch)
  }
  await store.close()
  return directory
}

function aJob({ n, id, at, ended }: { n: number; id: string; at: number; ended: boolean }): Job {
  const state = !ended ? 'ready' : n % 50 === 0 ? 'failed' : n % 97 === 0 ? 'cancelled' : 'succeeded'
  return {
    n,
    id,
    dialect: n % 3 === 0 ? 'prominence' : 'native',
    executor: 'function',
    kind: 'noop',
    owner: `bench-${n % 10}`,
    name: `job ${n}`,
    ref: n % 3 === 0 ? String(n) : null,
    labels: null,
    pool: 'default',
    needs: null,
    flow: null,
    node: null,
    triesMax: 1,
    backoffMs: 1_000,
    queueMsMax: null,
    runMsMax: null,
    createdAt: at,
    rank: 0,
    state,
    held: !ended,
    stop: 'none',
    reason: state === 'failed' ? 'exit' : state === 'cancelled' ? 'user' : null,
    message: null,
    exitCode: state === 'failed' ? 1 : state === 'succeeded' ? 0 : null,
    attempts: ended ? 1 : 0,
    tries: 0,
    readyAt: at,
    dueAt: null,
    startedAt: ended ? at : null,
    endedAt: ended ? at + 1 : null,
    detail: null,
    lastEvent: 0,
  }
}
