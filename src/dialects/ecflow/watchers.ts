// The partners of avisos and mirrors are asked, each as often as its attribute says, while its node waits or shows.
// What they answer is a change of the tree like any other. docs/reference/ecflow-partners.md says what they have to speak.

import type { Logger } from 'pino'
import type { Clock } from '../../core/clock.ts'
import { isObject } from '../../core/json.ts'
import { readMirrorImage } from '../../domains/suite/planner/mirror-image.ts'
import {
  answersListener,
  failRemote,
  optionOf,
  readListener,
  showMirrored,
  tellAviso,
  watchedNodes,
} from '../../domains/suite/planner/remote.ts'
import type { Aviso, Mirror } from '../../domains/suite/tree/attribute.ts'
import type { Node } from '../../domains/suite/tree/node.ts'
import type { Keeper } from './keeper.ts'
import { readFrom, readNotifications, type Source } from './sources.ts'

/** Seconds between questions where neither attribute nor variable says so. */
const avisoSeconds = 40
const mirrorSeconds = 120

/** How often it is looked which of them is due, and how many are asked at the same time. */
const lookMs = 1000
const askedMax = 8

/** The longest that a partner may take for its whole answer. */
const answerMsMax = 30_000

interface WatcherParts {
  readonly clock: Clock
  readonly keeper: Keeper
  readonly sources: readonly Source[]
  readonly log: Logger
}

/** One attribute to be asked about. */
interface Watched {
  readonly node: Node
  readonly path: string
  readonly attribute: Aviso | Mirror
}

export class Watchers {
  readonly #parts: WatcherParts
  /** When each was asked last, by path and name. */
  #askedAt = new Map<string, number>()
  readonly #asking = new Map<string, AbortController>()
  #stop = () => {}
  #isClosed = false

  constructor(parts: WatcherParts) {
    this.#parts = parts
  }

  start(): void {
    const { clock } = this.#parts
    if (this.#isClosed) return
    this.#stop = clock.alarm(clock.now() + lookMs, () => {
      this.#look()
      this.start()
    })
  }

  close(): void {
    this.#isClosed = true
    this.#stop()
    for (const asking of this.#asking.values()) asking.abort()
  }

  #look(): void {
    const { clock, keeper } = this.#parts
    if (keeper.living.watching.size === 0 || keeper.living.serverState === 'HALTED') return
    const now = clock.now()
    const askedAt = new Map<string, number>()
    for (const watched of this.#watched()) {
      const key = `${watched.path}:${watched.attribute.name}`
      const last = this.#askedAt.get(key)
      if (last !== undefined) askedAt.set(key, last)
      const isDue = last === undefined || now - last >= secondsOf(watched) * 1000
      if (!isDue || this.#asking.has(key) || this.#asking.size >= askedMax) continue
      askedAt.set(key, now)
      this.#ask(key, watched)
    }
    // Who waits no more is forgotten, and asked at once when it waits again.
    this.#askedAt = askedAt
  }

  #watched(): Watched[] {
    return watchedNodes(this.#parts.keeper.living).flatMap(node => {
      const rare = node.attributes!.rare!
      const attributes = rare.mirrors ?? (rare.avisos ?? []).filter(aviso => !aviso.free)
      return attributes.map(attribute => ({ node, path: node.path, attribute }))
    })
  }

  #ask(key: string, watched: Watched): void {
    const { keeper, clock, log } = this.#parts
    const abort = new AbortController()
    this.#asking.set(key, abort)
    const giveUp = clock.alarm(clock.now() + answerMsMax, () => abort.abort(new Error('it takes too long')))
    const { path, attribute } = watched
    const at = { path, name: attribute.name }
    const asked = 'listener' in attribute ? this.#askAviso : this.#askMirror
    void asked
      .call(this, watched, abort.signal)
      .catch(error =>
        this.#isClosed ? undefined : keeper.change(living => failRemote(living, at, sentenceOf(error))),
      )
      .catch(error => log.warn({ err: error, path }, 'what a partner said was lost'))
      .finally(() => {
        giveUp()
        this.#asking.delete(key)
      })
  }

  async #askAviso({ node, path, attribute }: Watched, signal: AbortSignal): Promise<void> {
    const aviso = attribute as Aviso
    const listener = readListener(node, aviso)
    if (!listener) throw new Error('its listener is no JSON object with an event')
    const url = optionOf(node, aviso.url)
    if (url === undefined) throw new Error('it has no url, and ECF_AVISO_URL is not defined')
    const since = Number(aviso.revision) || 0
    const separator = url.includes('?') ? '&' : '?'
    const address = /^https?:/.test(url) ? `${url}${separator}after=${since}` : url
    const { keeper, sources } = this.#parts
    const auth = optionOf(node, aviso.auth)
    const news = readNotifications(await readFrom(sources, { address, auth, signal }))
      .filter(it => it.revision > since)
      .sort((one, other) => one.revision - other.revision)
    const answer = news.find(it => answersListener(listener, it))
    // What came after the awaited message may be what the next run waits for.
    const revision = answer?.revision ?? news.at(-1)?.revision ?? since
    if (revision === since && aviso.reason === '') return
    await keeper.change(living =>
      tellAviso(living, { path, name: aviso.name }, { revision, isAnswered: answer !== undefined }),
    )
  }

  async #askMirror({ node, path, attribute }: Watched, signal: AbortSignal): Promise<void> {
    const mirror = attribute as Mirror
    const host = optionOf(node, mirror.remoteHost)
    if (host === undefined)
      throw new Error('it has no remote_host, and ECF_MIRROR_REMOTE_HOST is not defined')
    const remotePath = optionOf(node, mirror.remotePath)
    if (remotePath === undefined) throw new Error('its remote_path names a variable that is not defined')
    const { keeper, sources } = this.#parts
    const auth = optionOf(node, mirror.auth)
    const read = (address: string) => readFrom(sources, { address, auth, signal })
    let shown: unknown
    // A folder instead of a host: a file for each node, as somebody else copies them there.
    if (/^(?:\/|file:\/\/)/.test(host)) shown = await read(`${host}${remotePath}.json`)
    else {
      const port = optionOf(node, mirror.remotePort) ?? '8080'
      const base = `${mirror.ssl ? 'https' : 'http'}://${host}:${port}/v1/suites${remotePath}`
      const [status, attributes] = await Promise.all([read(`${base}/status`), read(`${base}/attributes`)])
      shown = {
        ...(isObject(attributes) ? attributes : {}),
        status: isObject(status) ? status['status'] : undefined,
      }
    }
    const image = readMirrorImage(shown)
    if (!image) throw new Error(`what is said about ${remotePath} has no state`)
    await keeper.change(living => showMirrored(living, { path, name: mirror.name }, image))
  }
}

function secondsOf({ node, attribute }: Watched): number {
  const usual = 'listener' in attribute ? avisoSeconds : mirrorSeconds
  const given = Number(optionOf(node, attribute.polling) ?? usual)
  return Number.isFinite(given) && given >= 1 ? given : usual
}

function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // Where several addresses of a name were tried, the error itself says nothing.
  return error instanceof AggregateError && error.message === '' ? String(error.errors[0]) : error.message
}
