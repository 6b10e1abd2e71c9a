// Asks a PROMINENCE server as one user, for tests.

import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'

/** A job or workflow as an answer shows it. */
export interface Shown {
  readonly id: number
  readonly status: string
  readonly statusReason?: string
  readonly [name: string]: unknown
}

export type Client = ReturnType<typeof clientOf>

/** What one user, known by a token, asks of a server. */
export function clientOf(url: string, token: string) {
  async function ask(method: string, path: string, body?: unknown) {
    const response = await fetch(url + path, {
      method,
      headers: { Authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, body: readBody(text) as never }
  }

  async function submit(kind: 'jobs' | 'workflows', document: unknown): Promise<number> {
    const { status, body, text } = await ask('POST', `/api/v1/${kind}`, document)
    expect(status, text).toBe(201)
    return (body as { id: number }).id
  }

  async function describe(kind: 'jobs' | 'workflows', id: number): Promise<Shown> {
    return (await ask('GET', `/api/v1/${kind}/${id}`)).body[0] as Shown
  }

  /** The description, once it is as wanted. */
  async function until(
    kind: 'jobs' | 'workflows',
    id: number,
    isWanted: (shown: Shown) => boolean,
  ): Promise<Shown> {
    let shown: Shown | undefined
    for (const end = Date.now() + 40_000; Date.now() < end; await sleep(50)) {
      shown = await describe(kind, id)
      if (isWanted(shown)) return shown
    }
    throw new Error(`${kind} ${id} is still ${JSON.stringify(shown)}`)
  }

  const ended = (kind: 'jobs' | 'workflows', id: number) =>
    until(kind, id, ({ status }) => status !== 'pending' && status !== 'running')

  async function stream(id: number, name: 'stdout' | 'stderr' = 'stdout', node = 0): Promise<string> {
    const { status, text } = await ask('GET', `/api/v1/jobs/${id}/${name}?node=${node}&offset=0`)
    expect(status, text).toBe(200)
    return text
  }

  return { ask, submit, describe, until, ended, stream }
}

function readBody(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
