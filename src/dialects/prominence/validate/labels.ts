// Names and labels of jobs and workflows: contract section 6, first lines.

import { bad, has, notMore, objectOr } from './bad.ts'

const lengthMax = 512
/** They are found by, and every job of a workflow has its own: nobody has use for more. */
const labelsMax = 1_000

/** Whether a text has more characters than a name or label may. Counts code points, like the original. */
function isTooLong(text: string): boolean {
  return text.length > lengthMax && [...text].length > lengthMax
}

/** Checks the member `name` of a job or a workflow. */
export function checkName(document: { [name: string]: unknown }, what: 'job' | 'workflow'): void {
  if (!has(document, 'name')) return
  const name = document['name']
  if (typeof name !== 'string') bad(`${what} name must be a string`, 'name')
  if (isTooLong(name)) bad(`${what} name must be less than 512 characters in length`, 'name')
  if (!/^[\p{L}\p{N}_\-/.\s]*$/u.test(name)) bad(`invalid ${what} name`, 'name')
}

/** Checks the member `labels`. */
export function checkLabels(document: { [name: string]: unknown }): void {
  if (!has(document, 'labels')) return
  const labels = objectOr(document['labels'], 'labels must be defined as a dict', 'labels')
  const entries = Object.entries(labels)
  notMore(entries, labelsMax, 'labels')
  for (const [key, value] of entries) {
    if (isTooLong(key)) bad('label names must be less than 512 characters in length', 'labels')
    if (typeof value !== 'string') bad(`the value of label "${key}" must be a string`, 'labels')
    if (isTooLong(value)) bad('label values must be less than 512 characters in length', 'labels')
    if (!/^[A-Za-z0-9]+$/.test(key)) bad(`label name "${key}" is invalid`, 'labels')
    if (!/^[\p{L}\p{N}_\-./]+$/u.test(value)) bad(`label value "${value}" is invalid`, 'labels')
  }
}
