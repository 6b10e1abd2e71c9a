// The recordings of PROMINENCE, replayed against a running server with real containers.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { issueJwt } from '../../src/http/auth/jwt.ts'
import { hasShared } from '../support/shared.ts'
import { type Answer, type Ours, type Recorded, Replay, readRecording } from './prominence-replay.ts'
import { missingForContainers, type ProminenceServer, startProminence } from './prominence-server.ts'

const notFound = { status: 404, body: { error: 'Not found' } }
const notAllowed = { status: 405, body: { error: 'Method not allowed' } }
const bad = (error: string) => ({ status: 400, body: { error } })
const someJob = {
  resources: { cpus: 1, memory: 1 },
  tasks: [{ image: 'busybox', runtime: 'singularity', cmd: 'true' }],
}
const json = { 'Content-Type': 'application/json', Authorization: 'Bearer <TOKEN>' }
const request = (method: string, path: string, body: unknown = null) => ({
  request: { method, path, headers: json, body },
})

/** Puts something where a link says. */
async function upload(answer: Answer): Promise<void> {
  const { url } = answer.body as { url: string }
  const put = await fetch(url, { method: 'PUT', body: 'hello\n' })
  expect(put.status).toBe(200)
}

/** Where we answer otherwise, and the contract says so; and what was done beside the recording. */
const ours: Readonly<Record<string, Ours>> = {
  '002-running-streams-and-filters': {
    'bad status filter': bad('invalid status specified'),
  },
  '004-deletion-and-ownership': {
    'delete running': { awaits: { path: '/api/v1/jobs/13', has: '"running"' } },
    'describe deleted before start': { events: ['createTime', 'endTime'] },
    'non-integer id': notFound,
  },
  '005-queue-and-num': {
    'submit n1': { awaits: { path: '/api/v1/jobs?all=true&name=n0', has: '"completed"' } },
    'submit n2': { awaits: { path: '/api/v1/jobs?all=true&name=n1', has: '"completed"' } },
  },
  '006-auth': {
    expired: { as: 'expired' },
    'wrong signature': { as: 'foreign' },
    'health needs no token': { status: 204, body: '' },
  },
  '007-odd-requests': {
    'not JSON': bad(
      "The body is not valid JSON: Expected property name or '}' in JSON at position 1 (line 1 column 2)",
    ),
    'empty body': bad('the request body is empty, and JSON was expected'),
    'wrong content type': { status: 201, body: { id: 0 } },
    'null body': bad('the request body must be a JSON object'),
    'unknown path': notFound,
    'unknown version': { status: 404, anyBody: true },
    'trailing slash': notFound,
    PATCH: notAllowed,
    'PUT on collection': notAllowed,
    'num not a number': bad('num must be an integer'),
    'id not a number': bad('ids must be integers separated by commas'),
    'offset not a number': bad('offset must be an integer'),
    'negative id': notFound,
    'body over 1 MiB': {
      sends: { ...someJob, inputs: [{ filename: 'large', content: 'A'.repeat(1_400_000) }] },
    },
  },
  '012-workflow-chain': {
    'stdout by workflow id and job name': { status: 200, body: 'A\n' },
  },
  '013-workflow-failures-rerun-delete': {
    'delete a running workflow': {
      awaits: { path: '/api/v1/jobs?status=running&name=job_B', has: 'long/job_B' },
    },
    'its jobs': { anyOrder: true },
    'jobs of the deleted workflow': { anyOrder: true, anyEvents: true },
    'describe deleted workflow': { events: ['createTime', 'endTime', 'startTime'] },
    'clone it': { after: (_answer, replay) => replay.send(request('DELETE', '/api/v1/workflows/56')) },
  },
  '014-factories': {
    'stdout by workflow, job, index': { status: 200, body: 'v=1 e=1\n' },
    jobs: { anyOrder: true },
  },
  '017-data': {
    'ask to upload': { after: upload },
    'ask to upload with a checksum': { body: { url: 'a link' } },
    'upload into a group path': {
      after: async (_answer, replay) =>
        upload(await replay.send(request('POST', '/api/v1/data/upload', { filename: 'vo/test/g.txt' }))),
    },
    'job upload URL without a name': { status: 400 },
  },
  '018-kv': {
    'set too large': { sends: 'x'.repeat(16_000) },
    'set largest': { sends: 'x'.repeat(15_967) },
    'double slash get': { status: 200, body: 'v3' },
    'double slash post': { status: 201, body: {} },
    'post without key': notAllowed,
  },
  '019-exec-snapshot': {
    exec: { patient: true },
    'exec without command': { after: (_answer, replay) => replay.send(request('DELETE', '/api/v1/jobs/85')) },
  },
  '020-misc': {
    'worker token unavailable': { status: 201, anyBody: true },
  },
}

const files = [
  '001-job-life',
  '002-running-streams-and-filters',
  '003-failures-and-retries',
  '004-deletion-and-ownership',
  '005-queue-and-num',
  '006-auth',
  '007-odd-requests',
  '012-workflow-chain',
  '013-workflow-failures-rerun-delete',
  '014-factories',
  '015-environment-inputs-sidecars',
  '016-outputs',
  '017-data',
  '018-kv',
  '019-exec-snapshot',
  '020-misc',
].filter(file => process.env['RECORDING'] === undefined || file.startsWith(process.env['RECORDING']))

const reason = missingForContainers()
const canRun = reason === undefined && hasShared('recordings', 'prominence')

describe.skipIf(!canRun)(
  `recordings of PROMINENCE${canRun ? '' : ` (skipped: ${reason ?? 'no recordings'})`}`,
  () => {
    let server: ProminenceServer
    let replay: Replay

    beforeAll(async () => {
      server = await startProminence()
      const foreign = {
        user: 'alice',
        groups: [],
        role: 'submitter',
        expiresAt: Date.now() + 60_000,
      } as const
      replay = new Replay(server, {
        alice: await server.token({ user: 'alice', groups: ['vo/test'], email: 'alice@example.org' }),
        bob: await server.token({ user: 'bob' }),
        expired: await server.token({ user: 'alice', expiresAt: Date.now() - 60_000 }),
        foreign: (await issueJwt(Buffer.alloc(32, 7), foreign, Date.now())).token,
      })
      overtime = playOvertime(new Replay(server, { alice: await server.token({ user: 'carol' }) }))
      overtime.catch(() => {}) // its own test tells
    })
    afterAll(() => server?.close())

    // A minute of walltime is a minute: it passes while the others are played.
    let overtime: Promise<{ got: unknown; wanted: unknown }[]>

    for (const file of canRun ? files : [])
      describe(file, () => {
        afterAll(() => replay.clear())
        const entries = readRecording(file)
        for (const [at, entry] of entries.entries())
          test(`${at}: ${entry.name}`, async () => {
            setGate(server, entries.slice(isSubmission(entry) ? at + 1 : at))
            const { got, wanted } = await replay.play(entry, ours[file]?.[entry.name])
            expect(got).toEqual(wanted)
          })
      })

    test('011-walltime', { timeout: 120_000 }, async () => {
      for (const { got, wanted } of await overtime) expect(got).toEqual(wanted)
    })
  },
)

async function playOvertime(replay: Replay): Promise<{ got: unknown; wanted: unknown }[]> {
  const played: { got: unknown; wanted: unknown }[] = []
  for (const entry of readRecording('011-walltime')) {
    // Asked to end before it is killed: a program may save what it has.
    const gentle = entry.name === 'killed for walltime' ? { exitCode: -15 } : {}
    played.push(await replay.play(entry, gentle, 100_000))
  }
  return played
}

function isSubmission({ request, response }: Recorded): boolean {
  return request.method === 'POST' && response.status === 201
}

/** Keeps jobs from starting as long as the recording, up to its next submission, still shows them pending. */
function setGate(server: ProminenceServer, entries: readonly Recorded[]): void {
  const next = entries.findIndex(isSubmission)
  if (entries.slice(0, next < 0 ? undefined : next).some(expectsPending)) server.gate.close()
  else server.gate.open()
}

function expectsPending({ response, volatile = [] }: Recorded): boolean {
  const entries = Array.isArray(response.body) ? (response.body as { status?: string }[]) : []
  if (volatile.some(path => path.endsWith('status'))) return false
  return entries.some(({ status }) => status === 'pending')
}
