// The recordings of PROMINENCE, replayed against a running server with real containers.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasShared } from '../support/shared.ts'
import { type Ours, type Recorded, Replay, readRecording } from './prominence-replay.ts'
import { missingForContainers, type ProminenceServer, startProminence } from './prominence-server.ts'

const notFound = { status: 404, body: { error: 'Not found' } }
const notAllowed = { status: 405, body: { error: 'Method not allowed' } }

/** Where we answer otherwise, and the contract says so: by file, by entry. */
const ours: Readonly<Record<string, Ours>> = {}

const files = (process.env['F'] ?? '').split(',')

const reason = missingForContainers()
const canRun = reason === undefined && hasShared('recordings', 'prominence')

describe.skipIf(!canRun)(
  `recordings of PROMINENCE${canRun ? '' : ` (skipped: ${reason ?? 'no recordings'})`}`,
  () => {
    let server: ProminenceServer
    let replay: Replay

    beforeAll(async () => {
      server = await startProminence()
      replay = new Replay(server, {
        alice: await server.token({ user: 'alice', groups: ['vo/test'], email: 'alice@example.org' }),
        bob: await server.token({ user: 'bob' }),
      })
    })
    afterAll(() => server?.close())

    for (const file of canRun ? files : [])
      describe(file, () => {
        const entries = readRecording(file)
        for (const [at, entry] of entries.entries())
          test(`${at}: ${entry.name}`, async () => {
            if (isSubmission(entry)) setGate(server, entries.slice(at + 1))
            else if (!expectsPending(entry)) server.gate.open()
            const { got, wanted } = await replay.play(entry, ours[file]?.[entry.name])
            expect(got).toEqual(wanted)
          })
      })
  },
)

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

void notFound
void notAllowed
