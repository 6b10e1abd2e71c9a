import { expect, test } from 'vitest'
import type { Flow } from '../../core/flow.ts'
import type { WorkflowDocument } from './document.ts'
import { draftWorkflow, workflowDrafter } from './draft.ts'
import { readSettings } from './settings.ts'

test('a live workflow holds what its jobs are drafted with, and nothing of their files and commands', () => {
  const settings = readSettings({})
  const document = {
    name: 'w',
    jobs: [
      {
        name: 'a/b',
        labels: { App: 'one' },
        resources: { cpusRange: [1, 4], memory: 1 },
        tasks: [{ image: 'busybox', runtime: 'singularity', cmd: 'a long command' }],
        inputs: [{ filename: 'in', content: 'bG9uZw==' }],
        policies: { priority: 7, maximumTimeInQueue: 3, preemptible: 'long'.repeat(9) },
      },
    ],
    factories: [{ name: 'f', type: 'repeat', jobs: ['a/b'], number: 3 }],
  } as unknown as WorkflowDocument
  const spec = { document, by: { groups: ['vo'] } }
  const { plan } = draftWorkflow(spec, 'ann', settings)
  const flow = { n: 5, owner: 'ann', plan } as unknown as Flow
  const drafter = workflowDrafter(settings, () => ({ cpus: 2 }))
  const held = drafter.hold!(spec)
  expect(JSON.stringify(held)).not.toMatch(/busybox|long|bG9uZw/)
  const place = { step: 'a%2Fb', index: 2, key: 'a%2Fb/2' }
  const draft = drafter.job(flow, held, place, 1)
  expect(draft).toEqual(drafter.job(flow, spec, place, 1))
  expect(draft).toMatchObject({
    name: 'a/b',
    rank: -7,
    queueMsMax: 180_000,
    labels: { app: 'one' },
    needs: { cpus: 2 },
  })
})
