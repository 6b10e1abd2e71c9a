// Replays a recording against a running server: recorded ids are mapped to ours as they appear, volatile members are
// left out of the comparison, and an answer that depends on a job's progress is asked for until it comes.

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { sharedPath } from '../support/shared.ts'
import type { ProminenceServer } from './prominence-server.ts'

export interface Recorded {
  readonly name: string
  readonly request: {
    readonly method: string
    readonly path: string
    readonly headers: Readonly<Record<string, string>>
    readonly body: unknown
  }
  readonly response: {
    readonly status: number
    readonly headers: Record<string, string>
    readonly body: unknown
  }
  readonly volatile?: readonly string[]
  readonly note?: string
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

/** Where the contract decides otherwise than the recorded server, by the entry's name. */
export interface Difference {
  readonly status?: number
  readonly body?: unknown
  /** The members of the first entry's events. */
  readonly events?: readonly string[]
  readonly anyEvents?: boolean
  /** Of the first task record. */
  readonly exitCode?: number
  readonly anyBody?: boolean
  /** Sent again until the answer is as recorded, though it is no GET. */
  readonly patient?: boolean
  /** Jobs of equal rank that run side by side end in any order. */
  readonly anyOrder?: boolean
  /** Whose token, where it is not the recorded one. */
  readonly as?: string
  /** The body, where the recording has only a placeholder. */
  readonly sends?: unknown
  /** Asked first until the text shows up: recorded predecessors took their time. */
  readonly awaits?: { readonly path: string; readonly has: string }
  /** What was done beside the recording: requests, after this entry. */
  readonly after?: (answer: Answer, replay: Replay) => Promise<unknown>
}

/** Where we answer otherwise than the recorded server, and the contract says so; by the entry's name. */
export type Ours = Readonly<Record<string, Difference>>

export function readRecording(name: string): Recorded[] {
  return JSON.parse(
    readFileSync(sharedPath('recordings', 'prominence', `${name}.json`), 'utf8'),
  ) as Recorded[]
}

export class Replay {
  readonly #server: ProminenceServer
  readonly #tokens: Readonly<Record<string, string>>
  readonly #ids = new Map<number, number>()

  constructor(server: ProminenceServer, tokens: Readonly<Record<string, string>>) {
    this.#server = server
    this.#tokens = tokens
  }

  /** Sends a recorded request until the answer is as recorded, or patience ends. */
  async play(
    entry: Recorded,
    ours: Difference = {},
    patienceMs = 15_000,
  ): Promise<{ got: unknown; wanted: unknown }> {
    if (ours.awaits !== undefined) await this.#wait(ours.awaits)
    const order = (body: unknown) => {
      if (ours.anyBody) return 'any'
      const seen = ours.anyEvents ? withoutEvents(body) : body
      return ours.anyOrder ? byName(seen) : seen
    }
    const wanted = {
      status: ours.status ?? entry.response.status,
      body: order(normal('body' in ours ? ours.body : entry.response.body, entry)),
    }
    if (ours.events !== undefined) (wanted.body as { events: unknown }[])[0]!.events = ours.events
    if (ours.exitCode !== undefined)
      (wanted.body as { taskRecords: { exitCode: number }[] }[])[0]!.taskRecords[0]!.exitCode = ours.exitCode
    const until = Date.now() + (entry.request.method === 'GET' || ours.patient ? patienceMs : 0)
    for (;;) {
      const answer = await this.send(entry, ours)
      this.#learn(entry, answer)
      const got = { status: answer.status, body: order(normal(answer.body, entry)) }
      if (!same(got, wanted) && Date.now() < until) {
        await sleep(50)
        continue
      }
      await ours.after?.(answer, this)
      return { got, wanted }
    }
  }

  /** Removes what is active, so that the next recording begins as it was begun. */
  async clear(): Promise<void> {
    for (const kind of ['workflows', 'jobs']) {
      const list = await this.send({
        request: { method: 'GET', path: `/api/v1/${kind}`, headers: bearer, body: null },
      })
      for (const { id } of list.body as { id: number }[]) {
        this.#ids.delete(id)
        await this.send({
          request: { method: 'DELETE', path: `/api/v1/${kind}/${id}`, headers: bearer, body: null },
        })
      }
    }
  }

  async send({ request }: Pick<Recorded, 'request'>, { as, sends }: Difference = {}): Promise<Answer> {
    const headers: Record<string, string> = {}
    for (const [name, value] of Object.entries(request.headers)) {
      const token = this.#tokens[as ?? 'alice']!
      const filled = value.replace('<TOKEN>', token).replace('<BOB_TOKEN>', this.#tokens['bob']!)
      if (name !== 'Accept-Encoding') headers[name] = filled
    }
    const wanted = sends ?? request.body
    const body = typeof wanted === 'string' ? wanted : JSON.stringify(wanted)
    const response = await fetch(this.#server.url + this.#path(request.path), {
      method: request.method,
      headers,
      redirect: 'manual',
      ...(wanted === null || request.method === 'GET' ? {} : { body }),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type') === 'application/json'
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
  }

  /** Until a text shows up in an answer: for entries whose recorded predecessors took their time. */
  async #wait({ path, has }: { path: string; has: string }): Promise<void> {
    for (const until = Date.now() + 15_000; Date.now() < until; await sleep(50)) {
      const response = await fetch(this.#server.url + this.#path(path), {
        headers: { Authorization: `Bearer ${this.#tokens['alice']}` },
      })
      if ((await response.text()).includes(has)) return
    }
  }

  #path(path: string): string {
    const ours = (id: string) => String(this.#ids.get(Number(id)) ?? id)
    return path
      .replace(/\/(jobs|workflows)\/(\d+)/, (_, kind: string, id: string) => `/${kind}/${ours(id)}`)
      .replace(
        /([?&]id=)([\d,]+)/,
        (_, name: string, ids: string) => name + ids.split(',').map(ours).join(','),
      )
  }

  /** Recorded ids beside ours: of an answer to a submission, and of lists entry by entry. */
  #learn({ response }: Recorded, { body }: Answer): void {
    const recorded = response.body
    if (!Array.isArray(recorded) || !Array.isArray(body)) {
      this.#pair(recorded, body)
      return
    }
    const names = recorded.map(item => (item as { name?: string }).name)
    const areUnique = new Set(names).size === names.length
    for (const [at, item] of recorded.entries())
      this.#pair(item, areUnique ? body.find(other => other.name === names[at]) : body[at])
  }

  #pair(recorded: unknown, ours: unknown): void {
    const [theirs, own] = [recorded, ours].map(thing => (thing as { id?: unknown } | null)?.id)
    if (typeof theirs === 'number' && typeof own === 'number') this.#ids.set(theirs, own)
  }
}

/** Members that differ from run to run, or that belong to the recording's stand-in for a batch system. */
function normal(body: unknown, entry: Recorded): unknown {
  const volatile = new Set(
    (entry.volatile ?? []).map(path =>
      path
        .split('.')
        .at(-1)!
        .replace(/\[.*?\]/g, ''),
    ),
  )
  if (volatile.has('$')) return 'text'
  return clean(body, volatile)
}

function clean(value: unknown, volatile: ReadonlySet<string>): unknown {
  if (Array.isArray(value)) return value.map(item => clean(item, volatile))
  if (typeof value !== 'object' || value === null) return value
  const out: Record<string, unknown> = {}
  for (const [name, member] of Object.entries(value)) {
    if (name === 'events') out[name] = Object.keys(member as object).sort()
    else if (name === 'outputFiles' || name === 'outputDirs') out[name] = cleanOutputs(name, member)
    else if (name === 'execution') Object.assign(out, cleanExecution(member as Execution))
    else if (name === 'id' && typeof member === 'number') out[name] = 'id'
    else if (volatile.has(name))
      out[name] = typeof member === 'number' ? 'number' : member === '' ? '' : 'volatile'
    else out[name] = clean(member, volatile)
  }
  return out
}

/** Links are whatever they are, if they are there; the size of a packed directory is the packer's affair. */
function cleanOutputs(name: string, outputs: unknown): unknown {
  if (!Array.isArray(outputs)) return outputs
  return outputs.map((output: string | { url: string; size?: number }) => {
    if (typeof output === 'string') return output
    const link = { ...output, url: output.url === '' ? '' : 'link' }
    return name === 'outputDirs' && output.size !== undefined ? { ...link, size: 'packed' } : link
  })
}

interface Execution {
  readonly retries?: number
  readonly commands?: readonly { readonly command: string }[]
  readonly tasks?: readonly Record<string, unknown>[]
}

/** What an execution says of the job itself; usage and machine figures are whatever they are. */
function cleanExecution({ retries, commands, tasks }: Execution): Record<string, unknown> {
  const kept = ['exitCode', 'retries', 'imagePullStatus']
  return {
    ...(retries === undefined ? {} : { executionRetries: retries }),
    ...(commands === undefined ? {} : { commands: commands.map(({ command }) => command) }),
    ...(tasks === undefined
      ? {}
      : {
          taskRecords: tasks.map(task =>
            Object.fromEntries(kept.filter(name => name in task).map(name => [name, task[name]])),
          ),
          taskMembers: tasks.map(task =>
            Object.keys(task)
              .filter(name => name !== 'maxResidentSetSizeKB')
              .sort(),
          ),
        }),
  }
}

function withoutEvents(body: unknown): unknown {
  if (!Array.isArray(body)) return body
  return body.map(item => ({ ...(item as object), events: 'any' }))
}

const bearer = { Authorization: 'Bearer <TOKEN>' }

function byName(body: unknown): unknown {
  if (!Array.isArray(body)) return body
  return body.toSorted((a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1))
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, sorted(member)]),
  )
}
