import { expect, test } from 'vitest'
import { endReasons, jobStates } from '../../core/job-state.ts'
import { type Fault, isEnded, type JobFacts, jobStatus, jobStatusReason, workflowStatus } from './words.ts'

const facts = (more: Partial<JobFacts>): JobFacts => ({
  state: 'failed',
  stop: 'none',
  reason: null,
  ...more,
})

test('every state has its word', () => {
  const words = Object.fromEntries(
    jobStates.map(state => [state, jobStatus(facts({ state, reason: 'exit' }))]),
  )
  expect(words).toEqual({
    blocked: 'pending',
    ready: 'pending',
    delayed: 'pending',
    starting: 'pending',
    running: 'running',
    succeeded: 'completed',
    failed: 'completed',
    cancelled: 'deleted',
  })
})

test('a deletion is told as soon as it is asked for, a walltime that ran out is not one', () => {
  for (const state of ['starting', 'running'] as const) {
    expect(jobStatus(facts({ state, stop: 'kill' }))).toBe('deleted')
    expect(isEnded({ state, stop: 'cancel' })).toBe(true)
  }
  expect(jobStatus(facts({ state: 'running', stop: 'expire' }))).toBe('running')
  expect(isEnded({ state: 'running', stop: 'expire' })).toBe(false)
})

test('an end by the disk limit is a kill with words of its own, whatever the exit code', () => {
  const over = facts({ reason: 'exit', fault: 'disk' })
  expect([jobStatus(over), jobStatusReason(over)]).toEqual(['killed', 'Job used too much disk space'])
})

test('every reason of a failure has its status and its words', () => {
  const told = Object.fromEntries(
    endReasons.map(reason => [reason, [jobStatus(facts({ reason })), jobStatusReason(facts({ reason }))]]),
  )
  expect(told).toEqual({
    exit: ['completed', undefined],
    timeout: ['killed', 'Walltime limit exceeded'],
    memory: ['killed', 'Job used too much memory'],
    launch: ['failed', 'Unable to execute task(s)'],
    image: ['failed', 'Container image pull failed'],
    'stage-in': ['failed', 'Artifact download failed'],
    'stage-out': ['failed', 'Stageout failed due to no such file or directory'],
    'no-resources': ['failed', 'No matching resources'],
    expired: ['failed', 'Maximum time queued was exceeded'],
    lost: ['failed', 'Job was evicted'],
    user: ['failed', 'Job deleted by user'],
    upstream: ['failed', 'Job part of a workflow which was deleted by user'],
  })
})

test.each<[JobFacts['reason'], Fault, string]>([
  ['stage-in', 'unpack', 'Artifact uncompress failed'],
  ['stage-out', 'pack', 'Stageout failed due to tarball creation failed'],
  ['stage-out', 'upload', 'Unable to stageout output to object storage'],
  ['launch', 'mount', 'Unable to mount storage volume'],
])('%s with the fault %s is told as %s', (reason, fault, words) => {
  expect(jobStatusReason(facts({ reason, fault }))).toBe(words)
})

test('who deleted a job is told apart', () => {
  expect(jobStatusReason(facts({ state: 'cancelled', reason: 'user' }))).toBe('Job deleted by user')
  const together = facts({ state: 'cancelled', reason: 'user', withWorkflow: true })
  expect(jobStatusReason(together)).toBe('Job part of a workflow which was deleted by user')
})

test('a workflow is pending until one of its jobs was released, and deleted once that was asked', () => {
  const status = (
    state: 'running' | 'failed' | 'succeeded' | 'cancelled',
    released: boolean,
    stop: 'none' | 'cancel' = 'none',
  ) => workflowStatus({ state, released, stop })
  expect([status('running', false), status('running', true)]).toEqual(['pending', 'running'])
  expect([status('succeeded', true), status('failed', true), status('cancelled', true)]).toEqual([
    'completed',
    'failed',
    'deleted',
  ])
  expect(status('running', true, 'cancel')).toBe('deleted')
})
