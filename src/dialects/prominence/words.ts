// The status and the reason that a PROMINENCE client is told, from core facts. contracts/prominence.md §3.1.

import type { FlowState } from '../../core/flow.ts'
import type { EndReason, JobState, StopRequest } from '../../core/job-state.ts'

export type JobStatus = 'pending' | 'running' | 'completed' | 'failed' | 'killed' | 'deleted'
export type WorkflowStatus = 'pending' | 'running' | 'completed' | 'failed' | 'deleted'

export interface JobFacts {
  readonly state: JobState
  readonly stop: StopRequest
  readonly reason: EndReason | null
  /** What exactly went wrong, where the reason alone does not say. */
  readonly fault?: Fault | undefined
  /** It was deleted together with its workflow. */
  readonly withWorkflow?: boolean
}

/** Faults within a stage, or a limit besides time and memory, as the executor names them. */
export type Fault = 'fetch' | 'unpack' | 'missing' | 'pack' | 'upload' | 'mount' | 'disk'

/** The word for a job's state. A deletion is told as soon as it is asked for. */
export function jobStatus({ state, stop, reason, fault }: JobFacts): JobStatus {
  switch (state) {
    case 'blocked':
    case 'ready':
    case 'delayed':
      return 'pending'
    case 'starting':
      return isDeletion(stop) ? 'deleted' : 'pending'
    case 'running':
      return isDeletion(stop) ? 'deleted' : 'running'
    case 'succeeded':
      return 'completed'
    case 'cancelled':
      return 'deleted'
    case 'failed':
      if (reason === 'exit' && fault === 'disk') return 'killed'
      // Whatever the exit codes, a job whose tasks were run is completed.
      if (reason === 'exit') return 'completed'
      return reason === 'timeout' || reason === 'memory' ? 'killed' : 'failed'
  }
}

/** Why the status is as it is, or undefined where there is nothing to say. */
export function jobStatusReason(facts: JobFacts): string | undefined {
  const status = jobStatus(facts)
  if (status === 'deleted')
    return facts.withWorkflow ? 'Job part of a workflow which was deleted by user' : 'Job deleted by user'
  if (facts.state !== 'failed' || facts.reason === null) return undefined
  switch (facts.reason) {
    case 'exit':
      return facts.fault === 'disk' ? 'Job used too much disk space' : undefined
    case 'timeout':
      return 'Walltime limit exceeded'
    case 'memory':
      return 'Job used too much memory'
    case 'image':
      return 'Container image pull failed'
    case 'stage-in':
      return facts.fault === 'unpack' ? 'Artifact uncompress failed' : 'Artifact download failed'
    case 'stage-out':
      if (facts.fault === 'pack') return 'Stageout failed due to tarball creation failed'
      if (facts.fault === 'upload') return 'Unable to stageout output to object storage'
      return 'Stageout failed due to no such file or directory'
    case 'launch':
      return facts.fault === 'mount' ? 'Unable to mount storage volume' : 'Unable to execute task(s)'
    case 'no-resources':
      return 'No matching resources'
    case 'expired':
      return 'Maximum time queued was exceeded'
    case 'lost':
      return 'Job was evicted'
    case 'user':
      return 'Job deleted by user'
    case 'upstream':
      return 'Job part of a workflow which was deleted by user'
  }
}

/** Whether the client counts a job as ended: deletions count at once. */
export function isEnded({ state, stop }: Pick<JobFacts, 'state' | 'stop'>): boolean {
  switch (state) {
    case 'succeeded':
    case 'failed':
    case 'cancelled':
      return true
    case 'starting':
    case 'running':
      return isDeletion(stop)
    case 'blocked':
    case 'ready':
    case 'delayed':
      return false
  }
}

/** The word for a workflow's state: pending as long as none of its jobs was released. */
export function workflowStatus(facts: {
  readonly state: FlowState
  readonly stop: 'none' | 'cancel'
  readonly released: boolean
}): WorkflowStatus {
  if (facts.stop === 'cancel' && facts.state === 'running') return 'deleted'
  switch (facts.state) {
    case 'running':
      return facts.released ? 'running' : 'pending'
    case 'succeeded':
      return 'completed'
    case 'failed':
      return 'failed'
    case 'cancelled':
      return 'deleted'
  }
}

function isDeletion(stop: StopRequest): boolean {
  return stop === 'cancel' || stop === 'kill'
}
