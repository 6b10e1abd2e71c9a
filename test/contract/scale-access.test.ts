// Who may do what (contracts/scale.md §2, auth).

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { adminToken, ask, type ScaleServer, startScale } from './scale-server.ts'
import type { Body } from './scale-work.ts'

describe('who may do what', () => {
  let guarded: ScaleServer
  beforeAll(async () => {
    guarded = await startScale({ withAuth: true })
  })
  afterAll(() => guarded?.close())
  const type = { docker_image: 'local/shell', manifest: {}, configuration: {} }

  test('anybody may read and validate, and nobody without credentials may change anything', async () => {
    expect((await ask(guarded, 'GET', '/v6/recipes/')).status).toBe(200)
    expect((await ask(guarded, 'POST', '/v6/recipe-types/validation/', { definition: {} })).status).toBe(200)
    for (const [path, body] of [
      ['/v6/job-types/', type],
      ['/v6/recipes/', {}],
      ['/v6/jobs/cancel/', {}],
      ['/api/v6/workspaces/', {}],
      ['/v7/scans/1/process/', {}],
    ] as const) {
      const answer = await ask(guarded, 'POST', path, body)
      expect([answer.status, answer.body]).toEqual([
        403,
        { detail: 'Authentication credentials were not provided.' },
      ])
    }
  })

  test('a token opens the door in the original’s scheme, and a wrong one does not', async () => {
    const authorization = `Token ${adminToken}`
    const good = await ask(guarded, 'POST', '/v6/job-types/', type, { authorization })
    expect([good.status, (good.body as Body).detail]).toEqual([
      400,
      expect.stringContaining('Seed Manifest invalid'),
    ])
    const bad = await ask(guarded, 'POST', '/v6/job-types/', type, {
      authorization: 'Token of-somebody-else',
    })
    expect(bad.status).toBe(403)
  })
})
