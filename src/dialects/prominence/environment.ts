// What a task finds in its environment: its own variables first, then those of the system, which win.

import type { TaskDocument } from './document.ts'
import { mpiVariables } from './mpi.ts'
import type { Grant } from './resources.ts'

/** PROMINENCE_PARAMETER_<name> for each parameter of a factory's instance. */
export function printEnvironment(parameters: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries([...parameters].map(([name, text]) => [`PROMINENCE_PARAMETER_${name}`, text]))
}

/** The whole environment of a task, in the order in which later ones win. */
export function environmentOf(
  task: TaskDocument,
  facts: {
    readonly jobId: number
    readonly workflowId: number | undefined
    readonly grant: Grant
    readonly taskNum: number
    readonly url: string
    readonly token: string
    readonly parameters: ReadonlyMap<string, string>
  },
): Record<string, string> {
  const { grant } = facts
  return {
    ...mpiVariables(task),
    ...ownVariables(task),
    HOME: '/home/user',
    TMP: '/tmp',
    TEMP: '/tmp',
    TMPDIR: '/tmp',
    USER: 'user',
    PROMINENCE_CPUS: String(grant.cpus),
    PROMINENCE_MEMORY: String(Math.max(1, Math.round(grant.memory))),
    PROMINENCE_NODES: String(grant.nodes),
    // The executor puts in the number of each copy's node.
    PROMINENCE_NODE_NUM: '0',
    PROMINENCE_TASK_NUM: String(facts.taskNum),
    PROMINENCE_JOB_ID: String(facts.jobId),
    ...(facts.workflowId === undefined ? {} : { PROMINENCE_WORKFLOW_ID: String(facts.workflowId) }),
    PROMINENCE_CONTAINER_RUNTIME: task.runtime,
    PROMINENCE_URL: facts.url,
    PROMINENCE_TOKEN: facts.token,
    ...printEnvironment(facts.parameters),
  }
}

/** Values turned into text, as Python turns them. */
function ownVariables({ env }: TaskDocument): Record<string, string> {
  const variables: Record<string, string> = {}
  for (const [name, value] of Object.entries(env ?? {}))
    variables[name] =
      value === true ? 'True' : value === false ? 'False' : value === null ? 'None' : String(value)
  return variables
}
