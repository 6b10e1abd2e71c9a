// A whole job description: checked in the contract's order, then given back as a typed document.

import { isObject } from '../../../core/json.ts'
import type { JobDocument } from '../document.ts'
import { bad } from './bad.ts'
import { checkLabels, checkName } from './labels.ts'
import { checkJobPolicies, checkNotifications } from './policies.ts'
import { checkResources } from './resources.ts'
import { checkStaging } from './staging.ts'
import { checkTasks } from './tasks.ts'

const known = new Set([
  'name',
  'labels',
  'resources',
  'tasks',
  'policies',
  'inputs',
  'artifacts',
  'outputFiles',
  'outputDirs',
  'notifications',
  'storage',
])

/** The job description in a parsed body, or a refusal with the contract's words. Existence of objects is not checked. */
export function readJob(body: unknown): JobDocument {
  // The original walks over whatever it gets: members of an object, entries of a list, letters of a text.
  if (typeof body !== 'string' && !Array.isArray(body) && !isObject(body))
    bad('the request body must be a JSON object')
  for (const item of isObject(body) ? Object.keys(body) : body)
    if (!known.has(item as string)) bad(`invalid item "${String(item)}" in job description`, String(item))
  const job = isObject(body) ? body : {}
  checkName(job, 'job')
  checkLabels(job)
  checkResources(job)
  checkTasks(job)
  checkStaging(job)
  checkJobPolicies(job)
  checkNotifications(job, 'jobFinished')
  return job as unknown as JobDocument
}
