// Cancels and requeues jobs, as far as each of them allows it; those that do not are passed over, as the original does
// (contracts/scale.md §5.4).

import type { Tx } from '../../../engine/engine.ts'
import { maxTriesUsual } from '../shapes/catalog.ts'
import type { World } from '../world.ts'
import { mendedAt, readJobFacts, showJobFacts } from './job-facts.ts'
import { againCollection } from './recipe-record.ts'
import { executionCount, type JobRow } from './rows.ts'

/** Cancels jobs: running ones are stopped, waiting ones held, failed ones written off. */
export async function cancelJobs(world: World, rows: readonly JobRow[]): Promise<void> {
  const waiting: JobRow[] = []
  const failed: JobRow[] = []
  const running: JobRow[] = []
  for (const row of rows) {
    if (row.status === 'COMPLETED' || row.status === 'CANCELED') continue
    if (row.status === 'FAILED') failed.push(row)
    else if (row.mainState === 'blocked' || row.mainState === 'ready' || row.mainState === 'delayed')
      waiting.push(row)
    else running.push(row)
  }
  const done: JobRow[] = []
  let at = world.now
  if (waiting.length + running.length > 0)
    await world.commit(tx => {
      at = tx.now
      // The rows may be a moment behind the engine: what has begun since is stopped, what has ended stays as it ended.
      for (const row of waiting) if (holdCanceled(world, tx, row) || stop(tx, row)) done.push(row)
      for (const row of running) if (stop(tx, row)) done.push(row)
    })
  for (const row of failed)
    if ((await world.kit.engine.writeOff(row.postState === 'failed' ? row.post : row.main)).ok) done.push(row)
  for (const row of done) if (row.status !== 'COMPLETED') world.instances.setCanceled(row, true, at)
}

/** Puts failed and cancelled jobs back: those that ran are queued again, those that never ran wait again. */
export async function requeueJobs(world: World, rows: readonly JobRow[], priority?: number): Promise<void> {
  const able = rows.filter(
    row => row.supersededAt === null && (row.status === 'FAILED' || row.status === 'CANCELED'),
  )
  // From the roots down, so that what waits for a requeued job is not taken for blocked in between.
  for (const row of able.toSorted((a, b) => a.id - b.id)) await requeue(world, row, priority)
}

async function requeue(world: World, row: JobRow, priority: number | undefined): Promise<void> {
  const { engine } = world.kit
  const maxTries = executionCount(row) + maxTriesUsual
  const rank = priority ?? row.priority
  if (row.isCanceled && isWaiting(row)) {
    await world.commit(tx => {
      tx.note(row.main, { isCanceled: null, [mendedAt]: tx.now })
      tx.rerank(row.main, rank)
      if (world.follower.mayStart(row.typeId)) tx.release(row.main)
    })
  } else if (row.post !== 0 && row.mainState === 'succeeded') {
    await runAgain(world, row, rank)
  } else {
    const verdict = await engine.resubmit(row.main, { detail: { [mendedAt]: world.now } })
    if (!verdict.ok) {
      // A cancel was asked and is not there yet; the program may take its grace time to end.
      if (row.isCanceled) world.follower.requeueOnceStopped(row, rank)
      return
    }
    await world.commit(tx => {
      tx.note(row.main, { maxTries, isCanceled: null })
      tx.rerank(row.main, rank)
      if (!world.follower.mayStart(row.typeId)) tx.hold(row.main)
    })
  }
  if (row.mainState !== 'blocked') row.maxTries = maxTries
  row.priority = rank
  world.instances.setCanceled(row, false, world.now)
  world.follower.releaseHeld([row.typeId])
}

// Its program succeeded and its outputs could not be collected: what has succeeded cannot be queued again, so the
// program gets a job of its own, and the collecting is tried again when that has ended.
async function runAgain(world: World, row: JobRow, rank: number): Promise<void> {
  const old = await world.engineJob(row.main)
  if (!old) return
  const exesBefore = row.exesBefore + row.attempts
  const facts = { ...readJobFacts(old.detail)!, exesBefore, flow: row.flow }
  await world.commit(tx => {
    const job = tx.submit({
      dialect: 'scale',
      executor: old.executor,
      kind: old.kind,
      spec: { step: row.step, job: row.id },
      name: old.name,
      owner: old.owner,
      pool: old.pool,
      rank,
      ...(old.runMsMax !== null && { runMsMax: old.runMsMax }),
      ...(old.needs && { needs: old.needs }),
      unfit: 'fail',
      detail: { ...showJobFacts(facts), [mendedAt]: tx.now },
    })
    tx.record({ put: { collection: againCollection, id: String(row.id), body: { main: job.n } } })
    row.exesBefore = exesBefore
    row.main = job.n
    row.mainState = job.state
    row.attempts = 0
    world.instances.place(job.n, row)
    world.instances.place(old.n, row)
  })
}

function isWaiting(row: JobRow): boolean {
  return row.mainState === 'blocked' || row.mainState === 'ready' || row.mainState === 'delayed'
}

// A waiting job is not ended but held: then it can go on waiting where it stands when it is wanted again.
function holdCanceled(world: World, tx: Tx, row: JobRow): boolean {
  if (row.main === 0) {
    const made = tx.makeJob(row.flow, row.step)
    if (!made.ok) return false
    row.main = made.value.n
    world.instances.place(row.main, row)
  }
  if (!tx.hold(row.main).ok) return false
  tx.note(row.main, { isCanceled: true })
  return true
}

function stop(tx: Tx, row: JobRow): boolean {
  const message = 'cancelled by a user'
  return tx.cancel(row.main, { message }).ok || (row.post !== 0 && tx.cancel(row.post, { message }).ok)
}
