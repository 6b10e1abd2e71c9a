// Which stored objects a submission counts on: image archives and artifacts by name instead of by URL.

import type { FactoryDocument, JobDocument, WorkflowDocument } from './document.ts'
import { openFactory } from './factories.ts'
import { substitute } from './parameters.ts'

export interface ObjectNeeded {
  readonly what: 'Image' | 'Artifact'
  readonly name: string
}

/** Whether an image is a file that users have uploaded, not something in a registry, on the web or on a mount. */
export function isStoredImage(image: string): boolean {
  return /\.(tar|tgz|simg|sif)/.test(image) && !image.startsWith('http') && !image.startsWith('/')
}

/** Whether an artifact is fetched from the web. Everything else is an object's name. */
export function isWebUrl(url: string): boolean {
  return /^https?:\/\//i.test(url)
}

/** What a job needs, in the order in which the absence is told: images, then artifacts. */
export function* objectsOfJob(
  job: JobDocument,
  values: ReadonlyMap<string, string> = new Map(),
): Generator<ObjectNeeded> {
  for (const { image } of job.tasks) if (isStoredImage(image)) yield { what: 'Image', name: image }
  for (const { url } of job.artifacts ?? []) {
    const name = substitute(url, values)
    if (!isWebUrl(name)) yield { what: 'Artifact', name }
  }
}

/** What a workflow needs, each thing once. Factories matter only where an artifact's name has a parameter in it. */
export function* objectsOfWorkflow(workflow: WorkflowDocument): Generator<ObjectNeeded> {
  const seen = new Set<string>()
  for (const needed of everyObject(workflow)) {
    const key = `${needed.what} ${needed.name}`
    if (seen.has(key)) continue
    seen.add(key)
    yield needed
  }
}

function* everyObject(workflow: WorkflowDocument): Generator<ObjectNeeded> {
  const factories = new Map<string, FactoryDocument>()
  for (const factory of workflow.factories ?? []) for (const job of factory.jobs) factories.set(job, factory)
  for (const job of workflow.jobs) {
    const factory = factories.get(job.name)
    const varies = job.artifacts?.some(({ url }) => url.includes('$') && !isWebUrl(url)) ?? false
    if (!factory || !varies) {
      yield* objectsOfJob(job)
      continue
    }
    const { count, at } = openFactory(factory)
    for (let index = 0; index < count; index++) yield* objectsOfJob(job, at(index))
  }
}
