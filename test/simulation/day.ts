// One bad day of the yard, played from a seed: random commands, an executor that does as it likes, commits that fail,
// and a server that is killed at any commit and started again. What must hold is checked all along.

import assert from 'node:assert/strict'
import type { DagPlan, FlowDraft } from '../../src/core/flow.ts'
import type { JobDraft, Outcome } from '../../src/core/job.ts'
import { isFinal, isLive } from '../../src/core/job-state.ts'
import { Refused } from '../../src/core/refusal.ts'
import type { Completer } from '../../src/engine/engine.ts'
import type { MemoryDisk } from '../../src/store/memory/disk.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { type OutsideWorld, outsideWorld } from '../support/scripted-executor.ts'
import { aJob, setup, type TestYard } from '../support/yard.ts'
import { type Dice, diceOf } from './random.ts'

const slots = 3
const steps = 60

/** What the clients were told, and what the executor really ran. */
interface Ledger {
  readonly jobs: Set<number>
  readonly flows: Set<number>
  /** Jobs whose cancel was acknowledged. */
  readonly cancelled: Set<number>
  /** Attempts that were started, ever: starting one again after it was forgotten would be running it twice. */
  readonly started: Set<string>
}

export interface DayReport {
  readonly seed: number
  readonly jobs: number
  readonly crashes: number
  readonly failedCommits: number
}

/** A success leaves a numbered record, in the same commit or not at all; some results cannot be completed. */
const completer: Completer = ({ job, outcome, next }) => {
  if (outcome.outputs?.some(({ value }) => value === 'bad')) throw new Error('it cannot be completed')
  return { records: [{ put: { collection: 'result', id: job.id, body: next('result') } }] }
}

/** Plays a day; throws an assertion that names the seed when something does not hold. */
export async function playDay(seed: number): Promise<DayReport> {
  const dice = diceOf(seed)
  const survives = dice.chance(0.6)
  const told: Ledger = { jobs: new Set(), flows: new Set(), cancelled: new Set(), started: new Set() }
  const report = { seed, jobs: 0, crashes: 0, failedCommits: 0 }
  const clock = new FakeClock()
  const world = watched(outsideWorld(), told, seed)
  let disk: MemoryDisk | undefined
  let yard: TestYard
  let fate: 'live' | 'die before' | 'die after' | 'fail' = 'live'

  const open = async () => {
    fate = 'live'
    yard = await setup({
      slots,
      clock,
      world,
      can: { survivesRestart: survives },
      completers: { test: completer },
      ...(disk ? { disk } : {}),
      onCommit: apply => {
        if (fate === 'fail') {
          report.failedCommits++
          throw new Error('no space')
        }
        if (fate === 'die before') return new Promise(() => {})
        apply()
        if (fate === 'die after') return new Promise(() => {})
        return undefined
      },
    })
    disk = yard.disk
  }
  const restart = async () => {
    report.crashes++
    yard.crash()
    await open()
    checkDisk(yard, told, seed)
  }

  await open()
  for (let step = 0; step < steps; step++) {
    if (fate === 'live' && dice.chance(0.1)) fate = dice.pick(['die before', 'die after', 'fail'] as const)!
    oneStep(yard!, dice, told, report)
    await yard!.settle()
    if (fate === 'die before' || fate === 'die after') await restart()
    if (fate === 'fail' && !yard!.engine.up) {
      if (dice.chance(0.5)) await yard!.advance(500)
      fate = 'live'
      await yard!.advance(600)
      assert.ok(yard!.engine.up, `seed ${seed}: the engine does not heal`)
    }
    fate = fate === 'fail' ? 'live' : fate
    checkLive(yard!, seed)
  }
  await drain(yard!, seed)
  checkDisk(yard!, told, seed)
  // One more restart of a quiet yard: nothing may start again.
  await restart()
  assert.equal(
    yard!.executor.running.length,
    0,
    `seed ${seed}: a finished yard starts something after a restart`,
  )
  return report
}

function oneStep(yard: TestYard, dice: Dice, told: Ledger, report: { jobs: number }): void {
  const { engine, executor, clock } = yard
  const job = dice.pick([...engine.liveJobs()])
  const flow = dice.pick([...engine.liveFlows()])
  const attempt = dice.pick(executor.running)
  switch (dice.below(14)) {
    case 0:
    case 1:
    case 2: {
      const drafts = Array.from({ length: 1 + dice.below(4) }, () => randomJob(dice, clock.now()))
      report.jobs += drafts.length
      tell(
        engine.write(tx => drafts.map(draft => tx.submit(draft).n)),
        ns => {
          for (const n of ns) told.jobs.add(n)
        },
      )
      return
    }
    case 3:
      tell(
        engine.write(tx => tx.startFlow(randomFlow(dice)).n),
        n => told.flows.add(n),
      )
      return
    case 4:
      if (job !== undefined)
        tell(
          engine.write(tx => tx.cancel(job.n)),
          verdict => verdict.ok && told.cancelled.add(job.n),
        )
      return
    case 5:
      if (job !== undefined) tell(engine.write(tx => (dice.chance(0.5) ? tx.hold(job.n) : tx.pause(job.n))))
      return
    case 6:
      if (job !== undefined) tell(engine.write(tx => tx.release(job.n)))
      return
    case 7:
      if (job !== undefined) tell(engine.write(tx => tx.rerank(job.n, dice.below(5))))
      return
    case 8:
      if (flow === undefined) return
      if (dice.chance(0.3)) tell(engine.write(tx => tx.cancelFlow(flow.n)))
      else tell(makeSome(engine, dice, flow.n))
      return
    case 9: {
      const ended = dice.pick([...yard.disk.jobs.values()].filter(other => isFinal(other.state)))
      if (ended === undefined) return
      // Whether it is acknowledged or not: from here on the job may live again.
      told.cancelled.delete(ended.n)
      tell(dice.chance(0.7) ? engine.resubmit(ended.n) : engine.revive(ended.n))
      return
    }
    case 10:
      clock.advance(dice.below(5_000))
      return
    case 11:
      if (attempt !== undefined) executor.begin(attempt)
      return
    default:
      if (attempt !== undefined) executor.end(attempt, randomOutcome(dice))
      return
  }
}

/** The job of a node before its time, and sometimes held. */
function makeSome(engine: TestYard['engine'], dice: Dice, flow: number): Promise<unknown> {
  const node = dice.pick([...(engine.atHand.nodes(flow) ?? [])])
  const isHeld = dice.chance(0.3)
  return engine.write(tx => {
    const made = node === undefined ? undefined : tx.makeJob(flow, node.key)
    if (made?.ok && isHeld) tx.hold(made.value.n)
  })
}

/** What a client does with an answer: believes an ok, shrugs at a refusal. */
function tell<T>(answer: Promise<T>, believe: (value: T) => void = () => {}): void {
  answer.then(believe, error => {
    if (!(error instanceof Refused)) throw error
  })
}

function randomJob(dice: Dice, now: number): JobDraft {
  return aJob({
    rank: dice.below(3),
    triesMax: 1 + dice.below(3),
    backoffMs: dice.below(2_000),
    ...(dice.chance(0.2) ? { held: true } : {}),
    ...(dice.chance(0.2) ? { dueAt: now + dice.below(3_000) } : {}),
    ...(dice.chance(0.2) ? { runMsMax: 1 + dice.below(4_000) } : {}),
    ...(dice.chance(0.1) ? { queueMsMax: 1 + dice.below(4_000) } : {}),
  })
}

function randomFlow(dice: Dice): FlowDraft {
  const count = 1 + dice.below(5)
  const keys = Array.from({ length: count }, (_, at) => `s${at}`)
  const plan: DagPlan = {
    failure: dice.chance(0.5) ? 'cut' : 'spread',
    ...(dice.chance(0.3) ? { idleMax: 1 + dice.below(3) } : {}),
    ...(dice.chance(0.4) ? { sparse: true } : {}),
    steps: keys.map((key, at) => ({
      key,
      does: dice.chance(0.15) ? 'gate' : 'job',
      count: 1 + dice.below(2),
      fansOut: true,
      needs: keys.slice(0, at).filter(() => dice.chance(0.4)),
      when: dice.pick(['succeeded', 'succeeded', 'unfailed', 'ended', 'failed'] as const)!,
      retries: dice.below(2),
    })),
  }
  return { dialect: 'native', kind: 'test.flow', plan, spec: {} }
}

function randomOutcome(dice: Dice): Outcome {
  return dice.pick<Outcome>([
    { result: 'succeeded', exitCode: 0, outputs: [{ name: 'answer', value: 42 }] },
    { result: 'succeeded', exitCode: 0 },
    { result: 'succeeded', exitCode: 0, outputs: [{ name: 'answer', value: 'bad' }] },
    { result: 'failed', reason: 'exit', exitCode: 1 },
    { result: 'failed', reason: 'launch' },
    { result: 'stopped' },
    { result: 'lost' },
  ])!
}

/** Lets everything come to its end: holds are released, time passes, every attempt succeeds. */
async function drain(yard: TestYard, seed: number): Promise<void> {
  for (let turn = 0; turn < 400; turn++) {
    for (const job of yard.engine.liveJobs()) if (job.held) tell(yard.engine.write(tx => tx.release(job.n)))
    await yard.settle()
    for (const id of yard.executor.running) yard.executor.end(id, { result: 'succeeded', exitCode: 0 })
    await yard.advance(2_000)
    const left = [...yard.engine.liveJobs()].filter(job => job.state !== 'blocked')
    if (left.length === 0 && yard.executor.running.length === 0) return
  }
  const left = [...yard.engine.liveJobs()].map(
    job => `${job.n} ${job.state}${job.held ? ' held' : ''} ${job.stop}`,
  )
  assert.fail(`seed ${seed}: the yard does not come to rest: ${left.join('; ')}`)
}

/** Holds at every moment. */
function checkLive(yard: TestYard, seed: number): void {
  const liveByJob = new Map<string, number>()
  for (const id of yard.executor.running) {
    const job = id.slice(0, id.lastIndexOf('.'))
    liveByJob.set(job, (liveByJob.get(job) ?? 0) + 1)
  }
  for (const [job, count] of liveByJob)
    assert.equal(count, 1, `seed ${seed}: job ${job} has ${count} live attempts`)
  const live = [...yard.engine.liveJobs()].filter(job => isLive(job.state)).length
  assert.ok(live <= slots, `seed ${seed}: ${live} jobs live in ${slots} slots`)
  assert.equal(yard.engine.poolState()[0]?.slotsUsed, live, `seed ${seed}: the pool lost count`)
  if (yard.engine.up) checkNodes(yard, seed)
}

/** A node is live exactly while its newest job is, whatever of it was stored before a crash. */
function checkNodes({ engine }: TestYard, seed: number): void {
  for (const flow of engine.liveFlows()) {
    for (const node of engine.atHand.nodes(flow.n) ?? []) {
      const job = node.job === 0 ? undefined : engine.atHand.job(node.job)
      const isOnItsWay = job !== undefined && !isFinal(job.state) && job.state !== 'blocked'
      const told = `seed ${seed}: node ${node.key} of flow ${flow.n} is ${node.state}, its job ${job?.n} ${job?.state}`
      assert.equal(node.state === 'live', isOnItsWay, told)
    }
  }
}

/** Holds whenever the disk is all there is. */
function checkDisk(yard: TestYard, told: Ledger, seed: number): void {
  const { disk } = yard
  for (const n of told.jobs) assert.ok(disk.jobs.has(n), `seed ${seed}: acknowledged job ${n} is lost`)
  for (const n of told.flows) assert.ok(disk.flows.has(n), `seed ${seed}: acknowledged flow ${n} is lost`)
  for (const n of told.cancelled) {
    const job = disk.jobs.get(n)!
    const settled = isFinal(job.state) || job.stop === 'cancel' || job.stop === 'kill'
    assert.ok(settled, `seed ${seed}: the acknowledged cancel of job ${n} is lost: it is ${job.state}`)
  }
  const finals = new Set(['succeeded', 'failed', 'cancelled', 'written-off'])
  const reopening = new Set(['resubmitted', 'revived'])
  for (const job of disk.jobs.values()) {
    let open = true
    for (const event of [...disk.events.values()].filter(
      other => other.subject === 'job' && other.n === job.n,
    )) {
      if (finals.has(event.type)) {
        assert.ok(open, `seed ${seed}: job ${job.n} ended twice`)
        open = false
      } else if (reopening.has(event.type)) open = true
    }
    assert.equal(
      open,
      !isFinal(job.state),
      `seed ${seed}: job ${job.n} is ${job.state}, its events say otherwise`,
    )
    checkChain(disk, job.n, job.lastEvent, seed)
  }
  checkResults(disk, seed)
}

/** Success and its record stand or fall together, and no number is given twice. */
function checkResults(disk: MemoryDisk, seed: number): void {
  const results = disk.records.get('result') ?? new Map<string, { readonly body: unknown }>()
  const succeeded = [...disk.jobs.values()].filter(job => job.state === 'succeeded').map(job => job.id)
  assert.deepEqual(
    [...results.keys()].sort(),
    succeeded.sort(),
    `seed ${seed}: results without success, or not`,
  )
  const numbers = new Set([...results.values()].map(({ body }) => body))
  assert.equal(numbers.size, results.size, `seed ${seed}: two results have one number`)
}

function checkChain(disk: MemoryDisk, n: number, lastEvent: number, seed: number): void {
  const seqs = [...disk.events.values()]
    .filter(event => event.subject === 'job' && event.n === n)
    .map(event => event.seq)
  const chained: number[] = []
  for (let seq = lastEvent; seq !== 0; seq = disk.events.get(seq)!.prev) chained.unshift(seq)
  assert.deepEqual(chained, seqs, `seed ${seed}: the chain of job ${n} misses events`)
}

/** The outside world, noticing when an attempt is started a second time. */
function watched(world: OutsideWorld, told: Ledger, seed: number): OutsideWorld {
  const { attempts } = world
  const set = attempts.set.bind(attempts)
  attempts.set = (id, attempt) => {
    if (!attempts.has(id)) {
      assert.ok(!told.started.has(id), `seed ${seed}: attempt ${id} is run twice`)
      told.started.add(id)
    }
    return set(id, attempt)
  }
  const clear = attempts.clear.bind(attempts)
  attempts.clear = () => {
    // Threads die with the server: what was started there may be started again under the same id.
    for (const id of attempts.keys()) told.started.delete(id)
    clear()
  }
  return world
}
