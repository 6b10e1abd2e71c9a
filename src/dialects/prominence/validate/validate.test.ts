// Whatever a body says, the validators accept it or refuse it: they never fail in another way.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Refused } from '../../../core/refusal.ts'
import { draftJob, draftWorkflow } from '../draft.ts'
import { objectsOfJob, objectsOfWorkflow } from '../objects-needed.ts'
import { readSettings } from '../settings.ts'
import { openWorkflow, toldOfNode } from '../spec.ts'
import { readJob } from './job.ts'
import { readWorkflow } from './workflow.ts'

const settings = readSettings({})
const alice = { name: 'alice', scheme: 'jwt', role: 'submitter', groups: [] } as const
const anything = fc.jsonValue({ maxDepth: 3 })
const text = fc.constantFrom(
  'a',
  'b',
  '',
  'x/y',
  '/abs',
  '../up',
  'a:b',
  'd:/m',
  '$x',
  'http://h/f.zip',
  'mpirun x',
  "it's",
)
const small = fc.constantFrom(-1, 0, 0.5, 1, 2, 3, 7, 1e300)
const odd = fc.oneof(text, small, anything)

/** An object with some of these members, each sensible or anything at all. */
function some(members: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> {
  const arbitraries = Object.fromEntries(
    Object.entries(members).map(([name, value]) => [name, fc.oneof({ arbitrary: value, weight: 12 }, odd)]),
  )
  return fc.record(arbitraries, { requiredKeys: [] })
}

const task = some({
  image: text,
  runtime: fc.constantFrom('singularity', 'udocker'),
  cmd: text,
  env: some({ A: odd, B: odd }),
  workdir: text,
  procsPerNode: small,
  type: fc.constantFrom('basic', 'sidecar', 'openmpi'),
  imagePullCredential: some({ username: text, token: text }),
  stdout: text,
})
const jobMembers = {
  name: text,
  labels: some({ app: text }),
  resources: some({
    nodes: small,
    cpus: small,
    cpusRange: fc.tuple(small, small),
    memory: small,
    disk: small,
  }),
  tasks: fc.array(task, { minLength: 1, maxLength: 2 }),
  policies: some({
    maximumRetries: small,
    priority: small,
    leaveInQueue: fc.boolean(),
    placement: some({ requirements: some({ sites: fc.array(text) }) }),
  }),
  inputs: fc.array(some({ filename: text, content: text })),
  artifacts: fc.array(some({ url: text, mountpoint: text, executable: fc.boolean() })),
  outputFiles: fc.array(text),
  notifications: fc.array(some({ event: text, type: fc.constantFrom('email', 'webhook'), url: text })),
  storage: some({
    type: fc.constant('onedata'),
    mountpoint: text,
    onedata: some({ provider: text, token: text }),
  }),
}
const job = some(jobMembers)
const goodJob = {
  resources: { cpus: 1, memory: 1 },
  tasks: [{ image: 'i', runtime: 'singularity', cmd: 'c $x', env: { A: 1 } }],
  artifacts: [{ url: 'in_$x.txt' }],
}
const parameter = some({
  name: text,
  start: small,
  end: small,
  step: small,
  number: small,
  values: fc.array(odd),
})
const workflow = some({
  name: text,
  jobs: fc.constantFrom(
    [
      { ...goodJob, name: 'a' },
      { ...goodJob, name: 'b' },
    ],
    [{ ...goodJob, name: 'a' }],
    [],
  ),
  dependencies: some({ a: fc.array(text), b: fc.array(text) }),
  factories: fc.array(
    some({
      name: text,
      type: fc.constantFrom('repeat', 'parameterSweep', 'zip'),
      jobs: fc.array(text),
      parameters: fc.array(parameter),
      number: small,
    }),
    { maxLength: 2 },
  ),
  policies: some({
    maximumRetries: small,
    placement: some({ requirements: some({ sites: fc.array(text) }) }),
  }),
})

function orRefused(run: () => void): boolean {
  try {
    run()
    return true
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    expect(error.message.length).toBeGreaterThan(5)
    return false
  }
}

test('any job description is accepted and can be drafted, or is refused', () => {
  let accepted = 0
  fc.assert(
    fc.property(fc.oneof(job, anything), body => {
      const isGood = orRefused(() => {
        const document = readJob(structuredClone(body))
        draftJob(document, alice, settings, { cpus: 1 })
        expect([...objectsOfJob(document)].length).toBeLessThan(100)
      })
      if (isGood) accepted++
    }),
    { seed: 3, numRuns: 3_000 },
  )
  const sensible = fc.sample(
    fc.record({ name: fc.constantFrom('a', ''), labels: fc.constant({ app: 'x' }) }),
    5,
  )
  for (const more of sensible)
    accepted += orRefused(() => draftJob(readJob({ ...goodJob, ...more }), alice, settings, { cpus: 1 }))
      ? 1
      : 0
  expect(accepted).toBeGreaterThan(0)
})

test('any workflow description is accepted and every instance of it can be told, or is refused', () => {
  let accepted = 0
  fc.assert(
    fc.property(fc.oneof(workflow, anything), body => {
      const isGood = orRefused(() => {
        const document = readWorkflow(structuredClone(body), { instancesMax: 1_000 })
        const spec = { document, by: { groups: [] } }
        const draft = draftWorkflow(spec, 'alice', settings)
        expect([...objectsOfWorkflow(document)].length).toBeLessThan(5_000)
        const opened = openWorkflow(spec)
        for (const [at, step] of draft.plan.steps.entries())
          for (let index = 0; index < Math.min(step.count, 5); index++)
            toldOfNode({ workflow: 1, job: at, index: step.fansOut ? index : null }, opened)
      })
      if (isGood) accepted++
    }),
    { seed: 4, numRuns: 4_000 },
  )
  expect(accepted).toBeGreaterThan(20)
})
