// A whole workflow description: checked in the contract's order, then given back as a typed document.

import { isObject } from '../../../core/json.ts'
import type { WorkflowDocument } from '../document.ts'
import { bad, has, listOr, objectOr } from './bad.ts'
import { checkFactories, checkFactorySizes } from './factories.ts'
import { readJob } from './job.ts'
import { checkLabels, checkName } from './labels.ts'
import { checkNotifications, checkWorkflowPolicies } from './policies.ts'

const known = new Set(['name', 'labels', 'jobs', 'dependencies', 'factories', 'policies', 'notifications'])

/** The workflow description in a parsed body, or a refusal with the contract's words. */
export function readWorkflow(body: unknown, limits: { instancesMax: number }): WorkflowDocument {
  const workflow = objectOr(body, 'the request body must be a JSON object')
  for (const item of Object.keys(workflow))
    if (!known.has(item)) bad(`invalid item "${item}" in workflow description`, item)
  checkName(workflow, 'workflow')
  const names = checkJobs(workflow)
  const edges = checkDependencies(workflow, names)
  checkFactories(workflow, names)
  checkWorkflowPolicies(workflow)
  checkLabels(workflow)
  checkNotifications(workflow, 'workflowFinished')
  const instances = checkFactorySizes(workflow, limits.instancesMax)
  if (instances + names.size > limits.instancesMax)
    bad(`the workflow has more than ${limits.instancesMax} jobs`, 'jobs')
  if (hasCycle(names, edges)) bad('dependencies contain a cycle', 'dependencies')
  return workflow as unknown as WorkflowDocument
}

function checkJobs(workflow: { [name: string]: unknown }): Set<string> {
  const jobs = has(workflow, 'jobs')
    ? listOr(workflow['jobs'], 'an array of jobs must be provided', 'jobs')
    : []
  for (const job of jobs) {
    if (!isObject(job)) bad('each job must be defined as a dict', 'jobs')
    readJob(job)
  }
  if (jobs.length === 0) bad('a workflow must contain jobs', 'jobs')
  const names = new Set<string>()
  for (const { name } of jobs as { name?: string }[]) {
    if (name !== undefined && names.has(name))
      bad(`all jobs must have unique names: "${name}" is used more than once`, 'name')
    if (name === '') bad('names of jobs in workflows cannot be empty', 'name')
    if (name === undefined) bad('all jobs must have names', 'name')
    if (name.startsWith('/') || name.split('/').includes('..')) bad(`invalid job name: "${name}"`, 'name')
    names.add(name)
  }
  return names
}

function checkDependencies(
  workflow: { [name: string]: unknown },
  names: ReadonlySet<string>,
): Map<string, string[]> {
  const edges = new Map<string, string[]>()
  if (!has(workflow, 'dependencies')) return edges
  const dependencies = objectOr(workflow['dependencies'], 'dependencies must be a dict', 'dependencies')
  for (const [parent, value] of Object.entries(dependencies)) {
    const words = 'children of parent job must be in the form of a list'
    const children = listOr(value, words, 'dependencies')
    for (const child of children)
      if (typeof child !== 'string' || !names.has(child))
        bad(`child job "${String(child)}" is not actually defined`, 'dependencies')
    if (!names.has(parent)) bad(`parent job "${parent}" is not actually defined`, 'dependencies')
    edges.set(parent, children as string[])
  }
  return edges
}

/** Takes away jobs without open parents until none is left; what cannot be taken away is in a cycle. */
function hasCycle(names: ReadonlySet<string>, edges: ReadonlyMap<string, readonly string[]>): boolean {
  const open = new Map([...names].map(name => [name, 0]))
  for (const children of edges.values()) for (const child of children) open.set(child, open.get(child)! + 1)
  const free = [...names].filter(name => open.get(name) === 0)
  let taken = 0
  for (let parent = free.pop(); parent !== undefined; parent = free.pop()) {
    taken++
    for (const child of edges.get(parent) ?? []) {
      open.set(child, open.get(child)! - 1)
      if (open.get(child) === 0) free.push(child)
    }
  }
  return taken < names.size
}
