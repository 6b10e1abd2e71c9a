// The catalogue of what can go wrong with a job, and which entry an ended program gets (contracts/scale.md §4.7).

import type { EndReason } from '../../../core/job-state.ts'
import type { ManifestError } from './manifest.ts'

/** Who has to look into an error. */
export type ErrorCategory = 'SYSTEM' | 'DATA' | 'ALGORITHM'

/** An error that every server knows. */
export interface BuiltInError {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly category: ErrorCategory
  /** Whether trying again may help. */
  readonly isRetried: boolean
}

const system = (name: string, title: string, description: string, isRetried = true): BuiltInError => ({
  name,
  title,
  description,
  category: 'SYSTEM',
  isRetried,
})
const algorithm = (name: string, title: string, description: string): BuiltInError => ({
  name,
  title,
  description,
  category: 'ALGORITHM',
  isRetried: false,
})

/** The built-in errors, in the order of their ids. */
export const builtInErrors: readonly BuiltInError[] = [
  system('unknown', 'Unknown', 'The error has an unknown cause'),
  system('database', 'Database', 'The store could not be reached'),
  system('database-operation', 'Database Operation', 'The store refused an operation'),
  system('filesystem-io', 'Filesystem I/O', 'A file could not be read or written'),
  system('task-launch', 'Task Launch', 'The task could not be started'),
  system('docker-task-launch', 'Docker Launch', 'The container could not be started'),
  system('docker-terminated', 'Docker Terminated', 'The container was ended from outside'),
  system('node-lost', 'Node Lost', 'The node that ran the job was lost'),
  system('resource-starvation', 'Resource Starvation', 'The job waited too long for resources'),
  system('launch-timeout', 'Launch Timeout', 'The task took too long to start'),
  system('pull-timeout', 'Pull-task Timeout', 'Fetching the image took too long'),
  system('pre-timeout', 'Pre-task Timeout', 'Getting the input files took too long'),
  system('post-timeout', 'Post-task Timeout', 'Keeping the output files took too long'),
  system('system-timeout', 'Timeout', 'A system task took too long'),
  algorithm('timeout', 'Timeout', 'The program ran longer than it may'),
  system('pull', 'Docker Pull Failed', 'The image could not be had'),
  algorithm('algorithm-unknown', 'Algorithm Failure', 'The program failed for a reason it does not declare'),
  algorithm(
    'invalid-results-manifest',
    'Invalid Results Manifest',
    'What the program says of its results is not valid',
  ),
  algorithm(
    'missing-required-output',
    'Missing Required Output',
    'The program did not write a required output',
  ),
  system('missing-setting', 'Missing Setting', 'A setting that the job needs is not configured', false),
  system('missing-mount', 'Missing Mount', 'A mount that the job needs is not configured', false),
  algorithm(
    'unexpected-multiple-outputs',
    'Unexpected Multiple Outputs',
    'Several files match an output that takes one',
  ),
  system('deleted-file', 'Deleted File', 'An input file has been deleted', false),
  system('missing-file', 'Missing File', 'An input file is not in its workspace', false),
  system('ingest-timeout', 'Ingest Timeout', 'Ingesting the file took too long'),
  system('scheduler-lost', 'Scheduler Restarted', 'The server lost track of the job'),
]

/** Which error ended a job: one of its manifest by exit code, or a built-in one by name. */
export function errorOfEnd(
  reason: EndReason | null,
  exitCode: number | null,
  declared: readonly ManifestError[],
): { readonly declared: ManifestError } | { readonly builtIn: string } {
  if (reason === 'exit') {
    const found = declared.find(error => error.code === exitCode)
    return found ? { declared: found } : { builtIn: 'algorithm-unknown' }
  }
  return { builtIn: reason === null ? 'unknown' : builtInOf[reason] }
}

/** The number of a built-in error, by which an end can name it. */
export function builtInNumber(name: string): number {
  return builtInErrors.findIndex(known => known.name === name) + 1
}

/** The category of a manifest's error. */
export function categoryOf(error: ManifestError): ErrorCategory {
  return error.category === 'data' ? 'DATA' : 'ALGORITHM'
}

const builtInOf: Readonly<Record<Exclude<EndReason, 'exit'>, string>> = {
  timeout: 'timeout',
  memory: 'docker-terminated',
  launch: 'task-launch',
  image: 'pull',
  'stage-in': 'missing-file',
  'stage-out': 'filesystem-io',
  'no-resources': 'resource-starvation',
  expired: 'resource-starvation',
  lost: 'node-lost',
  user: 'unknown',
  upstream: 'unknown',
}
