// The members `policies` and `notifications`, of jobs and of workflows.

import { bad, booleanOr, has, isCount, listOr, notMore, objectOr, onlyKnown, textOr } from './bad.ts'

const jobItems = new Set([
  'maximumRetries',
  'maximumTaskRetries',
  'maximumTimeInQueue',
  'maximumIdleTimePerResource',
  'priority',
  'leaveInQueue',
  'ignoreTaskFailures',
  // The Python classes of client 0.21.0 write it so: contracts/prominence.md §5.2.
  'ignoreTaskTailures',
  'reportJobSuccessOnTaskFailure',
  'runSerialTasksOnAllNodes',
  'autoScalingType',
  'preemptible',
  'placement',
])
const workflowItems = new Set(['maximumRetries', 'maximumReruns', 'leaveInQueue', 'placement'])
const placementItems = new Set(['requirements', 'preferences'])
const placeItems = new Set(['sites', 'regions'])
const notificationItems = new Set(['event', 'type', 'url'])
const queueMinutesMax = 44_640
const placesMax = 1_000

/** Checks `policies` of a job. */
export function checkJobPolicies(job: { [name: string]: unknown }): void {
  const policies = policiesOf(job, jobItems)
  if (!policies) return
  booleanOr(policies, 'runSerialTasksOnAllNodes')
  booleanOr(policies, 'leaveInQueue')
  checkPlacement(policies)
  booleanOr(policies, 'ignoreTaskFailures')
  booleanOr(policies, 'ignoreTaskTailures')
  booleanOr(policies, 'reportJobSuccessOnTaskFailure')
  if (has(policies, 'priority') && !isCount(policies['priority']))
    bad('the priority must be an integer', 'priority')
  const scaling = policies['autoScalingType'] ?? 'none'
  if (scaling !== 'none' && scaling !== 'dedicated' && scaling !== 'shared')
    bad('autoScalingType, if defined, must be none, dedicated or shared', 'autoScalingType')
  checkBounded(policies, 'maximumRetries', { of: 'retries', max: 6 })
  checkBounded(policies, 'maximumTaskRetries', { of: 'task retries', words: 'retries', max: 6 })
  checkQueueTime(policies)
}

/** Checks `policies` of a workflow. */
export function checkWorkflowPolicies(workflow: { [name: string]: unknown }): void {
  const policies = policiesOf(workflow, workflowItems)
  if (!policies) return
  checkBounded(policies, 'maximumRetries', { of: 'retries', max: 10 })
  checkBounded(policies, 'maximumReruns', { of: 'reruns', max: 10 })
  booleanOr(policies, 'leaveInQueue')
  checkPlacement(policies)
}

/** Checks `notifications`; `webhook` with a `url` is ours. */
export function checkNotifications(document: { [name: string]: unknown }, event: string): void {
  if (!has(document, 'notifications')) return
  const words = 'notifications must be in the form of a list'
  for (const entry of listOr(document['notifications'], words, 'notifications')) {
    const notification = objectOr(entry, 'each notification must be defined as a dict', 'notifications')
    onlyKnown(notification, notificationItems, item => `invalid item "${item}" in notifications`)
    const said = notification['event'] ?? event
    if (said !== event) bad(`invalid notification event "${String(said)}"`, 'event')
    const type = notification['type'] ?? 'email'
    if (type !== 'email' && type !== 'webhook') bad(`invalid notification type "${String(type)}"`, 'type')
    if (type === 'webhook') {
      const url = textOr(notification['url'], 'a notification of type webhook must contain a url', 'url')
      if (!URL.canParse(url) || !/^https?:\/\//i.test(url))
        bad('the url of a notification must be an http or https URL', 'url')
    }
  }
}

function policiesOf(
  document: { [name: string]: unknown },
  known: ReadonlySet<string>,
): { [name: string]: unknown } | undefined {
  if (!has(document, 'policies')) return undefined
  const policies = objectOr(document['policies'], 'policies must be defined as a dict', 'policies')
  onlyKnown(policies, known, item => `invalid item "${item}" in policies`)
  return policies
}

function checkPlacement(policies: { [name: string]: unknown }): void {
  if (!has(policies, 'placement')) return
  const placement = objectOr(policies['placement'], 'placement must be defined as a dict', 'placement')
  onlyKnown(placement, placementItems, item => `invalid item "${item}" in placement policy`)
  for (const part of ['requirements', 'preferences']) {
    if (!has(placement, part)) continue
    const places = objectOr(placement[part], `${part} must be defined as a dict`, part)
    for (const [item, names] of Object.entries(places)) {
      if (!placeItems.has(item)) bad(`invalid item "${item}" in ${part}`, item)
      if (!Array.isArray(names)) bad(`${item} in ${part} must be a list`, item)
      if (!names.every(name => typeof name === 'string'))
        bad(`${item} in ${part} must be a list of strings`, item)
      notMore(names, placesMax, item)
    }
  }
}

function checkBounded(
  policies: { [name: string]: unknown },
  name: string,
  { of, words = of, max }: { of: string; words?: string; max: number },
): void {
  if (!has(policies, name)) return
  const value = policies[name]
  if (!isCount(value)) bad(`the number of ${of} must be an integer`, name)
  if (value < 1) bad(`the number of ${words} must be greater than 0`, name)
  if (value > max) bad(`the number of ${words} must be less than ${max}`, name)
}

function checkQueueTime(policies: { [name: string]: unknown }): void {
  if (has(policies, 'maximumTimeInQueue')) {
    const minutes = policies['maximumTimeInQueue']
    // -1 means for ever; the original refuses it by accident: contracts/prominence.md §6.
    if (minutes !== -1 && !isCount(minutes))
      bad('the maximum time in queue must be an integer', 'maximumTimeInQueue')
    if ((minutes as number) > queueMinutesMax)
      bad('the maximum time in queue must be less than 44640', 'maximumTimeInQueue')
  }
  if (has(policies, 'maximumIdleTimePerResource')) {
    const minutes = policies['maximumIdleTimePerResource']
    if (!isCount(minutes))
      bad('the maximum idle time per resource must be an integer', 'maximumIdleTimePerResource')
    if (minutes < 1)
      bad('the maximum idle time per resource must be greater than 0', 'maximumIdleTimePerResource')
    if (minutes > queueMinutesMax)
      bad('the maximum idle time per resource must be less than 44640', 'maximumIdleTimePerResource')
  }
}
