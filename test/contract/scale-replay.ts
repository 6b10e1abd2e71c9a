// Replays recordings of a Scale server: recorded ids are translated to ours as they appear, volatile members are left
// out, and an answer that depends on the progress of jobs is asked for until it comes. Members of ours that the recorded
// server did not have are allowed; lists may come in another order where their order is one of time.

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { sharedPath } from '../support/shared.ts'
import { ask, type ScaleServer } from './scale-server.ts'

export interface Recorded {
  readonly name: string
  readonly from: 'observed' | 'seed'
  readonly request: {
    readonly method: string
    readonly path: string
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: unknown
  } | null
  readonly response: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: unknown
  }
  readonly volatile?: readonly string[]
  readonly note?: string
}

/** Where the contract decides otherwise than the recorded server: members to leave out, or another answer. */
export interface Ours {
  readonly why: string
  readonly skip?: boolean
  readonly status?: number
  readonly body?: unknown
  readonly ignore?: readonly string[]
}

/** The entries of a recording. */
export function readRecording(name: string): Recorded[] {
  return JSON.parse(readFileSync(sharedPath('recordings', 'scale', `${name}.json`), 'utf8')) as Recorded[]
}

type Pairs = [kind: string, recorded: number, ours: number][]

export class Replay {
  readonly #server: ScaleServer
  readonly #patienceMs: number
  readonly #isFree: (difference: string) => boolean
  readonly #ids = new Map<string, number>()

  constructor(
    server: ScaleServer,
    options: { patienceMs?: number; isFree?: (difference: string) => boolean } = {},
  ) {
    this.#server = server
    this.#patienceMs = options.patienceMs ?? 20_000
    this.#isFree = options.isFree ?? (() => false)
  }

  /** Plays an entry; the answer is what differs, nothing when all is as recorded. */
  async play(entry: Recorded, ours: Ours | undefined): Promise<string[]> {
    const request = entry.request!
    const isPatient = request.method === 'GET'
    const until = Date.now() + (isPatient ? this.#patienceMs : 0)
    for (;;) {
      const answer = await ask(this.#server, request.method, this.#path(request.path), this.#body(request), {
        ...(request.headers?.['Content-Type'] && { 'content-type': request.headers['Content-Type'] }),
      })
      const pairs: Pairs = []
      const differences: string[] = []
      const status = ours?.status ?? entry.response.status
      if (answer.status !== status)
        differences.push(
          `status ${answer.status} instead of ${status}: ${JSON.stringify(answer.body)?.slice(0, 300)}`,
        )
      const wanted = ours && 'body' in ours ? ours.body : entry.response.body
      if (entry.response.headers['content-type'] === 'application/json' || typeof wanted !== 'string') {
        const volatile = new Set([...(entry.volatile ?? []), ...(ours?.ignore ?? [])])
        const compare = new Compare(this.#server, volatile, pairs)
        const found = compare.differences(wanted, answer.body, '', kindOfBody(request.path))
        differences.push(...found.filter(difference => !this.#isFree(difference)))
      }
      if (entry.response.headers['location'] && !answer.headers.get('location'))
        differences.push('no Location')
      if (differences.length === 0 || Date.now() >= until) {
        for (const [kind, recorded, mine] of pairs) this.#ids.set(`${kind} ${recorded}`, mine)
        return differences
      }
      await sleep(40)
    }
  }

  #id(kind: string, recorded: number): number {
    return this.#ids.get(`${kind} ${recorded}`) ?? recorded
  }

  #path(path: string): string {
    const [place, query] = path.split('?')
    const kind = kindOfPath(path)
    const moved = place!.replace(
      /^(\/v\d\/[a-z-]+\/)(comparison\/)?(\d+)(\/|$)/,
      (_, head, sub, id, tail) => {
        return `${head}${sub ?? ''}${this.#id(kind, Number(id))}${tail}`
      },
    )
    const params = new URLSearchParams(query ?? '')
    for (const [name, value] of [...params]) {
      const idKind = name.replace(/^root_/, '').replace(/_id$/, '')
      if (name.endsWith('_id') && /^\d+$/.test(value))
        params.set(name, String(this.#id(idKind, Number(value))))
    }
    return query === undefined ? moved : `${moved}?${params}`
  }

  #body(request: NonNullable<Recorded['request']>): unknown {
    if (request.body === null || request.body === undefined || request.method === 'GET') return undefined
    return typeof request.body === 'string' ? request.body : this.#translate(request.body, '')
  }

  #translate(value: unknown, key: string): unknown {
    if (typeof value === 'string') return value.replaceAll('/data', this.#server.data)
    if (typeof value === 'number') {
      const kind = /^(root_)?(.*)_ids?$/.exec(key)?.[2] ?? (key === 'dataset' ? 'dataset' : undefined)
      return kind === undefined ? value : this.#id(kind, value)
    }
    if (Array.isArray(value)) return value.map(item => this.#translate(item, key))
    if (typeof value !== 'object' || value === null) return value
    const entries = Object.entries(value).map(([name, item]) => {
      const isFiles = key === 'files' && Array.isArray(item)
      return [
        name,
        isFiles
          ? item.map(id => (typeof id === 'number' ? this.#id('file', id) : id))
          : this.#translate(item, name),
      ]
    })
    return Object.fromEntries(entries)
  }
}

class Compare {
  readonly #server: ScaleServer
  readonly #volatile: ReadonlySet<string>
  readonly #pairs: Pairs

  constructor(server: ScaleServer, volatile: ReadonlySet<string>, pairs: Pairs) {
    this.#server = server
    this.#volatile = volatile
    this.#pairs = pairs
  }

  differences(wanted: unknown, got: unknown, path: string, kind: string): string[] {
    if (this.#volatile.has(path)) {
      if (path.endsWith('id') && typeof wanted === 'number' && typeof got === 'number')
        this.#learn(path, kind, wanted, got)
      return []
    }
    if (
      typeof wanted === 'number' &&
      typeof got === 'number' &&
      /files\.[^.]+\[\*\]$|file_ids\[\*\]$/.test(path)
    ) {
      this.#pairs.push(['file', wanted, got])
      return []
    }
    if (typeof wanted === 'number' && typeof got === 'number' && /(^|[._])id$/.test(path)) {
      this.#learn(path, kind, wanted, got)
      return []
    }
    if (Array.isArray(wanted))
      return Array.isArray(got) ? this.#lists(wanted, got, path, kind) : [`${path}: no list`]
    if (typeof wanted === 'object' && wanted !== null) return this.#objects(wanted, got, path, kind)
    const mine = typeof got === 'string' ? this.#neutral(got) : got
    const theirs = typeof wanted === 'string' ? this.#neutral(wanted) : wanted
    return mine === theirs
      ? []
      : [
          `${path}: ${JSON.stringify(mine)?.slice(0, 200)} instead of ${JSON.stringify(theirs)?.slice(0, 200)}`,
        ]
  }

  #objects(wanted: object, got: unknown, path: string, kind: string): string[] {
    if (typeof got !== 'object' || got === null || Array.isArray(got))
      return [`${path}: ${JSON.stringify(got)?.slice(0, 100)} instead of an object`]
    const found: string[] = []
    for (const [name, value] of Object.entries(wanted)) {
      const place = path === '' ? name : `${path}.${name}`
      if (!Object.hasOwn(got, name)) {
        if (!this.#volatile.has(place)) found.push(`${place}: missing`)
        continue
      }
      const inner = name === 'results' ? kind : (kindOfMember(name) ?? kind)
      found.push(...this.differences(value, (got as Record<string, unknown>)[name], place, inner))
    }
    // Objects whose members are names of things must have no others.
    if (/(^|\.)(nodes|files|json|dependencies)$/.test(path))
      for (const name of Object.keys(got))
        if (!Object.hasOwn(wanted, name)) found.push(`${path}.${name}: not in the recording`)
    return found
  }

  #lists(wanted: readonly unknown[], got: readonly unknown[], path: string, kind: string): string[] {
    if (wanted.length !== got.length) return [`${path}: ${got.length} items instead of ${wanted.length}`]
    const left = new Set(got)
    const found: string[] = []
    for (const item of wanted) {
      let best: { differences: string[]; pairs: Pairs; item: unknown } | undefined
      for (const candidate of left) {
        const pairs: Pairs = []
        const differences = new Compare(this.#server, this.#volatile, pairs).differences(
          item,
          candidate,
          `${path}[*]`,
          kind,
        )
        if (!best || differences.length < best.differences.length)
          best = { differences, pairs, item: candidate }
        if (differences.length === 0) break
      }
      if (!best) continue
      left.delete(best.item)
      found.push(...best.differences)
      this.#pairs.push(...best.pairs)
    }
    return found
  }

  #learn(path: string, kind: string, wanted: number, got: number): void {
    const name = /([a-z_]*)_id$/.exec(path)?.[1]
    this.#pairs.push([name || kind, wanted, got])
  }

  #neutral(text: string): string {
    return text
      .replaceAll(this.#server.data, '/data')
      .replaceAll(this.#server.url.replace(/\/$/, ''), 'http://HOST')
      .split('\n\n')[0]!
  }
}

function kindOfMember(name: string): string | undefined {
  const kinds: Record<string, string> = {
    job_types: 'job_type',
    recipe_types: 'recipe_type',
    sub_recipe_types: 'recipe_type',
    super_recipe_types: 'recipe_type',
    superseded_job: 'job',
    superseded_by_job: 'job',
    dry_run_job: 'job',
    superseded_recipe: 'recipe',
    superseded_by_recipe: 'recipe',
    root_superseded_recipe: 'recipe',
    root_batch: 'batch',
    superseded_batch: 'batch',
    source_file: 'file',
    scale_file: 'file',
    execution: 'exe',
    job_exe: 'exe',
  }
  const own = [
    'job',
    'job_type',
    'job_type_rev',
    'recipe',
    'recipe_type',
    'recipe_type_rev',
    'batch',
    'workspace',
    'scan',
    'event',
    'error',
    'node',
    'members',
  ]
  return kinds[name] ?? (own.includes(name) ? name : undefined)
}

/** What the things in an answer are. */
function kindOfBody(path: string): string {
  const [, , , , sub] = path.split('?')[0]!.split('/')
  if (sub === 'executions') return 'executions'
  if (path.includes('/revisions/')) return `${kindOfPath(path)}_rev`
  return sub === 'input_files' ? 'file' : kindOfPath(path)
}

/** What the number in a path stands for. */
function kindOfPath(path: string): string {
  const [, , room] = path.split('?')[0]!.split('/')
  const kinds: Record<string, string> = {
    recipes: 'recipe',
    recipe: 'recipe',
    jobs: 'job',
    'job-types': 'job_type',
    'recipe-types': 'recipe_type',
    files: 'file',
    workspaces: 'workspace',
    scans: 'scan',
    ingests: 'ingest',
    batches: 'batch',
    datasets: 'dataset',
    errors: 'error',
  }
  return kinds[room ?? ''] ?? 'thing'
}
