// The 175 single-fault submissions of recordings 008-010, straight against the validator.

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { objectsOfJob } from '../../src/dialects/prominence/objects-needed.ts'
import { readJob } from '../../src/dialects/prominence/validate/job.ts'
import { readWorkflow } from '../../src/dialects/prominence/validate/workflow.ts'
import { hasShared, sharedPath } from '../support/shared.ts'

interface Recorded {
  readonly name: string
  readonly request: { readonly path: string; readonly body: unknown }
  readonly response: { readonly status: number; readonly body: unknown }
}

/** Where the contract decides otherwise than the recorded server; undefined means accepted. */
const ours = new Map<string, string | undefined>([
  ['memory fraction', undefined],
  ['memoryPerCpu fraction', undefined],
  ['maximumTimeInQueue -1', undefined],
  ['typo that the Python client sends', undefined],
  ['repeat as the Python client sends it', undefined],
  ['no name', undefined],
  ['name with a space', undefined],
  ['sweep with number instead of step', undefined],
  ['sweep start is text', 'the start value of parameter "x" must be a number'],
  ['zip without values', 'a parameter must contain values'],
  ['cycle', 'dependencies contain a cycle'],
  ['unknown parent', 'parent job "zz" is not actually defined'],
  ['jobs empty', 'a workflow must contain jobs'],
])

function answer({ request }: Recorded): string | undefined {
  try {
    if (request.path.endsWith('/workflows')) readWorkflow(request.body, { instancesMax: 100_000 })
    else
      for (const { what, name } of objectsOfJob(readJob(request.body)))
        return `${what} ${name} does not exist`
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

describe.skipIf(!hasShared('recordings', 'prominence'))('the validator answers as recorded', () => {
  const files = ['008-validation-job-basic', '009-validation-job-rest', '010-validation-workflow']
  for (const file of hasShared('recordings', 'prominence') ? files : []) {
    const path = sharedPath('recordings', 'prominence', `${file}.json`)
    const entries = JSON.parse(readFileSync(path, 'utf8')) as Recorded[]
    for (const entry of entries)
      test(`${file.slice(0, 3)}: ${entry.name}`, () => {
        const recorded =
          entry.response.status === 201 ? undefined : (entry.response.body as { error?: string }).error
        expect(answer(entry)).toBe(ours.has(entry.name) ? ours.get(entry.name) : recorded)
      })
  }
})
